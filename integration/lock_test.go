package integration

import (
	"errors"
	"net"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"

	"holdfast/quorum/storetest"
)

// A locker is one way to ask for a lock. Each method reports whether the answer
// was the one that means yes.
type locker struct {
	acquire func(name, token string, seconds int) bool
	renew   func(name, token string, seconds int) bool
	release func(name, token string) bool
}

const compareAndExpire = `if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("expire",KEYS[1],ARGV[2]) else return 0 end`

func goRedis(t *testing.T, addr string) locker {
	c, ctx := dial(t, addr), t.Context()
	return locker{
		acquire: func(name, token string, seconds int) bool {
			ok, err := c.SetNX(ctx, name, token, time.Duration(seconds)*time.Second).Result()
			if err != nil {
				t.Errorf("SetNX: %v", err)
			}
			return ok
		},
		renew: func(name, token string, seconds int) bool {
			n, err := redis.NewScript(compareAndExpire).Run(ctx, c, []string{name}, token, seconds).Int()
			if err != nil {
				t.Errorf("renew by script: %v", err)
			}
			return n == 1
		},
		release: func(name, token string) bool {
			ok, err := release(ctx, c, name, token)
			if err != nil {
				t.Errorf("release by script: %v", err)
			}
			return ok
		},
	}
}

func redisCLI(t *testing.T, addr string) locker {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatalf("split %q: %v", addr, err)
	}
	says := func(want string, words ...string) bool {
		t.Helper()
		o := execute(t, "", "redis-cli", append([]string{"-h", host, "-p", port}, words...)...)
		if o.err != "" || o.status != 0 {
			t.Errorf("redis-cli %q: exit status %d, %s", words, o.status, o.err)
		}
		return o.out == want+"\n"
	}
	return locker{
		acquire: func(name, token string, seconds int) bool {
			return says("OK", "SET", name, token, "NX", "EX", strconv.Itoa(seconds))
		},
		renew: func(name, token string, seconds int) bool {
			return says("(integer) 1", "EVAL", compareAndExpire, "1", name, token, strconv.Itoa(seconds))
		},
		release: func(name, token string) bool {
			return says("(integer) 1", "EVAL", compareAndDelete, "1", name, token)
		},
	}
}

// copyShape is what a store keeps: the token, the fence and the version.
var copyShape = regexp.MustCompile(`^(\w+)~([0-9a-f]{16})\.([0-9a-f]{16})$`)

func TestALockStandsInEveryStoreAtOnce(t *testing.T) {
	t.Parallel()
	all := startStores(t, "redis", "redis", "memcached")
	p := startHoldfast(t, flags(all)...)
	for by, dialed := range map[string]func(*testing.T, string) locker{"go-redis": goRedis, "redis-cli": redisCLI} {
		t.Run(by, func(t *testing.T) {
			l, name, token := dialed(t, p.addr), "orders:"+by, newToken()
			if !l.acquire(name, token, 30) {
				t.Fatalf("acquire: denied, want it granted")
			}
			first := wantCopies(t, all, name, token, 30*time.Second, nil)
			if l.acquire(name, newToken(), 30) {
				t.Errorf("acquire a lock that is held: granted")
			}
			if l.renew(name, newToken(), 90) {
				t.Errorf("renew with another token: granted")
			}
			if l.release(name, newToken()) {
				t.Errorf("release with another token: released")
			}
			if !l.renew(name, token, 90) {
				t.Errorf("renew: denied, want it granted")
			}
			wantCopies(t, all, name, token, 90*time.Second, first)
			if !l.release(name, token) {
				t.Errorf("release: denied, want it granted")
			}
			everywhere(t, name+" is gone", all, func(s *store) bool { return s.empty(name) })
			if l.release(name, token) {
				t.Errorf("release it again: released")
			}
		})
	}
}

