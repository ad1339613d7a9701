# redis-servers of a suite's own, on Unix sockets, stopped by their pids when the suite ends. Source it from the
# repository root, with $out set; REDIS_SERVER, REDIS_CLI: another server, its client.

redis_server=${REDIS_SERVER:-redis-server} redis_cli=${REDIS_CLI:-redis-cli}

home=$(mktemp -d)
# A file for each server's pid: check runs a function in a shell of its own.
stop_all() {
    local file
    for file in "$home"/*.pid; do
        stop "$(basename "$file" .pid)"
    done
    rm -rf "$home"
}
trap stop_all EXIT

# cli NAME COMMAND...: of the server's owner
cli() {
    local name=$1
    shift
    "$redis_cli" -s "$home/$name" "$@"
}

# until_says NAME TEXT COMMAND...: waits, for 10 s at most, until an answer has this text in it
until_says() {
    local name=$1 text=$2
    shift 2
    for _ in $(seq 200); do
        ! grep -qF "$text" <<<"$(cli "$name" "$@" 2>/dev/null)" || return 0
        sleep 0.05
    done
    return 1
}

# start NAME OPTION...: its socket is $home/NAME; without waiting until it answers: spawn
start() {
    spawn "$@"
    until_says "$1" PONG ping
}
spawn() {
    local name=$1
    shift
    "$redis_server" --port 0 --bind 127.0.0.1 --unixsocket "$home/$name" --dir "$home" --save '' "$@" \
        >$out/$name-server.log 2>&1 &
    echo $! >"$home/$name.pid"
}

# stop NAME, waiting for 5 s at most
stop() {
    local pid
    pid=$(cat "$home/$1.pid" 2>/dev/null) && kill "$pid" 2>/dev/null || return 0
    for _ in $(seq 100); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.05
    done
}

# The line that the manual documents, word by word, and what it adds for the formats of others; the password is
# "secret".
mapfile -t acl < <(tr '\n' ' ' <mcpsess_redis.h | grep -oE 'ACL SETUSER mcpsess [^*]*\*[^*]*\+pexpire' | tr -s ' ' '\n')
acl=("${acl[@]/PASSWORD/secret}")
mapfile -t acl_csharp < <(sed -n '/^ *Streams as the C# SDK/,/^\*\//p' mcpsess_redis.h | grep -oE '[~+][^ ]+')
read -ra acl_librechat < <(sed -n 's/^ *Flags and leases as LibreChat keeps them[^:]*: *//p' mcpsess_redis.h)
read -ra acl_toolhive < <(sed -n 's/^ *Sessions as ToolHive keeps them also need: *//p' mcpsess_redis.h)

# documented_user NAME [MORE...]: creates it
documented_user() {
    printf '%s ' "${acl[@]}" "${@:2}"
    [ "$(cli "$1" "${acl[@]}" "${@:2}")" = OK ]
}

# learn_users NAME: what it lacks, it is asked for; nothing is concluded from a version. Sets password, which is empty
# where there are no users, and takes from acl what this server does not know.
learn_users() {
    password=secret
    if grep -q 'unknown command' <<<"$(cli "$1" ACL WHOAMI)"; then
        note <<<"this server has no users"
        password=
    elif grep -q resetchannels <<<"$(cli "$1" ACL SETUSER probe resetchannels)"; then
        note <<<"this server has no channels in its ACL"
        acl=("${acl[@]/#resetchannels/-@all}") # which comes next anyway
    fi
}

# digests_true PROGRAM: what "PROGRAM digest N" prints is the digest of what "PROGRAM script N" does
digests_true() {
    local n text
    for ((n = 0; ; n++)); do
        text=$("$1" script $n) || break
        diff <("$1" digest $n) <(printf %s "$text" | sha1sum | tr -d ' \n-')
    done
    echo "$n scripts"
    [ "$n" -gt 0 ]
}

# One that is a cluster, of all slots.
start_cluster() {
    local port
    for _ in 1 2 3 4 5; do # the port, or that of its bus, may be taken
        port=$((20000 + RANDOM % 20000))
        if start cluster --cluster-enabled yes --cluster-config-file "nodes-$port.conf" --port $port; then
            break
        fi
    done
    seq 0 16383 | xargs "$redis_cli" -s "$home/cluster" CLUSTER ADDSLOTS
    until_says cluster cluster_state:ok CLUSTER INFO
}
