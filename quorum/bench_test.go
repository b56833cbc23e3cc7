package quorum_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"holdfast/quorum"
)

// instant is a journal without a disk.
type instant struct{}

func (instant) Commit([]quorum.Record, bool) error { return nil }

func BenchmarkKeeper(b *testing.B) { benchmarkKeeper(b, nil) }

// benchmarkKeeper acquires and releases locks that nobody contends for.
func benchmarkKeeper(b *testing.B, members []quorum.Member) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			first := quorum.MakeNumber(1000, 0)
			k, err := quorum.Open(quorum.Options{
				Members: members, Timeout: 250 * time.Millisecond, MaxTTL: 24 * time.Hour, Clock: quorum.BootClock{},
				Journal: instant{}, Past: quorum.History{Birth: first, Limit: first}, Log: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				b.Fatal(err)
			}
			defer k.Close()
			for settled := false; !settled; { // until the stores are connected to
				settled = k.Do(acquiring("first", "token", time.Minute)).Outcome == quorum.Changed
			}
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for i := range clients {
				name := fmt.Sprint("lock", i)
				wg.Go(func() {
					for range (b.N + clients - 1) / clients {
						take, drop := k.Do(acquiring(name, "token", time.Minute)), k.Do(releasing(name, "token"))
						if take.Outcome != quorum.Changed || drop.Outcome != quorum.Changed {
							b.Errorf("%s: taken %v (%v), dropped %v (%v)", name, take.Outcome, take.Err, drop.Outcome, drop.Err)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// A granter is a store that grants everything at once, and allocates nothing.
type granter struct{}

func (granter) Connect(context.Context) (string, error) { return "only", nil }

func (granter) Do(_ context.Context, _ []quorum.Request, votes []quorum.Vote) error {
	for i := range votes {
		votes[i].Verdict = quorum.Granted
	}
	return nil
}

func (granter) Facts(context.Context) (quorum.Facts, error) { return quorum.Facts{}, nil }
func (granter) Traits() quorum.Traits                       { return quorum.Traits{} }
func (granter) Close() error                                { return nil }

// BenchmarkLanes is what the ways to three stores cost: queues, batches, counting.
func BenchmarkLanes(b *testing.B) {
	var members []quorum.Member
	for i := range 3 {
		members = append(members, quorum.Member{Name: fmt.Sprint("store", i), Store: granter{}})
	}
	benchmarkKeeper(b, members)
}
