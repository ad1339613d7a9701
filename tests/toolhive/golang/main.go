// Sessions that a process of ours shares with ToolHive: with the very packages by which it keeps them.
//
//	interop SOCKET PEER FOLDER
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	tcredis "github.com/stacklok/toolhive-core/redis"
	"github.com/stacklok/toolhive/pkg/transport/session"
)

const (
	binding     = "vmcp.identity.binding"
	vmcpPrefix  = "thv:vmcp:session:"
	proxyPrefix = "thv:proxy:session:"
	vmcpTTL     = 30 * time.Minute
	proxyTTL    = 2 * time.Hour
)

var (
	ctx    = context.Background()
	random = rand.New(rand.NewPCG(1, 2))
	raw    *redis.Client
	us     *peer
	data   *session.RedisSessionDataStorage
	store  *session.RedisStorage
)

func storages(socket string) (*session.RedisSessionDataStorage, *session.RedisStorage) {
	d, err := session.NewRedisSessionDataStorage(ctx, tcredis.Config{Addr: socket}, vmcpPrefix, vmcpTTL)
	none(err)
	s, err := session.NewRedisStorage(ctx, tcredis.Config{Addr: socket}, proxyPrefix, proxyTTL)
	none(err)
	return d, s
}

// A session's id that nobody has used, our process set to this form.
func fresh(form string) string {
	us.ok("layout", form, "0", "")
	return uuid.NewString()
}

func bytesOf(key string) string {
	text, err := raw.Get(ctx, key).Result()
	none(err)
	return text
}

// Keys 'k' and up to 3 letters, values of up to 20, all that is awkward among them.
func randomStrings() map[string]string {
	letters := []rune("ab<>&\"\\/\b\f\n\r\t\x00\x01\x1f\x7fé€\u2028\u2029\ufffd😀.-_{}[]:, ")
	text := func(most int) string {
		var b strings.Builder
		for n := random.IntN(most); n > 0; n-- {
			b.WriteRune(letters[random.IntN(len(letters))])
		}
		return b.String()
	}
	m := map[string]string{}
	for n := 1 + random.IntN(7); n > 0; n-- {
		m["k"+text(4)] = text(20)
	}
	return m
}

func sameMap(got, want map[string]string) {
	must(maps.Equal(got, want), "got %q, not %q", got, want)
}

// -- the storage of the vMCP --

func dataBothWays() {
	for range 300 {
		id, strings := fresh("vmcp"), randomStrings()
		created, err := data.Create(ctx, id, strings)
		must(created && err == nil, "create: %v", err)
		sameMap(recordOf(us.ok("load", id)).pairs, strings)
		equal(us.ok("json")[0], bytesOf(vmcpPrefix+id))

		other := randomStrings()
		us.make(id, record{state: 1, pairs: other})
		us.ok("update")
		got, err := data.Load(ctx, id)
		none(err)
		sameMap(got, other)
		text, err := json.Marshal(other)
		none(err)
		equal(bytesOf(vmcpPrefix+id), string(text))
		none(data.Delete(ctx, id))
	}
}

func dataMembers() {
	id := fresh("vmcp")
	cases := []struct {
		strings map[string]string
		want    record
	}{
		{nil, record{state: 0}},
		{map[string]string{"terminated": "true"}, record{state: 2}},
		{map[string]string{binding: "https://issuer.example\x00user-1", "a": ""},
			record{state: 1, issuer: "https://issuer.example", subject: "user-1", pairs: map[string]string{"a": ""}}},
		{map[string]string{binding: "unauthenticated", "vmcp.backend.ids": ""},
			record{state: 1, pairs: map[string]string{binding: "unauthenticated", "vmcp.backend.ids": ""}}},
	}
	us.make(id, record{state: 0})
	us.ok("create")
	for _, c := range cases {
		updated, err := data.Update(ctx, id, c.strings)
		must(updated && err == nil, "update: %v", err)
		got := recordOf(us.ok("load", id))
		must(got.state == c.want.state && got.issuer == c.want.issuer && got.subject == c.want.subject, "%v", got)
		if c.want.pairs != nil {
			sameMap(got.pairs, c.want.pairs)
		}
		written := bytesOf(vmcpPrefix + id)
		us.make(id, c.want)
		us.ok("update")
		equal(bytesOf(vmcpPrefix+id), written)
		back, err := data.Load(ctx, id)
		none(err)
		if c.strings != nil {
			sameMap(back, c.strings)
		}
	}
}

