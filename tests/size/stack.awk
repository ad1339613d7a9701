# The deepest stack of each module: the frames on the deepest chain of calls from any of its functions.
#   awk -f tests/size/stack.awk [-v whole=1] FACTS INDIRECT GRAPH
#
# FACTS: the functions that a program has, of the output of lint/sections.awk; whole: it has all of them.
# GRAPH: "frame FUNCTION BYTES KIND" and "call FUNCTION OTHER", where OTHER is * for a call through a pointer.
# INDIRECT says where those can lead, by the module they are in. What is not ours (memcpy, the helpers of the compiler,
# hooks of the user) counts as 0. "- MODULE FUNCTION..." in it says which functions a module calls for an operation of
# the user's, "! MODULE FUNCTION..." which ones never serve what it asks for.
# Prints "stack MODULE BYTES CHAIN", the chain with each function's frame, or "error ...".

function plain(name) { # without the suffixes of the compiler's clones
    sub(/\.(constprop|part|isra|cold|lto_priv).*/, "", name)
    return name
}

# Of the chains from f on, in a request of module `asks`.
function depth(f, asks,    n, i, names, deepest, d) {
    if (home[f] in spared) asks = home[f]
    if ((f, asks) in done) return done[f, asks]
    if (f in open) {
        print "error recursion through " f
        return 0
    }
    open[f] = 1
    deepest = 0
    n = split(calls[f], names, " ")
    for (i = 1; i <= n; i++) {
        if (!(names[i] in home) || index(spared[asks] " ", " " names[i] " ")) continue
        d = depth(names[i], asks)
        if (d > deepest) { deepest = d; deeper[f, asks] = names[i] }
    }
    delete open[f]
    done[f, asks] = frame[f] + deepest
    return done[f, asks]
}

# The chain that goes deepest from f on, with its frames.
function chain(f, asks) {
    if (home[f] in spared) asks = home[f]
    return f " " frame[f] ((f, asks) in deeper ? ", " chain(deeper[f, asks], asks) : "")
}

# The functions of a line of INDIRECT, and of the groups (@NAME) on it.
function expanded(line,    n, i, words, list) {
    n = split(line, words, " ")
    for (i = 1; i <= n; i++) list = list " " (words[i] in group ? group[words[i]] : words[i])
    return list
}

# The functions that a call through a pointer may reach: as said of the function that makes it, or else of its module.
function targets_of(f,    module, n, i, words, list) {
    module = f in indirect ? f : home[f]
    if (!(module in indirect)) {
        print "error " module " calls through a pointer, and tests/size/indirect does not say where that leads"
        return ""
    }
    n = split(expanded(indirect[module]), words, " ")
    for (i = 1; i <= n; i++) {
        if (words[i] in home) list = list " " words[i]
        else if (whole) print "error tests/size/indirect names " words[i] ", which is not there"
    }
    return list
}

FILENAME == ARGV[1] { if ($1 == "function") home[$3] = $2; next }
FILENAME == ARGV[2] {
    if ($1 == "-") for (i = 3; i <= NF; i++) users[$2, $i] = 1
    if ($1 == "!") for (i = 3; i <= NF; i++) spared[$2] = spared[$2] " " $i
    if ($0 ~ /^@/) { name = $1; $1 = ""; group[name] = group[name] $0 }
    if ($0 ~ /^[a-z]/) { module = $1; $1 = ""; indirect[module] = indirect[module] " " $0 }
    next
}
$1 == "frame" {
    f = plain($2)
    if ($4 == "dynamic") print "error the frame of " f " has no fixed size"
    if (!(f in frame) || $3 > frame[f]) frame[f] = $3
}
$1 == "call" {
    f = plain($2)
    if (!(f in home) || (home[f], $3) in users) next
    if ($3 == "*") pointer[f] = 1
    else if ($2 == $3 || plain($3) != f) calls[f] = calls[f] " " plain($3) # not to a clone of itself
}
END {
    for (m in spared) spared[m] = expanded(spared[m])
    for (f in pointer) calls[f] = calls[f] targets_of(f)
    for (f in home) {
        d = depth(f, "")
        m = home[f]
        if (!(m in most) || d > most[m] || (d == most[m] && f < which[m])) { most[m] = d; which[m] = f }
    }
    for (m in most) print "stack", m, most[m], chain(which[m], "")
}
