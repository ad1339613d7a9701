package main

import (
	"fmt"
	"sort"
	"strings"
)

// A sample is a history in which one rule, and no other, is broken; or none. Times are in ms.
type sample struct {
	name   string
	broken string            // part of the rule's name
	logs   map[string]string // "driver", "final", or a process's: "0", "1"; of one that is killed "0!"
}

// Two that have a lease one after the other: what the samples of leases vary.
const (
	heldFirst  = "10 i 1 acquire l0.0 600 a -\n12 r 1 OK 5 400\n"
	heldSecond = "500 i 1 acquire l0.0 600 b -\n502 r 1 OK 6 890\n"
)

// A load at process 0, which others find.
const loadedFirst = "10 i 1 load f0.0 2000 - -\n12 i 2 loader f0.0 0 5 -\n50 r 2 done 0.1.2 -\n52 r 1 OK 0.1.2 -\n"

const created = "1 i 1 create s0.0 300 - -\n2 r 1 OK - -\n"

var samples = []sample{
	{"a lease that ran out is another's", "", map[string]string{"0": heldFirst, "1": heldSecond}},
	{"a lease that was released is another's", "", map[string]string{
		"0": heldFirst + "100 i 2 release l0.0 300 a 5\n102 r 2 OK - -\n",
		"1": "103 i 1 acquire l0.0 600 b -\n104 r 1 OK 6 500\n"}},
	{"a lease that is relied on for too long", "relied on by one", map[string]string{
		"0": "10 i 1 acquire l0.0 600 a -\n12 r 1 OK 5 600\n", "1": heldSecond}},
	{"a lease that two get at the same time", "linearizable", map[string]string{
		"0": "10 i 1 acquire l0.0 600 a -\n12 r 1 OK 5 13\n", "1": "20 i 1 acquire l0.0 600 b -\n22 r 1 OK 6 400\n"}},
	{"a lease that is busy after its TTL", "linearizable", map[string]string{
		"0": heldFirst, "1": "800 i 1 acquire l0.0 600 b -\n802 r 1 BUSY - 0\n"}},
	{"a lease that is busy, and nobody's", "linearizable", map[string]string{
		"1": "800 i 1 acquire l0.0 600 b -\n802 r 1 BUSY - 0\n"}},
	{"a lease that one got who was killed before it was told", "", map[string]string{
		"0!": "10 i 1 acquire l0.0 600 a -\n", "1": "800 i 1 acquire l0.0 600 b -\n802 r 1 BUSY - 0\n",
		"driver": "790 kill 0 1\n"}},
	{"a lease that is extended by one that has lost it", "linearizable", map[string]string{
		"0": heldFirst + "510 i 2 extend l0.0 300 a 5\n512 r 2 OK 5 520\n", "1": heldSecond,
		"broken too": "relied on by one"}},
	{"a release of another's lease that is confirmed", "linearizable", map[string]string{
		"0": heldFirst + "510 i 2 release l0.0 300 a 5\n512 r 2 OK - -\n", "1": heldSecond}},
	{"an extended lease", "", map[string]string{
		"0": heldFirst + "300 i 2 extend l0.0 300 a 5\n302 r 2 OK 5 690\n",
		"1": "600 i 1 acquire l0.0 600 b -\n602 r 1 BUSY - 0\n"}},
	{"a fence that is less than the last", "fences grow", map[string]string{
		"0": heldFirst, "1": "500 i 1 acquire l0.0 600 b -\n502 r 1 OK 4 890\n", "broken too": "leases are linearizable"}},
	{"a fence twice", "fences grow", map[string]string{
		"0": heldFirst, "1": "500 i 1 acquire l0.0 600 b -\n502 r 1 OK 5 890\n", "broken too": "leases are linearizable"}},
	{"writes in the order of their fences", "", map[string]string{
		"0":     heldFirst + "30 i 2 write l0.0 300 5 -\n32 r 2 OK - -\n600 i 3 write l0.0 300 5 -\n602 r 3 STALE - -\n",
		"1":     heldSecond + "510 i 2 write l0.0 300 6 -\n512 r 2 OK - -\n",
		"final": "900 wrote l0.0 5 0.1.2\n901 wrote l0.0 6 1.1.2\n"}},
	{"a write of an older fence", "older fence", map[string]string{
		"0":     heldFirst + "600 i 2 write l0.0 300 5 -\n602 r 2 OK - -\n",
		"1":     heldSecond + "510 i 2 write l0.0 300 6 -\n512 r 2 OK - -\n",
		"final": "900 wrote l0.0 6 1.1.2\n901 wrote l0.0 5 0.1.2\n"}},
	{"a write that is gone", "each that it confirmed", map[string]string{
		"0": heldFirst + "30 i 2 write l0.0 300 5 -\n32 r 2 OK - -\n"}},
	{"a write that was refused and is there", "each that it confirmed", map[string]string{
		"0": heldFirst + "30 i 2 write l0.0 300 5 -\n32 r 2 STALE - -\n", "final": "900 wrote l0.0 5 0.1.2\n"}},

	{"a flag that was loaded once, and found", "", map[string]string{
		"0": loadedFirst,
		"1": "20 i 1 load f0.0 2000 - -\n53 r 1 OK 0.1.2 -\n60 i 2 check f0.0 300 - -\n61 r 2 OK 0.1.2 -\n"}},
	{"a flag that is found and was never loaded", "flags are linearizable", map[string]string{
		"1": "20 i 1 load f0.0 2000 - -\n53 r 1 OK 0.1.2 -\n"}},
	{"a flag that is found before it was loaded", "flags are linearizable", map[string]string{
		"0": loadedFirst, "1": "20 i 1 load f0.0 2000 - -\n30 r 1 OK 0.1.2 -\n"}},
	{"a flag that is found again after it was cleared", "flags are linearizable", map[string]string{
		"0": loadedFirst + "60 i 3 clear f0.0 300 - -\n62 r 3 OK - -\n",
		"1": "70 i 1 load f0.0 2000 - -\n71 r 1 OK 0.1.2 -\n"}},
	{"a flag that is not found", "flags are linearizable", map[string]string{
		"0": loadedFirst, "1": "70 i 1 check f0.0 300 - -\n71 r 1 MISS - -\n"}},
	{"a load of what is loaded", "flags are linearizable", map[string]string{
		"0": loadedFirst,
		"1": "70 i 1 load f0.0 2000 - -\n72 i 2 loader f0.0 0 6 -\n75 r 2 failed 1.1.2 -\n76 r 1 E_STORE - -\n"}},
	{"a load anew after a clear", "", map[string]string{
		"0": loadedFirst + "60 i 3 clear f0.0 300 - -\n62 r 3 OK - -\n",
		"1": "70 i 1 load f0.0 2000 - -\n72 i 2 loader f0.0 0 6 -\n75 r 2 done 1.1.2 -\n76 r 1 OK 1.1.2 -\n"}},
	{"a flag set by one whose lease was another's", "flags are linearizable", map[string]string{
		"0": "10 i 1 load f0.0 2000 - -\n12 i 2 loader f0.0 0 5 -\n600 r 2 done 0.1.2 -\n602 r 1 OK 0.1.2 -\n",
		"1": "500 i 1 acquire f0.0 600 b -\n502 r 1 OK 6 890\n", "driver": "100 stop 0 1\n590 cont 0 1\n"}},
	{"a flag set by one whose load was revoked", "flags are linearizable", map[string]string{
		"0": loadedFirst, "1": "20 i 1 clear f0.0 300 revoke -\n22 r 1 OK - -\n"}},
	{"two that load at the same time", "two load the same", map[string]string{
		"0": "10 i 1 load f0.0 2000 - -\n12 i 2 loader f0.0 0 5 -\n1200 r 2 canceled 0.1.2 -\n1202 r 1 FENCED - -\n",
		"1": "500 i 1 load f0.0 2000 - -\n502 i 2 loader f0.0 0 6 -\n1300 r 2 failed 1.1.2 -\n1302 r 1 E_STORE - -\n"}},
	{"two that load at the same time, as one was stopped", "", map[string]string{
		"0":      "10 i 1 load f0.0 2000 - -\n12 i 2 loader f0.0 0 5 -\n1200 r 2 canceled 0.1.2 -\n1202 r 1 FENCED - -\n",
		"1":      "500 i 1 load f0.0 2000 - -\n502 i 2 loader f0.0 0 6 -\n1300 r 2 failed 1.1.2 -\n1302 r 1 E_STORE - -\n",
		"driver": "20 stop 0 1\n1190 cont 0 1\n"}},
	{"a dead holder's load that is taken over", "", map[string]string{
		"0!":     "10 i 1 load f0.0 2000 - -\n12 i 2 loader f0.0 0 5 -\n",
		"1":      "15 i 1 load f0.0 2000 - -\n415 i 2 loader f0.0 0 6 -\n430 r 2 done 1.1.2 -\n432 r 1 OK 1.1.2 -\n",
		"driver": "20 kill 0 1\n"}},
	{"a dead holder's load that is taken over too late", "takes over", map[string]string{
		"0!":     "10 i 1 load f0.0 2000 - -\n12 i 2 loader f0.0 0 5 -\n",
		"1":      "15 i 1 load f0.0 2000 - -\n915 i 2 loader f0.0 0 6 -\n930 r 2 done 1.1.2 -\n932 r 1 OK 1.1.2 -\n",
		"driver": "20 kill 0 1\n"}},

	{"a count", "", map[string]string{
		"0":     created + "10 i 2 merge s0.0 300 - -\n12 r 2 OK 1 0\n",
		"1":     "5 i 1 create s0.0 300 - -\n6 r 1 EXISTS - -\n11 i 2 merge s0.0 300 - -\n14 r 2 OK 2 1\n",
		"final": "5000 count s0.0 2\n"}},
	{"a count with an update of unknown outcome, which was done", "", map[string]string{
		"0": created + "10 i 2 merge s0.0 300 - -\n12 r 2 E_UNKNOWN 1 0\n",
		"1": "11 i 1 merge s0.0 300 - -\n14 r 1 OK 2 1\n", "final": "5000 count s0.0 2\n"}},
	{"a count with an update of unknown outcome, which was not done", "", map[string]string{
		"0": created + "10 i 2 merge s0.0 300 - -\n12 r 2 E_UNKNOWN 1 0\n",
		"1": "11 i 1 merge s0.0 300 - -\n14 r 1 OK 2 0\n", "final": "5000 count s0.0 1\n"}},
	{"a lost update", "no update is lost", map[string]string{
		"0": created + "10 i 2 merge s0.0 300 - -\n12 r 2 OK 1 0\n",
		"1": "11 i 1 merge s0.0 300 - -\n14 r 1 OK 1 0\n", "final": "5000 count s0.0 1\n",
		"broken too": "counters are linearizable"}},
	{"an update of unknown outcome that was done twice", "no update is lost", map[string]string{
		"0": created + "10 i 2 merge s0.0 300 - -\n12 r 2 E_UNKNOWN 1 0\n", "final": "5000 count s0.0 2\n",
		"broken too": "counters are linearizable"}},
	{"an update that sees less than the one before it", "counters are linearizable", map[string]string{
		"0": created + "10 i 2 merge s0.0 300 - -\n12 r 2 OK 1 1\n",
		"1": "20 i 1 merge s0.0 300 - -\n22 r 1 OK 1 0\n", "final": "5000 count s0.0 2\n"}},

	{"one that waits for ever", "within its deadline", map[string]string{
		"0": "10 i 1 load f0.0 300 - -\n"}},
	{"one that waits for too long", "within its deadline", map[string]string{
		"0": "10 i 1 load f0.0 300 - -\n1200 r 1 BUSY - -\n"}},
	{"one that waits for as long, and was stopped", "", map[string]string{
		"0": "10 i 1 load f0.0 300 - -\n1200 r 1 BUSY - -\n", "driver": "20 stop 0 1\n420 cont 0 1\n"}},
	{"a process that does not end", "ends by itself", map[string]string{"driver": "9000 stuck 0 1\n9001 ended 1 1 0\n"}},
	{"a process that fails", "ends by itself", map[string]string{"driver": "9000 ended 0 1 256\n"}},
}

