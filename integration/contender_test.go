package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/go-redsync/redsync/v4"
	redsyncredis "github.com/go-redsync/redsync/v4/redis"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"
)

// A contender is a client of one way to lock.
type contender interface {
	// acquire returns a grip on the lock, errDenied if somebody holds it, or
	// another error.
	acquire(ctx context.Context, name, token string, ttl time.Duration) (grip, error)
}

// A grip is a lock that was granted.
type grip interface {
	fence() int64
	// until returns when its holder stops relying on it, if that was last asked
	// for at sent and for so long.
	until(sent time.Time, ttl time.Duration) time.Time
	// Both return errLost if the answer is that the lock is not held by this grip,
	// and it was the first one asked for.
	extend(ctx context.Context, ttl time.Duration) error
	release(ctx context.Context) error
}

// errLost reports that a lock that was held is not held any more.
var errLost = errors.New("it is not held")

// contending is one contender at work.
type contending struct {
	contender
	number  int
	locks   []string
	most    time.Duration // the longest TTL it asks for
	history *history
	start   time.Time
	dice    *rand.Rand // its own
}

func (c contending) run(ctx context.Context) {
	for ctx.Err() == nil {
		c.round(ctx)
		pause(ctx, time.Duration(c.dice.IntN(20))*time.Millisecond)
	}
}

// leastTTL is the shortest that contenders ask for.
const leastTTL = 100 * time.Millisecond

// round acquires a lock, holds it for a while and lets it go, now and then only
// by its TTL.
func (c contending) round(ctx context.Context) {
	// A request goes on when the torture is over: its outcome counts too.
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	h := hold{client: c.number, lock: c.locks[c.dice.IntN(len(c.locks))], token: newToken()}
	ttl := leastTTL + time.Duration(c.dice.Int64N(int64(c.most-leastTTL)))
	ttl = ttl.Truncate(time.Millisecond)
	sent := time.Now()
	g, err := c.acquire(within, h.lock, h.token, ttl)
	got := time.Now()
	if err != nil {
		c.history.refuse(err)
		return
	}
	h.fence, h.sent, h.from = g.fence(), sent.Sub(c.start), got.Sub(c.start)
	if g, ok := g.(interface{ shared() bool }); ok {
		h.shared = g.shared()
	}
	end := g.until(sent, ttl)
	if c.dice.IntN(4) == 0 && pause(ctx, min(ttl/3, time.Until(end))) {
		end = c.extend(within, g, h, ttl, end)
	}
	keep := time.Duration(c.dice.IntN(40)) * time.Millisecond
	if c.dice.IntN(6) == 0 {
		keep = ttl
	}
	pause(ctx, min(keep, time.Until(end)))
	over := time.Now()
	h.end, h.release.sent = end.Sub(c.start), over.Sub(c.start)
	h.to = min(h.release.sent, h.end)
	h.release.outcome = c.release(within, g, h, end)
	h.release.answered = time.Since(c.start)
	all := []string{h.lock}
	if g, ok := g.(interface{ holds() []string }); ok {
		all = g.holds()
	}
	for _, h.lock = range all {
		c.history.add(h)
	}
}

// extend asks for more time, and returns when the hold ends now.
func (c contending) extend(ctx context.Context, g grip, h hold, ttl time.Duration, end time.Time) time.Time {
	sent := time.Now()
	err := g.extend(ctx, ttl)
	switch in := time.Now().Before(end); {
	case in && err == nil:
		return g.until(sent, ttl)
	case in && err == errLost:
		c.history.lose(h, fmt.Sprintf("extended at %v, of %v", sent.Sub(c.start), end.Sub(c.start)))
	}
	return end
}

func (c contending) release(ctx context.Context, g grip, h hold, end time.Time) farewellOutcome {
	switch err := g.release(ctx); err {
	case nil:
		return released
	case errLost:
		if time.Now().Before(end) {
			c.history.lose(h, fmt.Sprintf("released at %v, of %v", h.release.sent, h.end))
		}
		return notHeld
	}
	return unknown
}

// pause waits, and reports whether ctx was done neither before nor meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// proxied locks through the program, or through any of several that are peers, by
// LOCK, or by SET as others do.
type proxied struct {
	ways   []*redis.Client // one to each program
	byLOCK bool
}

// A patience is how long a client waits for a reply before it asks elsewhere; 0
// is what go-redis takes.
func newProxied(t testing.TB, addrs []string, byLOCK bool, patience time.Duration) proxied {
	p := proxied{byLOCK: byLOCK}
	for _, addr := range addrs {
		p.ways = append(p.ways, connect(t, redis.Options{
			Addr: addr, MaxRetries: -1, DialerRetries: 1, PoolSize: undaunted, ReadTimeout: patience,
		}))
	}
	return p
}

