package commands

import (
	"slices"
	"strings"
	"testing"

	"holdfast/quorum/storetest"
)

// kinds make a lock, k, of each type there is.
var kinds = map[string]string{
	"nothing":      "ping",
	"a string":     "set k token px 100000",
	"a number":     "set k 41 px 100000",
	"a hash":       "hset k f 1 g x",
	"a sorted set": "zadd k 1 a 2.5 b",
	"a list":       "rpush k a b c",
	"a set":        "sadd k 1 2 3",
}

// onAny are command lines that are tried on a lock of each type.
var onAny = []string{
	"set k other nx", "set k other nx px 1000", "set k other nx get", "set k other xx get", "setnx k other", "get k", "getdel k", "getex k", "getex k px 5000", "getex k exat 1", "strlen k", "getrange k 0 1", "substr k 0 -1",
	"append k x", "setrange k 1 x", "incr k", "decr k", "incrby k 5", "decrby k 5", "incrbyfloat k 0.5", "mget k none", "msetnx k 1 j 2", "exists k", "type k", "del k", "unlink k none", "persist k",
	"expire k 100", "expire k 100 nx", "expire k 100 xx", "expire k 200 gt", "expire k 50 lt", "expire k 0", "pexpire k 100000", "pexpireat k 1", "expireat k 99999999999 gt", "object encoding none", "object refcount k",
	"hset k f 2", "hset k f 2 new 3", "hmset k f 2", "hsetnx k f 2", "hsetnx k new 2", "hget k f", "hget k none", "hmget k f none", "hgetall k", "hdel k f", "hdel k f g", "hexists k f", "hincrby k f 2", "hincrby k g 2", "hincrby k new 2", "hincrbyfloat k f 0.5", "hkeys k", "hvals k", "hlen k", "hstrlen k g", "hscan k 0",
	"zadd k 1 c", "zadd k xx 9 a", "zadd k nx 9 a", "zadd k gt ch 9 a", "zadd k incr 1 a", "zincrby k 1 a", "zrem k a", "zrem k a b", "zscore k a", "zscore k none", "zmscore k a none", "zcard k", "zcount k -inf 2", "zcount k (1 +inf", "zrange k 0 -1", "zrange k 0 -1 withscores", "zrange k 0 -1 rev withscores", "zrevrange k 0 -1 withscores", "zrangebyscore k -inf +inf", "zrangebyscore k (1 3 withscores limit 0 1", "zrevrangebyscore k +inf -inf", "zrank k b", "zrevrank k b", "zremrangebyscore k -inf 1", "zremrangebyscore k -inf +inf", "zremrangebyrank k 0 0", "zpopmin k", "zpopmin k 2", "zpopmax k 1", "zscan k 0",
	"lpush k x", "rpush k x y", "lpushx k x", "rpushx k x", "lpop k", "rpop k", "lpop k 2", "rpop k 9", "llen k", "lrange k 0 -1", "lrange k 1 1", "lindex k 0", "lindex k 9", "lset k 0 x", "lset k 9 x", "lrem k 0 a", "ltrim k 1 1", "ltrim k 9 10", "blpop k 0.001", "brpop none k 0.001",
	"sadd k 4", "sadd k 1", "srem k 1", "srem k 1 2 3", "sismember k 1", "sismember k 9", "smismember k 1 9", "scard k", "smembers k", "sscan k 0", "spop k 0", "srandmember k 0",
	"eval \"return redis.call('get',KEYS[1])\" 1 k", "eval \"return redis.pcall('get',KEYS[1])\" 1 k", "eval \"return redis.call('type',KEYS[1]).ok\" 1 k", "eval \"return redis.call('hgetall',KEYS[1])\" 1 k", "eval \"return redis.call('zrange',KEYS[1],0,-1,'withscores')\" 1 k", "eval \"return redis.call('lrange',KEYS[1],0,-1)\" 1 k", "eval \"return redis.call('smembers',KEYS[1])\" 1 k", "eval \"return redis.call('incr',KEYS[1])\" 1 k", "eval \"return redis.call('set',KEYS[1],'x')\" 1 k", "eval \"return {redis.call('del',KEYS[1]),redis.call('exists',KEYS[1])}\" 1 k", "eval \"local ok,e=pcall(redis.call,'hget',KEYS[1],'f') return {tostring(ok),e or false}\" 1 k",
	"eval_ro \"return redis.call('exists',KEYS[1])\" 1 k", "eval \"redis.call('zremrangebyscore',KEYS[1],'-inf','(2') if redis.call('zcard',KEYS[1])<3 then redis.call('zadd',KEYS[1],9,'me') return redis.call('zcard',KEYS[1]) end return 0\" 1 k",
}

// onAnyDiffering is which of them we answer otherwise, and why.
var onAnyDiffering = []struct{ line, kind, why string }{
	{"set k other xx get", "a string", "the holder would lose its lock without knowing, unless that is allowed"},
	{"set k other xx get", "a number", "likewise"},
	{"object refcount k", "a number", "no values are shared"},
}

func TestEachCommandOnEachTypeIsAnsweredAsByRedis(t *testing.T) {
	server := storetest.StartRedis(t)
	for _, proto := range []string{"2", "3"} {
		redis, us := dialPeer(t, server.Addr()), newHouse(t, 0).guest()
		redis.do("hello", proto)
		us.do("hello", proto)
		for kind, make := range kinds {
			for _, line := range onAny {
				for _, clear := range []string{"del k j", make} {
					redis.do(words(t, clear)...)
					us.ask(clear)
				}
				got, want := us.ask(line), redis.do(words(t, line)...)
				if slices.ContainsFunc(onAnyDiffering, func(d struct{ line, kind, why string }) bool { return d.line == line && d.kind == kind }) {
					if got == want {
						t.Errorf("%s on %s: no difference: %q", line, kind, got)
					}
					continue
				}
				if got != want {
					t.Errorf("RESP%s, %s on %s\n   we said %.200q\nRedis says %.200q", proto, line, kind, got, want)
				}
				// And what is left of it is the same.
				for _, look := range []string{"type k", "get k", "hgetall k", "zrange k 0 -1 withscores", "lrange k 0 -1", "smembers k"} {
					if got, want := us.ask(look), redis.do(words(t, look)...); got != want && !strings.HasPrefix(got, "-WRONGTYPE") {
						t.Errorf("RESP%s, %s on %s leaves, by %s\n    with us %.200q\nwith Redis %.200q", proto, line, kind, look, got, want)
					}
				}
			}
		}
	}
}
