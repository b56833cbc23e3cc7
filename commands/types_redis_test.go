package commands

import (
	"slices"
	"strings"
	"testing"

	"holdfast/quorum/storetest"
)

// alikeValues are command lines on values, as in [alike].
var alikeValues = map[string][]string{
	"counters": {
		"incr n", "incrby n 41", "decr n", "decrby n 1", "get n", "incrby n 9223372036854775807", "decrby n -9223372036854775808", "incrby n x", "incrby none x", "incr",
		"incrbyfloat f 0.1", "incrbyfloat f 0.2", "incrbyfloat f 1e18", "incrbyfloat f -1e18", "get f", "incrbyfloat f 1e-17", "incrbyfloat g 3.0", "incrbyfloat g 5.0e3", "incrbyfloat g -5003", "incrbyfloat g 1e4932", "incrbyfloat h 0x1p-3",
		"hincrbyfloat h f 10.5", "hincrbyfloat h f 0.1", "hincrbyfloat h f -5", "hset h t x", "hincrbyfloat h t 1", "hincrby h t 1", "hincrby h f 1", "hincrby n f 1", "hincrbyfloat n f 1",
	},
	"strings": {
		"append a x", "append a yz", "get a", "append e \"\"", "exists e", "get e", "setrange a 5 q", "get a", "setrange none 3 \"\"", "exists none", "setrange b 2 x", "get b", "setrange a -1 x",
		"getset fresh v", "get fresh", "getset fresh v", "getex fresh ex 100", "ttl fresh", "getex fresh persist", "persist fresh", "getex fresh pxat 1", "exists fresh", "getex none ex x", "getex a ex x", "getex a ex 10 px 10", "getex a ex", "getex a px -1",
		"getex a exat 0", "getex a ex 9223372036854775807", "ttl none", "mget a h", "strlen none",
	},
	"hashes": {
		"hset h f v", "hset h f w g x", "hget h f", "hgetall h", "hgetall none", "hmget h f none g", "hmget none f", "hlen h", "hkeys h", "hvals h", "hkeys none", "hdel h f none", "hdel h g", "exists h", "hdel h g", "type h",
		"hset h f", "hset h f v g", "hmset h f", "hmset h a 1 b 2", "hsetnx h a 9", "hsetnx h c 9", "hsetnx h c", "hstrlen h a", "hstrlen h none", "hexists h a", "hexists none a", "ttl none", "type h", "get h", "hget h", "lpush h x", "sadd h x", "zadd h 1 x", "incr h", "append h x", "setrange h 0 x", "getrange h 0 1", "strlen h", "getex h", "getdel h", "set h x nx", "set h x get", "set h x nx get", "msetnx h x i y",
	},
	"sorted sets": {
		"zadd z 1 a 2 b 3 c", "zadd z 1 a", "zadd z ch 5 a 6 d", "zadd z nx 9 a 9 e", "zadd z xx 7 a 7 new", "zadd z gt 1 a", "zadd z lt ch 1 a", "zadd z gt ch 8 a 8 n", "zadd z incr 5 a", "zadd z xx incr 5 none", "zadd z nx incr 5 a", "zadd z gt incr -1 a", "zadd z incr inf a", "zadd z incr -inf a",
		"zadd z", "zadd z 1", "zadd z x a", "zadd z 1 a 2", "zadd z nx xx 1 a", "zadd z gt lt 1 a", "zadd z nx gt 1 a", "zadd z incr 1 a 2 b", "zadd z foo 1 a", "zadd z nan a", "zadd z 1.5e3 f 0x10 g", "zscore z f", "zscore z g", "zadd none xx 1 a", "exists none",
		"zincrby z 2.5 f", "zincrby z x f", "zincrby new 1 a", "zscore z none", "zscore none a", "zmscore z a none b", "zmscore none a", "zcard z", "zcard none", "zcount z -inf +inf", "zcount z (2 3", "zcount z x 3", "zcount none 0 1",
		"zrange z 0 -1", "zrange z 0 0", "zrange z -2 -1", "zrange z 5 1", "zrange none 0 -1", "zrange z 0 -1 rev", "zrange z 2 (3 byscore", "zrange z 9 2 byscore rev", "zrange z 9 0 byscore rev limit 1 2", "zrange z -inf +inf byscore limit 0 -1", "zrange z -inf +inf byscore limit -1 2", "zrange z x y", "zrange z 0 1 limit 0 1", "zrange z 0 1 rev rev", "zrange z 0 1 byscore byscore", "zrange z [a [b bylex bylex", "zrange z 0 1 byscore rev rev", "zrange z 0 1 byscore bylex", "zrange z 0 1 withscores withscores", "zrange z 0 1 byscore limit 0 1 limit 0 2", "zrange z 0 1 byscore limit 0", "zrange z 0 1 limit x 1", "zrange z a b byscore", "zrange z a b bylex", "zrange z [a [c bylex withscores",
		"zrevrange z 0 1", "zrangebyscore z -inf 3", "zrevrangebyscore z 3 -inf", "zrangebyscore z (1 +inf limit 1 1", "zrangebyscore z 1 2 limit 1", "zrank z b", "zrevrank z b", "zrank z none", "zrank none a", "zrank z", "type z", "get z", "hget z f", "llen z",
		"zremrangebyscore z 7 +inf", "zremrangebyscore z x 1", "zremrangebyrank z 0 0", "zremrangebyrank z x 0", "zremrangebyrank z 5 9", "zrem z none", "zrem z a b c d e f g n", "exists z", "zrem z a",
		"zadd l 0 a 0 b 0 c 0 d", "zrange l - + bylex", "zrange l [b (d bylex", "zrange l + [b bylex rev", "zrange l (d (a bylex rev limit 0 1", "zpopmin l", "zpopmax l", "zpopmin none", "zpopmin l 0", "zpopmin l -1", "zpopmin l x", "zpopmin l 1 2", "zpopmin none 5", "zpopmin l", "zpopmin l", "exists l",
	},
	"lists": {
		"lpush l a b c", "rpush l x y", "lrange l 0 -1", "lrange l 1 2", "lrange l -2 -1", "lrange l 3 1", "lrange l 0 x", "lrange none 0 -1", "llen l", "llen none", "lindex l 0", "lindex l -1", "lindex l 9", "lindex none x", "lindex l x", "lset l 0 z", "lset l -1 z", "lset l 9 z", "lset l x z", "lset none 0 z",
		"lrem l 1 z", "lrem l -1 z", "lrem l 0 none", "lrem l x z", "lrem none 0 z", "lpop l", "rpop l", "lpop l 0", "lpop none", "lpop none 1", "lpop none 0", "rpop l 5", "exists l", "lpop l x", "lpop l -1", "lpop l 1 2", "rpush l a b c d e", "ltrim l 1 -2", "lrange l 0 -1", "ltrim l 5 9", "exists l", "ltrim none 0 1", "ltrim l x 1",
		"lpushx l a", "rpushx l a", "lpush l", "lpushx l", "rpush l a", "lpushx l b c", "type l", "get l", "set k v", "lpush k a", "lrange k 0 1", "lpop k", "llen k", "lindex k 0", "lset k 0 a", "lrem k 0 a", "ltrim k 0 1",
	},
	"sets": {
		"sadd s 3 1 2", "sadd s 1", "smembers s", "smembers none", "sismember s 1", "sismember s 9", "sismember none 1", "smismember s 1 9", "smismember none 1", "smismember s", "scard s", "scard none", "srem s 1 9", "srem none 1", "smembers s", "spop s -1", "spop s x", "spop s 1 2", "spop none", "spop none 1", "spop s 0", "srandmember none", "srandmember none 1", "srandmember s x", "srandmember s 1 2", "srandmember s 0", "srem s 2 3", "exists s", "sadd s", "set k v", "sadd k a", "smembers k", "type s",
		"sadd one x", "spop one", "exists one", "sadd one x", "srandmember one", "srandmember one 5", "srandmember one -2", "spop one 5", "sadd i -5 10 9 100", "smembers i",
	},
	"pages": {
		"hset h a 1 b 2 c 3", "hscan h 0", "hscan h 0 match a*", "hscan h 0 match \"\"", "hset e \"\" v", "hscan e 0 match \"\"", "hscan e 0 match *", "hscan e 0 match **", "hscan h 0 MATCH x COUNT 5", "hscan h 7", "hscan h x", "hscan h 0 count 0", "hscan h 0 count x", "hscan h 0 match", "hscan h 0 foo", "hscan h 0 count", "hscan none 0", "hscan none 0 foo", "hscan none x", "hscan h", "sscan h 0", "zscan h 0",
		"sadd s 3 1 2", "sscan s 0", "sscan s 0 match 1", "sscan s 0 match \"\"", "sscan s 0 count 1", "sscan s 0 foo", "sscan none 0", "sscan s", "hscan s 0", "zadd z 1 a 2.5 b inf c", "zscan z 0", "zscan z 0 match b", "zadd w 1e15 a 1e17 b 1e18 c 4e18 d -1e17 e 1.5 f 1e19 g 1e-5 h -4611686018427387903 i 123456789012345680 j 4611686018427387904 k 4611686018427389000 l -4611686018427389000 m -inf n", "zscan w 0", "zrange w 0 -1 withscores", "zadd w 1e17 yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", "zscan w 0 match b count 1000", "zscan z 0 match \"\"", "zscan z 0 count 100 match *", "zscan z x", "zscan none 0", "set k v", "zscan k 0", "hscan k 0", "sscan k 0", "hscan k x", "hscan k 0 foo",
		"eval \"return redis.call('hscan',KEYS[1],0)\" 1 h", "eval \"return redis.call('zscan',KEYS[1],0,'match','b')\" 1 z",
	},
	"by scripts": {
		"eval \"return redis.call('hgetall',KEYS[1])\" 1 none", "eval \"redis.call('hset',KEYS[1],'f',1.5) return redis.call('hgetall',KEYS[1])\" 1 h", "eval \"redis.call('zadd',KEYS[1],1700000000123,'a',3.5,'b') return redis.call('zrange',KEYS[1],0,-1,'withscores')\" 1 z", "eval \"return redis.call('zscore',KEYS[1],'a')\" 1 z", "eval \"return redis.call('zscore',KEYS[1],'none')\" 1 z", "eval \"return redis.call('zscore',KEYS[1],'a') + 0\" 1 z", "eval \"return redis.call('zadd',KEYS[1],'incr',1,'a')\" 1 z", "eval \"return redis.call('zpopmin',KEYS[1],2)\" 1 z",
		"eval \"return redis.call('lpop',KEYS[1])\" 1 none", "eval \"return redis.call('lpop',KEYS[1],1)\" 1 none", "eval \"return {redis.call('hmget',KEYS[1],'f','none')}\" 1 h", "eval \"return redis.call('smembers',KEYS[1])\" 1 none", "eval \"return redis.call('lpush',KEYS[1],'x')\" 1 h", "eval \"return redis.pcall('lpush',KEYS[1],'x').err\" 1 h", "eval \"return redis.call('sismember',KEYS[1],'x')\" 1 none", "eval \"return redis.call('type',KEYS[1]).ok\" 1 h",
		"eval \"redis.call('set',KEYS[1],'now a string') return redis.call('type',KEYS[1])\" 1 h", "eval \"redis.call('del',KEYS[1]) redis.call('rpush',KEYS[1],1,2,3) return redis.call('lrange',KEYS[1],0,-1)\" 1 h", "type h", "eval \"return redis.call('incrbyfloat',KEYS[1],0.1)\" 1 f", "eval \"return redis.call('object','encoding',KEYS[1])\" 1 f", "eval_ro \"return redis.call('hset',KEYS[1],'f','v')\" 1 x", "eval_ro \"return redis.call('zcard',KEYS[1])\" 1 x",
		"command getkeys hset h f v", "command getkeys blpop a b 0", "command getkeys object encoding x", "object encoding none", "object refcount none",
	},
}

