package integration

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"holdfast/quorum/storetest"
)

// warmUp waits until the program is connected to every store: a lock that it
// grants stands in all of them.
func warmUp(t testing.TB, c *redis.Client, all []*store) {
	t.Helper()
	token := mustAcquire(t, c, "warm-up", time.Minute)
	everywhere(t, "the first copy", all, func(s *store) bool { return s.has("warm-up", token) })
}

func TestAnOutageIsNeitherGrantedNorHeld(t *testing.T) {
	t.Parallel()
	all := startStores(t, "redis", "redis", "memcached")
	p := startHoldfast(t, flags(all)...)
	c, ctx := strict(t, p.addr), t.Context()
	token := mustAcquire(t, c, "held", 10*time.Minute)
	everywhere(t, "the copy", all, func(s *store) bool { return s.has("held", token) })

	all[1].Kill()
	later := mustAcquire(t, c, "later", 10*time.Minute) // one of three is no outage
	all[2].Kill()
	for range 3 { // just after the death of a store, and once it is known to be down
		ok, err := acquire(ctx, c, "orders", newToken(), time.Minute)
		if ok || err == nil || !strings.HasPrefix(err.Error(), "NOQUORUM ") {
			t.Fatalf("acquire with two of three stores down: %t, %v, want NOQUORUM", ok, err)
		}
		for _, s := range all[1:] {
			_, why, named := strings.Cut(err.Error(), s.url()+": ")
			if !named || len(why) < len("EOF") {
				t.Errorf("acquire with %s down: %q, want it named, and why", s.url(), err)
			}
		}
		if strings.Contains(err.Error(), all[0].url()) {
			t.Errorf("acquire: %q, want nothing said of %s, which is up", err, all[0].url())
		}
	}
	everywhere(t, "what failed is undone", all[:1], func(s *store) bool { return s.empty("orders") })
	for name, token := range map[string]string{"held": token, "later": later} {
		wantHeld(t, c, name)
		wantHolder(t, c, name, token)
	}
	if left, err := c.PTTL(ctx, "held").Result(); err != nil || left < 9*time.Minute {
		t.Errorf("PTTL of a lock that is held: %v, %v, want almost 10m", left, err)
	}

	all[1].Start()
	all[2].Start()
	for name, token := range map[string]string{"held": token, "later": later} {
		everywhere(t, name+" is put back", all, func(s *store) bool { return s.has(name, token) })
	}
	storetest.Eventually(t, "locks are granted again", func() bool {
		ok, err := acquire(ctx, c, "orders", "after", time.Minute)
		return ok && err == nil
	})
	everywhere(t, "the lock", all, func(s *store) bool { return s.has("orders", "after") })
}

func TestUnanimousNeedsEveryStore(t *testing.T) {
	t.Parallel()
	all := startStores(t, "redis", "redis", "redis")
	p := startHoldfast(t, flags(all, "--strategy", "unanimous")...)
	c := strict(t, p.addr)
	mustAcquire(t, c, "held", time.Minute)
	all[0].Kill()
	ok, err := acquire(t.Context(), c, "orders", newToken(), time.Minute)
	if ok || err == nil || !strings.HasPrefix(err.Error(), "NOQUORUM ") {
		t.Errorf("acquire with one of three stores down: %t, %v, want NOQUORUM", ok, err)
	}
	everywhere(t, "what failed is undone", all[1:], func(s *store) bool { return s.empty("orders") })
	wantHeld(t, c, "held")
}

func TestWhatFailedIsUndoneWhereItWasGranted(t *testing.T) {
	t.Parallel()
	all := startStores(t, "redis", "redis", "redis")
	p := startHoldfast(t, flags(all, "--store-timeout", "1500ms")...)
	c := strict(t, p.addr)
	warmUp(t, c, all)
	all[1].Pause()
	all[2].Pause()
	failed := make(chan error, 1)
	go func() { // waited for below
		_, err := acquire(t.Context(), c, "orders", "token", time.Minute)
		failed <- err
	}()
	storetest.Eventually(t, "one store grants", func() bool { return all[0].has("orders", "token") })
	if err := <-failed; err == nil || !strings.HasPrefix(err.Error(), "NOQUORUM ") {
		t.Errorf("acquire with two of three stores paused: %v, want NOQUORUM", err)
	}
	storetest.Eventually(t, "it is undone there", func() bool { return all[0].empty("orders") })
	// The other two were sent it too, and act on it as soon as they can.
	all[1].Resume()
	all[2].Resume()
	storetest.Eventually(t, "somebody else is granted it", func() bool {
		ok, _ := acquire(t.Context(), c, "orders", "other", time.Minute)
		return ok
	})
	everywhere(t, "the lock is the other's", all, func(s *store) bool { return s.has("orders", "other") })
}

func TestAReleaseReachesAStoreThatWasPaused(t *testing.T) {
	t.Parallel()
	all := startStores(t, "redis", "redis", "memcached")
	p := startHoldfast(t, flags(all)...)
	c := strict(t, p.addr)
	for _, paused := range all[1:] {
		token := mustAcquire(t, c, "orders", 10*time.Minute)
		everywhere(t, "the lock", all, func(s *store) bool { return s.has("orders", token) })
		paused.Pause()
		if ok, err := release(t.Context(), c, "orders", token); !ok || err != nil {
			t.Errorf("release with %s paused: %t, %v, want it released", paused.url(), ok, err)
		}
		if err := c.Get(t.Context(), "orders").Err(); err != redis.Nil {
			t.Errorf("GET what was released: %v, want null", err)
		}
		paused.Resume()
		everywhere(t, "it is gone", all, func(s *store) bool { return s.empty("orders") })
	}
}

func TestOneMuteStoreCostsNobodyTime(t *testing.T) {
	t.Parallel()
	for _, mute := range []string{"black hole", "paused"} {
		t.Run(mute, func(t *testing.T) {
			t.Parallel()
			all := startStores(t, "redis", "redis")
			args := flags(all, "--store", blackHole(t))
			var third *store
			if mute == "paused" {
				third = startStores(t, "redis")[0]
				args = flags(append(all, third))
			}
			p := startHoldfast(t, args...)
			c := strict(t, p.addr)
			warmUp(t, c, all)
			if third != nil {
				third.Pause()
			}
			var took []time.Duration
			for range 50 {
				start := time.Now()
				token := mustAcquire(t, c, "orders", time.Minute)
				took = append(took, time.Since(start))
				if ok, err := release(t.Context(), c, "orders", token); !ok || err != nil {
					t.Fatalf("release: %t, %v, want it released", ok, err)
				}
			}
			slices.Sort(took)
			// A store's deadline is 250 ms: who waits for one takes longer than that.
			if median := took[len(took)/2]; median > 100*time.Millisecond {
				t.Errorf("a lock took %v (median of %d), want it granted without the mute store", median, len(took))
			}
		})
	}
}

// blackHole returns the URL of a store that takes connections, and everything
// that is sent over them, and never says a word.
func blackHole(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close() // all at once, at the end
		}
	}()
	return "redis://" + l.Addr().String()
}
