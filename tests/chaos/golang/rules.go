package main

import (
	"fmt"
	"sort"
)

const (
	slack    = 750 * ms // by which a process may be late on a busy machine, beside the time for which it was stopped
	takeover = 300 * ms // from the end of a dead holder's lease until a waiter loads
)

// A rule gives what speaks against it, and perhaps a remark.
type rule struct {
	name  string
	check func(h *history) (against []string, remark string)
}

var rules = []rule{
	{"every operation ends within its deadline and 750 ms", inTime},
	{"every process ends by itself when what it has begun is over", endByThemselves},
	{"a lease is relied on by one at a time", oneHolder},
	{"fences grow with every change of holder", fencesGrow},
	{"what a lease protects took no write of an older fence, and each that it confirmed", noStaleWrite},
	{"leases are linearizable", linearizable('l', (*history).leaseOps)},
	{"flags are linearizable, and set by none but the holder of the newest fence", linearizable('f', (*history).flagOps)},
	{"two load the same only where one was stopped, or its load revoked", oneLoader},
	{"when who loads dies, one that waits takes over within the TTL and 300 ms", takenOver},
	{"no update is lost, none is done twice", noLostUpdate},
	{"counters are linearizable", counters},
}

func inTime(h *history) (against []string, remark string) {
	var worst instant
	for _, c := range h.calls {
		if c.bound == 0 {
			continue
		}
		end := h.end(c)
		if end == never {
			against = append(against, fmt.Sprintf("%s never ended", c))
			continue
		}
		late := end - c.begun - c.bound - h.wasStopped(c.process, c.begun, end)
		if late > worst && c.ended != never {
			worst = late
		}
		if late > slack {
			against = append(against, fmt.Sprintf("%s took %d ms too long", c, late/ms))
		}
	}
	return against, fmt.Sprintf("the latest by %d ms", worst/ms)
}

func endByThemselves(h *history) ([]string, string) {
	against := append([]string{}, h.odd...)
	for p := range h.started {
		if _, killed := h.killed[p]; !killed && !h.left[p] {
			against = append(against, fmt.Sprintf("nobody saw %s end", p))
		}
	}
	return against, fmt.Sprintf("%d processes", len(h.started))
}

// holding is a time for which one relied on a lease, under one fence.
type holding struct {
	process
	owner       string
	fence       int64
	key         string
	begun       instant // the first call that granted it
	from, until instant
}

// holdings of a key, from what its holders knew: until when each may act is a pure function of what they were told.
func holdings(calls []*call) []*holding {
	var all []*holding
	now := map[string]*holding{} // by owner
	type point struct {
		at  instant
		end bool
		c   *call
	}
	var points []point
	for _, c := range calls {
		points = append(points, point{c.begun, false, c})
		if c.ended != never {
			points = append(points, point{c.ended, true, c})
		}
	}
	sort.SliceStable(points, func(i, j int) bool { return points[i].at < points[j].at })
	cut := func(owner string, at instant) {
		if held := now[owner]; held != nil && at < held.until {
			held.until = at
		}
	}
	for _, p := range points {
		c := p.c
		switch {
		case !p.end && c.kind == "release":
			cut(c.a, p.at)
		case !p.end || c.kind != "acquire" && c.kind != "extend":
		case c.code == "OK":
			if held := now[c.a]; held == nil || held.fence != number(c.x) {
				now[c.a] = &holding{process: c.process, owner: c.a, fence: number(c.x), key: c.key, begun: c.begun, from: p.at}
				all = append(all, now[c.a])
			}
			now[c.a].until = number(c.y) * ms
		case c.kind == "acquire" || c.code == "LOST":
			cut(c.a, p.at)
		}
	}
	return all
}

func oneHolder(h *history) (against []string, remark string) {
	keys := h.of('l')
	count := 0
	for _, key := range sorted(keys) {
		all := holdings(keys[key])
		count += len(all)
		sort.SliceStable(all, func(i, j int) bool { return all[i].from < all[j].from })
		var longest *holding
		for _, x := range all {
			if longest != nil && x.from < longest.until && x.owner != longest.owner && !h.forgot(longest.from, x.from) {
				against = append(against, fmt.Sprintf("%s: %s had it under fence %d for another %d ms when %s got it under %d",
					key, longest.process, longest.fence, (longest.until-x.from)/ms, x.process, x.fence))
			}
			if longest == nil || x.until > longest.until {
				longest = x
			}
		}
	}
	return against, fmt.Sprintf("%d times", count)
}