// nestedInRESP3 are answered flat in RESP2, and by pairs in RESP3.
var nestedInRESP3 = []string{
	"zadd z 1 a 2 b 3.3 c 1e300 d inf e -inf f", "zrange z 0 -1 withscores", "zrange z 0 1 rev withscores", "zrange z 1 2 byscore withscores limit 0 1", "zrevrange z 0 -1 withscores", "zrangebyscore z -inf inf withscores", "zrevrangebyscore z 3 1 withscores", "zrange none 0 -1 withscores",
	"zpopmin z 2", "zpopmax z 1", "zpopmax z 100", "zpopmax none 1",
}

func TestRepliesOfValuesAreRedisOwn(t *testing.T) {
	server := storetest.StartRedis(t)
	compare := func(name, proto string, lines []string) {
		t.Run(name+" in RESP"+proto, func(t *testing.T) {
			redis, us := dialPeer(t, server.Addr()), newHouse(t, 0).guest()
			redis.do("hello", proto)
			us.do("hello", proto)
			redis.do("flushall")
			for _, line := range lines {
				args := words(t, line)
				if got, want := us.do(args...), redis.do(args...); got != want {
					t.Errorf("%s\n   we said %.300q\nRedis says %.300q", line, got, want)
				}
			}
		})
	}
	for name, lines := range alikeValues {
		compare(name, "2", lines)
		compare(name, "3", lines)
	}
	compare("scores", "2", nestedInRESP3)
	compare("scores", "3", nestedInRESP3)
}

