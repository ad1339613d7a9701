# The device's event streams: cut, and taken up again. Sourced by run, after device.sh, whose functions it uses.

start_device() { # OPTIONS...
    rm -f $out/device
    build/device --listen 127.0.0.1:0 --name again "$@" >$out/device &
    device=$!
    await $out/device listening
    device_url=$(sed -n 's/.*listening on //p' $out/device)
}

# What it said it has lost: the number before these words in its last line.
stop_device() {
    kill $device
    wait $device
}
lost() { # NUMBER WORDS
    local last
    last=$(tail -n 1 $out/device)
    grep -qE "(^|[^0-9])$1 $2" <<<"$last" || { echo "$last" && false; }
}

new_session() { # REVISION
    begin 200 '' "$1"
    sid=$(session_of_answer)
}

# Each is a process of its own: FILE SECONDS BODY, FILE SECONDS [LAST-EVENT-ID].
stream_post() {
    exec curl -s -N -m "$2" -D $out/head -H "$json" -H "$accept" -H "Mcp-Session-Id: $sid" -d "$3" \
        "$device_url" >$out/$1
}
stream_get() {
    exec curl -s -N -m "$2" -D $out/head -H "$accept" -H "Mcp-Session-Id: $sid" ${3:+-H "Last-Event-ID: $3"} \
        "$device_url" >$out/$1
}
# What comes in that time; 0: the stream has ended.
read_post() { (stream_post "$@"); }
read_get() { (stream_get "$@"); }
# A call whose connection is cut when it has told this: FILE PATTERN BODY.
cut_post() {
    rm -f $out/"$1"
    stream_post "$1" 20 "$3" &
    listener=$!
    await $out/"$1" "$2"
    hang_up
}
slow() { # SECONDS [MORE ARGUMENTS]
    call calibrate "{\"seconds\":$1${2:-}}" ',"_meta":{"progressToken":"t"}'
}

ids() { # FILE
    sed -n 's/^id: //p' $out/$1
}
first_id() { sed -n '/^id: /{s///p;q}' $out/"$1"; }
last_id() { ids "$1" | tail -n 1; }
# The steps that were told, and R for the result, in order: "1 2 3 4 5 R".
told() { # FILES...
    local file
    for file in "$@"; do
        grep -oE '"progress":[0-9]|"result":\{' $out/"$file" || true
    done | sed 's/"progress"://; s/"result.*/R/' | paste -sd ' '
}
tells() { # WHAT FILES...
    local what=$1
    shift
    [ "$(told "$@")" = "$what" ] || { echo "$(told "$@")" && false; }
}
tells_leds() { # WHAT FILE: "on off"
    local got
    got=$(grep -oE 'the LED is [onf]+' $out/"$2" | sed 's/.* //' | paste -sd ' ')
    [ "$got" = "$1" ] || { echo "$got" && false; }
}
distinct() { # every event has an id, and each another one
    [ "$(ids "$1" | sort -u | wc -l)" = "$(grep -c '^data:' $out/"$1")" ]
}
resume() { # STATUS PATTERN LAST-EVENT-ID
    ask "$1" "$2" -H "$accept" -H "Mcp-Session-Id: $sid" -H "Last-Event-ID: $3"
}
b64() { # base64 without line ends
    printf '%s' "$1" | base64 -w 0
}
led() { # true or false
    post 200 '"led"' "$(call set_led "{\"on\":$1}")"
}
# A GET stream in the background, from its head on.
listen() { # FILE [LAST-EVENT-ID]
    rm -f $out/head
    stream_get "$1" 20 "${2:-}" &
    listener=$!
    await $out/head '^HTTP/1.1 200'
}
hang_up() {
    kill $listener 2>/dev/null || true # it may have ended
    wait $listener 2>/dev/null || true
    sleep 0.1
}

start_device --sessions 9

# ---- a POST's stream ----

new_session 2025-11-25
read_post all 5 "$(slow 0.1)"
check "a slow call begins with a priming event, which brings an id alone" \
    grep -qE '^event: prime[|]data: ?[|]id: [^|]+[|]$' <<<"$(head -n 4 $out/all | paste -sd '|')"
