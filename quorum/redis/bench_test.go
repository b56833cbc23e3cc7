package redis

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

// What it costs to guard a swap and to read the book behind every batch. The book
// has the lines of three proxies, 400 bytes each.
func BenchmarkBatch(b *testing.B) {
	for _, swaps := range []int{1, 64} {
		for _, c := range []struct {
			what          string
			guarded, book bool
			watched       bool
			twice         bool
		}{
			{what: "plain"},
			{what: "plain-book", book: true},
			{what: "guarded-book", guarded: true, book: true},
			{what: "guarded-book-twice", guarded: true, book: true, twice: true},
			{what: "plain-watched", watched: true},
			{what: "guarded-book-watched", guarded: true, book: true, watched: true},
		} {
			b.Run(fmt.Sprintf("%d-%s", swaps, c.what), func(b *testing.B) {
				benchmarkBatches(b, swaps, c.guarded, c.book, c.watched, c.twice)
			})
		}
	}
}

func benchmarkBatches(b *testing.B, swaps int, guarded, book, watched, twice bool) {
	server := storetest.StartRedis(b)
	store, err := New("redis://" + server.Addr())
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	if twice {
		store.KeepTwice()
	}
	if _, err := store.Connect(b.Context()); err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	if watched {
		begun := make(chan struct{}, 1<<16)
		wg.Go(func() { store.Watch(ctx, func(string) { begun <- struct{}{} }) })
		<-begun
	}
	for _, id := range []string{"a", "b", "c"} {
		r := sign(id, "", "signed "+strings.Repeat("x", 393))
		if err := store.Do(ctx, []quorum.Request{r}, make([]quorum.Vote, 1)); err != nil {
			b.Fatal(err)
		}
	}
	// A round is two batches: one takes the locks, one releases them.
	var taking, releasing []quorum.Request
	for i := range swaps {
		name := fmt.Sprint("lock", i)
		take, release := swap(name, nil, version(1)), swap(name, version(1), nil)
		if guarded {
			take.Heed, take.Mark = true, true
			release.Gone = time.Minute
		}
		taking, releasing = append(taking, take), append(releasing, release)
	}
	if book {
		taking, releasing = append(taking, readBook()), append(releasing, readBook())
	}
	votes := make([]quorum.Vote, len(taking))
	n := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		n++
		for i := range swaps { // each change has a number of its own
			taking[i].Next = version(n)
			releasing[i].Prev = taking[i].Next
			n++
		}
		for _, batch := range [][]quorum.Request{taking, releasing} {
			if err := store.Do(ctx, batch, votes); err != nil {
				b.Fatal(err)
			}
			for i, v := range votes {
				if v.Verdict != quorum.Granted {
					b.Fatalf("request %d of %d: %+v, want granted", i, len(batch), v)
				}
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*b.N), "ns/batch")
}
