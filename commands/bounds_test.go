package commands

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestScriptsAreBounded(t *testing.T) {
	h := newHouse(t, 0)
	g := h.guest()
	for script, want := range map[string]string{
		`while true do end`: "took too",
		`while true do pcall(function() while true do end end) end`:                                          "took too",
		`while true do redis.pcall("echo", "x") end`:                                                         "took too",
		`return string.rep("x", 1e9)`:                                                                        "bytes of strings",
		`local s = "x" while true do s = s .. s end`:                                                         "bytes of strings",
		`local s = string.rep("x", 1e6) local t = {} while true do t[#t + 1] = s .. #t end`:                  "bytes of strings",
		`local s = string.rep("x", 1e6) local t = {} for i = 1, 1000 do t[i] = s end return table.concat(t)`: "bytes of strings",
		`return string.rep("x", 5e4):gsub("x", string.rep("y", 5e4))`:                                        "bytes of strings",
		`return string.rep("a", 60000):find(".-.-.-.-b")`:                                                    "takes too long",
		`return string.find("", string.rep("a*", 1e6))`:                                                      "too complex",
		`return string.find("", string.rep("(", 1e6))`:                                                       "too many captures",
		`return string.rep("a", 1e6):find("a*b")`:                                                            "takes too long",
		`local s = "[" .. string.rep("[],", 200000) .. "1]" return cjson.decode(s)`:                          "made more than",
		`local t = {1} for i = 1, 2000 do t = {t} end return cjson.encode(t)`:                                "excessive nesting",
		`local s = string.rep("x", 6e6) return cjson.encode({s, s, s})`:                                      "made more than",
		`local s = string.rep(" ", 1e6) while true do pcall(cjson.decode, s) end`:                            "took too",
		`return string.format("%1000000d", 1)`:                                                               "invalid format",
		`local function f() return f() + 1 end return f()`:                                                   "stack overflow",
		`return unpack({}, 1, 1e8)`:                                                                          "",
		`local t = {} t[1] = t return t`:                                                                     "reached lua stack limit",
		`local t = {1} for i = 1, 40 do t = {t, t} end return t`:                                             "reached lua stack limit",
	} {
		h.engine.scripts.time = maxTime
		if want == "took too" {
			h.engine.scripts.time = 100 * time.Millisecond
		}
		if got := g.eval(script, 0); !strings.HasPrefix(got, "-ERR") || !strings.Contains(got, want) {
			t.Errorf("%s = %.200q, want an error with %q", script, got, want)
		}
	}
	if got := g.eval("return 1", 0); got != yes {
		t.Errorf("a script after those = %q, want %q", got, yes)
	}
}

func TestNoCallOfALibraryRunsPastTheTime(t *testing.T) {
	h := newHouse(t, 0)
	h.engine.scripts.time = 50 * time.Millisecond
	g := h.guest()
	// What "takes too long" by its steps may be stopped for its time before.
	for script, want := range map[string]string{
		`local s = string.rep("a", 9999) for i = 1, 20 do string.find(s, "a-b") end`:                                                            "too long",
		`local s = string.rep("a", 9999) for i = 1, 20 do string.find(s, "a-b", 1, false, true) end`:                                            "too long", // only the fourth argument makes a search plain
		`local s = string.rep("a", 9999) for i = 1, 20 do string.match(s, "a-b", 1, true) end`:                                                  "too long", // and a match is never plain
		`local s = string.rep("a", 9999) for w in string.gmatch(s, "a-b", 1, true) do end`:                                                      "too long",
		`local s = string.rep("a", 9999) string.find(s, "^(a*)(a*)%1%1b")`:                                                                      "too long",
		`local s = string.rep("a", 700) for i = 1, 1e6 do string.find(s, "a-b") end`:                                                            "took too",
		`local s = string.rep("a", 60000) for i = 1, 1e6 do s:gsub("a", "%0") end`:                                                              "",
		`local s = string.rep("1", 1e6) for i = 1, 1e6 do tonumber(s) end`:                                                                      "took too",
		`local a, b = string.rep("a", 3e6), string.rep("a", 3e6) local t = {} for i = 1, 2e4 do t[i] = i % 2 == 0 and a or b end table.sort(t)`: "took too",
		`local t = {} for i = 1, 2e5 do t[i] = i end while true do table.insert(t, 1, table.remove(t, 1)) end`:                                  "",
		`local t = {} for i = 1, 3e4 do t[i .. ""] = i end for i = 1, 3e4 do t[i .. ""] = nil end while true do next(t) end`:                    "took too",
		`local t = {} for i = 1, 2e5 do t[i] = i end for i = 1, 2e5 do t[i] = nil end while true do local n = #t end`:                           "took too",
	} {
		start := time.Now()
		got := g.eval(script, 0)
		if !strings.HasPrefix(got, "-ERR") || !strings.Contains(got, want) {
			t.Errorf("%s = %.200q, want an error with %q", script, got, want)
		}
		if took := time.Since(start); took > 4*time.Second { // which leaves room for the race detector
			t.Errorf("%s took %v, with a limit of %v", script, took, h.engine.scripts.time)
		}
	}
}

