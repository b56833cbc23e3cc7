package commands

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// counted counts events of the engine.
type counted struct {
	mu    sync.Mutex
	kinds map[string]int // guarded by mu
}

func (c *counted) happened(kind string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kinds[kind]++
}

func (c *counted) of(kind string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kinds[kind]
}

func TestWhoEndsAnothersLeaseWithoutItsTokenIsToldOf(t *testing.T) {
	events := &counted{kinds: map[string]int{}}
	h := newHouse(t, 3, func(o *Options) { o.Happened, o.Overwrite = events.happened, true })
	holder, other, looker := h.guest(), h.guest(), h.guest()
	looker.ask("subscribe holdfast:events")
	looker.heard()
	other.ask("client setname cleaner")
	release := "eval \"if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end\" 1 k a"
	for _, c := range []struct {
		how   func()
		lines int // about the lock, in so many events
	}{
		{func() { holder.expect([2]string{"del k", yes}) }, 0},
		{func() { other.expect([2]string{"del k none", yes}) }, 1},
		{func() { other.expect([2]string{"unlink k", yes}) }, 1},
		{func() { other.expect([2]string{"getdel k", bulkOf("a")}) }, 1},
		{func() { other.expect([2]string{"delex k", yes}) }, 1},
		{func() { other.expect([2]string{"set k b px 1000", ok}, [2]string{"del k", yes}) }, 1}, // then it is its own
		{func() {
			other.expect([2]string{"set k a px 1000", ok}, [2]string{"set k b xx", ok}, [2]string{"del k", yes})
		}, 1},
		{func() { other.expect([2]string{"mset j 1 k b", ok}, [2]string{"del k j", ":2\r\n"}) }, 1},
		// Who says the token has a right to it, and a script or EXEC has looked.
		{func() { other.expect([2]string{"unlock k a", yes}) }, 0},
		{func() { other.expect([2]string{"delifeq k a", yes}) }, 0},
		{func() { other.expect([2]string{"delex k ifeq a", yes}) }, 0},
		{func() { other.expect([2]string{release, yes}) }, 0},
		{func() {
			other.expect([2]string{"watch k", ok}, [2]string{"multi", ok}, [2]string{"del k", "+QUEUED\r\n"}, [2]string{"exec", arrayOf(yes)})
		}, 0},
		{func() {
			holder.expect([2]string{"pexpire k 20000", yes})
			other.ask("pexpire k 10000")
			holder.ask("del k")
		}, 0},
		{func() { h.clock.pass(2 * time.Hour); other.expect([2]string{"del k", no}) }, 0},
	} {
		holder.expect([2]string{"set k a nx px 10000", ok})
		before := events.of(takenOutKind)
		c.how()
		if got := events.of(takenOutKind) - before; got != c.lines {
			t.Errorf("%d events, want %d", got, c.lines)
		}
		heard := ""
		h.await("the events", func() bool {
			heard += looker.heard()
			return strings.Count(heard, takenOutKind) >= c.lines
		})
		if c.lines > 0 && !strings.Contains(heard, `"lock":"k","why":"connection 2 from 10.0.0.1:50002 (cleaner) ended by `) {
			t.Errorf("heard %q, want who ended what", heard)
		}
	}
}

func TestALeaseOfSomebodyElseIsTakenOutAsWell(t *testing.T) {
	events := &counted{kinds: map[string]int{}}
	h := newHouse(t, 3, func(o *Options) { o.Happened = events.happened })
	g := h.guest()
	h.plant(3, "k", "direct")
	g.expect([2]string{"get k", bulkOf("direct")}, [2]string{"del k", yes}, [2]string{"get k", null2})
	if got := events.of(takenOutKind); got != 1 {
		t.Errorf("%d events, want 1", got)
	}
}

func TestSetTakesALockWhereThatIsAllowed(t *testing.T) {
	for _, stores := range []int{0, 3} {
		h := newHouse(t, stores, func(o *Options) { o.Overwrite = true })
		holder, other := h.guest(), h.guest()
		holder.expect([2]string{"set k a px 10000", ok})
		before := holder.fence("k")
		other.expect(
			[2]string{"set k b", ok}, [2]string{"get k", bulkOf("b")}, [2]string{"ttl k", ":3600\r\n"},
			[2]string{"set k c nx", null2}, [2]string{"getset k c", bulkOf("b")}, [2]string{"setex k 10 d", ok}, [2]string{"pttl k", ":10000\r\n"},
			[2]string{"mset k e j 1", ok}, [2]string{"set k f xx keepttl", ok}, [2]string{"mget k j", arrayOf(bulkOf("f"), bulkOf("1"))},
			[2]string{"hset h f v", yes}, [2]string{"set h x px 5000", ok}, [2]string{"type h", "+string\r\n"},
		)
		if after := other.fence("k"); after == before {
			t.Errorf("the fencing token is still %s for another holder", after)
		}
		holder.expect([2]string{"unlock k a", no})
		if stores > 0 {
			h.plant(3, "direct", "theirs")
			other.expect([2]string{"set direct ours px 10000", ok}, [2]string{"get direct", bulkOf("ours")})
		}
	}
}