// inMs makes ns of a log's first words.
func inMs(text string) string {
	var b strings.Builder
	for _, line := range strings.SplitAfter(text, "\n") {
		if line != "" {
			words := strings.SplitN(line, " ", 2)
			fmt.Fprintf(&b, "%d %s", number(words[0])*ms, words[1])
		}
	}
	return b.String()
}

func (s *sample) history() *history {
	h := newHistory(true)
	driver := s.logs["driver"]
	for _, name := range []string{"0", "0!", "1"} {
		if text, ok := s.logs[name]; ok {
			p := process{int(number(name[:1])), 1}
			h.addProcess(p, strings.NewReader(inMs(text)))
			h.started[p] = 0
			if !strings.HasSuffix(name, "!") && !strings.Contains(s.logs["driver"], "ended") {
				driver += fmt.Sprintf("9000 ended %d 1 0\n", p.slot)
			}
		}
	}
	h.addDriver(strings.NewReader(inMs(driver)))
	h.addFinal(strings.NewReader(inMs(s.logs["final"])))
	h.sort()
	return h
}

func selftest() {
	for n := range samples {
		s := &samples[n]
		h := s.history()
		var broken, comments []string
		for _, r := range rules {
			if against, _ := r.check(h); len(against) > 0 {
				broken = append(broken, r.name)
				comments = append(comments, against...)
			}
		}
		var expected []string
		for _, part := range []string{s.broken, s.logs["broken too"]} {
			if part != "" {
				expected = append(expected, part)
			}
		}
		ok := len(broken) == len(expected)
		for _, part := range expected {
			ok = ok && strings.Contains(strings.Join(broken, "\n"), part)
		}
		sort.Strings(comments)
		if ok {
			comments = nil
		}
		report(ok, "checker: "+s.name, comments...)
	}
}
