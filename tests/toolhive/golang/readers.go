package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/stacklok/toolhive/pkg/transport/session"
)

const rounds = 20000

var fragments = []string{`"`, `\`, `{`, `}`, `[`, `]`, `,`, `:`, ` `, "\n", "\x00", "\x1f", "\xff", "é", "\u2028",
	"null", "true", "1", "-0.5e3", `""`, `{}`, `[]`, `\u0000`, `\u003c`, `\ud83d`, `\ude00`, `\b`, `\/`, `\x`, `"k":"v",`,
	`"":"",`, `"K":null,`, `"id":null,`, `"Type":"sse",`, `"terminated":"true",`, `"data":[1,{"a":null}],`, `Z`,
	"+02:00", ".5", "0", "9", "T", "-", "metadata", "type"}

// damaged changes a text here and there.
func damaged(text string) string {
	b := []byte(text)
	for n := random.IntN(4); n > 0; n-- {
		at := random.IntN(len(b) + 1)
		end := min(len(b), at+1+random.IntN(8))
		switch random.IntN(5) {
		case 0:
			b = append(b[:at:at], b[end:]...)
		case 1:
			b = append(b[:end:end], b[at:]...)
		case 2:
			if at < len(b) {
				b[at] ^= 1 << random.IntN(8)
			}
		case 3: // in place of a digit, or of what is there
			for ; at+1 < len(b) && (b[at] < '0' || b[at] > '9'); at++ {
			}
			if at < len(b) {
				b[at] = byte('0' + random.IntN(10))
			}
		default:
			b = append(b[:at:at], append([]byte(fragments[random.IntN(len(fragments))]), b[at:]...)...)
		}
	}
	return string(b)
}

type member struct {
	name  string
	value json.RawMessage
}

// members of an object that json has accepted, in their order.
func members(text []byte) (all []member) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil
	}
	for decoder.More() {
		name, err := decoder.Token()
		none(err)
		m := member{name: name.(string)}
		none(decoder.Decode(&m.value))
		all = append(all, m)
	}
	return all
}

// nesting of aggregates in a text that json has accepted.
func nesting(text []byte) (deepest int) {
	depth := 0
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		token, err := decoder.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

// twice: are there two that a record has one member for? known tells which; "": none
func twice(all []member, known func(member) string) bool {
	seen := map[string]bool{}
	for _, m := range all {
		name := known(m)
		if name != "" && seen[name] {
			return true
		}
		seen[name] = true
	}
	return false
}

func knownString(m member) string {
	if m.name == "terminated" || m.name == binding {
		return m.name
	}
	return ""
}

// refusedStrings has the codes with which we refuse strings that Go takes; any of them, as the first one found counts.
func refusedStrings(text []byte, read map[string]string) (codes []string) {
	for key := range read {
		if key == "" || key[0] == 0 {
			codes = append(codes, "E_FORMAT")
		}
	}
	if twice(members(text), knownString) {
		codes = append(codes, "E_FORMAT")
	}
	if text, is := read[binding]; is && text != "unauthenticated" {
		issuer, subject, _ := strings.Cut(text, "\x00")
		if issuer == "" || subject == "" || strings.Contains(subject, "\x00") {
			codes = append(codes, "E_PRINCIPAL")
		}
	}
	return codes
}

// What Go says of a text, the codes with which we refuse it, and a comparison for where we do not.
type reading struct {
	err     error
	refused []string
	same    func(record)
}

// readers compares what Go and we make of damaged texts; head stays as it is.
func readers(key, head string, bases []string, load func(text []byte) reading) {
	read := 0
	for range rounds {
		text := head + damaged(bases[random.IntN(len(bases))])
		none(raw.Set(ctx, key, text, 0).Err())
		theirs, ours := load([]byte(text)), us.ask("load", key[strings.LastIndex(key, ":")+1:])
		switch {
		case theirs.err != nil:
			must(ours[0] != "OK", "we have read what ToolHive has not: %q: %v", text, theirs.err)
		case len(theirs.refused) > 0:
			must(slices.Contains(theirs.refused, ours[0]), "%q: %s, not one of %v", text, ours[0], theirs.refused)
		default:
			must(ours[0] == "OK", "%q: %s", text, ours[0])
			theirs.same(recordOf(ours[1:]))
			read++
		}
	}
	fmt.Printf("# of %d texts %d were read\n", rounds, read)
	must(read > rounds/10 && read < rounds*9/10, "of %d texts %d were read", rounds, read)
}

func readersVmcp() {
	id := fresh("vmcp")
	bases := []string{`{}`, `{"terminated":"true"}`, `{"a":"1","b":"\u003c","c":null}`,
		`{"vmcp.backend.ids":"a,b","vmcp.backend.session.a":"s","vmcp.identity.binding":"unauthenticated"}`,
		`{"vmcp.identity.binding":"https://issuer.example\u0000user-1","zz":"\ud83d\ude00","k":"\b\t\n\\\""}`}
	readers(vmcpPrefix+id, "", bases, func(text []byte) (read reading) {
		got, err := data.Load(ctx, id)
		if read.err = err; err != nil {
			return
		}
		if read.refused = refusedStrings(text, got); got == nil { // which is what null is for Go
			read.refused = append(read.refused, "E_FORMAT")
		}
		read.same = func(r record) { sameMap(r.metadata(), got) }
		return
	})
}

func knownPart(m member) string {
	for _, name := range []string{"id", "type", "created_at", "updated_at", "metadata"} {
		if strings.EqualFold(m.name, name) && string(m.value) != "null" {
			return name
		}
	}
	return ""
}

// What RFC 3339 allows, and Go writes; Go reads some more.
var instant = regexp.MustCompile(`^"\d{4}-\d\d-\d\dT([01]\d|2[0-3]):\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)"$`)

// refusedSession is refusedStrings for an envelope.
func refusedSession(text []byte, id string, s session.Session) (codes []string) {
	all := members(text)
	if nesting(text) > 33 {
		codes = append(codes, "E_TOOBIG")
	}
	if s.ID() != id || twice(all, knownPart) {
		codes = append(codes, "E_FORMAT")
	}
	for _, m := range all {
		part := knownPart(m)
		if strings.HasSuffix(part, "ed_at") && !instant.Match(m.value) {
			codes = append(codes, "E_FORMAT")
		}
		if part == "metadata" {
			codes = append(codes, refusedStrings(m.value, s.GetMetadata())...)
		}
	}
	return codes
}

func readersProxy() {
	id := fresh("proxy")
	head := `,"type":"streamable","created_at":"2026-04-08T12:00:00.123456789Z","updated_at":"`
	bases := []string{head + `2026-04-08T14:00:00+02:00"}`,
		head + `2026-02-28T23:59:59Z","data":{"a":[10,-2.5e31,null]},"metadata":{"a":"1","` + binding + `":"i\u0000s"}}`,
		head + `0001-01-01T00:00:00Z","metadata":{"terminated":"true","init_body":"{\"id\":1}"},"x":[[{}]]}`}
	readers(proxyPrefix+id, `{"id":"`+id+`"`, bases, func(text []byte) (read reading) {
		got, err := store.Load(ctx, id)
		if read.err = err; err != nil {
			return
		}
		read.refused = refusedSession(text, id, got)
		read.same = func(r record) {
			sameMap(r.metadata(), got.GetMetadata())
			must(r.created == max(0, got.CreatedAt().UnixMilli()), "%q: created %d", text, r.created)
			must(r.updated == max(0, got.UpdatedAt().UnixMilli()), "%q: updated %d", text, r.updated)
		}
		return
	})
}
