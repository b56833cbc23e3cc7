package integration

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bsm/redislock"
	"github.com/go-redsync/redsync/v4"
	redsyncredis "github.com/go-redsync/redsync/v4/redis"
	redsyncgoredis "github.com/go-redsync/redsync/v4/redis/goredis/v9"
	redsyncredigo "github.com/go-redsync/redsync/v4/redis/redigo"
	redsyncrueidis "github.com/go-redsync/redsync/v4/redis/rueidis"
	"github.com/gomodule/redigo/redis"
	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidiscompat"

	"holdfast/quorum/storetest"
)

// A goMutex is what a library makes of one lock. Each method reports whether the
// library says that it did what it should; an error that is no such answer fails
// the test.
type goMutex struct {
	acquire func() bool // one try
	wait    func() bool // as many as it takes
	extend  func() bool
	release func() bool
}

// A goLibrary makes mutexes: each is another holder, of a connection of its own.
type goLibrary func(t *testing.T, addr, name string, ttl time.Duration) goMutex

// goLibraries are libraries of Go that lock through one server, as their users
// set them up.
var goLibraries = map[string]goLibrary{
	"redsync by go-redis": func(t *testing.T, addr, name string, ttl time.Duration) goMutex {
		return redsyncMutex(t, redsyncgoredis.NewPool(dial(t, addr)), name, ttl)
	},
	"redsync by redigo": func(t *testing.T, addr, name string, ttl time.Duration) goMutex {
		pool := &redis.Pool{DialContext: func(ctx context.Context) (redis.Conn, error) { return redis.DialContext(ctx, "tcp", addr) }}
		t.Cleanup(func() { pool.Close() })
		return redsyncMutex(t, redsyncredigo.NewPool(pool), name, ttl)
	},
	"redsync by rueidis": func(t *testing.T, addr, name string, ttl time.Duration) goMutex {
		return redsyncMutex(t, redsyncrueidis.NewPool(rueidiscompat.NewAdapter(dialRueidis(t, addr))), name, ttl)
	},
	"redislock": redislockMutex,
}

func dialRueidis(t *testing.T, addr string) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}})
	if err != nil {
		t.Fatalf("dial with rueidis: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

func redsyncMutex(t *testing.T, pool redsyncredis.Pool, name string, ttl time.Duration) goMutex {
	// Of the time it gives a server by default, a slow machine needs more.
	m := redsync.New(pool).NewMutex(name, redsync.WithExpiry(ttl), redsync.WithTimeoutFactor(0.5), redsync.WithTries(10000), redsync.WithRetryDelay(2*time.Millisecond))
	said := func(ok bool, err error) bool {
		var taken *redsync.ErrTaken
		if err != nil && !errors.As(err, &taken) && !errors.Is(err, redsync.ErrExtendFailed) && !errors.Is(err, redsync.ErrLockAlreadyExpired) {
			t.Errorf("redsync: %v", err)
		}
		return ok && err == nil
	}
	return goMutex{
		acquire: func() bool { return said(true, m.TryLockContext(t.Context())) },
		wait:    func() bool { return said(true, m.LockContext(t.Context())) },
		extend:  func() bool { return said(m.ExtendContext(t.Context())) },
		release: func() bool { return said(m.UnlockContext(t.Context())) },
	}
}

func redislockMutex(t *testing.T, addr, name string, ttl time.Duration) goMutex {
	c, ctx := redislock.New(dial(t, addr)), t.Context()
	var held *redislock.Lock
	obtain := func(o *redislock.Options) bool {
		l, err := c.Obtain(ctx, name, ttl, o)
		if err == nil {
			held = l
		} else if !errors.Is(err, redislock.ErrNotObtained) {
			t.Errorf("redislock: %v", err)
		}
		return err == nil
	}
	said := func(err error) bool {
		if err != nil && !errors.Is(err, redislock.ErrNotObtained) && !errors.Is(err, redislock.ErrLockNotHeld) {
			t.Errorf("redislock: %v", err)
		}
		return err == nil
	}
	return goMutex{
		acquire: func() bool { return obtain(nil) },
		wait: func() bool {
			return obtain(&redislock.Options{RetryStrategy: redislock.LinearBackoff(2 * time.Millisecond)})
		},
		extend:  func() bool { return said(held.Refresh(ctx, ttl, nil)) },
		release: func() bool { return said(held.Release(ctx)) },
	}
}

// eachKind runs a test with a holdfast on its own, and with one over stores of
// two kinds.
func eachKind(t *testing.T, test func(t *testing.T, addr string)) {
	t.Parallel()
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		test(t, startHoldfast(t).addr)
	})
	t.Run("over stores", func(t *testing.T) {
		t.Parallel()
		test(t, startHoldfast(t, flags(startStores(t, "redis", "redis", "memcached"))...).addr)
	})
}

