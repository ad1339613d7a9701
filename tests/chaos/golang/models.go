package main

import (
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"
)

// What a key is, as if one thing were done to it after the other. Porcupine looks for an order of all calls, each
// between its begin and its end, in which every answer is the right one.
type state struct {
	holder string // of the lease, by its token; empty: nobody
	fence  int64  // of that holder; 0: not known
	set    int    // the call by which its TTL counts
	newest int64  // fence that was ever granted
	data   string // of the flag; empty: it is not set
	count  int64  // of the session; -1: there is none
}

// A step is what a call does to a state: all states it can lead to, none if its answer would be wrong.
type step func(s state) []state

func wrong() []state { return nil }

type ops struct {
	h        *history
	all      []porcupine.Operation
	answered map[string]answers // by owner
}

// answers are an owner's calls that were answered OK.
type answers []*call

func (a answers) within(from, to instant) bool {
	for _, c := range a {
		if c.begun >= from && c.ended < to {
			return true
		}
	}
	return false
}

func (o *ops) add(from, to instant, name string, s step) {
	o.all = append(o.all, porcupine.Operation{Call: from, Return: to, Input: s, Metadata: name})
}

// A command of unknown outcome may still take effect when its caller has given up, or was killed: as soon as the server
// reads it. That takes no longer than this, unless the server is paused.
const afterlife = 250 * ms

func (h *history) over(c *call) instant {
	to := h.end(c)
	if to == never {
		return never
	}
	to += afterlife
	for _, p := range h.pauses {
		if p.meets(c.begun, to) && p.to+afterlife > to {
			to = p.to + afterlife
		}
	}
	return to
}

// maybe adds what may have been done, or not.
func (o *ops) maybe(c *call, name string, s step) {
	o.add(c.begun, o.h.over(c), name+"?", func(before state) []state { return append(s(before), before) })
}

const (
	ttl       = 400 * ms // CHAOS_TTL_MS
	tick      = 2 * ms   // the server's clock, in whole ms
	lateness  = 100 * ms // until the server has found that a TTL is over
	checkTime = 20 * time.Second
)

func one(s state) []state { return []state{s} }

// -- a lease --

func acquire(owner string, fence int64, id int) step {
	return func(s state) []state {
		if s.holder != "" && s.holder != owner {
			return wrong()
		}
		held := s.holder == owner && (s.fence == fence || s.fence == 0)
		if !held && (s.holder == owner || fence <= s.newest) {
			return wrong()
		}
		if fence > s.newest {
			s.newest = fence
		}
		s.holder, s.fence, s.set = owner, fence, id
		return one(s)
	}
}

// acquireUnheard is one whose fence nobody was told.
func acquireUnheard(owner string, id int) step {
	return func(s state) []state {
		if s.holder == "" {
			s.holder, s.fence, s.set = owner, 0, id
		} else if s.holder == owner {
			s.set = id
		}
		return one(s)
	}
}

func busy(owner string) step {
	return func(s state) []state {
		if s.holder == "" || s.holder == owner {
			return wrong()
		}
		return one(s)
	}
}

func extend(owner string, id int) step {
	return func(s state) []state {
		if s.holder != owner {
			return wrong()
		}
		s.set = id
		return one(s)
	}
}

func notHeld(owner string) step {
	return func(s state) []state {
		if s.holder == owner {
			return wrong()
		}
		return one(s)
	}
}

func release(owner string) step {
	return func(s state) []state {
		if s.holder != owner {
			return wrong()
		}
		s.holder, s.fence = "", 0
		return one(s)
	}
}

// expire is the end of the TTL that call id has set; if another one has set it since, it is nothing.
func expire(id int) step {
	return func(s state) []state {
		if s.holder != "" && s.set == id {
			s.holder, s.fence = "", 0
		}
		return one(s)
	}
}

func wipe(s state) []state {
	return one(state{newest: s.newest, count: -1})
}

// expires: the TTL begins when the server does what is asked. It has no end if the same owner is known to have set it
// anew, or to have released the lease, before it could be over; each that is left out makes the search much shorter.
func (o *ops) expires(c *call, id int) {
	to := o.h.end(c)
	if to == never || o.answered[c.a].within(to, c.begun+ttl-tick) {
		return
	}
	if c.ended == never || c.code != "OK" {
		to = o.h.over(c)
	}
	o.add(c.begun+ttl-tick, to+ttl+lateness, "expiry of "+c.String(), expire(id))
}