check "every event has an id of its own" distinct all
check "its name is not the request's" bash -c "! first=\$(ids all) grep -q ':$(b64 7):' $out/all"
check "what passes by is not kept" grep -qi '^Cache-Control: .*no-store' $out/head
check "from its first id on, all of it is told again" read_get again 5 "$(first_id all)"
check "the same events" bash -c "diff <(sed -n '/^data: {/,\$p' $out/all) <(sed -n '/^data: {/,\$p' $out/again)"
read_get again 5 "$(ids all | sed -n 4p)" || true
check "from the middle on, the rest" tells '4 5 R' again
check "from its last id on, nothing, and the stream ends" read_get again 5 "$(last_id all)"
check "not even an id" test ! -s $out/again
read_post recurs 5 "$(call calibrate '{"seconds":0}')"
check "the same request id again is another stream" bash -c "! grep -qF '$(first_id recurs | cut -d: -f1-2)' $out/all"
read_get again 5 "$(first_id all)" || true
check "and leaves the first one alone" tells '1 2 3 4 5 R' again

cut_and_resume() { # REVISION
    new_session "$1"
    cut_post before '"progress":2' "$(slow 3)"
    check "$1: a call's connection is cut after two steps" bash -c "! grep result $out/before"
    check "$1: the rest comes at the GET, and the stream ends after the answer" read_get after 5 "$(last_id before)"
    check "$1: every message once, in order" tells '1 2 3 4 5 R' before after
    cut_post before '"progress":1' "$(slow 2)"
    sleep 2
    read_get after 5 "$(last_id before)" || true
    check "$1: what came while nobody listened was kept" tells '1 2 3 4 5 R' before after
}
cut_and_resume 2025-06-18
check "2025-06-18: ids, but no event without data" bash -c "! grep -q prime $out/before $out/after"
cut_and_resume 2025-11-25
check "2025-11-25: a resumed stream begins with the position it was resumed at" \
    test "$(first_id after)" = "$(last_id before)"

cut_post one '"progress":1' "$(slow 2)"
cut_post other '"progress":1' "$(slow 2.5)"
read_get one_rest 5 "$(last_id one)" || true
read_get other_rest 5 "$(last_id other)" || true
check "two streams of a session are kept apart" tells '1 2 3 4 5 R' one one_rest
check "by what is in them" bash -c "grep -q 'seconds.*:2[},]' $out/one_rest && grep -q 'seconds.*:2.5' $out/other_rest"

stream_post held 10 "$(slow 2)" &
listener=$!
await $out/held '"progress":1'
check "who resumes takes over from a connection that is still there" read_get after 5 "$(first_id held)"
wait $listener && status=0 || status=$?
check "which ends" test $status = 0
check "the one has what came before" bash -c "grep -q '\"progress\":1' $out/held && ! grep -q result $out/held"
check "the other has it all" tells '1 2 3 4 5 R' after

# ---- polling ----

check "a polling call lets its client go at once" read_post polled0 1 "$(slow 2 ',"poll":true')"
check "with one id" test "$(ids polled0 | wc -l)" = 1
check "and the time to wait" grep -q '^retry: [0-9]' $out/polled0
check "and no message" tells '' polled0
n=0
until grep -q '"result"' $out/polled$n || [ $n = 20 ]; do
    at=$(last_id polled$n)
    n=$((n + 1))
    read_get polled$n 2 "$at" || break
    sleep 0.1
done
check "each GET ends when it is up to date" test $n -ge 3
each_has_an_id() {
    local i
    for i in $(seq 0 $n); do first_id polled$i | grep . || return 1; done
}
check "each tells the position, to come back from" each_has_an_id
check "until the answer is there; every message once, in order" \
    tells '1 2 3 4 5 R' $(seq -f 'polled%.0f' 0 $n)
check "poll is true or false" post 200 '"isError":true' "$(call calibrate '{"seconds":0,"poll":"yes"}')"
new_session 2025-06-18
read_post all 5 "$(slow 0.1 ',"poll":true')"
check "an older client, which cannot be given an id first, is not sent away" tells '1 2 3 4 5 R' all