func want(t *testing.T, what string, got, want bool) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %t, want %t", what, got, want)
	}
}

func TestGoLibrariesLockAsThroughRedis(t *testing.T) {
	eachKind(t, func(t *testing.T, addr string) {
		for name, library := range goLibraries {
			t.Run(name, func(t *testing.T) {
				a, b := library(t, addr, name, 20*time.Second), library(t, addr, name, 20*time.Second)
				want(t, "acquire", a.acquire(), true)
				want(t, "acquire what another holds", b.acquire(), false)
				want(t, "extend", a.extend(), true)
				want(t, "acquire what was extended", b.acquire(), false)
				want(t, "release", a.release(), true)
				want(t, "release again", a.release(), false)
				want(t, "acquire what was released", b.acquire(), true)
				want(t, "extend what another holds now", a.extend(), false)
				want(t, "release what another holds now", a.release(), false)
				want(t, "extend after that", b.extend(), true)
				want(t, "release after that", b.release(), true)

				short := name + ", short"
				a, b = library(t, addr, short, time.Second), library(t, addr, short, 20*time.Second)
				want(t, "acquire for a moment", a.acquire(), true)
				want(t, "acquire before that is over", b.acquire(), false)
				storetest.Eventually(t, "the lease is over", b.acquire)
				want(t, "extend what is over", a.extend(), false)
				want(t, "release what is over", a.release(), false)
				want(t, "extend after that", b.extend(), true)
			})
		}
	})
}

// A counter is what a lock guards: without it, updates get lost.
type counter struct{ n atomic.Int64 }

// add does not add atomically.
func (c *counter) add() {
	n := c.n.Load()
	for range 100 {
		runtime.Gosched() // time enough for others who believe to hold the lock
	}
	c.n.Store(n + 1)
}

const workers, rounds = 8, 10

func TestGoLibrariesLoseNoUpdate(t *testing.T) {
	eachKind(t, func(t *testing.T, addr string) {
		for name, library := range goLibraries {
			t.Run(name, func(t *testing.T) {
				var guarded counter
				var all sync.WaitGroup
				for range workers {
					m := library(t, addr, name+", contended", time.Minute)
					all.Go(func() {
						for range rounds {
							if !m.wait() {
								t.Error("a worker was not granted the lock in all its tries")
								return
							}
							guarded.add()
							if !m.release() {
								t.Error("a worker lost the lock")
							}
						}
					})
				}
				all.Wait()
				if got := guarded.n.Load(); got != workers*rounds {
					t.Errorf("%d updates are left of %d", got, workers*rounds)
				}
			})
		}
	})
}

func TestRedislockTakesSeveralNamesOrNone(t *testing.T) {
	eachKind(t, func(t *testing.T, addr string) {
		c, ctx := redislock.New(dial(t, addr)), t.Context()
		single, err := c.Obtain(ctx, "b", time.Minute, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.ObtainMulti(ctx, []string{"a", "b", "c"}, time.Minute, nil); !errors.Is(err, redislock.ErrNotObtained) {
			t.Errorf("obtain three of which one is held: %v", err)
		}
		wantFree(t, dial(t, addr), "a")
		if err := single.Release(ctx); err != nil {
			t.Error(err)
		}
		all, err := c.ObtainMulti(ctx, []string{"a", "b", "c"}, time.Minute, nil)
		if err != nil {
			t.Fatalf("obtain three that are free: %v", err)
		}
		if err := all.Refresh(ctx, 2*time.Minute, nil); err != nil {
			t.Errorf("refresh three: %v", err)
		}
		if left, err := all.TTL(ctx); err != nil || left < time.Minute {
			t.Errorf("TTL of three: %v, %v", left, err)
		}
		if _, err := c.Obtain(ctx, "c", time.Minute, nil); !errors.Is(err, redislock.ErrNotObtained) {
			t.Errorf("obtain one of them: %v", err)
		}
		if err := all.Release(ctx); err != nil {
			t.Errorf("release three: %v", err)
		}
		for _, name := range []string{"a", "b", "c"} {
			wantFree(t, dial(t, addr), name)
		}
	})
}
