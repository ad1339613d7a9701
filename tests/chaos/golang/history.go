package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// All times are CLOCK_MONOTONIC in ns, which the processes and their driver share.
type instant = int64

const (
	never instant = math.MaxInt64
	ms    instant = 1000000
)

// call is an operation of a process, as chaos.c logs it.
type call struct {
	process // who called
	n       int64
	kind    string
	key     string
	bound   instant // within this it ends; 0: nobody said
	a, b    string  // what was asked
	begun   instant
	ended   instant // never: the process was killed first, or it got stuck
	code    string
	x, y    string // what was told
}

func (c *call) is(code string) bool { return c.ended != never && c.code == code }

func (c *call) String() string {
	return fmt.Sprintf("%s of %s by %s, its %d.", c.kind, c.key, c.process, c.n)
}

type process struct{ slot, turn int }

func (p process) String() string { return fmt.Sprintf("process %d.%d", p.slot, p.turn) }

// span is a time in which something was otherwise than usual.
type span struct{ from, to instant }

func (s span) meets(from, to instant) bool { return s.from <= to && from <= s.to }

type write struct {
	fence int64
	id    string
}

type history struct {
	calls   []*call // by when they began
	started map[process]instant
	killed  map[process]instant
	stopped map[process][]span
	late    int              // of these spans, those in which it got no processor
	left    map[process]bool // ended by itself, when it was told to
	odd     []string         // what should not have happened to a process
	downs   []span           // of the server
	pauses  []span
	wrote   map[string][]write // what a lease's resource took, by the lease's key
	counts  map[string]int64
	durable bool
}

func newHistory(durable bool) *history {
	return &history{started: map[process]instant{}, killed: map[process]instant{}, stopped: map[process][]span{},
		left: map[process]bool{}, wrote: map[string][]write{}, counts: map[string]int64{}, durable: durable}
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(fmt.Sprintf("%q is no number", s))
	}
	return n
}

// wholeLines calls take with the words of each line; half a line at the end is none.
func wholeLines(r io.Reader, take func(words []string)) {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		take(strings.Fields(line))
	}
}

// addProcess takes a process's log.
func (h *history) addProcess(p process, r io.Reader) {
	open := map[int64]*call{}
	wholeLines(r, func(w []string) {
		if w[1] == "i" {
			c := &call{process: p, n: number(w[2]), kind: w[3], key: w[4], bound: number(w[5]) * ms, a: w[6], b: w[7],
				begun: number(w[0]), ended: never}
			open[c.n] = c
			h.calls = append(h.calls, c)
			return
		}
		if w[1] == "late" { // a process that got no processor is as good as stopped
			h.stopped[p] = append(h.stopped[p], span{number(w[0]) - number(w[2])*ms, number(w[0])})
			h.late++
			return
		}
		c := open[number(w[2])]
		c.ended, c.code, c.x, c.y = number(w[0]), w[3], w[4], w[5]
	})
}

// addDriver takes the log of what was done to them.
func (h *history) addDriver(r io.Reader) {
	stops := map[process]instant{}
	down := instant(0)
	wholeLines(r, func(w []string) {
		at := number(w[0])
		var p process
		if len(w) >= 4 {
			p = process{int(number(w[2])), int(number(w[3]))}
		}
		switch w[1] {
		case "start":
			h.started[p] = at
		case "kill":
			h.killed[p] = at
		case "stop":
			stops[p] = at
		case "cont":
			h.stopped[p] = append(h.stopped[p], span{stops[p], at})
		case "down":
			down = at
		case "up":
			h.downs = append(h.downs, span{down, at})
		case "pause":
			h.pauses = append(h.pauses, span{at, at + number(w[2])*ms})
		case "ended":
			h.left[p] = w[4] == "0"
			if w[4] != "0" {
				h.odd = append(h.odd, fmt.Sprintf("%s ended with status %s", p, w[4]))
			}
		case "died", "stuck":
			h.odd = append(h.odd, fmt.Sprintf("%s %s", p, w[1]))
		}
	})
}

// addFinal takes what the server had in the end.
func (h *history) addFinal(r io.Reader) {
	wholeLines(r, func(w []string) {
		if w[1] == "count" {
			h.counts[w[2]] = number(w[3])
		} else {
			h.wrote[w[2]] = append(h.wrote[w[2]], write{number(w[3]), w[4]})
		}
	})
}

func (h *history) sort() {
	sort.SliceStable(h.calls, func(i, j int) bool { return h.calls[i].begun < h.calls[j].begun })
}

func readHistory(folder string, durable bool) *history {
	h := newHistory(durable)
	names, _ := filepath.Glob(filepath.Join(folder, "*.log"))
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			panic(err)
		}
		var p process
		switch base := filepath.Base(name); {
		case base == "driver.log":
			h.addDriver(f)
		case base == "final.log":
			h.addFinal(f)
		case base != "server.log":
			if _, err := fmt.Sscanf(base, "%d-%d.log", &p.slot, &p.turn); err != nil {
				panic(err)
			}
			h.addProcess(p, f)
		}
		f.Close()
	}
	h.sort()
	return h
}

// of gives the calls of one kind of key, by key.
func (h *history) of(first byte) map[string][]*call {
	keys := map[string][]*call{}
	for _, c := range h.calls {
		if c.key[0] == first {
			keys[c.key] = append(keys[c.key], c)
		}
	}
	return keys
}

func sorted(keys map[string][]*call) []string {
	var names []string
	for key := range keys {
		names = append(names, key)
	}
	sort.Strings(names)
	return names
}

// wasStopped tells for how long a process was, in this time. Spans may overlap: it is woken too late by a stop, too.
func (h *history) wasStopped(p process, from, to instant) instant {
	spans := append([]span{}, h.stopped[p]...)
	sort.Slice(spans, func(i, j int) bool { return spans[i].from < spans[j].from })
	var sum instant
	for _, s := range spans {
		if s.from < from {
			s.from = from
		}
		if s.to > to {
			s.to = to
		}
		if s.to > s.from {
			sum += s.to - s.from
			from = s.to
		}
	}
	return sum
}

func anyMeets(spans []span, from, to instant) bool {
	for _, s := range spans {
		if s.meets(from, to) {
			return true
		}
	}
	return false
}

// forgot: has the server lost what it knew in this time?
func (h *history) forgot(from, to instant) bool { return !h.durable && anyMeets(h.downs, from, to) }

// end is when a call was over, or its process.
func (h *history) end(c *call) instant {
	if c.ended != never {
		return c.ended
	}
	if at, ok := h.killed[c.process]; ok {
		return at
	}
	return never
}
