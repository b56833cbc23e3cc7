package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
	until(byTTL time.Time) time.Time // when its holder stops relying on it
	// Both return errLost if the answer is that the lock is not held by this grip.
	extend(ctx context.Context, ttl time.Duration) error
	release(ctx context.Context) error
}

// errLost reports that a lock that was held is not held any more.
var errLost = errors.New("it is not held")

// contending is one contender at work.
type contending struct {
	contender
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

// round acquires a lock, holds it for a while and lets it go, now and then only
// by its TTL.
func (c contending) round(ctx context.Context) {
	// A request goes on when the torture is over: its outcome counts too.
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	name := fmt.Sprintf("torture:%d", c.dice.IntN(tortureLocks))
	token, ttl := newToken(), 100*time.Millisecond+time.Duration(c.dice.IntN(600))*time.Millisecond
	sent := time.Now()
	g, err := c.acquire(within, name, token, ttl)
	got := time.Now()
	if err != nil {
		c.history.refuse(err)
		return
	}
	end := g.until(sent.Add(ttl))
	if c.dice.IntN(4) == 0 && pause(ctx, min(ttl/3, time.Until(end))) {
		sent := time.Now()
		err := g.extend(within, ttl)
		switch in := time.Now().Before(end); {
		case in && err == nil:
			end = g.until(sent.Add(ttl))
		case in && err == errLost:
			c.history.lose(name, token)
		}
	}
	keep := time.Duration(c.dice.IntN(40)) * time.Millisecond
	if c.dice.IntN(6) == 0 {
		keep = ttl
	}
	pause(ctx, min(keep, time.Until(end)))
	over := time.Now()
	if over.After(end) {
		over = end
	}
	c.history.add(hold{lock: name, token: token, fence: g.fence(), from: got.Sub(c.start), to: over.Sub(c.start)})
	if err := g.release(within); err == errLost && time.Now().Before(end) {
		c.history.lose(name, token)
	}
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

// proxied locks through the program: by LOCK, or by SET as others do.
type proxied struct {
	c      *redis.Client
	byLOCK bool
}

func (p proxied) acquire(ctx context.Context, name, token string, ttl time.Duration) (grip, error) {
	g := gripped{p: p, name: name, token: token}
	if p.byLOCK {
		granted, err := readGrant(lock(ctx, p.c, name, token, ttl))
		g.number = granted.fence
		return g, err
	}
	ok, err := acquire(ctx, p.c, name, token, ttl)
	if err == nil && !ok {
		err = errDenied
	}
	return g, err
}

type gripped struct {
	p           proxied
	name, token string
	number      int64
}

func (g gripped) fence() int64 { return g.number }

// A client that knows nothing of us relies on the whole TTL.
func (g gripped) until(byTTL time.Time) time.Time { return byTTL }

func (g gripped) extend(ctx context.Context, ttl time.Duration) error {
	if g.p.byLOCK {
		_, err := readGrant(g.p.c.Do(ctx, "EXTEND", g.name, g.token, "PX", ttl.Milliseconds()))
		if err == errDenied {
			err = errLost
		}
		return err
	}
	const script = `if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("pexpire",KEYS[1],ARGV[2]) else return 0 end`
	n, err := g.p.c.Eval(ctx, script, []string{g.name}, g.token, ttl.Milliseconds()).Int()
	if err == nil && n == 0 {
		err = errLost
	}
	return err
}

func (g gripped) release(ctx context.Context) error {
	ok, err := release(ctx, g.p.c, g.name, g.token)
	if err == nil && !ok {
		err = errLost
	}
	return err
}

// direct locks in the stores themselves, by redsync.
type direct struct{ *redsync.Redsync }

func newDirect(t testing.TB, all []*store) direct {
	var pools []redsyncredis.Pool
	for _, s := range all {
		pools = append(pools, goredis.NewPool(connect(t, redis.Options{
			Addr: s.Addr(), MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
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
func (m mutex) until(time.Time) time.Time { return m.Until() }

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