func (o *ops) acquired(c *call, id int) {
	switch {
	case c.is("OK"):
		o.add(c.begun, c.ended, c.String()+" OK", acquire(c.a, number(c.x), id))
	case c.is("BUSY"):
		o.add(c.begun, c.ended, c.String()+" BUSY", busy(c.a))
	}
	// What was repeated after the server had forgotten the first try is told of the second.
	if !c.is("OK") && !c.is("BUSY") || o.h.forgot(c.begun, o.h.end(c)) {
		o.maybe(c, c.String(), acquireUnheard(c.a, id))
		o.maybe(c, c.String()+" and its release", release(c.a))
	}
	if !c.is("BUSY") || o.h.forgot(c.begun, o.h.end(c)) {
		o.expires(c, id)
	}
}

func (o *ops) extended(c *call, id int) {
	switch {
	case c.is("OK"):
		o.add(c.begun, c.ended, c.String()+" OK", extend(c.a, id))
	case c.is("LOST") && !o.h.forgot(c.begun, c.ended):
		o.add(c.begun, c.ended, c.String()+" LOST", notHeld(c.a))
		return
	default:
		o.maybe(c, c.String(), extend(c.a, id))
	}
	o.expires(c, id)
}

// A release that was repeated is LOST to its first try.
func (o *ops) released(c *call) {
	if c.is("OK") {
		o.add(c.begun, c.ended, c.String()+" OK", release(c.a))
	} else {
		o.maybe(c, c.String(), release(c.a))
	}
}

func (h *history) leaseOps(calls []*call) *ops {
	o := &ops{h: h, answered: map[string]answers{}}
	for _, c := range calls {
		if c.is("OK") && (c.kind == "acquire" || c.kind == "extend" || c.kind == "release") {
			o.answered[c.a] = append(o.answered[c.a], c)
		}
	}
	for id, c := range calls {
		switch c.kind {
		case "acquire":
			o.acquired(c, id+1)
		case "extend":
			o.extended(c, id+1)
		case "release":
			o.released(c)
		}
	}
	return o
}

// -- a flag, and the lease that goes with it --

func claim(fence int64, looks bool) step {
	return func(s state) []state {
		if looks && s.data != "" || fence < s.newest || fence == s.newest && fence != s.fence {
			return wrong()
		}
		s.fence, s.newest = fence, fence
		return one(s)
	}
}

func set(fence int64, data string) step {
	return func(s state) []state {
		if s.fence != fence {
			return wrong()
		}
		s.data, s.fence = data, 0
		return one(s)
	}
}

func read(data string) step {
	return func(s state) []state {
		if s.data != data {
			return wrong()
		}
		return one(s)
	}
}

func clearFlag(revoke bool) step {
	return func(s state) []state {
		s.data = ""
		if revoke {
			s.fence = 0
		}
		return one(s)
	}
}

// flagOp adds what one call says of a flag. Who rides along is told what it rides along with, which may have been asked
// for before it came: so a load's read, and a load's claim, lie in the whole time for which its process asked.
func (o *ops) flagOp(c *call, asking func(*call) instant, seen map[string]instant) {
	switch {
	case c.kind == "load" && c.is("OK"):
		o.add(asking(c), c.ended, c.String()+" OK "+c.x, read(c.x))
	case c.kind == "check" && c.is("OK"):
		o.add(c.begun, c.ended, c.String()+" OK "+c.x, read(c.x))
	case c.kind == "check" && (c.is("MISS") || c.is("BUSY")):
		o.add(c.begun, c.ended, c.String()+" "+c.code, read(""))
	case c.kind == "acquire" && c.is("OK"):
		o.add(c.begun, c.ended, c.String()+" OK", claim(number(c.x), false))
	case c.kind == "loader":
		o.add(asking(c), c.begun, "claim for "+c.String(), claim(number(c.a), true))
		data := fmt.Sprintf("%d.%d.%d", c.slot, c.turn, c.n)
		if at, ok := seen[data]; ok { // else it was not set, or nobody can tell
			if !c.is("done") {
				o.add(c.begun, at, "flag of "+c.String()+", which was not done", func(state) []state { return wrong() })
			} else {
				o.add(c.ended, at, "flag of "+c.String(), set(number(c.a), data))
			}
		}
	case c.kind == "set" && c.is("OK"):
		o.add(c.begun, c.ended, c.String()+" OK", set(number(c.a), c.b))
	case c.kind == "set":
		if _, ok := seen[c.b]; ok {
			o.maybe(c, c.String(), set(number(c.a), c.b))
		}
	case c.kind == "clear" && c.is("OK"):
		o.add(c.begun, c.ended, c.String()+" OK", clearFlag(c.a == "revoke"))
		if anyMeets(o.h.downs, c.begun, c.ended) { // it may have been repeated
			o.maybe(c, c.String()+" again", clearFlag(c.a == "revoke"))
		}
	case c.kind == "clear":
		o.maybe(c, c.String(), clearFlag(c.a == "revoke"))
	}
}

