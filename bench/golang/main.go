// golang-lru at the same work as bench/lru.c: 36-byte keys, 64-byte values, copied on put. A process of its own, so its
// figures stand in the same run, but its rounds are not interleaved with ours. Go's map hashes with a seed as well.
package main

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	rounds = 15
	ops    = 200_000
)

var (
	random = rand.New(rand.NewPCG(1, 2))
	value  = []byte("vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv")
)

// newKey is a UUID as it stands in a receive buffer: bytes that the table does not own.
func newKey() []byte {
	var raw [16]byte
	for i := range raw {
		raw[i] = byte(random.Uint32())
	}
	h := hex.EncodeToString(raw[:])
	return []byte(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:])
}

func row(name string, run func() time.Duration) {
	var ns []float64
	for range rounds {
		ns = append(ns, float64(run().Nanoseconds())/ops)
	}
	slices.Sort(ns)
	fmt.Printf("  %-32s  %8.2f  %7.2f ..%8.2f\n", name, ns[rounds/2], ns[0], ns[rounds-1])
}

// put copies, as the others do: the key by the conversion, the value by the append.
func put(cache *lru.Cache[string, []byte], key []byte) {
	cache.Add(string(key), append([]byte(nil), value...))
}

func getRound(cache *lru.Cache[string, []byte], known [][]byte) time.Duration {
	keys := make([][]byte, ops)
	for i := range keys {
		keys[i] = slices.Clone(known[random.IntN(len(known))])
	}
	start := time.Now()
	for _, key := range keys {
		if v, ok := cache.Get(string(key)); !ok || v[0] != 'v' {
			fmt.Fprintln(os.Stderr, "golang: a key was not found")
			os.Exit(1)
		}
	}
	return time.Since(start)
}

func putRound(cache *lru.Cache[string, []byte]) time.Duration {
	keys := make([][]byte, ops)
	for i := range keys {
		keys[i] = newKey()
	}
	start := time.Now()
	for _, key := range keys {
		put(cache, key)
	}
	return time.Since(start)
}

func measure(entries int) {
	cache, err := lru.New[string, []byte](entries)
	if err != nil {
		panic(err)
	}
	known := make([][]byte, entries)
	for i := range known {
		known[i] = newKey()
		put(cache, known[i])
	}
	row(fmt.Sprintf("get, %d entries", entries), func() time.Duration { return getRound(cache, known) })
	row(fmt.Sprintf("put + evict, %d entries", entries), func() time.Duration { return putRound(cache) })
}

func main() {
	fmt.Printf("\ngolang-lru v2 (wall clock)\n  %-32s  %8s  %19s\n", "", "ns", "min .. max")
	measure(1000)
	measure(65000)
}