// ask asks one program, whichever, and if the connection fails another one. It
// reports whether the last one asked was not the first that may have acted.
func (p proxied) ask(ctx context.Context, request func(*redis.Client) error) (again bool, err error) {
	for _, i := range rand.Perm(len(p.ways)) {
		again = again || err != nil && !errors.Is(err, syscall.ECONNREFUSED)
		if err = request(p.ways[i]); err == nil || answered(err) || ctx.Err() != nil {
			return again, err
		}
	}
	return again, err
}

// answered reports whether an error is what a program said.
func answered(err error) bool {
	var said redis.Error
	return err == errDenied || err == errLost || errors.Is(err, errPromise) || errors.As(err, &said)
}

func (p proxied) acquire(ctx context.Context, name, token string, ttl time.Duration) (grip, error) {
	g := gripped{p: p, name: name, token: token}
	_, err := p.ask(ctx, func(c *redis.Client) error {
		if p.byLOCK {
			granted, err := readGrant(lock(ctx, c, name, token, ttl))
			g.number = granted.fence
			return granted.check(err, ttl)
		}
		ok, err := acquire(ctx, c, name, token, ttl)
		if err == nil && !ok {
			err = errDenied
		}
		return err
	})
	return g, err
}

type gripped struct {
	p           proxied
	name, token string
	number      int64
}

func (g gripped) fence() int64 { return g.number }

// A client that knows nothing of us relies on the whole TTL.
func (g gripped) until(sent time.Time, ttl time.Duration) time.Time {
	if g.p.byLOCK {
		ttl -= drift(ttl)
	}
	return sent.Add(ttl)
}

// drift is what LOCK takes off the TTL for clocks that run apart.
func drift(ttl time.Duration) time.Duration { return ttl/100 + 2*time.Millisecond }

// check returns err, or that more was promised than there can be.
func (g grant) check(err error, ttl time.Duration) error {
	if err == nil && g.validity > ttl-drift(ttl) {
		err = fmt.Errorf("%w: a validity of %v for a TTL of %v", errPromise, g.validity, ttl)
	}
	return err
}

// errPromise reports a reply that promises what cannot be.
var errPromise = errors.New("a promise that can't be kept")

func (g gripped) extend(ctx context.Context, ttl time.Duration) error {
	const script = `if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("pexpire",KEYS[1],ARGV[2]) else return 0 end`
	_, err := g.p.ask(ctx, func(c *redis.Client) error {
		if g.p.byLOCK {
			granted, err := readGrant(c.Do(ctx, "EXTEND", g.name, g.token, "PX", ttl.Milliseconds()))
			if err == errDenied {
				err = errLost
			}
			return granted.check(err, ttl)
		}
		n, err := c.Eval(ctx, script, []string{g.name}, g.token, ttl.Milliseconds()).Int()
		if err == nil && n == 0 {
			err = errLost
		}
		return err
	})
	return err
}

func (g gripped) release(ctx context.Context) error {
	again, err := g.p.ask(ctx, func(c *redis.Client) error {
		ok, err := release(ctx, c, g.name, g.token)
		if err == nil && !ok {
			err = errLost
		}
		return err
	})
	if again && err == errLost {
		return errUnsure
	}
	return err
}

// errUnsure reports that nobody knows which of several requests was carried out.
var errUnsure = errors.New("asked more than once")

// undaunted is a pool's size for clients that find out at once that a server is
// back: after as many failures to connect go-redis tries once a second only.
const undaunted = 1000

// direct locks in the stores themselves, by redsync.
type direct struct{ *redsync.Redsync }

func newDirect(t testing.TB, all []*store) direct {
	var pools []redsyncredis.Pool
	for _, s := range all {
		pools = append(pools, goredis.NewPool(connect(t, redis.Options{
			Addr: s.door(), MaxRetries: -1, DialerRetries: 1, PoolSize: undaunted, ContextTimeoutEnabled: true,
		})))
	}
	return direct{redsync.New(pools...)}
}

func (d direct) acquire(ctx context.Context, name, _ string, ttl time.Duration) (grip, error) {
	m := d.NewMutex(name, redsync.WithExpiry(ttl), redsync.WithTries(1), redsync.WithTimeoutFactor(0.25))
	err := m.LockContext(ctx)
	if _, taken := err.(*redsync.ErrTaken); taken {
		err = errDenied
	}
	return mutex{m}, err
}

type mutex struct{ *redsync.Mutex }

func (mutex) fence() int64 { return 0 }

// Redsync takes the drift off, and its holders go by that.
func (m mutex) until(time.Time, time.Duration) time.Time { return m.Until() }

func (m mutex) extend(ctx context.Context, _ time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, 250*time.Millisecond)
	defer cancel()
	ok, err := m.ExtendContext(ctx)
	return lostUnless(ok, err)
}

func (m mutex) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 250*time.Millisecond)
	defer cancel()
	ok, err := m.UnlockContext(ctx)
	return lostUnless(ok, err)
}

// lostUnless tells what redsync says of a lock from why it could not ask.
func lostUnless(ok bool, err error) error {
	var silent *redsync.RedisError
	switch {
	case ok:
		return nil
	case errors.As(err, &silent):
		return err
	}
	return errLost
}
