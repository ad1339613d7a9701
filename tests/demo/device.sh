# The device by itself: what Streamable HTTP and JSON-RPC ask of a server, one request a test. Sourced by run.

json='Content-Type: application/json'
accept='Accept: application/json, text/event-stream'

# ask STATUS PATTERN CURL-ARGUMENTS...: the answer's head and body are in $out/answer.
ask() {
    local status=$1 pattern=$2
    shift 2
    curl -s -i -N -m 5 "$@" "$device_url" >$out/answer || true
    grep -qE "^HTTP/1.1 $status " $out/answer && grep -qE -- "$pattern" $out/answer ||
        { head -c 1000 $out/answer && false; }
}

post() { # STATUS PATTERN BODY CURL-ARGUMENTS...: within the session
    local status=$1 pattern=$2 body=$3
    shift 3
    ask "$status" "$pattern" -H "$json" -H "$accept" -H "Mcp-Session-Id: $sid" -d "$body" "$@"
}

initialize() { # REVISION
    printf '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"%s",%s}}' "$1" \
        '"capabilities":{},"clientInfo":{"name":"t","version":"1"}'
}

begin() { # STATUS PATTERN REVISION: outside any session
    ask "$1" "$2" -H "$json" -H "$accept" -d "$(initialize "$3")"
}

# await FILE PATTERN: for five seconds at most.
await() {
    local patience=100
    until grep -qsE -- "$2" "$1" || [ $((patience -= 1)) = 0 ]; do sleep 0.05; done
}

session_of_answer() {
    tr -d '\r' <$out/answer | sed -n 's/^Mcp-Session-Id: //p'
}

call() { # NAME ARGUMENTS [META]
    printf '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"%s","arguments":%s%s}}' "$1" "$2" "${3:-}"
}

build/device --listen 127.0.0.1:0 --name solo --sessions 5 >$out/device &
device=$!
await $out/device listening
device_url=$(sed -n 's/.*listening on //p' $out/device)
ping='{"jsonrpc":"2.0","id":"p","method":"ping"}'

for revision in 2025-03-26 2025-06-18 2025-11-25; do
    check "initialize agrees on $revision" begin 200 "\"protocolVersion\":\"$revision\"" $revision
    [ $revision != 2025-03-26 ] || old=$(session_of_answer)
done
check "offers its newest where the client's is unknown" begin 200 '"protocolVersion":"2025-11-25"' 2099-01-01
sid=
check "no session id: 400" ask 400 '"code":-32000' -H "$json" -H "$accept" -d "$ping"
begin 200 '' 2025-11-25
sid=$(session_of_answer)
check "no room for a sixth session: 503 with Retry-After" begin 503 '^Retry-After: ' 2025-11-25

check "a notification is accepted: 202" post 202 '' '{"jsonrpc":"2.0","method":"notifications/initialized"}'
check "a response is accepted: 202" post 202 '' '{"jsonrpc":"2.0","id":1,"result":{}}'
check "ping" post 200 '^\{"jsonrpc":"2.0","id":"p","result":\{\}\}' "$ping"
check "id 0 is an id" post 200 '"id":0,"result"' '{"jsonrpc":"2.0","id":0,"method":"ping"}'
check "tools/list" post 200 '"name":"calibrate".*"outputSchema"' '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
check "a tool's values are text and structured" post 200 '"text":.*"structuredContent":\{"channel":2' \
    "$(call read_sensor '{"channel":2}')"
check "wrong arguments are the tool's answer" post 200 '"isError":true' "$(call read_sensor '{"channel":"x"}')"
check "an unknown tool: -32602" post 200 '"code":-32602' "$(call fly '{}')"
check "an unknown method: -32601" post 200 '"code":-32601' '{"jsonrpc":"2.0","id":1,"method":"fly"}'
check "an unknown level: -32602" post 200 '"code":-32602' \
    '{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"loud"}}'
check "no JSON: 400, -32700" post 400 '"code":-32700' '{"jsonrpc":'
check "JSON and more: 400, -32700" post 400 '"code":-32700' "$ping x"
check "no JSON-RPC: 400, -32600" post 400 '"code":-32600' '{"id":1,"method":"ping"}'
check "members mind their case: 400, -32600" post 400 '"code":-32600' '{"jsonrpc":"2.0","id":1,"Method":"ping"}'
check "an id that is null: 400, -32600" post 400 '"code":-32600' '{"jsonrpc":"2.0","id":null,"method":"ping"}'
check "an id of 16 digits: 400, -32600" post 400 '"code":-32600' \
    '{"jsonrpc":"2.0","id":1234567890123456,"method":"ping"}'
check "an id of 15 digits comes back" post 200 '"id":123456789012345,' \
    '{"jsonrpc":"2.0","id":123456789012345,"method":"ping"}'
check "a batch, after 2025-03-26: 400, -32600" post 400 '"code":-32600' "[$ping]"

check "an unknown session: 404, -32001, with the request's id" ask 404 '"id":"p","error":\{"code":-32001' \
    -H "$json" -H "$accept" -H 'Mcp-Session-Id: nobody' -d "$ping"
check "Accept without event streams: 406" ask 406 '' -H "$json" -H 'Accept: application/json' -d "$ping"
check "Content-Type of something else: 415" ask 415 '' -H 'Content-Type: application/jose' -H "$accept" -d "$ping"
check "Origin of another site: 403" post 403 '' "$ping" -H 'Origin: http://localhost.example'
check "Origin of this machine" post 200 '' "$ping" -H 'Origin: http://localhost:3000'
check "an unknown revision in the header: 400" post 400 '"code":-32000' "$ping" -H 'MCP-Protocol-Version: 2024-01-01'
check "PUT: 405 with Allow" ask 405 '^Allow: GET, POST, DELETE' -X PUT
check "another path: 404" ask 404 '' --request-target /other
check "a body over 64 KiB: 413" post 413 '' "$(printf '%70000s' x)"

