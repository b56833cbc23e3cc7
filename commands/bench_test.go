package commands

import (
	"crypto/sha1"
	"encoding/hex"
	"testing"
)

// BenchmarkCycle is what a lock costs in this package and in a keeper without
// stores and disk: SET NX PX, then the release that nearly every library uses.
func BenchmarkCycle(b *testing.B) {
	sum := sha1.Sum([]byte(compareAndDelete))
	for name, release := range map[string][][]byte{
		"evalsha": args("evalsha", hex.EncodeToString(sum[:]), "1", "lock", "token"),
		"delifeq": args("delifeq", "lock", "token"),
		"del":     args("del", "lock"),
	} {
		b.Run(name, func(b *testing.B) {
			g := newHouse(b, 0).guest()
			g.do("script", "load", compareAndDelete)
			acquire := args("set", "lock", "token", "NX", "PX", "30000")
			done := make(chan string, 1)
			reply := func(b []byte, _ bool) { done <- string(b) }
			b.ReportAllocs()
			for b.Loop() {
				g.session.Begin(acquire, reply)
				if got := <-done; got != ok {
					b.Fatalf("set = %q", got)
				}
				g.session.Begin(release, reply)
				if got := <-done; got != yes {
					b.Fatalf("release = %q", got)
				}
			}
		})
	}
}

// BenchmarkDispatch is what one command costs in this package that changes nothing.
func BenchmarkDispatch(b *testing.B) {
	for name, words := range map[string][]string{
		"ping":   {"ping"},
		"get":    {"get", "lock"},
		"pttl":   {"pttl", "lock"},
		"denied": {"set", "lock", "another", "NX", "PX", "30000"},
		"script": {"eval", "return redis.call('get', KEYS[1]) == ARGV[1]", "1", "lock", "another"},
	} {
		b.Run(name, func(b *testing.B) {
			g := newHouse(b, 0).guest()
			if got := g.do("set", "lock", "token", "NX", "PX", "3600000"); got != ok {
				b.Fatalf("set = %q", got)
			}
			command := args(words...)
			done := make(chan byte, 1)
			reply := func(b []byte, _ bool) { done <- b[0] }
			b.ReportAllocs()
			for b.Loop() {
				g.session.Begin(command, reply)
				if got := <-done; got == '-' {
					b.Fatalf("%s is answered with an error", name)
				}
			}
		})
	}
}

func args(words ...string) [][]byte {
	found := make([][]byte, len(words))
	for i, word := range words {
		found[i] = []byte(word)
	}
	return found
}
