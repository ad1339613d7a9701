# A C file that compiles if the formulas for RAM in README.md hold.
#   awk -f tests/size/formulas.awk -v column=N README.md
#
# Reads the table whose second column is an expression in C, and whose column N says the same without names of ours.
# Every name in it stands for two numbers, one after the other, so that no factor or term can be another one. They are
# multiples of 8, to which the parts of an object are rounded up.

function tick(cell) {
    gsub(/^ *`|` *$/, "", cell)
    return cell
}

BEGIN { FS = " *[|] *"; print "#include \"mcpsess_redis.h\"" }
/^\|[^|]*\| `(sizeof|MCPSESS_)/ {
    formula = tick($column == "the same" ? $4 : $column)
    rest = formula
    delete numbers
    while (match(rest, /[a-z]+/)) {
        numbers[substr(rest, RSTART, RLENGTH)] = 8 * length(rest)
        rest = substr(rest, RSTART + RLENGTH)
    }
    rows++
    for (times = 1; times <= 3; times += 2) {
        for (name in numbers) printf "#define %s UINT64_C(%d)\n", name, numbers[name] * times
        printf "extern char row_%d_%d[(%s) == (%s) ? 1 : -1];\n", rows, times, tick($3), formula
        for (name in numbers) print "#undef " name
    }
}
END { if (rows < 10) print "#error README.md has no table of formulas" }
