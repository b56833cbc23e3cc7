package memcached

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"

	"holdfast/quorum"
)

// BenchmarkBatch sends batches of swaps, each in the place of the last one's.
func BenchmarkBatch(b *testing.B) {
	plain := func(r quorum.Request) quorum.Request { return r }
	both := func(r quorum.Request) quorum.Request { return heeding(marked(r)) }
	for _, size := range []int{1, 64} {
		for _, c := range []struct {
			name string
			with func(quorum.Request) quorum.Request
			book bool
		}{
			{"plain", plain, false},
			{"book", plain, true},
			{"mark", marked, false},
			{"heed", heeding, false},
			{"end", leaving, false},
			{"mark+heed+book", both, true},
		} {
			b.Run(fmt.Sprintf("%d/%s", size, c.name), func(b *testing.B) {
				benchmarkBatch(b, size, c.with, c.book)
			})
		}
	}
}

func benchmarkBatch(b *testing.B, size int, with func(quorum.Request) quorum.Request, book bool) {
	store := startServer(b).open()
	for _, id := range []string{"a", "b", "c"} {
		do(b, store, sign(id, "", "signed "+strings.Repeat("x", 400)))
	}
	requests := make([]quorum.Request, size)
	prev := make([]*quorum.Copy, size)
	number := uint64(0)
	if book {
		requests = append(requests, readBook())
	}
	votes := make([]quorum.Vote, len(requests))
	b.ReportAllocs()
	for b.Loop() {
		for i := range size {
			number++
			next := ours("a-token-of-twenty-two", number)
			requests[i] = with(swap(fmt.Sprint("orders", i), prev[i], next))
			prev[i] = next
		}
		if err := store.Do(b.Context(), requests, votes); err != nil {
			b.Fatal(err)
		}
		for i, v := range votes {
			if v.Verdict != quorum.Granted {
				b.Fatalf("request %d: %v, mark %v, notice %v, error %v, want it granted", i, v.Verdict, v.Mark, v.Gone, v.Err)
			}
		}
	}
}

// BenchmarkCodec writes a command and reads its answer, without a server.
func BenchmarkCodec(b *testing.B) {
	value := ours("a-token-of-twenty-two", 1).Encode()
	for _, c := range []struct {
		name, answer string
		command      command
	}{
		{"get", fmt.Sprintf("VA %d c12 f0 t30 O7\r\n%s\r\n", len(value), value), command{verb: get, key: "orders"}},
		{"miss", "EN O7\r\n", command{verb: get, key: "orders"}},
		{"set", "HD c12 O7\r\n", command{verb: set, key: "orders", data: value, seconds: 30, tell: true}},
		{"remove", "HD O7\r\n", command{verb: remove, key: "orders", cas: 12}},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := bufio.NewWriter(io.Discard)
			in := strings.NewReader(c.answer)
			r := bufio.NewReader(in)
			b.ReportAllocs()
			for b.Loop() {
				c.command.writeTo(w, 7)
				in.Reset(c.answer)
				r.Reset(in)
				if rep, err := readReply(r, c.command.verb, 7); err != nil || rep.err != nil {
					b.Fatalf("%q: %v, %v", c.answer, err, rep.err)
				}
			}
		})
	}
}