// differingValues are command lines on values that we answer otherwise, and why.
var differingValues = []struct{ before, line, ours, why string }{
	{"hset k f v", "set k x", errLine(errSteal), "all who share the lock would lose it without knowing"},
	{"set k a", "getset k b", errLine(errSteal), "as SET"},
	{"hset k f v", "ttl k", ":3600\r\n", "there is no lease without an end"},
	{"hset k f v", "rename k j", errLine("ERR RENAME refused: whoever holds a lock knows it by its name, and would neither renew nor release it"), "a holder would lose its lock without knowing"},
	{"rpush k a", "object encoding k", bulkOf("listpack"), "as Redis since 7.2"},
	{"sadd k a", "object encoding k", bulkOf("listpack"), "as Redis since 7.2"},
	{"set k a", "append k " + strings.Repeat("x", 65536), errLine("ERR a value of 65537 bytes is longer than 65536"), "stores and journal keep every value"},
	{"zadd k 1 a", "sort k", errLine("ERR unknown command 'sort', with args beginning with: 'k' "), "no lock needs it"},
	{"hset k a 1", "hscan k -1", errLine("ERR invalid cursor"), "as SCAN"},
	{"hset k a 1 b 2", "hscan k 0 novalues", "*2\r\n$1\r\n0\r\n" + arrayOf(bulkOf("a"), bulkOf("b")), "of Redis 7.4"},
	{"", "geoadd k 1 2 a", errLine("ERR unknown command 'geoadd', with args beginning with: 'k' '1' '2' 'a' "), "no lock needs it"},
	{"", "setbit k 1 1", errLine("ERR unknown command 'setbit', with args beginning with: 'k' '1' '1' "), "no lock needs it"},
}

