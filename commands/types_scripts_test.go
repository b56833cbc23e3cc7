package commands

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"holdfast/quorum/storetest"
)

// What libraries do by scripts to values that are no strings, in words of our own.
const (
	// Read and write locks as sorted sets of holders by their ends: Symfony.
	sharedBegin = `local key, now, me, ttl = KEYS[1], tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
		if redis.call("TYPE", key).ok == "string" then return false end
		redis.call("ZREMRANGEBYSCORE", key, "-inf", now)
		local mine, writer = redis.call("ZSCORE", key, me), redis.call("ZSCORE", key, "__write__") `
	sharedEnd = ` local last = redis.call("ZREVRANGE", key, 0, 0, "WITHSCORES")[2] redis.call("PEXPIREAT", key, last) return true`

	sharedWrite = sharedBegin + `local others = redis.call("ZCOUNT", key, "-inf", "+inf") - (mine and 1 or 0) - (writer and 1 or 0)
		if others > 0 or writer and not mine then return false end
		redis.call("ZADD", key, now + ttl, me) redis.call("ZADD", key, now + ttl, "__write__")` + sharedEnd
	sharedRead = sharedBegin + `if writer and not mine then return false end
		if writer then redis.call("ZREM", key, "__write__") end redis.call("ZADD", key, now + ttl, me)` + sharedEnd
	sharedRenew = sharedBegin + `if not mine then return false end
		redis.call("ZADD", key, now + ttl, me) if writer then redis.call("ZADD", key, now + ttl, "__write__") end` + sharedEnd
	sharedRelease = sharedBegin + `if not mine then return false end
		redis.call("ZREM", key, me, "__write__") return true`
	sharedHeld = sharedBegin + `return mine and true or false`

	// Locks that are entered again, as a hash of holders and their depth: Redisson.
	hashLock = `if redis.call("exists", KEYS[1]) == 0 or redis.call("hexists", KEYS[1], ARGV[2]) == 1 then
		redis.call("hincrby", KEYS[1], ARGV[2], 1) redis.call("pexpire", KEYS[1], ARGV[1]) return nil end
		return redis.call("pttl", KEYS[1]) > 0 and 1 or 0`
	hashUnlock = `local known = redis.call("get", KEYS[3]) if known ~= false then return tonumber(known) end
		if redis.call("hexists", KEYS[1], ARGV[3]) == 0 then return nil end
		local depth = redis.call("hincrby", KEYS[1], ARGV[3], -1)
		if depth > 0 then redis.call("pexpire", KEYS[1], ARGV[2]) redis.call("set", KEYS[3], 0, "px", ARGV[5]) return 0 end
		redis.call("del", KEYS[1]) redis.call(ARGV[4], KEYS[2], ARGV[1]) redis.call("set", KEYS[3], 1, "px", ARGV[5]) return 1`
	hashRenew = `local n = {} for i, k in ipairs(KEYS) do
		if redis.call("hexists", k, ARGV[1 + i]) == 1 then redis.call("pexpire", k, ARGV[1]) n[i] = 1 else n[i] = 0 end end return n`
	hashFence = `if redis.call("exists", KEYS[1]) == 0 then redis.call("incr", KEYS[2]) redis.call("hset", KEYS[1], ARGV[2], 1) redis.call("pexpire", KEYS[1], ARGV[1]) return {-1, redis.call("get", KEYS[2])} end
		return {redis.call("hget", KEYS[1], ARGV[2]), -1}`

	// The same with a queue: a list in turn, and a sorted set of who waits until when.
	fairSweep = `while true do local first = redis.call("lindex", KEYS[2], 0) if first == false then break end
		if tonumber(redis.call("zscore", KEYS[3], first)) <= tonumber(ARGV[4]) then redis.call("zrem", KEYS[3], first) redis.call("lpop", KEYS[2]) else break end end `
	fairLock = fairSweep + `if redis.call("exists", KEYS[1]) == 0 and (redis.call("exists", KEYS[2]) == 0 or redis.call("lindex", KEYS[2], 0) == ARGV[2]) then
		redis.call("lpop", KEYS[2]) redis.call("zrem", KEYS[3], ARGV[2])
		for _, w in ipairs(redis.call("zrange", KEYS[3], 0, -1)) do redis.call("zincrby", KEYS[3], -tonumber(ARGV[3]), w) end
		redis.call("hset", KEYS[1], ARGV[2], 1) redis.call("pexpire", KEYS[1], ARGV[1]) return nil end
		if redis.call("hexists", KEYS[1], ARGV[2]) == 1 then redis.call("hincrby", KEYS[1], ARGV[2], 1) return nil end
		local ends = redis.call("zscore", KEYS[3], ARGV[2]) if ends ~= false then return ends - tonumber(ARGV[3]) - tonumber(ARGV[4]) end
		local last, left = redis.call("lindex", KEYS[2], -1), tonumber(ARGV[1])
		if last ~= false then left = tonumber(redis.call("zscore", KEYS[3], last)) - tonumber(ARGV[4]) end
		if redis.call("zadd", KEYS[3], left + tonumber(ARGV[3]) + tonumber(ARGV[4]), ARGV[2]) == 1 then redis.call("rpush", KEYS[2], ARGV[2]) end return left`
	fairUnlock = fairSweep + `if redis.call("hexists", KEYS[1], ARGV[2]) == 0 then return nil end
		if redis.call("hincrby", KEYS[1], ARGV[2], -1) > 0 then redis.call("pexpire", KEYS[1], ARGV[1]) return 0 end
		redis.call("del", KEYS[1]) local following = redis.call("lindex", KEYS[2], 0)
		if following ~= false then redis.call("publish", "channel:" .. following, 0) end return 1`
	fairLeave = `local queue = redis.call("lrange", KEYS[2], 0, -1) local i = 1
		while i <= #queue and queue[i] ~= ARGV[2] do i = i + 1 end i = i + 1
		while i <= #queue do redis.call("zincrby", KEYS[3], -tonumber(ARGV[3]), queue[i]) i = i + 1 end
		redis.call("zrem", KEYS[3], ARGV[2]) redis.call("lrem", KEYS[2], 0, ARGV[2])`

	// A list that signals the release of a lock that is a string: python-redis-lock.
	signalUnlock = `if redis.call("get", KEYS[1]) ~= ARGV[1] then return 1 end
		redis.call("del", KEYS[2]) redis.call("lpush", KEYS[2], 1) redis.call("pexpire", KEYS[2], ARGV[2]) redis.call("del", KEYS[1]) return 0`

	// Permits as a sorted set of who has one since when: redis-semaphore.
	permitTake = `redis.call("zremrangebyscore", KEYS[1], "-inf", ARGV[4] - ARGV[3])
		if redis.call("zcard", KEYS[1]) < tonumber(ARGV[1]) then redis.call("zadd", KEYS[1], ARGV[4], ARGV[2]) redis.call("pexpire", KEYS[1], ARGV[3]) return 1 end return 0`
	permitRenew = `redis.call("zremrangebyscore", KEYS[1], "-inf", ARGV[4] - ARGV[3])
		if redis.call("zscore", KEYS[1], ARGV[2]) then redis.call("zadd", KEYS[1], ARGV[4], ARGV[2]) redis.call("pexpire", KEYS[1], ARGV[3]) return 1 end return 0`

	// Readers in a set, and a writer who waits for them: DistributedLock.
	readersEnter = `if redis.call("exists", KEYS[2]) == 1 then return 0 end
		redis.call("sadd", KEYS[1], ARGV[1]) if redis.call("pttl", KEYS[1]) < tonumber(ARGV[2]) then redis.call("pexpire", KEYS[1], ARGV[2]) end return 1`
	readersWrite = `if redis.call("scard", KEYS[1]) > 0 then return 0 end return redis.call("set", KEYS[2], ARGV[1], "nx", "px", ARGV[2]) and 1 or 0`
	readersLeave = `return redis.call("srem", KEYS[1], ARGV[1])`
)

