package commands

import (
	"crypto/sha1"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
)

// What lock libraries do by scripts, in words of our own.
const (
	compareAndDelete = `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) end return 0`
	deleteOrAbsent   = `local v = redis.call("GET", KEYS[1]) if v == ARGV[1] then return redis.call("DEL", KEYS[1]) elseif v == false then return -1 end return 0`
	compareBool      = `if redis.call("get", KEYS[1]) == ARGV[1] then redis.call("unlink", KEYS[1]) return true end return false`
	compareAndExpire = `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("pexpire", KEYS[1], ARGV[2]) end return 0`
	compareOrPersist = `if redis.call("get", KEYS[1]) ~= ARGV[1] then return 0 end if tonumber(ARGV[2]) > 0 then return redis.call("expire", KEYS[1], ARGV[2]) end redis.call("persist", KEYS[1]) return 1`
	addTime          = `if redis.call("get", KEYS[1]) ~= ARGV[1] then return 0 end local left = redis.call("pttl", KEYS[1]) if left < 0 then return 0 end local ms = ARGV[2] if ARGV[3] == "0" then ms = ARGV[2] + left end redis.call("pexpire", KEYS[1], ms) return 1`
	extendIfEnough   = `local left = redis.call("pttl", KEYS[1]) if left == -2 then return {-1, -2} end if left < tonumber(ARGV[3]) then return {0, left} end if redis.call("get", KEYS[1]) ~= ARGV[1] then return {-1, left} end redis.call("pexpire", KEYS[1], ARGV[2]) return {1, redis.call("pttl", KEYS[1])}`
	extendOrTake     = `local v = redis.call("get", KEYS[1]) if v == ARGV[1] then return redis.call("pexpire", KEYS[1], ARGV[2]) elseif redis.call("set", KEYS[1], ARGV[1], "NX", "PX", ARGV[2]) then return 1 else return 0 end`
	setIfFreeOrMine  = `if (redis.call("exists", KEYS[1]) == 0 and ARGV[3] == "yes") or redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("set", KEYS[1], ARGV[1], "PX", ARGV[2]) end`
	setXXByKeys      = `if redis.call("get", KEYS[1]) == KEYS[3] then return redis.call("set", KEYS[1], KEYS[3], "PX", KEYS[2], "XX") end return 0`
	manyAcquire      = `for _, k in ipairs(KEYS) do if redis.call("exists", k) == 1 then return 0 end end for _, k in ipairs(KEYS) do redis.call("set", k, ARGV[1], "PX", ARGV[2]) end return #KEYS`
	manyExtend       = `for _, k in ipairs(KEYS) do if redis.call("get", k) ~= ARGV[1] then return 0 end end for _, k in ipairs(KEYS) do redis.call("set", k, ARGV[1], "PX", ARGV[2]) end return #KEYS`
	manyRelease      = `local n = 0 for _, k in ipairs(KEYS) do if redis.call("get", k) == ARGV[1] then if redis.pcall("del", k) == 1 then n = n + 1 end end end return n`
	prefixAcquire    = `local a = {} for _, k in ipairs(KEYS) do table.insert(a, k) table.insert(a, ARGV[1]) end if redis.call("msetnx", unpack(a)) ~= 1 then for _, k in ipairs(KEYS) do if redis.call("getrange", k, 0, ARGV[2] - 1) ~= string.sub(ARGV[1], 1, tonumber(ARGV[2])) then return false end end redis.call("mset", unpack(a)) end for _, k in ipairs(KEYS) do redis.call("pexpire", k, ARGV[3]) end return redis.status_reply("OK")`
	allRelease       = `local vs = redis.call("mget", unpack(KEYS)) for _, v in ipairs(vs) do if v ~= ARGV[1] then return false end end redis.call("del", unpack(KEYS)) return redis.status_reply("OK")`
	firstFree        = `for i, v in pairs(redis.call("mget", unpack(KEYS))) do if not v then redis.call("set", KEYS[i], ARGV[2], "EX", ARGV[1]) return ARGV[3] .. i end end`
	cacheAdd         = `return redis.call("exists", KEYS[1]) < 1 and redis.call("setex", KEYS[1], ARGV[2], ARGV[1])`
	errorOnConflict  = `local v = redis.call("get", KEYS[1]) if v == false or v == ARGV[1] then return redis.call("set", KEYS[1], ARGV[1], "PX", ARGV[2]) end return redis.error_reply("ERROR")`
	valueAndTime     = `return {redis.call("get", KEYS[1]), redis.call("pttl", KEYS[1])}`
	timeProbe        = `local t = redis.call("TIME") redis.call("SET", KEYS[1], "1", "PX", 5) return tonumber(t[1]) > 0 and 1`
	pexpireGreater   = `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("pexpire", KEYS[1], ARGV[2], "GT") end return redis.error_reply("NOT LOCKED")`
)

