package integration

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// An acknowledged lock is one whose holder has the reply.
type acknowledged struct {
	name, token string
	fence       int64
	at          time.Time // when the reply had come
}

// A harvest is what several clients were granted.
type harvest struct {
	mu     sync.Mutex
	locks  []acknowledged // guarded by mu
	full   chan struct{}  // closed once there are enough
	enough int
}

func (h *harvest) add(a acknowledged) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.locks = append(h.locks, a); len(h.locks) == h.enough {
		close(h.full)
	}
}

// reap acquires locks, so many at once, until the program is killed.
func (h *harvest) reap(t *testing.T, c *redis.Client, client, atOnce int, ttl time.Duration) {
	for round := 0; ; round++ {
		pipe := c.Pipeline()
		asked := make([]acknowledged, atOnce)
		cmds := make([]*redis.Cmd, atOnce)
		for i := range asked {
			asked[i] = acknowledged{name: fmt.Sprintf("orders:%d:%d:%d", client, round, i), token: newToken()}
			cmds[i] = lock(t.Context(), pipe, asked[i].name, asked[i].token, ttl)
		}
		_, lost := pipe.Exec(t.Context())
		for i, a := range asked {
			if g, err := readGrant(cmds[i]); err == nil {
				a.fence, a.at = g.fence, time.Now()
				h.add(a)
			} else if err == errDenied {
				t.Errorf("lock %q, which nobody holds: denied", a.name)
			}
		}
		if lost != nil {
			return
		}
	}
}

func TestNoAcknowledgedLockIsLostInACrash(t *testing.T) {
	t.Parallel()
	const ttl = 10 * time.Minute
	for _, world := range []struct {
		name   string
		stores []string
		forget bool // the stores are restarted empty while the program is dead
	}{
		{"without stores", nil, false},
		{"over stores", []string{"redis", "redis", "memcached"}, false},
		{"over stores that forgot", []string{"redis", "redis", "memcached"}, true},
	} {
		t.Run(world.name, func(t *testing.T) {
			t.Parallel()
			all := startStores(t, world.stores...)
			p := startHoldfast(t, flags(all)...)
			h := &harvest{full: make(chan struct{}), enough: 500}
			var clients sync.WaitGroup
			for i, atOnce := range []int{1, 1, 1, 25, 25} {
				c := strict(t, p.addr)
				clients.Go(func() { h.reap(t, c, i, atOnce, ttl) })
			}
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				clients.Wait()
			}()
			select {
			case <-h.full:
			case <-gone:
				t.Fatalf("%d locks before all clients lost the program, want %d", len(h.locks), h.enough)
			}
			p.kill() // while all of them go on
			<-gone
			if world.forget {
				for _, s := range all {
					s.Kill()
				}
				for _, s := range all {
					s.Start()
				}
			}
			p.start()
			wantAllHeld(t, strict(t, p.addr), h.locks, ttl)
			for _, a := range h.locks[:25] {
				everywhere(t, a.name+" is there", all, func(s *store) bool { return s.has(a.name, a.token) })
			}
		})
	}
}

// wantAllHeld fails the test unless every lock is denied to others, held by its
// token, for no longer than it was asked for, and numbered below all that
// follow.
func wantAllHeld(t *testing.T, c *redis.Client, locks []acknowledged, ttl time.Duration) {
	t.Helper()
	ctx, asked := t.Context(), time.Now()
	pipe := c.Pipeline()
	fresh := lock(ctx, pipe, "fresh", newToken(), ttl)
	tries, holders, lefts := []*redis.Cmd{}, []*redis.StringCmd{}, []*redis.DurationCmd{}
	for _, a := range locks {
		tries = append(tries, lock(ctx, pipe, a.name, newToken(), ttl))
		holders = append(holders, pipe.Get(ctx, a.name))
		lefts = append(lefts, pipe.PTTL(ctx, a.name))
	}
	pipe.Exec(ctx) // its error is that of the first null
	g, err := readGrant(fresh)
	if err != nil {
		t.Fatalf("lock: %v, want it granted", err)
	}
	for i, a := range locks {
		if _, err := readGrant(tries[i]); err != errDenied {
			t.Errorf("lock %q, acknowledged before the crash: %v, want it denied", a.name, err)
		}
		if got, err := holders[i].Result(); got != a.token || err != nil {
			t.Errorf("GET %q: %q, %v, want %q", a.name, got, err, a.token)
		}
		// The lease began before its reply came, so no more than this can be left.
		most := ttl - asked.Sub(a.at) + time.Millisecond
		if left, err := lefts[i].Result(); err != nil || left <= 0 || left > most {
			t.Errorf("PTTL %q: %v, %v, want at most %v", a.name, left, err, most)
		}
		if g.fence <= a.fence {
			t.Fatalf("a lock after the crash has fence %d, one before has %d", g.fence, a.fence)
		}
	}
}

func TestAStoreThatForgotIsPutRight(t *testing.T) {
	t.Parallel()
	all := startStores(t, "redis", "redis", "memcached")
	p := startHoldfast(t, flags(all)...)
	c, ctx := strict(t, p.addr), t.Context()
	tokens := map[string]string{}
	for i := range 100 {
		name := fmt.Sprintf("orders:%d", i)
		tokens[name] = mustAcquire(t, c, name, 10*time.Minute)
	}
	put := func(what string) {
		t.Helper()
		for name, token := range tokens {
			everywhere(t, name+" is there "+what, all, func(s *store) bool { return s.has(name, token) })
		}
	}
	put("at first")
	for _, loss := range []struct {
		what string
		of   []*store
	}{
		{"after a redis was flushed", all[:1]},
		{"after the memcached was flushed", all[2:]},
		{"after a majority was flushed", all[1:]},
		{"after all were flushed", all},
	} {
		for _, s := range loss.of {
			s.flush()
		}
		wantNobodyGets(ctx, t, c, tokens)
		put(loss.what)
	}
	for _, s := range all {
		s.Kill()
	}
	wantNobodyGets(ctx, t, c, tokens)
	for _, s := range all {
		s.Start()
	}
	wantNobodyGets(ctx, t, c, tokens)
	put("after all were restarted")
}

// wantNobodyGets fails the test unless every lock is denied, and held by its token.
func wantNobodyGets(ctx context.Context, t *testing.T, c *redis.Client, tokens map[string]string) {
	t.Helper()
	for name, token := range tokens {
		wantHeld(t, c, name)
		wantHolder(t, c, name, token)
	}
}
