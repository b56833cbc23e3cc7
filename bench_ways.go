package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-redsync/redsync/v4"
	redsyncpool "github.com/go-redsync/redsync/v4/redis"
	redsyncgoredis "github.com/go-redsync/redsync/v4/redis/goredis/v9"
	redsyncrueidis "github.com/go-redsync/redsync/v4/redis/rueidis"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidiscompat"
)

// benchPatience is how long a reply may take, and a connection.
const benchPatience = 5 * time.Second

// releaseScript is how lock libraries release.
const releaseScript = `if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end`

// A way is one way to lock, for one caller or for many.
type way interface {
	// acquire asks for a lock once. It returns how to release it, nil if somebody
	// else holds it.
	acquire(ctx context.Context, name, token string, ttl time.Duration) (release func(context.Context) error, err error)
}

// errNotHeld reports that a lock was gone when it was to be released.
var errNotHeld = errors.New("released a lock that was not held any more")

// pooled asks by go-redis, whose connections carry one request at a time.
type pooled struct{ *goredis.Client }

var pooledRelease = goredis.NewScript(releaseScript)

func (p pooled) acquire(ctx context.Context, name, token string, ttl time.Duration) (func(context.Context) error, error) {
	err := p.SetArgs(ctx, name, token, goredis.SetArgs{Mode: "NX", TTL: ttl}).Err()
	if err != nil {
		return nil, unless(err, goredis.Nil)
	}
	return func(ctx context.Context) error {
		n, err := pooledRelease.Run(ctx, p, []string{name}, token).Int()
		return released(n, err)
	}, nil
}

// multiplexed asks by rueidis, whose connection carries all that is asked.
type multiplexed struct{ rueidis.Client }

var multiplexedRelease = rueidis.NewLuaScript(releaseScript)

func (m multiplexed) acquire(ctx context.Context, name, token string, ttl time.Duration) (func(context.Context) error, error) {
	err := m.Do(ctx, m.B().Set().Key(name).Value(token).Nx().PxMilliseconds(ttl.Milliseconds()).Build()).Error()
	if err != nil {
		if rueidis.IsRedisNil(err) {
			err = nil
		}
		return nil, err
	}
	return func(ctx context.Context) error {
		n, err := multiplexedRelease.Exec(ctx, m.Client, []string{name}, []string{token}).AsInt64()
		return released(int(n), err)
	}, nil
}

func released(n int, err error) error {
	if err == nil && n != 1 {
		err = errNotHeld
	}
	return err
}

func unless(err, fine error) error {
	if errors.Is(err, fine) {
		return nil
	}
	return err
}

// redlock asks several stores by redsync, which makes the token itself.
type redlock struct{ *redsync.Redsync }

func (r redlock) acquire(ctx context.Context, name, _ string, ttl time.Duration) (func(context.Context) error, error) {
	m := r.NewMutex(name, redsync.WithExpiry(ttl), redsync.WithTries(1))
	if err := m.LockContext(ctx); err != nil {
		var taken *redsync.ErrTaken
		if errors.As(err, &taken) {
			err = nil
		}
		return nil, err
	}
	return func(ctx context.Context) error {
		ok, err := m.UnlockContext(ctx)
		if err == nil && !ok {
			err = errNotHeld
		}
		return err
	}, nil
}

// openWays returns a way to a server for each connection, or one for all of them.
func (o benchOptions) openWays(text string) (ways []way, closers []func(), err error) {
	if o.pipeline == 1 {
		c, err := o.pool(text)
		if err != nil {
			return nil, nil, err
		}
		return []way{pooled{c}}, []func(){func() { _ = c.Close() }}, nil
	}
	for range o.conns {
		c, err := multiplex(text)
		if err != nil {
			return nil, closers, err
		}
		ways, closers = append(ways, multiplexed{c}), append(closers, c.Close)
	}
	return ways, closers, nil
}

// openRedlock returns a way to all stores for each connection to them, or one for
// all connections. Its clients are those of the other ways.
func (o benchOptions) openRedlock() (ways []way, closers []func(), err error) {
	pools := make([][]redsyncpool.Pool, 1)
	if o.pipeline > 1 {
		pools = make([][]redsyncpool.Pool, o.conns)
	}
	for _, text := range o.direct {
		for i := range pools {
			if o.pipeline == 1 {
				c, err := o.pool(text)
				if err != nil {
					return nil, closers, err
				}
				pools[i] = append(pools[i], redsyncgoredis.NewPool(c))
				closers = append(closers, func() { _ = c.Close() })
				continue
			}
			c, err := multiplex(text)
			if err != nil {
				return nil, closers, err
			}
			pools[i] = append(pools[i], redsyncrueidis.NewPool(rueidiscompat.NewAdapter(c)))
			closers = append(closers, c.Close)
		}
	}
	for _, all := range pools {
		ways = append(ways, redlock{redsync.New(all...)})
	}
	return ways, closers, nil
}

// dialOptions reads host:port, or a URL. Its error does not tell the password.
func dialOptions(text string) (*goredis.Options, error) {
	if !strings.Contains(text, "://") {
		if _, _, err := net.SplitHostPort(text); err != nil {
			return nil, fmt.Errorf("%q: want host:port or redis://host:port", text)
		}
		return &goredis.Options{Addr: text}, nil
	}
	o, err := goredis.ParseURL(text)
	if err != nil {
		return nil, errors.New("not a URL of a Redis; want redis://[user:password@]host:port[/db]")
	}
	return o, nil
}

// shown is an address without its password.
func shown(text string) string {
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		return u.Host
	}
	return text
}

// pool returns a client with a connection for each caller.
func (o benchOptions) pool(text string) (*goredis.Client, error) {
	d, err := dialOptions(text)
	if err != nil {
		return nil, err
	}
	d.PoolSize, d.MaxRetries, d.DialerRetries = o.conns, -1, 1
	d.DialTimeout, d.ReadTimeout, d.WriteTimeout, d.PoolTimeout = benchPatience, benchPatience, benchPatience, 2*benchPatience
	return goredis.NewClient(d), nil
}

// multiplex returns a client with one connection, for as many callers as like.
func multiplex(text string) (rueidis.Client, error) {
	d, err := dialOptions(text)
	if err != nil {
		return nil, err
	}
	return rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{d.Addr}, Username: d.Username, Password: d.Password, SelectDB: d.DB, TLSConfig: d.TLSConfig,
		ForceSingleClient: true, PipelineMultiplex: -1, AlwaysPipelining: true, DisableCache: true, DisableRetry: true,
		ConnWriteTimeout: benchPatience, Dialer: net.Dialer{Timeout: benchPatience},
	})
}
