# Builds the unit tests for any target. Source it from the repository root.

warnings=(-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-align
    -Wcast-qual -Wvla -Werror)
unit_suites=(base lru eventid sse ring record backends memstore memlog log_contract log_model stream stream_read
    flags lease flight flight_wait flight_ops flight_model
    backend_rows backend backend_data backend_ops backend_keep backend_own backend_faults backend_model
    session session_io session_model coherence merge merge_model
    resp redis redis_life redis_outcomes redis_model redisstore rlogs rflags redis_session
    toolhive csharp csharpstore librechat)

# build_unit OUTPUT PORT SUITES COMPILER...: one image of the named suites (space separated); the others are left out.
# Files that are no suite, and no port, are shared by the suites. Where unit_objects names a folder, what was compiled
# is kept there for the next image, which must be of the same compiler and flags.
build_unit() {
    local output=$1 port=$2 chosen=" $3 " suite file objects=() sources=()
    shift 3
    echo '#include "tap.h"' >"$output.absent.c"
    for suite in "${unit_suites[@]}"; do
        case $chosen in
        *" $suite "*) sources+=("tests/unit/test_$suite.c") ;;
        *) echo "void test_$suite(void) {}" >>"$output.absent.c" ;;
        esac
    done
    for file in tests/unit/*.c; do
        suite=${file#tests/unit/test_}
        case " ${unit_suites[*]} " in
        *" ${suite%.c} "*) ;;
        *) [[ $file == */port_* ]] || sources+=("$file") ;;
        esac
    done
    sources+=("tests/unit/port_$port.c")
    if [ -n "${unit_objects:-}" ]; then
        for file in "${sources[@]}"; do
            objects+=("$unit_objects/$(basename "$file").o")
            [ -e "${objects[-1]}" ] || "$@" -I. -Itests/unit -c -o "${objects[-1]}" "$file" || return 1
        done
        sources=("${objects[@]}")
    fi
    "$@" -I. -Itests/unit -o "$output" "${sources[@]}" "$output.absent.c"
}