func (g *guest) eval(script string, keys int, args ...string) string {
	g.t.Helper()
	return g.do(append([]string{"eval", script, strconv.Itoa(keys)}, args...)...)
}

func TestScriptsOfLockLibraries(t *testing.T) {
	type call struct {
		script string
		keys   int
		args   string
		want   string
	}
	for what, calls := range map[string][]call{
		"compare and delete": {
			{compareAndDelete, 1, "k x", no}, {compareAndDelete, 1, "k a", yes}, {compareAndDelete, 1, "k a", no},
		},
		"with a code for absence": {{deleteOrAbsent, 1, "k x", no}, {deleteOrAbsent, 1, "k a", yes}, {deleteOrAbsent, 1, "k a", ":-1\r\n"}},
		"by true and false":       {{compareBool, 1, "k x", null2}, {compareBool, 1, "k a", yes}},
		"compare and pexpire":     {{compareAndExpire, 1, "k x 500", no}, {compareAndExpire, 1, "k a 500", yes}, {valueAndTime, 1, "k", arrayOf(bulkOf("a"), ":500\r\n")}},
		"or persist":              {{compareOrPersist, 1, "k x 5", no}, {compareOrPersist, 1, "k a 5", yes}, {valueAndTime, 1, "k", arrayOf(bulkOf("a"), ":5000\r\n")}, {compareOrPersist, 1, "k a 0", yes}, {valueAndTime, 1, "k", arrayOf(bulkOf("a"), ":3600000\r\n")}},
		"add time":                {{addTime, 1, "k a 500 0", yes}, {valueAndTime, 1, "k", arrayOf(bulkOf("a"), ":10500\r\n")}, {addTime, 1, "k a 500 1", yes}, {valueAndTime, 1, "k", arrayOf(bulkOf("a"), ":500\r\n")}, {addTime, 1, "k x 500 1", no}},
		"extend if enough":        {{extendIfEnough, 1, "k a 20000 50000", arrayOf(no, ":10000\r\n")}, {extendIfEnough, 1, "k a 20000 5", arrayOf(yes, ":20000\r\n")}, {extendIfEnough, 1, "n a 5 5", arrayOf(":-1\r\n", ":-2\r\n")}, {extendIfEnough, 1, "k x 5 5", arrayOf(":-1\r\n", ":20000\r\n")}},
		"extend or take":          {{extendOrTake, 1, "k x 500", no}, {extendOrTake, 1, "k a 500", yes}, {extendOrTake, 1, "n x 500", yes}, {valueAndTime, 1, "n", arrayOf(bulkOf("x"), ":500\r\n")}},
		"set if free or mine":     {{setIfFreeOrMine, 1, "k x 500 yes", null2}, {setIfFreeOrMine, 1, "k a 500 no", ok}, {setIfFreeOrMine, 1, "n a 500 no", null2}, {setIfFreeOrMine, 1, "n a 500 yes", ok}},
		"arguments as keys":       {{setXXByKeys, 3, "k 500 x", no}, {setXXByKeys, 3, "k 500 a", ok}, {valueAndTime, 1, "k", arrayOf(bulkOf("a"), ":500\r\n")}},
		"many":                    {{manyAcquire, 2, "n k x 500", no}, {valueAndTime, 1, "n", arrayOf(null2, ":-2\r\n")}, {manyAcquire, 2, "n m x 500", ":2\r\n"}, {manyExtend, 2, "n k x 900", no}, {manyExtend, 2, "n m x 900", ":2\r\n"}, {manyRelease, 3, "n k m x", ":2\r\n"}},
		"many by prefix":          {{prefixAcquire, 2, "n k tok1 3 500", null2}, {prefixAcquire, 2, "n m tok1 3 500", ok}, {prefixAcquire, 2, "n m tok2 3 900", ok}, {valueAndTime, 1, "m", arrayOf(bulkOf("tok2"), ":900\r\n")}, {allRelease, 2, "n m tok1", null2}, {allRelease, 2, "n m tok2", ok}},
		"first free slot":         {{firstFree, 3, "k s2 s3 9 me slot", bulkOf("slot2")}, {firstFree, 3, "k s2 s3 9 you slot", bulkOf("slot3")}, {firstFree, 3, "k s2 s3 9 him slot", null2}},
		"cache add":               {{cacheAdd, 1, "k v 9", null2}, {cacheAdd, 1, "n v 9", ok}},
		"error on conflict":       {{errorOnConflict, 1, "k x 500", "-ERR ERROR\r\n"}, {errorOnConflict, 1, "k a 500", ok}, {errorOnConflict, 1, "n x 500", ok}},
		"value and time":          {{valueAndTime, 1, "k", arrayOf(bulkOf("a"), ":10000\r\n")}, {valueAndTime, 1, "n", arrayOf(null2, ":-2\r\n")}},
		"time probe":              {{timeProbe, 1, "probe", yes}},
		"pexpire GT":              {{pexpireGreater, 1, "k a 500", no}, {pexpireGreater, 1, "k a 50000", yes}, {pexpireGreater, 1, "k x 500", "-NOT LOCKED\r\n"}},
	} {
		g := newHouse(t, 0).guest()
		g.ask("set k a px 10000")
		for _, c := range calls {
			if got := g.eval(c.script, c.keys, strings.Fields(c.args)...); got != c.want {
				t.Errorf("%s: %s with %s = %q, want %q", what, c.script, c.args, got, c.want)
			}
		}
	}
}