func TestIntendedDifferencesOfValuesFromRedis(t *testing.T) {
	server := storetest.StartRedis(t)
	for _, d := range differingValues {
		redis, us := dialPeer(t, server.Addr()), newHouse(t, 0).guest()
		redis.do("flushall")
		if d.before != "" {
			redis.do(words(t, d.before)...)
			us.ask(d.before)
		}
		got, theirs := us.ask(d.line), redis.do(words(t, d.line)...)
		if got != d.ours || got == theirs {
			t.Errorf("%s; %.100s (%s)\n  we said %q\n     want %q\nnot as Redis, %q", d.before, d.line, d.why, got, d.ours, theirs)
		}
	}
}

func TestArgumentsAreCountedAsByRedis(t *testing.T) {
	server := storetest.StartRedis(t)
	redis, us := dialPeer(t, server.Addr()), newHouse(t, 0).guest()
	redis.do("flushall")
	for _, c := range valueCommands() {
		if c.start != nil || c.serve != nil || c.isSub() || c.flags&container != 0 {
			continue
		}
		for n := range 6 {
			args := slices.Concat([]string{c.name}, []string{"k", "1", "2", "3", "4"}[:n])
			script := slices.Concat([]string{"eval", "return redis.call(unpack(ARGV))", "0"}, args)
			for _, args := range [][]string{args, script, {"del", "k"}} {
				if got, want := us.do(args...), redis.do(args...); got != want {
					t.Errorf("%q\n   we said %.300q\nRedis says %.300q", args, got, want)
				}
			}
		}
	}
}