// libraryCalls are made in order; a script with a number of keys and arguments, or
// a command line with none. NOW is the time in ms.
var libraryCalls = map[string][]struct {
	script string
	keys   int
	args   string
}{
	"read and write locks": {
		{sharedRead, 1, "k NOW r1 60000"}, {sharedRead, 1, "k NOW r2 90000"}, {sharedWrite, 1, "k NOW w 60000"}, {"", 0, "zcard k"}, {"", 0, "type k"},
		{sharedHeld, 1, "k NOW r1 0"}, {sharedHeld, 1, "k NOW w 0"}, {sharedRenew, 1, "k NOW r1 70000"}, {sharedRenew, 1, "k NOW w 70000"},
		{sharedWrite, 1, "k NOW r1 60000"}, {sharedRelease, 1, "k NOW r2 0"}, {sharedRelease, 1, "k NOW r2 0"},
		{sharedWrite, 1, "k NOW r1 60000"}, {"", 0, "zrange k 0 -1"}, {sharedRead, 1, "k NOW r2 60000"}, {sharedRenew, 1, "k NOW r1 60000"},
		{sharedRead, 1, "k NOW r1 60000"}, {"", 0, "zrange k 0 -1"}, {sharedRead, 1, "k NOW r2 60000"},
		{sharedRelease, 1, "k NOW r1 0"}, {sharedRelease, 1, "k NOW r2 0"}, {"", 0, "exists k"}, {"", 0, "set k old nx px 10000"}, {sharedWrite, 1, "k NOW w 60000"},
	},
	"locks that are entered again": {
		{hashLock, 1, "k 30000 me:1"}, {hashLock, 1, "k 30000 me:1"}, {hashLock, 1, "k 30000 you:1"}, {"", 0, "hgetall k"}, {hashRenew, 2, "k none 30000 me:1 me:1"}, {hashRenew, 1, "k 30000 you:1"},
		{hashUnlock, 3, "k chan latch1 0 30000 you:1 publish 5000"}, {hashUnlock, 3, "k chan latch2 0 30000 me:1 publish 5000"}, {hashUnlock, 3, "k chan latch2 0 30000 me:1 publish 5000"},
		{"", 0, "hget k me:1"}, {"", 0, "del latch2"}, {hashUnlock, 3, "k chan latch3 0 30000 me:1 spublish 5000"}, {"", 0, "exists k latch3"}, {"", 0, "get latch3"},
		{hashFence, 2, "f token 30000 me:1"}, {hashFence, 2, "f token 30000 me:1"}, {"", 0, "del f"}, {hashFence, 2, "f token 30000 me:1"},
	},
	"fair locks": {
		{fairLock, 3, "k q t 30000 a 5000 1000000"}, {fairLock, 3, "k q t 30000 b 5000 1000001"}, {fairLock, 3, "k q t 30000 c 5000 1000002"}, {fairLock, 3, "k q t 30000 b 5000 1000003"}, {fairLock, 3, "k q t 30000 a 5000 1000004"},
		{"", 0, "lrange q 0 -1"}, {"", 0, "zrange t 0 -1"}, {"", 0, "zscore t c"}, {fairUnlock, 3, "k q t 30000 c 5000 1000005"}, {fairUnlock, 3, "k q t 30000 a 5000 1000005"}, {fairUnlock, 3, "k q t 30000 a 5000 1000006"},
		{fairLock, 3, "k q t 30000 c 5000 1000007"}, {fairLeave, 3, "k q t 30000 b 5000"}, {"", 0, "zmscore t b c"}, {fairLock, 3, "k q t 30000 c 5000 1000008"}, {"", 0, "exists q t"}, {"", 0, "hkeys k"},
		{fairLock, 3, "k q t 30000 d 5000 1000009"}, {fairUnlock, 3, "k q t 30000 c 5000 2000000"}, {"", 0, "exists k q t"},
	},
	"a list that signals": {
		{"", 0, "set lock me nx"}, {signalUnlock, 2, "lock signal you 1000"}, {signalUnlock, 2, "lock signal me 1000"}, {"", 0, "blpop signal 1"}, {"", 0, "exists signal lock"}, {signalUnlock, 2, "lock signal me 1000"},
	},
	"semaphores": {
		{permitTake, 1, "s 2 a 10000 1000000"}, {permitTake, 1, "s 2 b 10000 1000001"}, {permitTake, 1, "s 2 c 10000 1000002"}, {permitRenew, 1, "s 2 a 10000 1005000"}, {permitRenew, 1, "s 2 c 10000 1005000"},
		{permitTake, 1, "s 2 c 10000 1010001"}, {permitRenew, 1, "s 2 b 10000 1010002"}, {"", 0, "zrange s 0 -1"}, {"", 0, "zrem s a c"}, {"", 0, "exists s"},
	},
	"readers": {
		{readersEnter, 2, "r w a 10000"}, {readersEnter, 2, "r w b 20000"}, {readersWrite, 2, "r w me 10000"}, {readersLeave, 1, "r a"}, {readersLeave, 1, "r a"}, {readersLeave, 1, "r b"},
		{readersWrite, 2, "r w me 10000"}, {readersEnter, 2, "r w a 10000"}, {readersWrite, 2, "r w you 10000"}, {"", 0, "smembers r"},
	},
}

func TestScriptsOfLibrariesDoWhatTheyDoInRedis(t *testing.T) {
	server := storetest.StartRedis(t)
	for name, calls := range libraryCalls {
		for _, stores := range []int{0, 3} {
			h := newHouse(t, stores, func(o *Options) { o.Wall = time.Now })
			redis, us := dialPeer(t, server.Addr()), h.guest()
			redis.do("flushall")
			now := strconv.FormatInt(time.Now().UnixMilli(), 10)
			for i, c := range calls {
				args := strings.Fields(strings.ReplaceAll(c.args, "NOW", now))
				if c.script != "" {
					args = append([]string{"eval", c.script, strconv.Itoa(c.keys)}, args...)
				}
				if got, want := us.do(args...), redis.do(args...); got != want {
					t.Errorf("%s over %d stores, call %d: %s\n   we said %.300q\nRedis says %.300q", name, stores, i, c.args, got, want)
				}
			}
		}
	}
}