func TestScriptsAreFoundByTheirDigest(t *testing.T) {
	h := newHouse(t, 0)
	g, other := h.guest(), h.guest()
	sum := sha1.Sum([]byte(compareAndDelete))
	sha := hex.EncodeToString(sum[:])
	g.expect([2]string{"evalsha " + sha + " 1 k a", "-NOSCRIPT No matching script. Please use EVAL.\r\n"})
	g.eval(compareAndDelete, 1, "k", "a")
	other.expect([2]string{"evalsha " + strings.ToUpper(sha) + " 1 k a", no}) // EVAL loads, for all
	if got := g.do("script", "load", compareAndDelete); got != bulkOf(sha) {
		t.Errorf("script load = %q, want %q", got, bulkOf(sha))
	}
}

func TestScriptsThatWereNotUsedLatelyAreForgotten(t *testing.T) {
	h := newHouse(t, 0)
	g := h.guest()
	first := g.do("script", "load", "return 0")
	second := g.do("script", "load", "return 1")
	used, unused := words(t, strings.ReplaceAll(first, "\r\n", " "))[1], words(t, strings.ReplaceAll(second, "\r\n", " "))[1]
	for i := range maxScripts - 1 {
		g.do("script", "load", "return 'x'.."+strconv.Itoa(i))
		g.do("evalsha", used, "0")
	}
	if got, want := g.do("script", "exists", used, unused), arrayOf(yes, no); got != want {
		t.Errorf("script exists = %q, want %q", got, want)
	}
	big := "return 1 --" + strings.Repeat("x", maxScript)
	if got := g.do("eval", big, "0"); !strings.HasPrefix(got, "-ERR a script of ") {
		t.Errorf("eval of %d bytes = %.100q, want it refused", len(big), got)
	}
	for i := range maxScriptText/(maxScript/2) + 1 {
		g.do("script", "load", "return "+strconv.Itoa(i)+" --"+strings.Repeat("x", maxScript/2))
	}
	if s := h.engine.scripts; s.text > maxScriptText || len(s.kept) != s.recent.Len() {
		t.Errorf("%d bytes of %d scripts are kept, %d in order", s.text, len(s.kept), s.recent.Len())
	}
}

func TestAScriptIsOneChange(t *testing.T) {
	g := newHouse(t, 0).guest()
	g.ask("set a 1 px 10000")
	g.ask("set b 1 px 10000")
	before := g.fence("a")
	// It ends by an error: nothing of it is done.
	g.eval(`redis.call("del", KEYS[1]) redis.call("set", KEYS[2], "2") redis.call("nonsense")`, 2, "a", "c")
	g.expect([2]string{"exists a c", yes})
	// It sees what it did, and leaves what that came to.
	got := g.eval(`redis.call("del", KEYS[1]) local gone = redis.call("exists", KEYS[1]) redis.call("set", KEYS[1], "1", "PX", 500)
		redis.call("set", KEYS[2], "x") redis.call("del", KEYS[2]) return {gone, redis.call("get", KEYS[1]), redis.call("pttl", KEYS[1]), redis.call("exists", KEYS[2])}`, 2, "a", "n")
	if want := arrayOf(no, bulkOf("1"), ":500\r\n", no); got != want {
		t.Errorf("the script saw %q, want %q", got, want)
	}
	if g.fence("a") == before {
		t.Errorf("a lock that was freed and taken again kept its fencing token %s", before)
	}
	g.expect([2]string{"exists n", no})
}

func TestAScriptMayUseLocksItDidNotName(t *testing.T) {
	g := newHouse(t, 0).guest()
	g.ask("set x:1 a")
	got := g.eval(`local n = 0 for i = 1, 3 do local ok, v = pcall(redis.call, "set", "x:" .. i, "new", "NX") if ok and v then n = n + 1 end end return n`, 0)
	if got != ":2\r\n" {
		t.Errorf("the script set %q of 3 locks, want 2", got)
	}
	g.expect([2]string{"mget x:1 x:2 x:3", arrayOf(bulkOf("a"), bulkOf("new"), bulkOf("new"))})
	if got := g.eval(`return redis.call("get", "holdfast:book")`, 0); !strings.HasPrefix(got, "-ERR names that begin with") {
		t.Errorf("a script read a name of ours: %q", got)
	}
}

