// The checker of the chaos run.
//
//	checker selftest                            TAP: it finds what is wrong in histories known to be so, and nothing else
//	checker run durable|volatile FOLDER         TAP: what the processes' logs in FOLDER say, rule by rule
//	checker finds FOLDER BUG PART-OF-A-RULE...  TAP: one of these rules was broken, as it must be with that bug
package main

import (
	"fmt"
	"os"
	"strings"
)

var count, failures int

func report(ok bool, name string, comments ...string) {
	count++
	status := "ok"
	if !ok {
		failures++
		status = "not ok"
	}
	fmt.Printf("%s %d - %s\n", status, count, name)
	for _, c := range comments {
		fmt.Printf("#   %s\n", c)
	}
}

func finish() {
	fmt.Printf("1..%d\n", count)
	if failures > 0 || count == 0 {
		os.Exit(1)
	}
}

func first(all []string, max int) []string {
	if len(all) <= max {
		return all
	}
	return append(append([]string{}, all[:max]...), fmt.Sprintf("and %d more", len(all)-max))
}

// tally counts the calls of a kind that ended with a code, or with any.
func (h *history) tally(kind, code string) int {
	n := 0
	for _, c := range h.calls {
		if c.kind == kind && (code == "" || c.is(code)) {
			n++
		}
	}
	return n
}

// Did all happen that was to be stood?
func (h *history) happened() (missing []string, summary string) {
	stops := -h.late
	for _, all := range h.stopped {
		stops += len(all)
	}
	numbers := []struct {
		n    int
		what string
	}{
		{h.tally("load", ""), "loads"}, {h.tally("loader", ""), "loaders run"}, {h.tally("acquire", "OK"), "leases"},
		{h.tally("extend", "LOST") + h.tally("load", "FENCED") + h.tally("set", "LOST"), "lost"},
		{h.tally("clear", "OK"), "clears"}, {h.tally("merge", "OK"), "updates"}, {len(h.killed), "kills"}, {stops, "stops"},
		{len(h.downs) - 1, "restarts"}, {len(h.pauses), "pauses"},
	}
	var all []string
	for _, x := range numbers {
		if x.n < 1 {
			missing = append(missing, "no "+x.what)
		}
		all = append(all, fmt.Sprintf("%d %s", x.n, x.what))
	}
	return missing, strings.Join(all, ", ")
}

func run(h *history) {
	missing, summary := h.happened()
	fmt.Printf("# %s\n", summary)
	report(len(missing) == 0, "all happened that was to be stood", missing...)
	for _, r := range rules {
		against, remark := r.check(h)
		report(len(against) == 0, r.name, first(against, 5)...)
		fmt.Printf("# %s\n", remark)
	}
}

func finds(h *history, bug string, parts []string) {
	var found []string
	for _, r := range rules {
		for _, part := range parts {
			if against, _ := r.check(h); strings.Contains(r.name, part) && len(against) > 0 {
				found = append(found, r.name+": "+against[0])
			}
		}
	}
	report(len(found) > 0, "it is found that "+bug, found...)
}

func main() {
	switch args := os.Args[1:]; {
	case len(args) == 1 && args[0] == "selftest":
		selftest()
	case len(args) == 3 && args[0] == "run":
		run(readHistory(args[2], args[1] == "durable"))
	case len(args) >= 4 && args[0] == "finds":
		finds(readHistory(args[1], true), args[2], args[3:])
	default:
		fmt.Fprintln(os.Stderr, "usage: see main.go")
		os.Exit(2)
	}
	finish()
}