type grant struct {
	fence       int64
	who         string
	begun, done instant
}

// grants of a key's lease, each fence once for each who was told it.
func (h *history) grants(calls []*call) []grant {
	var all []grant
	seen := map[string]bool{}
	asking := h.asking(calls)
	for _, c := range calls {
		var g grant
		switch {
		case c.kind == "acquire" && c.is("OK"):
			g = grant{number(c.x), c.a, c.begun, c.ended}
		case c.kind == "loader":
			g = grant{number(c.a), fmt.Sprintf("%s, loading", c.process), asking(c), c.begun}
		default:
			continue
		}
		if name := fmt.Sprint(g.fence, g.who); !seen[name] {
			seen[name] = true
			all = append(all, g)
		}
	}
	return all
}

func fencesGrow(h *history) (against []string, remark string) {
	count := 0
	for _, first := range []byte{'l', 'f'} {
		keys := h.of(first)
		for _, key := range sorted(keys) {
			all := h.grants(keys[key])
			count += len(all)
			owners := map[int64]string{}
			done := append([]grant{}, all...)
			sort.Slice(all, func(i, j int) bool { return all[i].begun < all[j].begun })
			sort.Slice(done, func(i, j int) bool { return done[i].done < done[j].done })
			newest, n := grant{}, 0
			for _, g := range all {
				for ; n < len(done) && done[n].done < g.begun; n++ {
					if done[n].fence > newest.fence {
						newest = done[n]
					}
				}
				if g.fence < newest.fence || g.fence == newest.fence && g.who != newest.who {
					against = append(against, fmt.Sprintf("%s: %s got fence %d when %s had got %d before", key, g.who, g.fence,
						newest.who, newest.fence))
				}
				if who, ok := owners[g.fence]; ok && who != g.who {
					against = append(against, fmt.Sprintf("%s: %s and %s both got fence %d", key, g.who, who, g.fence))
				}
				owners[g.fence] = g.who
			}
		}
	}
	return against, fmt.Sprintf("%d fences", count)
}

func noStaleWrite(h *history) (against []string, remark string) {
	if !h.durable {
		return nil, "not looked at: the server forgets"
	}
	took := map[string]int{}
	stale := 0
	for key, all := range h.wrote {
		newest := int64(0)
		for _, w := range all {
			took[w.id]++
			if took[w.id] > 1 {
				against = append(against, fmt.Sprintf("%s: %s was written twice", key, w.id))
			}
			if w.fence < newest {
				against = append(against, fmt.Sprintf("%s: %s was written under fence %d after one of %d", key, w.id,
					w.fence, newest))
			}
			newest = w.fence
		}
	}
	for _, c := range h.calls {
		if c.kind != "write" {
			continue
		}
		is := took[fmt.Sprintf("%d.%d.%d", c.slot, c.turn, c.n)] > 0
		if c.is("STALE") {
			stale++
		}
		if c.is("OK") && !is || c.is("STALE") && is {
			against = append(against, fmt.Sprintf("%s was answered %s, but that is not so", c, c.code))
		}
	}
	return against, fmt.Sprintf("%d taken, %d refused as stale", len(took), stale)
}

func linearizable(first byte, build func(*history, []*call) *ops) func(h *history) ([]string, string) {
	return func(h *history) (against []string, remark string) {
		keys := h.of(first)
		count := 0
		for _, key := range sorted(keys) {
			o := build(h, keys[key])
			if what := o.check(key); what != "" {
				against = append(against, what)
			}
			count += len(o.all)
		}
		return against, fmt.Sprintf("%d calls of %d keys", count, len(keys))
	}
}

