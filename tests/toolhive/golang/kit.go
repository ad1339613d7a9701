package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// -- TAP --

var count, failures int

type failure string

// must ends the test that it is called in.
func must(ok bool, format string, values ...any) {
	if !ok {
		panic(failure(fmt.Sprintf(format, values...)))
	}
}

func equal(got, want any) {
	must(fmt.Sprintf("%q", got) == fmt.Sprintf("%q", want), "got %q, not %q", got, want)
}

func none(err error) {
	must(err == nil, "%v", err)
}

func test(name string, body func()) {
	var failed any
	func() {
		defer func() { failed = recover() }()
		body()
	}()
	count++
	if failed == nil {
		fmt.Printf("ok %d - %s\n", count, name)
		return
	}
	failures++
	fmt.Printf("not ok %d - %s\n", count, name)
	fmt.Println("#   " + strings.ReplaceAll(fmt.Sprint(failed), "\n", "\n#   "))
}

func finish() {
	fmt.Printf("1..%d\n", count)
	if failures > 0 || count == 0 {
		os.Exit(1)
	}
	os.Exit(0)
}

// -- a process of ours: build/toolhive/peer, told what to do a line at a time --

type peer struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	errors  bytes.Buffer
}

func startPeer(program, socket string) *peer {
	p := &peer{command: exec.Command(program, socket, "mcpsess", "secret")}
	in, err := p.command.StdinPipe()
	none(err)
	out, err := p.command.StdoutPipe()
	none(err)
	p.in, p.out = in, bufio.NewReaderSize(out, 1<<20)
	p.command.Stderr = &p.errors
	none(p.command.Start())
	return p
}

func escaped(word string) string {
	var b strings.Builder
	for _, c := range []byte(word) {
		if c <= 0x20 || c >= 0x7f || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func unescaped(word string) string {
	var b []byte
	for n := 0; n < len(word); n++ {
		c := word[n]
		if c == '%' {
			value, err := strconv.ParseUint(word[n+1:n+3], 16, 8)
			none(err)
			c = byte(value)
			n += 2
		}
		b = append(b, c)
	}
	return string(b)
}

// ask returns the words of the answer; the first one is the name of a code.
func (p *peer) ask(words ...string) []string {
	for n := range words {
		words[n] = escaped(words[n])
	}
	_, err := io.WriteString(p.in, strings.Join(words, " ")+"\n")
	must(err == nil, "%v: %s", err, p.errors.String())
	line, err := p.out.ReadString('\n')
	must(err == nil, "%s: %v: %s", words[0], err, p.errors.String())
	answer := strings.Split(strings.TrimSuffix(line, "\n"), " ")
	for n := range answer {
		answer[n] = unescaped(answer[n])
	}
	return answer
}

func (p *peer) code(words ...string) string {
	return p.ask(words...)[0]
}

// ok asks for something that must succeed.
func (p *peer) ok(words ...string) []string {
	what := strings.Join(words, " ")
	answer := p.ask(words...)
	must(answer[0] == "OK", "%s: %s", what, answer[0])
	return answer[1:]
}

func (p *peer) stop() {
	none(p.in.Close())
	err := p.command.Wait()
	must(err == nil, "%v: %s", err, p.errors.String())
}

// A record, as load, peek, show and decode tell it.
type record struct {
	id, issuer, subject     string
	state, created, updated int64
	pairs                   map[string]string
}

func number(text string) int64 {
	value, err := strconv.ParseInt(text, 10, 64)
	none(err)
	return value
}

func recordOf(words []string) record {
	r := record{id: words[0], issuer: words[4], subject: words[5], pairs: map[string]string{}}
	r.state, r.created, r.updated = number(words[1]), number(words[2]), number(words[3])
	for n := 6; n < len(words); n += 2 {
		r.pairs[words[n]] = words[n+1]
	}
	return r
}

func (p *peer) make(id string, r record) {
	text := func(v int64) string { return strconv.FormatInt(v, 10) }
	p.ok("new", id, text(r.state), text(r.created), text(r.updated), r.issuer, r.subject)
	for key, value := range r.pairs {
		p.ok("put", key, value)
	}
}

// metadata is what ToolHive has of this record: the strings, and what a record has members of its own for.
func (r record) metadata() map[string]string {
	all := map[string]string{}
	for key, value := range r.pairs {
		if key[0] != 0 {
			all[key] = value
		}
	}
	if r.state == 2 {
		all["terminated"] = "true"
	}
	if r.issuer != "" {
		all[binding] = r.issuer + "\x00" + r.subject
	}
	return all
}

// -- a relay before the server, which records what is sent --

type relay struct {
	path string
	lock sync.Mutex
	said bytes.Buffer
}

func (r *relay) Write(p []byte) (int, error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.said.Write(p)
}

func startRelay(path, socket string) *relay {
	listener, err := net.Listen("unix", path)
	none(err)
	r := &relay{path: path}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.DialTimeout("unix", socket, 5*time.Second)
			if err != nil {
				near.Close()
				continue
			}
			go func() { io.Copy(io.MultiWriter(r, far), near); far.Close() }()
			go func() { io.Copy(near, far); near.Close() }()
		}
	}()
	return r
}

// during returns the bytes that were sent while doing this.
func (r *relay) during(what func()) string {
	r.lock.Lock()
	from := r.said.Len()
	r.lock.Unlock()
	what()
	r.lock.Lock()
	defer r.lock.Unlock()
	return string(r.said.Bytes()[from:])
}

// limit ends the program where it hangs.
func limit(after time.Duration) {
	time.AfterFunc(after, func() {
		fmt.Println("#", errors.New("not done in time"))
		os.Exit(2)
	})
}
