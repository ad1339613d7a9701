# What the implementation sections of the headers are made of. It reads them twice:
#   awk -f tests/lint/sections.awk mcpsess.h mcpsess_redis.h again=1 mcpsess.h mcpsess_redis.h
#
#   section NAME LINES          a section, "/* ==== NAME ==== */", and how long it is
#   part NAME WHOLE             the API has no section of its name: it belongs to the next one that the API has
#   uses NAME OTHER...          its second line, "/* uses: OTHER, ... */"; "missing" where there is none
#   function NAME IDENTIFIER    a function or constant table that it defines
#   calls NAME OTHER IDENTIFIER it names something that section OTHER defines, or a type that OTHER's API declares
#
# The API has sections as well, "/* ---- NAME: ... >>NAME".

# Takes comments and string literals out of a line; a comment may go on from line to line.
function code_of(line,    out, at) {
    out = ""
    for (;;) {
        if (in_comment) {
            at = index(line, "*/")
            if (at == 0) return out
            line = substr(line, at + 2)
            in_comment = 0
        }
        gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
        at = index(line, "/*")
        if (at == 0) return out line
        out = out substr(line, 1, at - 1) " "
        line = substr(line, at + 2)
        in_comment = 1
    }
}

# The name that a line at the left margin defines: the first mcpsess_ word before a "(" or "[".
function defined_by(code,    name) {
    if (code !~ /^(MCPSESS_API|static) / || (code ~ /;[ \t]*$/ && code !~ /=/)) return ""
    if (!match(code, /mcpsess_[a-z0-9_]+([(\[]| = )/)) return ""
    code = substr(code, RSTART, RLENGTH)
    sub(/[^a-z0-9_].*/, "", code)
    return code
}

# The type that a line of the API declares, at its end or with its first line.
function type_of(code) {
    if (match(code, /^typedef .*\(\*mcpsess_[a-z0-9_]+\)/)) sub(/.*\(\*/, "", code)
    else if (!sub(/^(typedef )?struct /, "", code) && !sub(/^} /, "", code)) return ""
    return match(code, /^mcpsess_[a-z0-9_]+/) ? substr(code, 1, RLENGTH) : ""
}

# A whole's types may be used in its parts.
function own_type(word) {
    return word in declared && (declared[word] == section || declared[word] == whole[section])
}

# The next section that the API has.
function whole_of(n) {
    while (n <= sections && !(order[n] in api)) n++
    return order[n]
}

# The section that a word belongs to; "" where that is this one, or none.
function other(word) {
    if (word in home) return home[word] == section ? "" : home[word]
    return word in declared && !own_type(word) ? declared[word] : ""
}

function end_section() {
    if (section != "") print "section", section, FNR - first
}

FNR == 1 { section = face = ""; in_comment = 0 }
FNR == 1 && again && !wholes_known++ {
    for (n = 1; n <= sections; n++) whole[order[n]] = whole_of(n)
}

/^\/\* ---- [a-z]+: / {
    face = $3
    sub(/:/, "", face)
    api[face] = 1
}
section == "" && !again && face != "" {
    name = type_of($0)
    if (name != "" && !(name in declared)) declared[name] = face
}

/^\/\* ==== [a-z]+ ==== \*\/$/ {
    if (again) end_section()
    section = $3
    first = FNR
    if (!again) order[++sections] = section
    if (again && !(section in api)) print "part", section, whole[section]
    next
}
/mcpsess is available under either of two licences/ || /^#endif.*MCPSESS_(REDIS_)?IMPLEMENTATION/ {
    if (again) end_section()
    section = ""
}
section == "" { next }

again && FNR == first + 1 {
    line = $0
    if (line !~ /^\/\* uses: .* \*\/$/) line = "missing"
    gsub(/^\/\* uses:|\*\/$|,/, "", line)
    print "uses", section, line
    next
}
{ code = code_of($0) }
!again {
    name = defined_by(code)
    if (name != "") home[name] = section
    next
}
{
    name = defined_by(code)
    if (name != "") print "function", section, name
    while (match(code, /[A-Za-z_][A-Za-z0-9_]*/)) {
        word = substr(code, RSTART, RLENGTH)
        code = substr(code, RSTART + RLENGTH)
        if (other(word) != "" && !((section, word) in seen)) {
            seen[section, word] = 1
            print "calls", section, other(word), word
        }
    }
}
