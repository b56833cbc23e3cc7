package memcached

import (
	"fmt"
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