func dataConditions() {
	id := fresh("vmcp")
	us.make(id, record{state: 1, pairs: map[string]string{"by": "us"}})
	updated, err := data.Update(ctx, id, nil)
	must(!updated && err == nil, "update of nothing: %v", err)
	equal(us.code("update"), "MISS")
	created, err := data.Create(ctx, id, map[string]string{"by": "go"})
	must(created && err == nil, "create: %v", err)
	equal(us.code("create"), "EXISTS")
	got, err := data.Load(ctx, id)
	none(err)
	equal(got["by"], "go")
	none(data.Delete(ctx, id))
	us.ok("create")
	created, err = data.Create(ctx, id, nil)
	must(!created && err == nil, "create: %v", err)
	equal(us.ok("delete", id)[0], "1")
	_, err = data.Load(ctx, id)
	must(errors.Is(err, session.ErrSessionNotFound), "%v", err)
	none(data.Delete(ctx, id))
	equal(us.code("load", id), "MISS")
	updated, err = data.Update(ctx, id, nil)
	must(!updated && err == nil, "brought back: %v", err)
	equal(us.code("update"), "MISS")
}

// A backend expires for us, another one for them: load, take it out, update what is still there.
func dataExpires() {
	id := fresh("vmcp")
	created, err := data.Create(ctx, id, nil)
	must(created && err == nil, "create: %v", err)
	equal(us.ok("load", id)[1], "0") // a placeholder
	us.make(id, record{state: 1, pairs: map[string]string{binding: "unauthenticated", "vmcp.backend.ids": "a,b,c",
		"vmcp.backend.session.a": "sa", "vmcp.backend.session.b": "sb"}})
	us.ok("update")
	us.ok("load", id)
	us.ok("expire", "b")
	us.ok("update")
	got, err := data.Load(ctx, id)
	none(err)
	sameMap(got, map[string]string{binding: "unauthenticated", "vmcp.backend.ids": "a,c", "vmcp.backend.session.a": "sa"})
	delete(got, "vmcp.backend.session.a")
	got["vmcp.backend.ids"] = "c"
	updated, err := data.Update(ctx, id, got)
	must(updated && err == nil, "update: %v", err)
	us.ok("load", id)
	equal(us.code("kept", "a,c"), "STALE")
	equal(us.code("kept", "c"), "OK")
	equal(us.code("restorable"), "OK")
	none(data.Delete(ctx, id))
	us.ok("expire", "c")
	equal(us.code("update"), "MISS")
	_, err = data.Load(ctx, id)
	must(errors.Is(err, session.ErrSessionNotFound), "brought back: %v", err)
}

// -- the storage of the transports --

func someSession(id string, n int) session.Session {
	switch n % 4 {
	case 0:
		return session.NewStreamableSession(id)
	case 1:
		return session.NewSSESession(id)
	case 2:
		return session.NewTypedProxySession(id, "a <kind> of its own")
	}
	s := session.NewProxySession(id)
	s.SetData(map[string]any{"a": []int{1, 2}, "<": nil, "text": "\u2028"})
	return s
}

func sameInstant(ms int64, t time.Time) {
	want := t.UnixMilli()
	if t.IsZero() {
		want = 0
	}
	must(ms == want, "%d, not %v", ms, t)
}

func sameSession(r record, s session.Session) {
	equal(r.id, s.ID())
	must(r.state == 1, "state %d", r.state)
	sameInstant(r.created, s.CreatedAt())
	sameInstant(r.updated, s.UpdatedAt())
	sameMap(r.metadata(), s.GetMetadata())
	kind, err := json.Marshal(s.Type())
	none(err)
	if s.Type() != session.SessionTypeMCP {
		equal(r.pairs["\x00type"], string(kind))
	}
	if value := s.GetData(); value != nil {
		text, err := json.Marshal(value)
		none(err)
		equal(r.pairs["\x00data"], string(text))
	}
}

