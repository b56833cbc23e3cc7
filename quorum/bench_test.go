package quorum_test

import (
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

func BenchmarkKeeper(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			first := quorum.MakeNumber(1000, 0)
			k, err := quorum.Open(quorum.Options{
				Timeout: 250 * time.Millisecond, MaxTTL: 24 * time.Hour, Clock: quorum.BootClock{},
				Journal: instant{}, Past: quorum.History{Birth: first, Limit: first}, Log: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				b.Fatal(err)
			}
			defer k.Close()
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
