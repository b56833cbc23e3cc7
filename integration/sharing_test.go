package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"
)

// Contenders whose locks are more than a token: held by several readers or by one
// writer, as Symfony's are, and two names by one script, as redlock's are.

// sharing locks by scripts that keep all who hold a lock in one sorted set, each
// with its end as the score: readers beside each other, or one writer.
type sharing struct{ proxied }

// now is the time in ms by the server's clock, as Symfony asks for it, and purges
// whoever is over.
const now = `
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now)
`

// stay lets the lock last as long as the last of its holders.
const stay = `
redis.call("ZADD", KEYS[1], now + ARGV[2], ARGV[1])
if redis.call("PTTL", KEYS[1]) < tonumber(ARGV[2]) then redis.call("PEXPIRE", KEYS[1], ARGV[2]) end
return 1
`

var (
	enterToWrite = redis.NewScript(now + `if redis.call("ZCARD", KEYS[1]) > 0 then return 0 end` + stay)
	enterToRead  = redis.NewScript(now + `
for _, holder in ipairs(redis.call("ZRANGE", KEYS[1], 0, -1)) do
	if string.sub(holder, 1, 2) == "w:" then return 0 end
end` + stay)
	stayLonger = redis.NewScript(now + `if not redis.call("ZSCORE", KEYS[1], ARGV[1]) then return 0 end` + stay)
	leave      = redis.NewScript(`return redis.call("ZREM", KEYS[1], ARGV[1])`)
)

func (s sharing) acquire(ctx context.Context, name, token string, ttl time.Duration) (grip, error) {
	g, enter := sharedGrip{s.proxied, name, "r:" + token}, enterToRead
	if rand.IntN(3) == 0 {
		g.holder, enter = "w:"+token, enterToWrite
	}
	_, err := g.p.run(ctx, enter, errDenied, []string{name}, g.holder, ttl.Milliseconds())
	return g, err
}

// run runs a script that answers 0 for no.
func (p proxied) run(ctx context.Context, script *redis.Script, no error, names []string, args ...any) (again bool, err error) {
	return p.ask(ctx, func(c *redis.Client) error {
		n, err := script.Run(ctx, c, names, args...).Int()
		if err == nil && n == 0 {
			err = no
		}
		return err
	})
}

type sharedGrip struct {
	p            proxied
	name, holder string
}

func (sharedGrip) fence() int64 { return 0 }

func (sharedGrip) until(sent time.Time, ttl time.Duration) time.Time { return sent.Add(ttl) }

func (g sharedGrip) shared() bool { return g.holder[0] == 'r' }

func (g sharedGrip) extend(ctx context.Context, ttl time.Duration) error {
	_, err := g.p.run(ctx, stayLonger, errLost, []string{g.name}, g.holder, ttl.Milliseconds())
	return err
}

func (g sharedGrip) release(ctx context.Context) error {
	again, err := g.p.run(ctx, leave, errLost, []string{g.name}, g.holder)
	if again && err == errLost {
		return errUnsure
	}
	return err
}

// pairing locks two of its names by one script: both or none.
type pairing struct {
	proxied
	locks []string
}

var (
	takeBoth = redis.NewScript(`
for _, name in ipairs(KEYS) do
	if redis.call("EXISTS", name) == 1 then return 0 end
end
for _, name in ipairs(KEYS) do redis.call("SET", name, ARGV[1], "PX", ARGV[2]) end
return #KEYS`)
	extendBoth = redis.NewScript(`
for _, name in ipairs(KEYS) do
	if redis.call("GET", name) ~= ARGV[1] then return 0 end
end
for _, name in ipairs(KEYS) do redis.call("PEXPIRE", name, ARGV[2]) end
return #KEYS`)
	dropBoth = redis.NewScript(`
local dropped = 0
for _, name in ipairs(KEYS) do
	if redis.call("GET", name) == ARGV[1] then dropped = dropped + redis.call("DEL", name) end
end
return dropped`)
	countBoth = redis.NewScript(`
local held = 0
for _, name in ipairs(KEYS) do
	if redis.call("GET", name) == ARGV[1] then held = held + 1 end
end
return held + 1`)
)

func (p pairing) acquire(ctx context.Context, name, token string, ttl time.Duration) (grip, error) {
	other := p.locks[rand.IntN(len(p.locks))]
	for other == name {
		other = p.locks[rand.IntN(len(p.locks))]
	}
	g := pairedGrip{p.proxied, []string{name, other}, token}
	sent := time.Now()
	again, err := p.run(ctx, takeBoth, errDenied, g.names, token, ttl.Milliseconds())
	switch {
	case err == errDenied && !again:
		// What had one of them is being undone, and who can't see all stores takes it for
		// held until it is.
		for time.Since(sent) < 2*time.Second && g.check(ctx, 0, sent, time.Hour, err) != err {
		}
		return g, g.check(ctx, 0, sent, time.Hour, err)
	case err == nil && !again:
		return g, g.check(ctx, len(g.names), sent, ttl, nil)
	}
	return g, err
}

type pairedGrip struct {
	p     proxied
	names []string
	token string
}

// check looks how many of the names the token has, and returns errHalf if that is
// not as it must be, else err. Nothing is to be seen where nobody answers, or once
// the lease may be over.
func (g pairedGrip) check(ctx context.Context, want int, sent time.Time, ttl time.Duration, err error) error {
	held := 0
	_, failed := g.p.ask(ctx, func(c *redis.Client) error {
		n, err := countBoth.Run(ctx, c, g.names, g.token).Int()
		held = n - 1
		return err
	})
	if failed == nil && held != want && time.Since(sent) < ttl {
		return fmt.Errorf("%w: %d, want %d", errHalf, held, want)
	}
	return err
}

// errHalf reports that a script has done a part of what it should.
var errHalf = errors.Join(errPromise, errors.New("of two names that are taken together only one was"))

func (pairedGrip) fence() int64 { return 0 }

func (pairedGrip) until(sent time.Time, ttl time.Duration) time.Time { return sent.Add(ttl) }

func (g pairedGrip) holds() []string { return g.names }

func (g pairedGrip) extend(ctx context.Context, ttl time.Duration) error {
	_, err := g.p.run(ctx, extendBoth, errLost, g.names, g.token, ttl.Milliseconds())
	return err
}

// release must drop both.
func (g pairedGrip) release(ctx context.Context) error {
	dropped := 0
	again, err := g.p.ask(ctx, func(c *redis.Client) error {
		n, err := dropBoth.Run(ctx, c, g.names, g.token).Int()
		dropped = n
		return err
	})
	switch {
	case err != nil:
		return err
	case again && dropped < len(g.names):
		return errUnsure
	case dropped < len(g.names):
		return errLost
	}
	return nil
}