# ---- the GET stream ----

new_session 2025-11-25
listen get0
await $out/get0 '^id: '
check "the GET stream begins with a priming event" grep -q '^event: prime' <<<"$(head -n 1 $out/get0)"
led true
await $out/get0 'LED is on'
hang_up
led false
led true
listen get1 "$(last_id get0)"
await $out/get1 'LED is on'
check "what was sent meanwhile comes first" tells_leds 'off on' get1
led false
sleep 0.2
check "then what is sent now" tells_leds 'off on off' get1
check "a second GET: still 409" ask 409 '' -H "$accept" -H "Mcp-Session-Id: $sid"
old_listener=$listener
listen get2 "$(last_id get0)"
wait $old_listener && status=0 || status=$?
check "one that resumes takes over" test $status = 0
await $out/get2 'LED is off'
check "from where it was" tells_leds 'off on off' get2
hang_up
led true
listen get3
led false
await $out/get3 'LED is off'
check "who does not say where it was begins with what comes now" tells_leds 'off' get3
get_listener=$listener
cut_post beside '"progress":1' "$(slow 2)"
listener=$get_listener
check "a call is resumed beside it" read_get beside_rest 5 "$(last_id beside)"
check "without a word of it" bash -c "! grep -q LED $out/beside_rest"
check "and is no second GET stream" kill -0 $listener
get_id=$(first_id get3)

# ---- what is no position ----

expired='"code":-32000,"message":"Bad Request: The specified Last-Event-ID is either invalid or expired."'
foreign='"code":-32000,"message":"Bad Request: The Last-Event-ID header refers to a session with a different session ID'
check "no event id: 400" resume 400 "$expired" nonsense
check "three parts, and no base64: 400" resume 400 "$expired" '!!!:X19nZXRfXw==:1'
check "a stream there is not: 400" resume 400 "$expired" "$(b64 "$sid"):$(b64 7):1:1"
head=${get_id%:*}
check "a negative sequence: 400" resume 400 "$expired" "$head:-1"
check "one that has not come yet: 400" resume 400 "$expired" "$head:1000"
check "the largest one: 400" resume 400 "$expired" "$head:9223372036854775807"
check "a larger one: 400" resume 400 "$expired" "$head:9223372036854775808"
check "another epoch: 400" resume 400 "$expired" "${head%:*}:9${head##*:}:${get_id##*:}"
check "a much longer one: 400" resume 400 "$expired" "$(printf '%2000s' x | tr ' ' A):$get_id"
check "another session's: 400" resume 400 "$foreign" "$(b64 nobody):${get_id#*:}"
check "none of that ended the stream" kill -0 $listener
check "an unknown session: 404" ask 404 '"code":-32001' -H "$accept" -H 'Mcp-Session-Id: nobody' \
    -H "Last-Event-ID: $get_id"
check "2026-07-28: 405, whatever the id" ask 405 '^Allow: POST' -H "$accept" -H "Mcp-Session-Id: $sid" \
    -H "Last-Event-ID: $get_id" -H 'MCP-Protocol-Version: 2026-07-28'
stranger=$sid
new_session 2025-11-25
check "one session cannot read another's stream: 400" resume 400 "$foreign" "$get_id"
check "a notification before any GET stream" led true
listen get4
check "is not kept" bash -c "! grep -q LED $out/get4"
hang_up
sid=$stranger
check "DELETE ends the session" ask 204 '' -X DELETE -H "Mcp-Session-Id: $sid"
wait $listener 2>/dev/null || true
stop_device
check "at its end it tells how many were unheard" lost 1 unheard

# ---- bounds ----

