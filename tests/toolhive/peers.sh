# What both of run and interop begin with. Source it after tests/tap.sh, tests/redis/server.sh, tests/unit/build.sh.

# A process of ours, and a server with a user that may do what the manual says; ends the suite without.
peer_and_server() {
    rm -f $out/peer
    check "the process of ours builds" gcc -std=c99 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
        "${warnings[@]}" -I. tests/toolhive/peer.c -o $out/peer
    [ -x $out/peer ] || tap_done
    if ! have "$redis_server"; then
        skip "sessions shared with ToolHive" "redis-server redis-tools"
        tap_done
    fi
    start shared
    check "the manual's ACL line and its addition are what the server takes" documented_user shared "${acl_toolhive[@]}"
}
