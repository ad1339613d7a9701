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

have() {
    command -v "$1" >/dev/null
}

# Prints the plan and ends the suite.
tap_done() {
    printf '1..%d\n' "$tap_count"
    [ "$tap_failures" = 0 ] && [ "$tap_count" != 0 ]
    exit
}