func transportBothWays() {
	for n := range 200 {
		id := fresh("proxy")
		s := someSession(id, n)
		for key, value := range randomStrings() {
			s.SetMetadata(key, value)
		}
		if toucher, can := s.(interface{ Touch() }); can {
			toucher.Touch()
		}
		none(store.Store(ctx, s))
		sameSession(recordOf(us.ok("load", id)), s)
		written := bytesOf(proxyPrefix + id)
		equal(us.ok("json")[0], written)
		us.ok("store")
		equal(bytesOf(proxyPrefix+id), written)

		us.ok("put", "changed", "by <us>")
		us.ok("updated", fmt.Sprint(1775649600123+n*1000003))
		us.ok("update")
		back, err := store.Load(ctx, id)
		none(err)
		sameSession(recordOf(us.ok("show")), back)
		value, _ := back.GetMetadataValue("changed")
		equal(value, "by <us>")
		none(store.Store(ctx, back))
		equal(us.ok("json")[0], bytesOf(proxyPrefix+id))
		none(store.Delete(ctx, id))
		equal(us.code("load", id), "MISS")
	}
}

func transportOurs() {
	id := fresh("proxy")
	us.make(id, record{state: 1, created: 1775649600123, issuer: "i", subject: "s",
		pairs: map[string]string{"backend_url": "http://10.0.0.5:8080", "\x00extra": "[1]", "\x00data": `{"a":1}`}})
	us.ok("create")
	got, err := store.Load(ctx, id)
	none(err)
	sameSession(recordOf(us.ok("show")), got)
	must(got.UpdatedAt().IsZero(), "%v", got.UpdatedAt())
	none(store.Store(ctx, got)) // which drops what ToolHive does not know
	again := recordOf(us.ok("load", id))
	_, kept := again.pairs["\x00extra"]
	must(!kept, "it is still there")
	equal(us.ok("delete", id)[0], "1")
	_, err = store.Load(ctx, id)
	must(errors.Is(err, session.ErrSessionNotFound), "%v", err)
}

func manager(socket string) {
	factory := func(id string) session.Session { return session.NewProxySession(id) }
	m, err := session.NewManagerWithRedis(ctx, proxyTTL, factory, tcredis.Config{Addr: socket}, proxyPrefix)
	none(err)
	defer m.Stop()
	id := fresh("proxy")
	none(m.AddWithID(id))
	us.ok("load", id)
	must(m.AddWithID(id) != nil, "added twice")
	us.ok("delete", id)
	_, found := m.Get(id)
	must(!found, "found what we deleted")
	opaque := us.ok("id", "some-opaque-session-token")[0]
	must(m.AddWithID("some-opaque-session-token") != nil, "not a UUID, but taken")
	us.make(opaque, record{state: 1, pairs: map[string]string{"backend_sid": "some-opaque-session-token"}})
	us.ok("create")
	s, found := m.Get(opaque)
	must(found, "did not find ours")
	sid, _ := s.GetMetadataValue("backend_sid")
	equal(sid, "some-opaque-session-token")
	none(m.Delete(opaque))
	equal(us.code("load", opaque), "MISS")
}

// -- both --

func lives() {
	within := func(key string, ttl time.Duration) {
		left, err := raw.PTTL(ctx, key).Result()
		none(err)
		must(left <= ttl && left > ttl-3*time.Second, "%v are left, not %v", left, ttl)
	}
	aged := func(key string) { none(raw.PExpire(ctx, key, time.Minute).Err()) }
	id := fresh("vmcp")
	key := vmcpPrefix + id
	us.make(id, record{state: 0})
	us.ok("create")
	within(key, vmcpTTL)
	for _, use := range []func(){
		func() { _, err := data.Load(ctx, id); none(err) },
		func() { us.ok("load", id) },
		func() { _, err := data.Update(ctx, id, nil); none(err) },
		func() { us.ok("update") },
	} {
		aged(key)
		use()
		within(key, vmcpTTL)
	}
	id = fresh("proxy")
	key = proxyPrefix + id
	none(store.Store(ctx, session.NewProxySession(id)))
	aged(key)
	us.ok("load", id)
	within(key, proxyTTL)
	aged(key)
	_, err := store.Load(ctx, id)
	none(err)
	within(key, proxyTTL)
}

func noSessions() {
	id := fresh("vmcp")
	for _, text := range []string{"", "x", "[]", `{"a":1}`, `{"a":"b"`, `{"a":"b"}}`, "{\"a\":\"\t\"}"} {
		none(raw.Set(ctx, vmcpPrefix+id, text, 0).Err())
		_, err := data.Load(ctx, id)
		must(err != nil && !errors.Is(err, session.ErrSessionNotFound), "%q: %v", text, err)
		equal(us.code("load", id), "E_FORMAT")
	}
	none(raw.Del(ctx, vmcpPrefix+id).Err())
	none(raw.RPush(ctx, vmcpPrefix+id, "x").Err())
	_, err := data.Load(ctx, id)
	must(err != nil && !errors.Is(err, session.ErrSessionNotFound), "%v", err)
	equal(us.code("load", id), "E_WRONGTYPE")
}

