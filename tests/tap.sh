# TAP for suites written in bash. Source it from the repository root; end the suite with tap_done.

tap_count=0
tap_failures=0

ok() {
    tap_count=$((tap_count + 1))
    printf 'ok %d - %s\n' "$tap_count" "$1"
}

not_ok() {
    tap_count=$((tap_count + 1))
    tap_failures=$((tap_failures + 1))
    printf 'not ok %d - %s\n' "$tap_count" "$1"
}

# skip NAME PACKAGES: the tool that this test needs is missing.
skip() {
    tap_count=$((tap_count + 1))
    printf 'ok %d - %s # SKIP install %s\n' "$tap_count" "$1" "$2"
}

# Turns whatever comes in on stdin into TAP comments.
note() {
    sed 's/^/# /'
}

# check NAME COMMAND...: passes when the command exits 0. Its output is shown only when it does not.
check() {
    local name=$1 output status=0
    shift
    output=$("$@" 2>&1) || status=$?
    if [ "$status" = 0 ]; then
        ok "$name"
    else
        not_ok "$name"
        printf 'exit status %d: %s\n%s\n' "$status" "$*" "$output" | sed '60q' | note
    fi
}

# relay NAME COMMAND...: runs a test program, passes its TAP on under its name, and adds a test of its own: that the
# program came to its plan within its time, with an exit status that fits. Its log is kept in the folder $out.
# relay_limit: seconds, if not 200, which is ample where little else runs.
relay() {
    local name=$1 log=$out/$1.log status=0 seen=0 bad=0 plan=none line
    shift
    timeout --kill-after=5 "${relay_limit:-200}" "$@" >"$log" 2>&1 </dev/null || status=$?
    while IFS= read -r line; do
        case ${line%$'\r'} in
        "ok "*) seen=$((seen + 1)) && ok "$name: ${line#* - }" ;;
        "not ok "*) seen=$((seen + 1)) bad=1 && not_ok "$name: ${line#* - }" ;;
        1..*) plan=${line#1..} ;;
        "#"*) printf "%s\n" "$line" ;;
        *) note <<<"$line" ;;
        esac
    done <"$log"
    if [ "$plan" = "$seen" ] && [ "$seen" != 0 ] && [ "$status" = "$bad" ]; then
        ok "$name: came to its plan"
    else
        not_ok "$name: exit status $status, $seen tests, plan $plan"
    fi
}

have() {
    command -v "$1" >/dev/null
}

# Prints the plan and ends the suite.
tap_done() {
    printf '1..%d\n' "$tap_count"
    [ "$tap_failures" = 0 ] && [ "$tap_count" != 0 ]
    exit
}
