package commands

import "testing"

// alikeInSessions are command lines about what a session remembers, which Redis
// 7.0 and we answer byte for byte alike: see alike.
var alikeInSessions = map[string][]string{
	"transactions": {
		"exec", "discard", "multi x", "exec x", "discard x", "unwatch", "watch", "multi", "multi", "watch a", "exec", "exec",
		"multi", "set a 1", "get a", "incr a", "exec", "get a", "multi", "set a", "get a", "exec", "get a", "multi", "foo", "exec", "multi", "get", "discard", "discard",
		"multi", "discard", "exec", "multi", "set b 1", "get b x", "set b 2", "exec", "get b",
		"multi", "lpush l x", "incr l", "get l", "lrange l 0 -1", "set l2 y", "hset l f v", "exec", "get l2", "del l l2",
		"multi", "set c v px 100000 nx", "set c w nx", "ttl c", "del c", "exists c", "exec",
		"multi", "setnx d 1", "setnx d 1", "type d", "getdel d", "get d", "mget a b d", "exec",
		"multi", "select 3", "set e in3", "get e", "exec", "get e", "select 0", "get e", "multi", "select 99", "set f 1", "exec", "get f",
		"multi", "ping", "echo hi", "client getname", "client setname joe", "exec", "client getname",
		"multi", "publish c x", "dbsize", "keys c*", "exec", "multi", "unwatch", "exec",
		"multi", "eval \"return redis.call('set',KEYS[1],ARGV[1])\" 1 g v", "get g", "evalsha ffffffffffffffffffffffffffffffffffffffff 0", "exec", "multi", "exec x", "exec",
		"multi", "eval \"return redis.call('incr',KEYS[1])\" 1 g", "set h 1", "exec", "get h",
		"multi", "eval \"return redis.call('get',KEYS[1])\" 1 h", "eval \"return {KEYS[1],ARGV[1]}\" 1 h x", "exec",
		"multi", "script load \"return 7\"", "evalsha 59b6ab2fbe0ee4b25733de0f62e6cda4899ef8e9 0", "script exists 59b6ab2fbe0ee4b25733de0f62e6cda4899ef8e9", "exec",
		"watch a", "incr a", "multi", "get a", "exec", "multi", "get a", "exec",
		"watch a", "unwatch", "incr a", "multi", "get a", "exec", "watch a", "multi", "discard", "incr a", "multi", "get a", "exec",
		"watch none", "multi", "set none 1", "exec", "get none", "watch none", "del none", "multi", "set none 2", "exec", "get none",
		"watch never", "set never 1", "del never", "multi", "set never 2", "exec", "get never", "watch never a b", "watch a", "multi", "exec",
		"watch a", "expire a 100", "multi", "exec", "watch a", "get a", "exists a", "del nothing-there", "multi", "get a", "exec",
		"watch a", "multi", "foo", "exec", "multi", "get a", "exec", "watch a", "reset", "incr a", "multi", "get a", "exec",
		"multi", "reset", "exec", "multi", "set q 1", "blpop q 0", "blpop nothing 0", "exec", "eval \"return redis.call('multi')\" 0", "eval \"return redis.call('watch','a')\" 0", "eval \"return redis.call('exec')\" 0",
		"command getkeys watch a b",
	},
	"tracking": {
		"client tracking", "client tracking foo", "client tracking on foo", "client tracking off", "client getredir", "client trackinginfo", "client caching yes", "client caching no", "client caching foo", "client caching",
		"client tracking on prefix a", "client tracking on bcast optin", "client tracking on optin optout", "client tracking on redirect", "client tracking on redirect x", "client tracking on redirect 999999", "client tracking on prefix",
		"client tracking on", "client getredir", "client trackinginfo", "client caching yes", "client caching no", "client tracking on bcast", "client tracking on", "client tracking off", "client trackinginfo",
		"client tracking on optin", "client trackinginfo", "client caching no", "client caching yes", "client trackinginfo", "get a", "client trackinginfo", "client caching foo", "client tracking on optout", "client tracking off",
		"client tracking on optout noloop", "client caching yes", "client caching no", "client trackinginfo", "ping", "client trackinginfo", "client tracking off",
		"client tracking on bcast prefix foo prefix bar", "client trackinginfo", "client tracking on bcast prefix foobar", "client tracking on bcast prefix zap", "client tracking on bcast prefix x prefix xy", "client tracking on optin", "client tracking off foo",
		"client tracking off", "client tracking on bcast", "client tracking on bcast prefix a", "client tracking off", "client trackinginfo", "reset", "client trackinginfo",
	},
	"settings": {
		"config set notify-keyspace-events AKE", "config get notify-keyspace-events", "config set notify-keyspace-events KEA$x", "config get notify-keyspace-events", "config set notify-keyspace-events Kgx", "config get notify-keyspace-events",
		"config set notify-keyspace-events q", "config get notify-keyspace-events", "config set notify-keyspace-events Exg$lshzetdmn", "config get notify-keyspace-events", "config set notify-keyspace-events nKm", "config get notify-keyspace-events", "config set notify-keyspace-events \"\"", "config get notify-keyspace-events",
		"config set nothing-like-this 1", "config set", "config set a", "config set a b c", "config resetstat", "config resetstat x",
		"config set slowlog-log-slower-than 10000", "config set slowlog-max-len x", "config get slowlog-max-len", "slowlog", "slowlog foo", "slowlog reset", "slowlog len", "slowlog get", "slowlog get 5", "slowlog get -1", "slowlog get -2", "slowlog get x", "slowlog get 1 2", "slowlog len x",
		"object freq a", "object idletime a", "set a b", "object idletime a", "object freq a", "object idletime", "object foo a", "memory usage none", "memory usage", "memory usage a samples", "memory usage a samples x", "memory usage a foo 1",
		"latency latest", "latency history command", "latency reset", "latency reset command", "latency foo", "monitor x",
	},
}

func TestSessionsRepliesAreRedisOwn(t *testing.T) { compareWithRedis(t, alikeInSessions) }