func sameBytes(socket, folder, program string) {
	r := startRelay(folder+"/recorded", socket)
	d, s := storages(r.path)
	p := startPeer(program, r.path)
	compare := func(what string, toolhive func(), words ...string) {
		theirs := r.during(toolhive)
		ours := r.during(func() { p.ask(words...) })
		must(theirs == ours && ours != "", "%s: ToolHive sent %q, we %q", what, theirs, ours)
	}
	id := fresh("vmcp")
	strings := map[string]string{"b": "<\u2028>", "a": "x"}
	d.Load(ctx, id) // connected
	s.Load(ctx, id)
	p.ask("load", id)
	p.make(id, record{state: 1, pairs: strings})
	compare("create", func() { d.Create(ctx, id, strings) }, "create")
	compare("update", func() { d.Update(ctx, id, strings) }, "update")
	compare("load", func() { d.Load(ctx, id) }, "load", id)
	compare("delete", func() { d.Delete(ctx, id) }, "delete", id)
	p.ok("layout", "proxy", "0", "")
	some := session.NewProxySession(id)
	some.SetMetadata("backend_url", "http://10.0.0.5:8080")
	none(s.Store(ctx, some))
	p.ok("load", id)
	compare("store", func() { s.Store(ctx, some) }, "store")
	compare("load", func() { s.Load(ctx, id) }, "load", id)
	compare("delete", func() { s.Delete(ctx, id) }, "delete", id)
	odd, err := session.NewRedisSessionDataStorage(ctx, tcredis.Config{Addr: r.path}, "thv:odd:", 1234567*time.Millisecond)
	none(err)
	odd.Load(ctx, id)
	p.ok("layout", "vmcp", "1234567", "thv:odd:")
	compare("load", func() { odd.Load(ctx, id) }, "load", id)
	p.stop()
}

// ToolHive's rule: a UUID stays, anything else becomes one of version 5.
func ids() {
	alphabet := "0123456789abcdefABCDEF-{}urn:id gG"
	taken := 0
	for n := range 3000 {
		id := uuid.NewString()
		switch n % 4 {
		case 0:
			id = strings.ReplaceAll(id, "-", "")
		case 1:
			id = "urn:uuid:" + id
		case 2:
			id = "{" + strings.ToUpper(id) + "}"
		}
		changed := []byte(id)
		for range random.IntN(3) {
			changed[random.IntN(len(changed))] = alphabet[random.IntN(len(alphabet))]
		}
		id = string(changed)
		want := id
		if _, err := uuid.Parse(id); err != nil {
			want = uuid.NewSHA1(uuid.NameSpaceDNS, []byte(id)).String()
		} else {
			taken++
		}
		equal(us.ok("id", id)[0], want)
	}
	fmt.Printf("# of 3000 ids %d are UUIDs\n", taken)
	must(taken > 300 && taken < 2700, "of 3000 ids %d are UUIDs", taken)
}

func main() {
	must(len(os.Args) == 4, "usage: interop SOCKET PEER FOLDER")
	socket, program, folder := os.Args[1], os.Args[2], os.Args[3]
	limit(90 * time.Second)
	raw = redis.NewClient(&redis.Options{Addr: socket})
	us = startPeer(program, socket)
	data, store = storages(socket)
	test("vMCP storage: 300 random sessions, both ways, to the byte", dataBothWays)
	test("vMCP storage: placeholder, terminated, bound, unbound", dataMembers)
	test("vMCP storage: create only what is not there, update only what is", dataConditions)
	test("vMCP storage: backends expire for either, and nothing comes back", dataExpires)
	test("transport storage: 200 random sessions of each kind, both ways, to the byte", transportBothWays)
	test("transport storage: a session that we have made", transportOurs)
	test("session manager: finds ours, and we find its own", func() { manager(socket) })
	test("either slides what the other has written", lives)
	test("what is no session is an error for both, and no miss", noSessions)
	test("both send the same bytes", func() { sameBytes(socket, folder, program) })
	test("both map 3,000 ids alike", ids)
	test("both read 20,000 damaged texts alike: vMCP", readersVmcp)
	test("both read 20,000 damaged texts alike: transports", readersProxy)
	test("our process ends well", us.stop)
	finish()
}