check "2026-07-28 by header: 400, -32022, with the revisions there are" post 400 \
    '"code":-32022.*"supported":\["2025-11-25","2025-06-18","2025-03-26"\],"requested":"2026-07-28"' \
    "$ping" -H 'MCP-Protocol-Version: 2026-07-28'
check "2026-07-28 by _meta" post 400 '"code":-32022' '{"jsonrpc":"2.0","id":1,"method":"server/discover",
    "params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}'
for method in GET DELETE; do
    check "2026-07-28 $method: 405 with Allow" ask 405 '^Allow: POST' -X $method -H "$accept" \
        -H "Mcp-Session-Id: $sid" -H 'MCP-Protocol-Version: 2026-07-28'
done

# ---- streams ----

check "progress, on the POST's stream" post 200 '"progressToken":"t","progress":5' \
    "$(call calibrate '{"seconds":0.2}' ',"_meta":{"progressToken":"t"}')"
check "without a token, the result alone" post 200 '"steps":5' "$(call calibrate '{"seconds":0}')"
check "no progress in it" bash -c "! grep -q progress $out/answer"

curl -s -N -m 10 -D $out/head -H "$accept" -H "Mcp-Session-Id: $sid" "$device_url" >$out/stream &
listener=$!
await $out/head '^HTTP/1.1 200'
check "a second GET stream: 409" ask 409 '' -H "$accept" -H "Mcp-Session-Id: $sid"
check "the LED switches" post 200 '"led":"on"' "$(call set_led '{"on":true}')"
check "and stays" post 200 '"led":"on"' "$(call set_led '{"on":true}')"
check "the GET stream told it once" has stream '"the LED is on"' 1

# A call whose client hangs up goes on; one that is cancelled does not, and its stream ends without an answer.
curl -s -N -m 1 -H "$json" -H "$accept" -H "Mcp-Session-Id: $old" -d "$(call calibrate '{"seconds":1.5}')" \
    "$device_url" >$out/answer || true
sleep 1
sid_now=$sid sid=$old
check "a call outlives its connection" post 200 'calibrated\\":true' "$(call read_sensor '{"channel":0}')"
check "2025-03-26 has no structured content" bash -c "! grep -q structuredContent $out/answer"
check "2025-03-26 has batches" post 200 '^\[\{"jsonrpc":"2.0","id":"p","result":\{\}\}\]' \
    "[$ping,{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}]"
check "an empty one: 400, -32600" post 400 '"code":-32600' '[]'
cancelled() { # in one batch with its cancellation: curl ends before its limit, and with nothing
    curl -s -N -m 3 -H "$json" -H "$accept" -H "Mcp-Session-Id: $old" -d "[$(call calibrate '{"seconds":9}'),
        {\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":7}}]" \
        "$device_url" >$out/answer && ! grep . $out/answer
}
check "a cancelled call has no answer" cancelled
sid=$sid_now

check "DELETE: 204" ask 204 '' -X DELETE -H "Mcp-Session-Id: $sid"
wait $listener && status=0 || status=$?
check "it ends the GET stream" test $status = 0
check "a second DELETE: 404" ask 404 '"code":-32001' -X DELETE -H "Mcp-Session-Id: $sid"
check "and the session is gone: 404" post 404 '"code":-32001' "$ping"
check "which makes room for another" begin 200 '^Mcp-Session-Id: ' 2025-11-25
sid=$(session_of_answer)

rm -f $out/head
curl -s -N -m 5 -D $out/head -H "$json" -H "$accept" -H "Mcp-Session-Id: $sid" \
    -d "$(call calibrate '{"seconds":9}')" "$device_url" >$out/stream &
listener=$!
await $out/head '^HTTP/1.1 200'
kill $device
wait $device && status=0 || status=$?
check "SIGTERM ends it with 0" test $status = 0
wait $listener || true
check "telling who still waits" has stream '"id":7,"error":\{"code":-32603,"message":"the device is stopping"' 1

# ---- what outlives it ----

# note_device NAME ARGUMENTS...: a device by that name, and a session at it
note_device() {
    local name=$1
    shift
    build/device --listen 127.0.0.1:0 --name "$name" "$@" >"$out/$name" 2>&1 &
    device=$!
    await "$out/$name" listening
    device_url=$(sed -n 's/.*listening on //p' "$out/$name")
    begin 200 '' 2025-11-25
    sid=$(session_of_answer)
}
mkdir -p $out/data
note_device keeper --data $out/data
check "there is no note at first" post 200 '"note":""' "$(call note '{}')"
check "a note is kept" post 200 '"note":"door open"' "$(call note '{"text":"door open"}')"
check "one that is too long is not" post 200 '"isError":true' "$(call note "{\"text\":\"$(printf %201s x)\"}")"
check "nor is a number" post 200 '"isError":true' "$(call note '{"text":7}')"
kill -KILL $device
wait $device 2>/dev/null || true
note_device again --data $out/data
check "a device that was killed finds it again" post 200 '"note":"door open"' "$(call note '{}')"
kill $device
wait $device || true
note_device none
check "without --data there is none" post 200 '"note":""' "$(call note '{}')"
kill $device
wait $device || true
check "a folder that is not there is told" bash -c \
    "build/device --listen 127.0.0.1:0 --name x --data $out/nowhere 2>&1 | grep 'no note can be kept in'"
