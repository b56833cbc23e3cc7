package commands

import (
	"strings"
	"testing"

	"holdfast/quorum/storetest"
)

// alikeEvents are command lines of which Redis 7.0 and we tell the same by keyspace
// notifications, in the same order; each group starts with no keys.
var alikeEvents = map[string][]string{
	"strings": {
		"set k a", "set k a px 10000", "set k a keepttl", "set k a xx ex 100", "set j b nx", "set j b nx", "get k", "persist k", "persist k", "expire k 100", "expire k 0", "del k", "del j", "del j none",
		"setnx k a", "setnx k a", "del k", "setex k 100 a", "psetex k 100000 a", "unlink k", "mset k a j b", "mset h c h c", "msetnx k a l b", "msetnx l a m b", "del k j h l m",
		"getset k a", "getex k", "getex k ex 100", "getex k persist", "getex k pxat 1", "set k a", "getdel k", "getdel k", "pexpireat k 1", "set k a", "pexpireat k 1",
		"incr k", "incrby k 5", "decr k", "decrby k 3", "incrby k x", "incrbyfloat k 0.5", "append k x", "append k \"\"", "setrange k 1 y", "setrange k 1 \"\"", "incr k", "append new x", "setrange newer 2 x", "del k new newer",
	},
	"hashes": {
		"hset h a 1", "hset h a 1 b 2", "hmset h c 3", "hsetnx h a 9", "hsetnx h d 4", "hincrby h a 1", "hincrbyfloat h a 1.5", "hincrby h b x", "hdel h none", "hdel h a", "expire h 100", "hdel h b c d", "hdel h a", "hincrby h a 1", "set h x nx", "lpush h x", "del h",
	},
	"sorted sets": {
		"zadd z 1 a", "zadd z 1 a", "zadd z 2 a", "zadd z xx ch 3 a", "zadd z nx 3 a", "zadd z incr 1 a", "zadd z gt incr -1 a", "zincrby z 1 a", "zincrby z 0 a", "zadd z 1 b 2 c 3 d 4 e 5 f 6 g", "zrem z none", "zrem z b", "zremrangebyscore z 2 2", "zremrangebyscore z 200 300", "zremrangebyrank z 0 0",
		"zpopmin z", "zpopmax z", "zpopmin z 0", "zpopmin z 9", "zpopmin z", "zadd z 1 a", "zrem z a b", "zadd z 1 a", "zremrangebyscore z -inf +inf", "zadd z 1 a", "zremrangebyrank z 0 -1",
	},
	"lists": {
		"rpush l a", "rpush l b c", "lpush l d", "rpushx l e", "lpushx l f", "rpushx none e", "lset l 0 g", "lset l 99 g", "lrem l 0 none", "lrem l 0 g", "ltrim l 0 2", "lpop l", "rpop l", "lpop l", "lpop l", "rpush l a b", "rpop l 9", "rpush l a", "lrem l 0 a", "rpush l a", "ltrim l 5 9", "rpush l a b",
		"blpop l 1", "brpop l 1", "rpush l a a a a", "lpop l 2", "lpop l 0",
	},
	"sets": {"sadd s a b", "sadd s a", "sadd s a c", "srem s none", "srem s a none", "spop s", "spop s 9", "sadd s a", "srem s a", "sadd s 1", "spop s", "spop s"},
	"several at once": {
		"eval \"redis.call('set',KEYS[2],'x') redis.call('rpush',KEYS[1],'a','b') redis.call('lpop',KEYS[1]) redis.call('expire',KEYS[2],100) return redis.call('lpop',KEYS[1])\" 2 q t", "del t",
		"eval \"if redis.call('get',KEYS[1])==false then return redis.call('set',KEYS[1],ARGV[1],'px',ARGV[2]) end\" 1 p x 10000", "eval \"if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end\" 1 p x", "eval \"return redis.call('get',KEYS[1])\" 1 p",
		"eval \"redis.call('hset',KEYS[1],'f',1) redis.call('hincrby',KEYS[1],'f',1) redis.call('pexpire',KEYS[1],30000) return redis.pcall('incr',KEYS[1]).err\" 1 h", "eval \"redis.call('zremrangebyscore',KEYS[1],'-inf',5) redis.call('zadd',KEYS[1],9,'me') redis.call('expire',KEYS[1],10)\" 1 z",
		"multi", "set a 1", "set b 1", "incr a", "get a", "lpush a x", "del b", "set b 2 ex 100", "rpush c x", "exec", "multi", "set d 1", "discard", "multi", "eval \"return redis.call('del',KEYS[1])\" 1 a", "rpop c", "exec",
		"select 3", "set a 1", "multi", "set b 1", "select 0", "set b 3", "exec", "select 0",
	},
}

func TestKeyspaceEventsAreRedisOwn(t *testing.T) {
	server := storetest.StartRedis(t)
	for name, lines := range alikeEvents {
		for _, classes := range []string{"AKE", "KEn$h"} {
			redis, theirs, last := dialPeer(t, server.Addr()), dialPeer(t, server.Addr()), dialPeer(t, server.Addr())
			h := newHouse(t, 0)
			us, ours, ourLast := h.guest(), h.guest(), h.guest()
			theirs.do("psubscribe", "__key*")
			ours.ask("psubscribe __key*")
			redis.do("flushall")
			for _, line := range append([]string{"config set notify-keyspace-events " + classes}, lines...) {
				redis.do(words(t, line)...)
				last.do("publish", "__key_end", line)
				us.ask(line)
				ourLast.do("publish", "__key_end", line)
				want := ""
				for !strings.HasSuffix(want, keyEnd(line)) {
					want += theirs.reply()
				}
				got := ""
				h.await("the end", func() bool { got += ours.heard(); return strings.HasSuffix(got, keyEnd(line)) })
				if got != want {
					t.Errorf("%s, %s, of %s:\n    we tell %s\nRedis tells %s", name, line, classes, briefly(got), briefly(want))
				}
			}
		}
	}
}

func keyEnd(line string) string {
	return arrayOf(bulkOf("pmessage"), bulkOf("__key*"), bulkOf("__key_end"), bulkOf(line))
}

// briefly leaves out of messages what all of them have.
func briefly(messages string) string {
	var brief []string
	for message := range strings.SplitSeq(messages, "*4\r\n$8\r\npmessage\r\n$6\r\n__key*\r\n") {
		if parts := strings.Split(message, "\r\n"); len(parts) > 3 && parts[1] != "__key_end" {
			brief = append(brief, strings.TrimPrefix(parts[1], "__key")+" "+parts[3])
		}
	}
	return strings.Join(brief, ", ")
}