func TestScriptsMakeNoMoreThanTheirBudget(t *testing.T) {
	h := newHouse(t, 0)
	g := h.guest()
	g.do("set", "k", strings.Repeat("x", 64<<10))
	for _, script := range []string{
		`for i = 1, 20000 do t[i] = redis.call("get", KEYS[1]) end`,
		`for i = 1, 20000 do t[i] = redis.call("mget", KEYS[1], KEYS[1], KEYS[1], KEYS[1]) end`,
		`for i = 1, 20000 do redis.call("set", KEYS[1], s) end`,
		`for i = 1, 1e6 do t[i] = redis.pcall("echo") end`,
		`for i = 1, 1e6 do t[i] = redis.error_reply("x") end`,
		`for i = 1, 1e6 do t[i] = redis.status_reply("x") end`,
		`redis.setresp(3) for i = 1, 1e6 do t[i] = redis.call("smembers", "none") end`,
		`for i = 1, 20000 do t[i] = string.upper(s) end`,
		`for i = 1, 20000 do t[i] = string.lower(s) end`,
		`for i = 1, 20000 do t[i] = string.reverse(s) end`,
		`for i = 1, 20000 do t[i] = string.sub(s, 2) end`,
		`for i = 1, 65536 do t[i] = s:sub(1, -i) end`,
		`for i = 1, 20000 do t[i] = string.format("%[1]s%[1]s", s) end`,
		`for i = 1, 20000 do t[i] = string.format("%s", s) end`,
		`for i = 1, 20000 do t[i] = string.format("%q", s) end`,
		`for i = 1, 1e6 do t[i] = string.format("%99d", i) end`,
		`for i = 1, 20000 do t[i] = s:gsub("x", "%0%0") end`,
		`for i = 1, 1e6 do t[i] = s:gmatch("()()()x") end`,
		`for i = 1, 1e6 do t[i] = {s:match("()()()x")} end`,
		`for i in s:gmatch("x") do t[#t + 1] = {s:find("(x)")} end`,
		`for i = 1, 1e6 do t[i] = string.char(1, 2, 3, 4, 5, 6, 7, 8, 9) end`,
		`for i = 1, 20000 do local _, e = pcall(error, s, 0) t[i] = e .. i end`,
		`for i = 1, 20000 do _, t[i] = pcall(function() return _G[s] end) end`,
		`for i = 1, 20000 do _, t[i] = pcall(function() local x x[s] = 1 end) end`,
		`for i = 1, 1e7 do t[i] = i end`,
		`for i = 1, 1e7 do t[-i] = i end`,
		`for i = 1, 1e7 do t[i .. ""] = i end`,
		`for i = 1, 1e7 do t[i] = {} end`,
		`for i = 1, 1e7 do t[i] = {i} end`,
		`for i = 1, 1e7 do t[i] = {a = i} end`,
		`for i = 1, 1e7 do t[i] = {[i] = i} end`,
		`for i = 1, 1e7 do local n = {} t[i], n.x = n, i end`,
		`for i = 1, 1e7 do local n = {} function n.f() end t[i] = n end`,
		`for i = 1, 1e7 do local n = {} function n:f() return i, self end t[i] = n end`,
		`for i = 1, 1e7 do local a, b, c, d, e t[i] = function() return a, b, c, d, e end end`,
		`for i = 1, 1e7 do local a, b, c, d, e local function f() return a, b, c, d, e, f end t[i] = f end`,
		`local function f(...) return arg end for i = 1, 1e7 do t[i] = f(i) end`,
		`for i = 1, 1e7 do table.insert(t, i) end`,
		`for i = 1, 1e7 do rawset(t, i, i) end`,
		`setmetatable(t, {__newindex = function(t, k, v) rawset(t, k, v) end}) for i = 1, 1e7 do t[i] = i end`,
		`local u = {} setmetatable(t, {__newindex = u}) for i = 1, 1e7 do t[i] = i end`,
		`t[6e7] = 1`,
		`t[6e7] = nil t[6e7] = 1`,
		`t = {[6e7] = 1}`,
		`rawset(t, 6e7, 1)`,
		`table.insert(t, 6e7, 1)`,
		`setmetatable(t, {__newindex = {}}) t[6e7] = 1`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		// The first string is let go of, and leaves less to do.
		got := g.eval(`local t, s, _ = {}, string.rep("x", 12e6):sub(-65536) `+script+` return #t`, 1, "k")
		runtime.ReadMemStats(&after)
		if !strings.HasPrefix(got, "-ERR") {
			t.Errorf("%s = %.200q, want an error", script, got)
		}
		// Most of it is let go of at once, such as numbers and arguments of calls.
		if made := after.TotalAlloc - before.TotalAlloc; made > 8*maxBytes {
			t.Errorf("%s made %d MiB, with a budget of %d MiB", script, made>>20, maxBytes>>20)
		}
	}
}

