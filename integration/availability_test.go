package integration

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"holdfast/quorum/storetest"
)

// A pace is how often, and when, clients were granted locks that nobody else
// wanted. Times are since its start.
type pace struct {
	start time.Time

	mu     sync.Mutex
	grants []time.Duration // guarded by mu
	failed []error         // guarded by mu
}

// keep acquires and releases a lock until ctx is done.
func (p *pace) keep(ctx context.Context, c contender, name string) {
	for ctx.Err() == nil {
		g, err := c.acquire(context.WithoutCancel(ctx), name, newToken(), time.Second)
		p.note(err)
		if err == nil {
			g.release(context.WithoutCancel(ctx)) // what is not released here runs out
		} else {
			pause(ctx, time.Millisecond)
		}
	}
}

func (p *pace) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.grants = append(p.grants, time.Since(p.start))
	} else {
		p.failed = append(p.failed, fmt.Errorf("at %v: %w", time.Since(p.start), err))
	}
}

func (p *pace) failures() []error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.failed)
}

// A phase is a part of the run.
type phase struct {
	from, to time.Duration
	grants   []time.Duration // since from
}

// during returns what was granted while do went on.
func (p *pace) during(do func()) phase {
	f := phase{from: time.Since(p.start)}
	do()
	f.to = time.Since(p.start)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, at := range p.grants {
		if at >= f.from && at < f.to {
			f.grants = append(f.grants, at-f.from)
		}
	}
	return f
}

func (f phase) lasted() time.Duration { return f.to - f.from }

// TestTortureOfOneStoreAtATimeHardlySlowsGrants compares speeds, so it does not
// run beside other tests.
func TestTortureOfOneStoreAtATimeHardlySlowsGrants(t *testing.T) {
	lasts := time.Second
	if os.Getenv(tortureVariable) != "" {
		lasts = 15 * time.Second
	}
	all := startStores(t, "redis", "redis", "memcached")
	p := startHoldfast(t, flags(all)...)
	warmUp(t, strict(t, p.addr), all)
	run := &pace{start: time.Now()}
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer stop()
	for _, name := range []string{"a", "b", "c", "d"} {
		c := proxied{strict(t, p.addr), true}
		clients.Go(func() { run.keep(ctx, c, name) })
	}
	operator := strict(t, p.addr)
	var calm, rolling int
	var calmTime, rollingTime, standstill time.Duration
	back := map[string][]time.Duration{} // by kind of store: until it voted again
	for round := range 4 {               // by turns, since the machine is not always as busy
		quiet := run.during(func() { pause(t.Context(), lasts) })
		calm, calmTime = calm+len(quiet.grants), calmTime+quiet.lasted()
		busy := run.during(func() {
			for i, start := round, time.Now(); time.Since(start) < lasts; i++ {
				s := all[i%len(all)]
				back[s.kind] = append(back[s.kind], roll(t, operator, s))
			}
		})
		rolling, rollingTime = rolling+len(busy.grants), rollingTime+busy.lasted()
		standstill = max(standstill, longestGap(busy.grants, busy.lasted()))
	}
	perSecond := func(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }
	ratio := perSecond(rolling, rollingTime) / perSecond(calm, calmTime)
	t.Logf("%.0f grants a second in calm, %.0f while stores are restarted one by one: %.2f of it; %d errors, longest standstill %v",
		perSecond(calm, calmTime), perSecond(rolling, rollingTime), ratio, len(run.failures()), standstill)
	for i, err := range run.failures() {
		if i < 10 {
			t.Logf("not granted: %v", err)
		}
	}
	for kind, took := range back {
		slices.Sort(took)
		t.Logf("a %s that was started votes again after %v (median of %d), %v at the most", kind, took[len(took)/2], len(took), took[len(took)-1])
	}
	if ratio < 0.3 {
		t.Errorf("grants a second: %.2f of what there are in calm, want 0.3", ratio)
	}
	if standstill > 3*time.Second {
		t.Errorf("longest standstill %v, want less than 3s", standstill)
	}
}

// roll restarts a store, and returns how long it takes from when it answers until
// it votes.
func roll(t *testing.T, operator *redis.Client, s *store) time.Duration {
	t.Helper()
	s.Kill()
	pause(t.Context(), 100*time.Millisecond)
	before := votes(t, operator, s)
	s.Start()
	up := time.Now()
	storetest.Eventually(t, s.url()+" votes again", func() bool { return votes(t, operator, s) > before })
	return time.Since(up)
}

// votes returns how often a store has granted, by what the program says.
func votes(t *testing.T, operator *redis.Client, s *store) int64 {
	t.Helper()
	stores, err := operator.Do(t.Context(), "STORES").Slice()
	if err != nil {
		t.Fatalf("STORES: %v", err)
	}
	for _, one := range stores {
		told, ok := one.(map[any]any)
		if granted, isCount := told["granted"].(int64); ok && isCount && told["name"] == s.url() {
			return granted
		}
	}
	t.Fatalf("STORES: %v, want how often %s has granted", stores, s.url())
	return 0
}
