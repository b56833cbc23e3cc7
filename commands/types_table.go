package commands

import "strings"

// errTaken is answered when the stores have turned a change down each time.
const errTaken = "ERR the stores have somebody else's value for this lock, or another proxy keeps changing it; nothing was done"

// valueCommands are the commands on values that are more than a token: counters,
// hashes, sorted sets, lists and sets. What makes a lease is flagged write and asks
// no store first, for most find the lock free or our own; what only acts on one
// that is there looks.
func valueCommands() []*command {
	one := keySpec{1, 1, 1, false}
	taken := sayFailure(errTaken)
	makes := func(name string, arity int, run func(*Tx, [][]byte) Reply, summary string) *command {
		return &command{name: name, arity: arity, flags: write, keys: one, run: run, refused: taken, summary: summary}
	}
	acts := func(name string, arity int, run func(*Tx, [][]byte) Reply, summary string) *command {
		return &command{name: name, arity: arity, flags: write | reads, keys: one, run: run, refused: taken, summary: summary}
	}
	looks := func(name string, arity int, run func(*Tx, [][]byte) Reply, summary string) *command {
		return &command{name: name, arity: arity, flags: readonly | reads, keys: one, run: run, summary: summary}
	}
	refuses := func(name string, arity int) *command {
		return &command{name: name, arity: arity, flags: write | noscript, keys: keySpec{1, 2, 1, false}, serve: rename, summary: "Is refused: whoever holds a lock knows it by its name."}
	}
	lists := newRoom()
	waits := func(name string, left bool, summary string) *command {
		return &command{
			name: name, arity: -3, flags: write | reads | noscript, keys: keySpec{1, -2, 1, false}, refused: Reply{kind: nullArray},
			run: popNow(left), start: lists.start, room: lists, summary: summary,
		}
	}
	zaddCommand := makes("zadd", -4, zadd, "Adds members with scores, or changes their scores.")
	zaddCommand.looks = zaddReads
	return []*command{
		// Strings and counters.
		makes("incr", 2, incr, "Adds one to a counter."),
		makes("incrby", 3, incrby, "Adds to a counter."),
		makes("decr", 2, decr, "Subtracts one from a counter."),
		makes("decrby", 3, decrby, "Subtracts from a counter."),
		makes("incrbyfloat", 3, incrbyfloat, "Adds a fraction to a counter."),
		makes("append", 3, appendTo, "Appends to a string."),
		acts("setrange", 4, setrange, "Overwrites a part of a string."),
		makes("getset", 3, getset, "Is SET with GET."),
		acts("getex", -2, getex, "Returns the token of a lock's holder, and says when the lease ends."),

		// Hashes.
		makes("hset", -4, hset, "Sets fields of a hash."),
		makes("hmset", -4, hmset, "Sets fields of a hash."),
		makes("hsetnx", 4, hsetnx, "Sets a field of a hash that it does not have."),
		makes("hincrby", 4, hincrby, "Adds to a field of a hash."),
		makes("hincrbyfloat", 4, hincrbyfloat, "Adds a fraction to a field of a hash."),
		acts("hdel", -3, hdel, "Takes fields out of a hash; with the last, the lock is free."),
		looks("hget", 3, hget, "Returns a field of a hash."),
		looks("hmget", -3, hmget, "Returns fields of a hash."),
		looks("hgetall", 2, hgetall, "Returns a hash."),
		looks("hexists", 3, hexists, "Says whether a hash has a field."),
		looks("hkeys", 2, hkeys, "Lists the fields of a hash."),
		looks("hvals", 2, hvals, "Lists the values of a hash."),
		looks("hlen", 2, hlen, "Counts the fields of a hash."),
		looks("hstrlen", 3, hstrlen, "Returns the length of a field's value."),
		looks("hscan", -3, hscan, "Lists the fields of a hash with their values, page by page."),

		// Sorted sets.
		zaddCommand,
		makes("zincrby", 4, zincrby, "Adds to a member's score."),
		acts("zrem", -3, zrem, "Takes members out of a sorted set; with the last, the lock is free."),
		acts("zremrangebyscore", 4, zremrangebyscore, "Takes members out by their scores."),
		acts("zremrangebyrank", 4, zremrangebyrank, "Takes members out by their places."),
		acts("zpopmin", -2, zpopmin, "Takes the members with the least scores out."),
		acts("zpopmax", -2, zpopmax, "Takes the members with the highest scores out."),
		looks("zscore", 3, zscore, "Returns a member's score."),
		looks("zmscore", -3, zmscore, "Returns several members' scores."),
		looks("zcard", 2, zcard, "Counts the members of a sorted set."),
		looks("zcount", 4, zcount, "Counts the members between two scores."),
		looks("zrange", -4, zrange, "Lists members by place, score or name."),
		looks("zrevrange", -4, zrevrange, "Lists members by place, the last first."),
		looks("zrangebyscore", -4, zrangebyscore, "Lists members between two scores."),
		looks("zrevrangebyscore", -4, zrevrangebyscore, "Lists members between two scores, the highest first."),
		looks("zrank", 3, zrank, "Returns a member's place."),
		looks("zrevrank", 3, zrevrank, "Returns a member's place, from the last on."),
		looks("zscan", -3, zscan, "Lists the members of a sorted set with their scores, page by page."),

		// Lists.
		makes("lpush", -3, lpush, "Pushes elements to the left end of a list."),
		makes("rpush", -3, rpush, "Pushes elements to the right end of a list."),
		acts("lpushx", -3, lpushx, "Pushes elements to the left end of a list that is there."),
		acts("rpushx", -3, rpushx, "Pushes elements to the right end of a list that is there."),
		acts("lpop", -2, lpop, "Takes elements off the left end of a list; with the last, the lock is free."),
		acts("rpop", -2, rpop, "Takes elements off the right end of a list; with the last, the lock is free."),
		acts("lset", 4, lset, "Replaces an element of a list."),
		acts("lrem", 4, lrem, "Takes elements out of a list that equal one."),
		acts("ltrim", 4, ltrim, "Leaves only a part of a list."),
		waits(waitFor, true, "Takes an element off the left end of the first list that has one, and waits for one."),
		waits("brpop", false, "Takes an element off the right end of the first list that has one, and waits for one."),
		looks("llen", 2, llen, "Counts the elements of a list."),
		looks("lrange", 4, lrange, "Lists elements of a list."),
		looks("lindex", 3, lindex, "Returns an element of a list."),

		// Sets.
		makes("sadd", -3, sadd, "Adds members to a set."),
		acts("srem", -3, srem, "Takes members out of a set; with the last, the lock is free."),
		acts("spop", -2, spop, "Takes members out of a set that nobody chose."),
		looks("sismember", 3, sismember, "Says whether a set has a member."),
		looks("smismember", -3, smismember, "Says which members a set has."),
		looks("scard", 2, scard, "Counts the members of a set."),
		looks("smembers", 2, smembers, "Lists the members of a set."),
		looks("sscan", -3, sscan, "Lists the members of a set, page by page."),
		looks("srandmember", -2, srandmember, "Returns members of a set that nobody chose."),

		// Any of them.
		refuses("rename", 3),
		refuses("renamenx", 3),
		{name: "object", arity: -2, flags: container, summary: "Looks at how values are kept."},
		{name: "object|encoding", arity: 3, flags: readonly | reads, keys: keySpec{2, 2, 1, false}, run: objectEncoding, summary: "Returns how Redis would keep a lock's value."},
		{name: "object|refcount", arity: 3, flags: readonly | reads, keys: keySpec{2, 2, 1, false}, run: objectRefcount, summary: "Returns 1, as Redis does of what nothing else shares."},
	}
}

// rename is refused: the stores have a lease by its name, and so have its holders.
func rename(_ *Session, args [][]byte) Reply {
	return sayFailure("ERR " + strings.ToUpper(string(args[0])) + " refused: whoever holds a lock knows it by its name, and would neither renew nor release it")
}