func (h *history) flagOps(calls []*call) *ops {
	o := &ops{h: h}
	seen := map[string]instant{} // by when was somebody told so
	for _, c := range calls {
		if (c.kind == "load" || c.kind == "check") && c.is("OK") {
			if at, ok := seen[c.x]; !ok || c.ended < at {
				seen[c.x] = c.ended
			}
		}
	}
	asking := h.asking(calls)
	for _, c := range calls {
		o.flagOp(c, asking, seen)
	}
	return o
}

// asking gives since when a call's process has been asking for its key without a break.
func (h *history) asking(calls []*call) func(*call) instant {
	since := map[*call]instant{}
	from, until := map[process]instant{}, map[process]instant{}
	for _, c := range calls {
		if c.kind != "load" && c.kind != "loader" {
			continue
		}
		if at, ok := until[c.process]; !ok || at < c.begun {
			from[c.process] = c.begun
		}
		since[c] = from[c.process]
		if c.kind == "load" && h.end(c) > until[c.process] {
			until[c.process] = h.end(c)
		}
	}
	return func(c *call) instant { return since[c] }
}

// -- a counter --

func create(s state) []state {
	if s.count != -1 {
		return wrong()
	}
	s.count = 0
	return one(s)
}

func present(is bool) step {
	return func(s state) []state {
		if is != (s.count != -1) {
			return wrong()
		}
		return one(s)
	}
}

func countUp(from int64) step {
	return func(s state) []state {
		if s.count != from {
			return wrong()
		}
		s.count++
		return one(s)
	}
}

func countUpUnheard(s state) []state {
	if s.count == -1 {
		return wrong()
	}
	s.count++
	return one(s)
}

func countIs(n int64) step {
	return func(s state) []state {
		if s.count != n {
			return wrong()
		}
		return one(s)
	}
}

func (h *history) counterOps(key string, calls []*call) *ops {
	o := &ops{h: h}
	last := instant(0)
	for _, c := range calls {
		switch {
		case c.kind == "create" && c.is("OK"):
			o.add(c.begun, c.ended, c.String()+" OK", create)
		case c.kind == "create" && c.is("EXISTS"):
			o.add(c.begun, c.ended, c.String()+" EXISTS", present(true))
		case c.kind == "create":
			o.maybe(c, c.String(), create)
		case c.kind == "merge" && c.is("OK"):
			o.add(c.begun, c.ended, fmt.Sprintf("%s OK, found %s", c, c.y), countUp(number(c.y)))
		case c.kind == "merge" && c.is("MISS"):
			o.add(c.begun, c.ended, c.String()+" MISS", present(false))
		case c.kind == "merge":
			o.maybe(c, c.String(), countUpUnheard)
		}
		if at := h.over(c); at > last {
			last = at
		}
	}
	if n, ok := h.counts[key]; ok && last != never {
		o.add(last, last+1, fmt.Sprintf("%s is %d in the end", key, n), countIs(n))
	}
	return o
}

// -- the check --

// check gives what is wrong with a key's history; empty: nothing.
func (o *ops) check(key string) string {
	if !o.h.durable {
		for _, s := range o.h.downs {
			o.add(s.from, s.to, "the server forgets", wipe)
		}
	}
	nondeterministic := porcupine.NondeterministicModel{
		Init: func() []interface{} { return []interface{}{state{count: -1}} },
		Step: func(s, input, output interface{}) []interface{} {
			var all []interface{}
			for _, next := range input.(step)(s.(state)) {
				all = append(all, next)
			}
			return all
		},
	}
	model := nondeterministic.ToModel()
	result, info := porcupine.CheckOperationsVerbose(model, o.all, checkTime)
	switch result {
	case porcupine.Ok:
		return ""
	case porcupine.Unknown:
		return fmt.Sprintf("%s: no verdict on %d calls within %s", key, len(o.all), checkTime)
	}
	return fmt.Sprintf("%s: no order of its %d calls gives these answers; %s", key, len(o.all), o.where(info))
}

// where names the call that no order can hold: the first one to end that is in none of the longest orders found.
func (o *ops) where(info porcupine.LinearizationInfo) string {
	longest := 0
	in := map[int]bool{}
	for _, orders := range info.PartialLinearizations() {
		for _, order := range orders {
			if len(order) > longest {
				longest = len(order)
				in = map[int]bool{}
				for _, n := range order {
					in[n] = true
				}
			}
		}
	}
	first := -1
	for n := range o.all {
		if !in[n] && (first < 0 || o.all[n].Return < o.all[first].Return) {
			first = n
		}
	}
	if first < 0 {
		return "somewhere"
	}
	return fmt.Sprintf("not after %d of them: %v", longest, o.all[first].Metadata)
}
