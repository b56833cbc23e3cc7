package commands

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// Of each script: whether it is plain, and if so it says and does what it would if
// it were interpreted, whatever it meets.
func TestPlainScriptsAreAsIfInterpreted(t *testing.T) {
	plainly, interpreted := newHouse(t, 0), newHouse(t, 0)
	for script, want := range map[string]bool{
		compareAndDelete: true, deleteOrAbsent: true, compareBool: true, compareAndExpire: true,
		extendOrTake: true, setIfFreeOrMine: true, setXXByKeys: true,
		compareOrPersist: false, addTime: false, manyRelease: false, valueAndTime: false,
		errorOnConflict: false, timeProbe: false, cacheAdd: false, pexpireGreater: false,

		``:                                   true,
		`return`:                             true,
		`return KEYS[9]`:                     true,
		`return ARGV[0]`:                     true,
		`return -3`:                          true,
		`return not ARGV[1]`:                 true,
		`return "text" == "text"`:            true,
		`return 1 == "1"`:                    true,
		`return nil == false`:                true,
		`return ARGV[1] ~= ARGV[2]`:          true,
		`return false or ARGV[2]`:            true,
		`return nil and ARGV[2]`:             true,
		`return redis.call("get", ARGV[1])`:  true, // a lock that KEYS does not name
		`return redis.call("nonsense", "k")`: true,
		`return redis.call("get")`:           true,
		`return redis.call("pexpire", KEYS[1], "x")`:                                             true,
		`return redis.call("incr", KEYS[1])`:                                                     true,
		`return redis.call("hget", KEYS[1], "f")`:                                                true,
		`return redis.call("mget", KEYS[1])`:                                                     true,
		`return redis.call("publish", "c", ARGV[1])`:                                             true,
		`return redis.call("keys", "*")`:                                                         true,
		`return redis.call("set", KEYS[1], 7, "PX", 5000)`:                                       true,
		`return redis.call("set", KEYS[1], true)`:                                                true,
		`local a = redis.call("get", KEYS[1]) local a = a == ARGV[1] return a`:                   true,
		`local KEYS = 1 return KEYS`:                                                             true,
		`if ARGV[1] then local x = 1 end local y = 2 return y`:                                   true,
		`redis.call("del", KEYS[1]) return redis.call("set", KEYS[1], ARGV[1], "NX", "PX", 900)`: true,
		`redis.call("del", KEYS[1]) redis.call("pexpire", KEYS[1], "x")`:                         true, // undone by the error
		`local s = redis.call("set", KEYS[1], "v", "PX", 900) return s == s`:                     true,
		`local s = redis.call("set", KEYS[1], "v", "PX", 900) return s == "OK"`:                  true,
		`local s = redis.call("set", KEYS[1], "v", "PX", 900) if s then return s end`:            true,
		`local KEYS = ARGV return KEYS[1]`:                                                       false,
		`local redis = 1 return redis.call("get", "k")`:                                          false,
		`return missing`:                     false,
		`x = 1`:                              false,
		`return 1, 2`:                        false,
		`return 0x10`:                        false,
		`return 1.5`:                         false,
		`return 99999999999999999999`:        false,
		`return {1}`:                         false,
		`return redis.pcall("get", KEYS[1])`: false,
		`return ("x"):len()`:                 false,
		`return redis.call()`:                false,
		`while true do end`:                  false,
		`return ` + strings.Repeat("not ", 40) + `1`:                                                         false,
		`if ` + strings.Repeat(`1 then else if `, 40) + `1 then ` + strings.Repeat(`end `, 41):               false,
		strings.Repeat(`local a = 1 `, plainWords) + `return a`:                                              true,
		strings.Repeat(`local a = 1 `, plainWords+1) + `return a`:                                            false,
		strings.Repeat(`do local a = 1 end `, 3) + `return 1`:                                                false,
		strings.Repeat(`if ARGV[1] then local a = ARGV[1] end `, 2*plainWords) + `return ARGV[1]`:            true,
		`return redis.call("get", KEYS[1]` + strings.Repeat(`, 1`, plainWords) + `)`:                         false,
		`if redis.call("exists", KEYS[1], KEYS[2]) == 1 then return redis.call("del", KEYS[1], KEYS[2]) end`: true,
	} {
		_, plain, err := compile([]byte(script))
		if err != nil {
			t.Errorf("%.80s: %v", script, err)
			continue
		}
		if got := plain != nil; got != want {
			t.Errorf("%.80s: plain is %v, want %v", script, got, want)
		}
		if want {
			compareRuns(t, plainly, interpreted, script)
		}
	}
}

// compareRuns runs a script in two houses, in the second by the interpreter.
func compareRuns(t *testing.T, plainly, interpreted *house, script string) {
	t.Helper()
	digest := sha1.Sum([]byte(script))
	a, b := plainly.guest(), interpreted.guest()
	for _, g := range []*guest{a, b} {
		g.do("SCRIPT", "LOAD", script)
	}
	interpreted.engine.scripts.find(digest).plain = nil
	for state, before := range map[string]string{
		"free": "DEL k", "held by the first argument": "SET k a PX 10000", "held by another": "SET k b PX 10000",
		"a hash": "HSET k f v", "a counter": "SET k 12 PX 10000",
	} {
		for _, command := range []string{"EVALSHA", "EVALSHA_RO"} {
			call := fmt.Sprintf("%s %s 3 k 500 a a 700 yes", command, hex.EncodeToString(digest[:]))
			for _, ask := range []string{"DEL k n c 500", before, call, "TYPE k", "PTTL k", "GET k", "EXISTS n c 500 v"} {
				if got, want := a.ask(ask), b.ask(ask); got != want {
					t.Errorf("%.80s\n where k is %s, %s: got %q, want %q", script, state, ask, got, want)
				}
			}
		}
	}
}
