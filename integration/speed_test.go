package integration

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// BenchmarkLocks acquires and releases locks that nobody contends for: through
// the whole program, and by redsync straight at the same three servers, which is
// what one would use instead.
func BenchmarkLocks(b *testing.B) {
	all := startStores(b, "redis", "redis", "redis")
	over, alone := startHoldfast(b, flags(all)...), startHoldfast(b)
	warmUp(b, strict(b, over.addr), all)
	for _, world := range []struct {
		name   string
		locker func(b *testing.B) contender
	}{
		{"holdfast-3-redis", func(b *testing.B) contender { return single(b, over) }},
		{"holdfast-no-stores", func(b *testing.B) contender { return single(b, alone) }},
		{"redsync-3-redis", func(b *testing.B) contender { return newDirect(b, all) }},
	} {
		for _, connections := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/conns=%d", world.name, connections), func(b *testing.B) {
				var lockers []contender
				for range connections {
					lockers = append(lockers, world.locker(b))
				}
				measure(b, lockers)
			})
		}
	}
}

// single returns a contender with one connection to the program.
func single(b *testing.B, p *program) contender {
	return proxied{ways: []*redis.Client{connect(b, redis.Options{Addr: p.addr, MaxRetries: -1, PoolSize: 1})}}
}

// measure has each locker acquire and release a lock of its own, b.N times in
// all, and reports pairs a second and how long a client waited for its lock.
func measure(b *testing.B, lockers []contender) {
	const ttl = 30 * time.Second
	ctx := context.Background()
	pair := func(l contender, name string) (time.Duration, error) {
		start := time.Now()
		g, err := l.acquire(ctx, name, newToken(), ttl)
		took := time.Since(start)
		if err == nil {
			err = g.release(ctx)
		}
		return took, err
	}
	for i, l := range lockers { // connect, load scripts
		if _, err := pair(l, fmt.Sprintf("bench:%d", i)); err != nil {
			b.Fatalf("acquire and release: %v", err)
		}
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	took := make([][]time.Duration, len(lockers))
	b.ResetTimer()
	start := time.Now()
	var clients sync.WaitGroup
	for i, l := range lockers {
		clients.Go(func() {
			for name := fmt.Sprintf("bench:%d", i); left.Add(-1) >= 0; {
				d, err := pair(l, name)
				if err != nil {
					b.Errorf("acquire and release: %v", err)
					return
				}
				took[i] = append(took[i], d)
			}
		})
	}
	clients.Wait()
	elapsed := time.Since(start)
	b.StopTimer()
	locks := slices.Concat(took...)
	if len(locks) == 0 {
		return
	}
	slices.Sort(locks)
	micros := func(share float64) float64 {
		return float64(locks[int(share*float64(len(locks)-1))]) / float64(time.Microsecond)
	}
	b.ReportMetric(float64(len(locks))/elapsed.Seconds(), "pairs/s")
	b.ReportMetric(micros(0.5), "lock-p50-us")
	b.ReportMetric(micros(0.99), "lock-p99-us")
	b.ReportMetric(0, "ns/op") // says nothing that pairs/s does not
}