// What is counted is written otherwise for that; it must mean the same.
func TestCountedScriptsMeanTheSame(t *testing.T) {
	g := newHouse(t, 0).guest()
	for script, want := range map[string]string{
		`local t = {1, 2, a = 3, ["b"] = 4, [3] = 5} return {t[1], t[2], t[3], t.a, t.b}`:                                            "1 2 5 3 4",
		`local function two() return 1, 2 end local t = {two(), two(), [9] = two()} return {t[1], t[2], tostring(t[3]), t[9]}`:       "1 1 nil 1",
		`local function two() return 1, 2 end local t = {} t.a = two() t.b, t.c = two() return {t.a, t.b, t.c}`:                      "1 1 2",
		`local t = {1, 2} t[1], t[2] = t[2], t[1] return t`:                                                                          "2 1",
		`local i, t = 1, {} i, t[i] = i + 1, 20 return {i, t[1]}`:                                                                    "2 20",
		`local t, x = {} t.a, x, t.b = 1, 2 return {t.a, x, tostring(t.b)}`:                                                          "1 2 nil",
		`local t, n = {}, 0 local function f() n = n + 1 return t end f().x, f().y = 1, 2, f() return {n, t.x, t.y}`:                 "3 1 2",
		`local t = {} function t.f(a) return a end function t:m(a) return self == t and a end return {t.f(1), t:m(2)}`:               "1 2",
		`local t = {a = {}} function t.a.f(...) return select("#", ...) end return {t.a.f(1, 2, 3)}`:                                 "3",
		`local function f(...) return #arg, arg.n, arg[2] end return {f(7, 8)}`:                                                      "2 2 8",
		`local function f(n) if n == 0 then return 0 end return n + f(n - 1) end return {f(4)}`:                                      "10",
		`local f = function(...) local a, b = ... return b end return {f(1, 2)}`:                                                     "2",
		`local t = setmetatable({}, {__newindex = function(t, k, v) rawset(t, k, v * 2) end}) t.a = 2 t.a = 3 return {t.a}`:          "3",
		`local u = {} local t = setmetatable({a = 1}, {__newindex = u}) t.a, t.b = 2, 3 return {t.a, u.b, tostring(rawget(t, "b"))}`: "2 3 nil",
		`local t = {3, 1, 2} table.sort(t) return t`:                                                                                 "1 2 3",
		`local t = {"b", "c", "a"} table.sort(t, function(a, b) return a > b end) return t`:                                          "c b a",
		`local t = {} table.insert(t, "b") table.insert(t, 1, "a") table.insert(t, "c") table.remove(t, 2) return t`:                 "a c",
		`local n = 0 for k, v in pairs({1, 2, a = 3}) do n = n + v end return {n, tostring(next({}))}`:                               "6 nil",
		`return {("Az\255"):upper(), ("Az\255"):lower(), ("ab\255"):reverse()}`:                                                      "AZ\xff az\xff \xffba",
		`return {("hello world"):gsub("o", "0")}`:                                                                                    "hell0 w0rld 2",
		`return {("hello"):gsub("l", "L", 1)}`:                                                                                       "heLlo 1",
		`return {("hello"):gsub("l", "L", 0)}`:                                                                                       "hello 0",
		`return {("a=1,b=2"):gsub("(%w)=(%w)", "%2=%1")}`:                                                                            "1=a,2=b 2",
		`return {("abc"):gsub("%w", "%0%0%%")}`:                                                                                      "aa%bb%cc% 3",
		`return {("$x $y"):gsub("%$(%w)", {x = 1, y = false})}`:                                                                      "1 $y 2",
		`return {("ab"):gsub("()(.)", function(at, c) if c == "a" then return c .. at end end)}`:                                     "a1b 2",
		`return {("ab"):gsub("", "-")}`:                                                                                              "-a-b- 3",
		`return {("x"):gsub("x", "%1")}`:                                                                                             "x 1",
	} {
		var items []string
		got := g.eval(script, 0)
		for _, part := range strings.Split(got, "\r\n")[1:] {
			switch {
			case strings.HasPrefix(part, ":"):
				items = append(items, part[1:])
			case part != "" && part[0] != '$':
				items = append(items, part)
			}
		}
		if strings.Join(items, " ") != want && !strings.HasSuffix(got, want+"\r\n") {
			t.Errorf("%s = %q, want %q", script, got, want)
		}
	}
	var fields strings.Builder
	for i := range 500 {
		fmt.Fprintf(&fields, "f%d = %d, ", i, i)
	}
	if got := g.eval("local t = {"+fields.String()+"} return t.f0 + t.f499", 0); got != ":499\r\n" {
		t.Errorf("a table with 500 fields = %.200q, want 499", got)
	}
}