func counters(h *history) (against []string, remark string) {
	keys := h.of('s')
	count := 0
	for _, key := range sorted(keys) {
		o := h.counterOps(key, keys[key])
		if what := o.check(key); what != "" {
			against = append(against, what)
		}
		count += len(o.all)
	}
	return against, fmt.Sprintf("%d calls of %d keys", count, len(keys))
}

func revoked(calls []*call, from, to instant, h *history) bool {
	for _, c := range calls {
		if c.kind == "clear" && c.a == "revoke" && c.begun <= to && h.over(c) >= from {
			return true
		}
	}
	return false
}

// A load goes on while its lease is valid, and is told within a step of its process when that is over.
func oneLoader(h *history) (against []string, remark string) {
	keys := h.of('f')
	count := 0
	for _, key := range sorted(keys) {
		var loads []*call
		for _, c := range keys[key] {
			if c.kind == "loader" {
				loads = append(loads, c)
			}
		}
		count += len(loads)
		for n, g := range loads {
			for _, f := range loads[:n] {
				if f.process == g.process || h.end(f) <= g.begun+takeover {
					continue
				}
				if h.wasStopped(f.process, g.begun-ttl-takeover, g.begun+takeover) > 0 || h.forgot(f.begun, g.begun) ||
					revoked(keys[key], f.begun, g.begun, h) {
					continue
				}
				against = append(against, fmt.Sprintf("%s still ran, and not stopped, when %s had begun for %d ms", f, g,
					(h.end(f)-g.begun)/ms))
			}
		}
	}
	return against, fmt.Sprintf("%d loads", count)
}

// calm: does nothing but a death speak against a waiter's being in time?
func (h *history) calm(w *call, from, to instant) bool {
	at, killed := h.killed[w.process]
	return !(killed && at <= to) && h.wasStopped(w.process, from, to) == 0 && !anyMeets(h.downs, from, to) &&
		!anyMeets(h.pauses, from, to)
}

func takenOver(h *history) (against []string, remark string) {
	keys := h.of('f')
	count, worst := 0, instant(0)
	for _, key := range sorted(keys) {
		calls := keys[key]
		for _, f := range calls {
			died, killed := h.killed[f.process]
			if f.kind != "loader" || f.ended != never || !killed {
				continue
			}
			next := never // when another one began, by whatever way
			for _, c := range calls {
				if (c.kind == "loader" && c.begun > died || c.kind == "acquire" && c.is("OK") && c.ended > died) && c.begun < next {
					next = c.begun
				}
			}
			by := died + ttl + takeover
			waited := false
			for _, w := range calls {
				if w.kind != "load" || w.process == f.process || w.begun >= died || h.end(w) <= died ||
					!h.calm(w, died-takeover, by) {
					continue
				}
				waited = true
				if h.end(w) > by && next > by {
					against = append(against, fmt.Sprintf("%s waited for more than the TTL and %d ms after the death of %s", w,
						takeover/ms, f.process))
				}
			}
			if waited && next <= by {
				count++
				if next-died > worst {
					worst = next - died
				}
			}
		}
	}
	return against, fmt.Sprintf("%d times, the latest after %d ms", count, worst/ms)
}

func noLostUpdate(h *history) (against []string, remark string) {
	if !h.durable {
		return nil, "not looked at: the server forgets"
	}
	keys := h.of('s')
	done, unknown := 0, 0
	for _, key := range sorted(keys) {
		ok, open := int64(0), int64(0)
		found := map[string]*call{}
		for _, c := range keys[key] {
			switch {
			case c.kind != "merge":
			case c.is("OK"):
				ok++
				if other := found[c.y]; other != nil {
					against = append(against, fmt.Sprintf("%s and %s both made %s + 1 of it", c, other, c.y))
				}
				found[c.y] = c
			case !c.is("MISS"):
				open++
			}
		}
		done += int(ok)
		unknown += int(open)
		if n, is := h.counts[key]; is && (n < ok || n > ok+open) || !is && ok > 0 {
			against = append(against, fmt.Sprintf("%s is %d after %d updates, and %d that may have been done", key, n, ok, open))
		}
	}
	return against, fmt.Sprintf("%d updates, and %d of unknown outcome", done, unknown)
}