func TestNothingLeaksFromScriptToScript(t *testing.T) {
	g := newHouse(t, 0, func(o *Options) { o.Scripts = 1 }).guest()
	const readonly = "Attempt to modify a readonly table"
	for script, want := range map[string]string{
		`leak = 1`:                           readonly,
		`_G.leak = 1`:                        readonly,
		`string.leak = 1`:                    readonly,
		`redis.call = 1`:                     readonly,
		`rawset(math, "leak", 1)`:            readonly,
		`rawset(_G, "leak", 1)`:              readonly,
		`getmetatable("").__index.leak = 1`:  "", // there is nothing to index
		`setmetatable(_G, {})`:               "cannot change a protected metatable",
		`setmetatable(string, {})`:           "cannot change a protected metatable",
		`table.insert(redis, 1)`:             "-", // on its own table
		`KEYS[1] = "leak"`:                   "-",
		`local s = string s.format = nil`:    readonly,
		`return require("os")`:               "nonexistent global variable 'require'",
		`return loadstring("return 1")()`:    "nonexistent global variable 'loadstring'",
		`return load`:                        "nonexistent global variable 'load'",
		`return dofile`:                      "nonexistent global variable 'dofile'",
		`return print`:                       "nonexistent global variable 'print'",
		`return os`:                          "nonexistent global variable 'os'",
		`return io`:                          "nonexistent global variable 'io'",
		`return debug`:                       "nonexistent global variable 'debug'",
		`return coroutine`:                   "nonexistent global variable 'coroutine'",
		`return getfenv`:                     "nonexistent global variable 'getfenv'",
		`return setfenv`:                     "nonexistent global variable 'setfenv'",
		`return newproxy`:                    "nonexistent global variable 'newproxy'",
		`return module`:                      "nonexistent global variable 'module'",
		`return string.dump(function() end)`: "not available",
		`local ok = pcall(function() x = 1 end) return x`: "nonexistent global variable 'x'",
	} {
		got := g.eval(script, 0)
		switch {
		case want == "-" && strings.HasPrefix(got, "-"):
			t.Errorf("%s = %q, want it done", script, got)
		case want != "-" && (!strings.HasPrefix(got, "-ERR") || !strings.Contains(got, want)):
			t.Errorf("%s = %q, want an error with %q", script, got, want)
		}
		g.expect(
			[2]string{`eval "return {tostring(rawget(string,'leak')),tostring(rawget(math,'leak')),tostring(#KEYS),tostring(#redis),type(redis.call),string.format('x')}" 0`,
				arrayOf(bulkOf("nil"), bulkOf("nil"), bulkOf("0"), bulkOf("0"), bulkOf("function"), bulkOf("x"))},
		)
	}
}

func TestDeepScriptsAreRefusedBeforeTheyAreCompiled(t *testing.T) {
	g := newHouse(t, 0).guest()
	for what, script := range map[string]string{
		"operators":  "return " + strings.Repeat("#", 20_000) + "KEYS",
		"tables":     "return " + strings.Repeat("{", 10_000) + strings.Repeat("}", 10_000),
		"sums":       "return 1" + strings.Repeat("+1", 10_000),
		"joints":     "return 1" + strings.Repeat(" ..1", 10_000),
		"functions":  strings.Repeat("local function f() ", 2_000) + strings.Repeat(" end", 2_000),
		"conditions": "if x then" + strings.Repeat(" elseif x then", 2_000) + " end",
	} {
		if got := g.eval(script, 0); !strings.HasPrefix(got, "-ERR Error compiling script") {
			t.Errorf("%s = %.200q, want it refused", what, got)
		}
	}
	if got, want := g.eval("return 0"+strings.Repeat(" ..1", 100), 0), bulkOf("0"+strings.Repeat("1", 100)); got != want {
		t.Errorf("100 joints = %q, want %q", got, want)
	}
}

func TestReadOnlyScriptsChangeNothing(t *testing.T) {
	g := newHouse(t, 0).guest()
	g.ask("set k a")
	if got := g.do("eval_ro", compareAndDelete, "1", "k", "a"); !strings.HasPrefix(got, "-ERR Write commands are not allowed from read-only scripts. script: ") {
		t.Errorf("eval_ro that deletes = %q, want it refused", got)
	}
	g.expect([2]string{"exists k", yes}, [2]string{"eval_ro \"return redis.call('get',KEYS[1])\" 1 k", bulkOf("a")})
}