func TestAScriptIsToldWhetherItTookTooLongOrTooManySteps(t *testing.T) {
	for _, c := range []struct {
		steps int
		late  bool
		want  error
	}{
		{maxSteps, false, nil},
		{maxSteps + 1, false, errScriptSteps},
		{1, true, errScriptTime},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := &meter{}
			m.start(&Session{engine: &Engine{scripts: newScripts(1, nil, nil)}})
			if m.steps = c.steps; c.late {
				<-time.After(maxTime + time.Millisecond)
			}
			if m.done(); m.Err() != c.want {
				t.Errorf("after %d steps, late %t: %v, want %v", c.steps, c.late, m.Err(), c.want)
			}
		})
	}
}

func TestAScriptNobodyWaitsForIsSoonOver(t *testing.T) {
	for _, closed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := &Session{engine: &Engine{scripts: newScripts(1, nil, nil)}}
			m := &meter{}
			m.start(s)
			s.closed = closed
			if m.done() {
				t.Errorf("closed %t: over before it began", closed)
			}
			<-time.After(partingTime + time.Millisecond)
			if got := m.done(); got != closed {
				t.Errorf("closed %t: over %t after %v", closed, got, partingTime)
			}
			<-time.After(maxTime)
			if !m.done() {
				t.Errorf("closed %t: not over after %v", closed, maxTime)
			}
		})
	}
}

func TestCloseEndsScriptsAtOnce(t *testing.T) {
	h := newHouse(t, 0)
	const endless = `local s = string.rep("a", 700) while ARGV[1] == "on" do string.find(s, "a-b") end`
	h.guest().do("eval", endless, "0", "off") // of one that never ran, a session has one at a time under way
	var replies []<-chan string
	for range 2 * runtime.GOMAXPROCS(0) {
		g := h.guest()
		for range 200 {
			replies = append(replies, g.begin("eval", endless, "0", "on"))
		}
	}
	start := time.Now()
	h.engine.Close()
	if took := time.Since(start); took > 4*time.Second { // all of them would take minutes
		t.Errorf("Close took %v", took)
	}
	for _, r := range replies {
		if got := h.guest().answer(r, "a script at the end"); !strings.Contains(got, "was stopped") {
			t.Errorf("a script at the end = %q, want it stopped", got)
		}
	}
	if got := h.guest().ask("eval \"return 1 + 1\" 0"); got != errLine(errClosing) {
		t.Errorf("a script after the end = %q, want %q", got, errLine(errClosing))
	}
}

func TestScriptsOfOneClientDoNotKeepOthersWaiting(t *testing.T) {
	h := newHouse(t, 0, func(o *Options) { o.Scripts = 2 })
	greedy, other := h.guest(), h.guest()
	const endless = `while ARGV[1] == "on" do end`
	greedy.do("eval", endless, "0", "off")
	for range 300 {
		greedy.begin("eval", endless, "0", "on")
	}
	other.ask("set k a")
	start := time.Now()
	if got := other.eval(compareAndDelete, 1, "k", "a"); got != yes {
		t.Errorf("a release beside 300 endless scripts = %q, want %q", got, yes)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("a release beside 300 endless scripts took %v", took)
	}
}

func TestOfAClosedSessionOnlyWhatMayReleaseIsRun(t *testing.T) {
	h := newHouse(t, 0, func(o *Options) { o.Scripts = 1 })
	g, gone := h.guest(), h.guest()
	gone.ask("set k a")
	const endless = `while ARGV[1] == "on" do end`
	gone.ask("set other a")
	gone.do("eval", endless, "0", "off") // of one that never ran, a session has one at a time under way
	gone.do("eval", compareAndDelete, "1", "other", "a")
	before := g.begin("eval", endless, "0", "on") // it occupies the only worker
	acquire := gone.begin("eval", endless, "1", "free", "on")
	look := gone.begin("eval_ro", endless, "1", "k", "on")
	release := gone.begin("eval", compareAndDelete, "1", "k", "a")
	gone.session.Close()
	for what, r := range map[string]<-chan string{"a script on a lock that is free": acquire, "a script that changes nothing": look} {
		if got := g.answer(r, what); got != errLine(errHungUp) {
			t.Errorf("%s, of a closed session = %q, want %q", what, got, errLine(errHungUp))
		}
	}
	if got := g.answer(release, "the release"); got != yes {
		t.Errorf("a release of a closed session = %q, want %q", got, yes)
	}
	g.answer(before, "the script before")
	g.expect([2]string{"exists k", no})
}