// wantCopies waits until every store has the same copy, fails the test unless it
// looks as it should, and returns its parts. If there is an earlier one, the
// fence must be of that and the version later.
func wantCopies(t *testing.T, all []*store, name, token string, ttl time.Duration, earlier []string) []string {
	t.Helper()
	var parts []string
	for _, s := range all {
		storetest.Eventually(t, name+" has a copy in "+s.url(), func() bool {
			value, left, ok := s.look(name)
			found := copyShape.FindStringSubmatch(value)
			if !ok || earlier != nil && value == earlier[0] {
				return false // not yet
			}
			if found == nil || found[1] != token {
				t.Fatalf("%s has %q under %q, want %s~<fence>.<version>", s.url(), value, name, token)
			}
			if parts != nil && value != parts[0] {
				t.Errorf("%s has %q under %q, another has %q", s.url(), value, name, parts[0])
			}
			parts = found
			// Redis counts in milliseconds, memcached in seconds and one more.
			if left < ttl-5*time.Second || left > ttl+2*time.Second {
				t.Errorf("%s keeps %q for %v, want about %v", s.url(), name, left, ttl)
			}
			return true
		})
	}
	if earlier != nil && (parts[2] != earlier[2] || parts[3] <= earlier[3]) {
		t.Errorf("%s was renewed from %v to %v, want the same fence and a later version", name, earlier[2:], parts[2:])
	}
	return parts
}

func TestRedsyncLocksThroughUs(t *testing.T) {
	t.Parallel()
	all := startStores(t, "redis", "redis", "memcached")
	p := startHoldfast(t, flags(all)...)
	pool := goredis.NewPool(dial(t, p.addr))
	mutex := func() *redsync.Mutex {
		return redsync.New(pool).NewMutex("orders", redsync.WithExpiry(20*time.Second), redsync.WithTries(2), redsync.WithRetryDelay(time.Millisecond))
	}
	first, second := mutex(), mutex()
	if err := first.Lock(); err != nil {
		t.Fatalf("lock: %v", err)
	}
	everywhere(t, "the mutex is a lock", all, func(s *store) bool { return s.has("orders", first.Value()) })
	var taken *redsync.ErrTaken
	if err := second.Lock(); !errors.As(err, &taken) {
		t.Errorf("lock what is locked: %v, want that it is taken", err)
	}
	before := first.Until()
	if ok, err := first.Extend(); !ok || err != nil || !first.Until().After(before) {
		t.Errorf("extend: %t, %v, until %v, want it later than %v", ok, err, first.Until(), before)
	}
	if ok, err := first.Unlock(); !ok || err != nil {
		t.Errorf("unlock: %t, %v, want it unlocked", ok, err)
	}
	if ok, err := first.Unlock(); ok || !errors.Is(err, redsync.ErrLockAlreadyExpired) {
		t.Errorf("unlock again: %t, %v, want that it is over", ok, err)
	}
	if err := second.Lock(); err != nil {
		t.Errorf("lock what was unlocked: %v", err)
	}
}

func TestMemcachedLetsALeaseGoAtItsEnd(t *testing.T) {
	t.Parallel()
	all := startStores(t, "memcached")
	p := startHoldfast(t, flags(all)...)
	c, m, lease := strict(t, p.addr), all[0], 1500*time.Millisecond
	sent := time.Now()
	token := mustAcquire(t, c, "orders", lease)
	if _, left, ok := m.look("orders"); !m.has("orders", token) || !ok || left <= lease {
		t.Errorf("%s has the lock: %t, for %v, want longer than its lease of %v", m.url(), ok, left, lease)
	}
	storetest.Eventually(t, "the copy is gone", func() bool { return m.empty("orders") })
	if stayed := time.Since(sent); stayed < lease {
		t.Errorf("the copy of a lease of %v was gone after %v", lease, stayed)
	}
	// Its own time would have run out in a moment: it was us who took it out.
	if n := m.count("get_expired"); n != 0 {
		t.Errorf("memcached counts %d copies that went at their own time, want 0", n)
	}
	mustAcquire(t, c, "orders", lease)
}
