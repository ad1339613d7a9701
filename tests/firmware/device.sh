# The device that is firmware, with the official MCP clients on this side of its Ethernet. Sourced by run.

source tests/npm.sh

device_lacks=
bare_compiler arm-none-eabi-gcc && have qemu-system-arm ||
    device_lacks+=" gcc-arm-none-eabi picolibc-arm-none-eabi qemu-system-arm"
[ -e /usr/include/jsmn.h ] || device_lacks+=" libjsmn-dev"
have xz && have patch || device_lacks+=" xz-utils patch"
have node && have npm || device_lacks+=" nodejs npm"
printf '#include <event2/http.h>\n#include <cjson/cJSON.h>\n' | gcc -E - >/dev/null 2>&1 ||
    device_lacks+=" libevent-dev libcjson-dev"

device_builds() {
    make --no-print-directory "firmware=$out/device" "firmware_flags=${warnings[*]}" "$out/device/device-an385"
}

# What it is said to take is stated to the linker; of that, nothing is a heap.
device_has_no_heap() {
    ! arm-none-eabi-nm "$out/device/device-an385" | grep -E ' (malloc|calloc|realloc|free|_?sbrk|abort)$'
}

test_device() {
    local status=0
    rm -f "$out/device/device-an385"
    check "device: is built with our warnings" device_builds
    [ -e "$out/device/device-an385" ] || return 0
    check "device: has no heap" device_has_no_heap
    check "device: the one for Linux is built" \
        gcc -std=c99 -O1 -I. -o "$out/device/linux" examples/device/*.c -levent -lcjson
    npm_install tests/sdk build/sdk || status=$?
    case $status in
    0) ;;
    2) skip "device" "the packages of tests/sdk/package-lock.json: npm finds no network" && return ;;
    *) not_ok "device: npm ci" && return ;;
    esac
    rm -rf build/sdk/firmware
    cp -r tests/firmware/device build/sdk/firmware
    FIRMWARE=$PWD/$out/device/device-an385 DEVICE=$PWD/$out/device/linux \
        relay device "$(sdk_node)" build/sdk/firmware/suite.mjs
}

if [ -n "$device_lacks" ]; then
    skip "device" "${device_lacks# }"
elif ! tests/sources lwip http-parser 2>$out/sources.log; then
    skip "device" "what tests/sources lwip http-parser fetches"
else
    test_device
fi
