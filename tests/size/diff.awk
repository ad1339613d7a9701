# What changed between two tables of sizes.   awk -f tests/size/diff.awk -v growth=PERCENT OLD NEW
#
# Prints each figure that is another one, of flash, stack or RAM, with the difference; exits 1 where one has grown by
# more than that. Rows and columns are compared by name; what only one of the tables has is named.

function heads_of(line,    n, i, cells) {
    n = split(line, cells, / *[|] */)
    for (i = 3; i < n; i++) head[file, i] = cells[i]
}

function compare(label, column, old, new,    n, i, before, after, percent, mark, change) {
    n = split(new, after, " / ")
    if (split(old, before, " / ") != n) { print label ", " column ": " old " -> " new; return }
    for (i = 1; i <= n; i++) {
        if (before[i] == after[i]) { same++; continue }
        percent = before[i] > 0 ? (after[i] / before[i] - 1) * 100 : 100
        mark = percent > growth ? "GROWN " : ""
        grown += mark != ""
        change = after[i] - before[i]
        printf "%s%s, %s: %d -> %d, %+d (%+.1f%%)\n", mark, label, column, before[i], after[i], change, percent
    }
}

FNR == 1 { file++; begun = 0 }
!/^\|/ || /^\|---/ { next }
!begun++ { heads_of($0); next }
{
    n = split($0, cells, / *[|] */)
    for (i = 3; i < n; i++) {
        label = cells[2]
        column = head[file, i]
        if (file == 1) old[label, column] = cells[i]
        else if ((label, column) in old) {
            compare(label, column, old[label, column], cells[i])
            delete old[label, column]
        } else print "new: " label ", " column ": " cells[i]
    }
}
END {
    for (key in old) { split(key, names, SUBSEP); print "gone: " names[1] ", " names[2] ": " old[key] }
    printf "%d figures are the same, %d have grown by more than %s%%\n", same, grown, growth
    exit grown > 0 || !same
}