start_device --sessions 4 --logs 2 --log-bytes 600
new_session 2025-11-25
read_post all 5 "$(slow 0.1)" || true
check "who listens gets all, however small the log" tells '1 2 3 4 5 R' all
check "of what has left the log nothing is told: 400" resume 400 "$expired" "$(first_id all)"
read_get again 5 "$(ids all | sed -n 6p)" || true
check "of what is left, all" tells 'R' again
big=$(printf '%700s' x | tr ' ' x)
read_post all 5 "$(call calibrate '{"seconds":0.2}' ",\"_meta\":{\"progressToken\":\"$big\"}")" || true
check "an event larger than the log goes to who listens" tells '1 2 3 4 5 R' all
check "without an id" test "$(ids all | wc -l)" = 2
cut_post all '^id: ' "$(call calibrate '{"seconds":2}' ",\"_meta\":{\"progressToken\":\"$big\"}")"
sleep 2
read_get again 5 "$(first_id all)" || true
check "and is lost if nobody does" tells 'R' again

listen get0
old=$sid old_listener=$listener
new_session 2025-11-25
listen get1
check "no log is left for a call: the tool says so" post 200 'too many event streams.*"isError":true' "$(slow 0)"
new_session 2025-11-25
check "nor for another GET stream: 503 with Retry-After" ask 503 '^Retry-After: ' -H "$accept" -H "Mcp-Session-Id: $sid"
check "the end of a session frees its logs" ask 204 '' -X DELETE -H "Mcp-Session-Id: $old"
wait $old_listener || true
check "for a call" read_post all 5 "$(slow 0)"
listen get2
check "and the call's, complete, makes room for a stream" grep -q '^id: ' $out/get2
hang_up
stop_device
check "it tells how many events left their logs" lost '[1-9][0-9]*' 'dropped from full logs'
check "how many no log took" lost 5 'not stored'
check "how many logs made room" lost '[1-9]' 'logs evicted'
check "how many streams were refused" lost 2 'streams refused'

start_device --sessions 1 --logs 2
new_session 2025-11-25
check "a call's log stays" read_post all 5 "$(slow 0)"
listen get0
check "until its session ends" ask 204 '' -X DELETE -H "Mcp-Session-Id: $sid"
wait $listener || true
new_session 2025-11-25
check "then there is room" read_post all 5 "$(slow 0)"
listen get0
hang_up
stop_device
check "and none had to be made" bash -c "! grep evicted $out/device"

# Five events of 50 kB and the answer, to a reader that takes its time.
slow_reader() { # FILE RATE
    curl -s -N -m 20 --limit-rate "$2" -H "$json" -H "$accept" -H "Mcp-Session-Id: $sid" -d "$(call calibrate \
        '{"seconds":0}' ",\"_meta\":{\"progressToken\":\"$(printf '%50000s' x | tr ' ' x)\"}")" "$device_url" >$out/"$1"
}
start_device --log-bytes 300000
new_session 2025-11-25
check "a slow reader is waited for" slow_reader all 200k
check "and gets everything" tells '1 2 3 4 5 R' all
check "with an id each" distinct all
slow_reader all 10k &
listener=$!
await $out/all '^id: '
sleep 0.2
stop_device && status=0 || status=$?
check "SIGTERM does not wait for it" test $status = 0
wait $listener || true
start_device --log-bytes 60000
new_session 2025-11-25
check "one that the log overtakes is not: its stream ends" slow_reader all 100k
check "before the answer" bash -c "grep -q '\"progress\":1' $out/all && ! grep -q result $out/all"
check "it cannot go on where it was: 400" resume 400 "$expired" "$(last_id all)"
check "one that is read to its end is not counted" read_post all 5 "$(call calibrate '{"seconds":0}')"
stop_device
check "the other is" lost 1 'readers overtaken'

start_device --sessions 4 --logs 1 --ttl 2
new_session 2025-11-25
read_post all 5 "$(slow 0)" || true
for _ in 1 2 3 4 5; do sleep 0.5 && post 200 '' "$ping" || true; done
check "events expire while their session lives: 400" resume 400 "$expired" "$(first_id all)"
listen get0
sleep 4.5
check "a GET stream keeps its session, and its log" led true
await $out/get0 'LED is on'
check "however long nothing came" tells_leds 'on' get0
hang_up
check "a GET stream that nobody listens to waits for its client" led false
check "and is there" resume 200 'LED is off' "$(last_id get0)"
sleep 4
new_session 2025-11-25
listen get1
check "until its session has expired: then its log is free" grep -q '^id: ' $out/get1
hang_up
stop_device
