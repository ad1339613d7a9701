# npm for suites. Source it from the repository root.

# npm_install FROM TO: copies what is in FROM to TO and installs there what FROM/package-lock.json pins, unless it is
# there. -> 0; 1: npm failed, the end of its log is printed as TAP comments; 2: so it did, for want of a network
npm_install() {
    local from=$1 to=$2 status=0
    mkdir -p "$to"
    cp "$from"/package.json "$from"/package-lock.json "$from"/.npmrc "$from"/*js "$to"
    cmp -s "$from/package-lock.json" "$to/installed" && return
    rm -f "$to/installed"
    (cd "$to" && timeout 120 npm ci --prefer-offline --fetch-retries=1) >"$to/npm.log" 2>&1 || status=$?
    if [ $status = 0 ]; then
        cp "$from/package-lock.json" "$to/installed"
        return
    fi
    tail -n 40 "$to/npm.log" | sed 's/^/# /'
    [ $status != 124 ] || return 2
    ! grep -qE 'code E(NOTFOUND|AI_AGAIN|CONN|TIMEDOUT|NETUNREACH|HOSTUNREACH)' "$to/npm.log" || return 2
    return 1
}
