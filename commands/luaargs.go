package commands

import (
	"math"
	"math/rand/v2"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// What functions of Lua's libraries are given. The interpreter's own take a text
// for a number in some places only, and write numbers as Go does: so arguments are
// made what is wanted before it is called.

// typed is a function whose arguments are converted before it is called, see
// [machine.convert].
func (m *machine) typed(name, kinds string, f lua.LGFunction) lua.LGFunction {
	return func(l *lua.LState) int {
		m.convert(l, name, kinds)
		return f(l)
	}
}

// inside returns what a function of the interpreter does.
func inside(f lua.LValue) lua.LGFunction { return f.(*lua.LFunction).GFunction }

// convert makes the arguments of the function of that name what it wants, or raises
// what Lua says. Each has a letter; with a * the last one is for any number of them,
// also for none.
//
//	a  anything    s  a text     n  a number    i  a whole number, of 64 bits
//	v  a value     t  a table                   j  one of 32 bits
//
// and capitals are for what may be nil or missing.
func (m *machine) convert(l *lua.LState, name, kinds string) {
	kinds, more := strings.CutSuffix(kinds, "*")
	n := len(kinds)
	if more {
		n = max(n-1, l.GetTop())
	}
	for i := range n {
		m.argument(l, name, i+1, kinds[min(i, len(kinds)-1)])
	}
}

func (m *machine) argument(l *lua.LState, name string, at int, kind byte) {
	v := l.Get(at)
	if v == lua.LNil && 'A' <= kind && kind <= 'Z' {
		return
	}
	switch kind {
	case 's', 'S':
		m.text(l, name, at, v)
	case 'n', 'N', 'i', 'I', 'j', 'J':
		n, ok := m.number(l, v)
		if !ok {
			wrongType(l, name, at, "number")
		}
		switch kind {
		case 'i', 'I':
			n = float64(truncate(n))
		case 'j', 'J':
			n = float64(int32(truncate(n))) // as C cuts it off
		}
		if v != lua.LNumber(n) {
			l.Replace(at, lua.LNumber(n))
		}
	case 'v':
		if at > l.GetTop() {
			badArgument(l, name, at, "value expected")
		}
	case 't':
		if v.Type() != lua.LTTable {
			wrongType(l, name, at, "table")
		}
	}
}

func (m *machine) text(l *lua.LState, name string, at int, v lua.LValue) {
	switch v := v.(type) {
	case lua.LString:
	case lua.LNumber:
		text := formatLua(v)
		m.take(l, headBytes+len(text))
		l.Replace(at, lua.LString(text))
	default:
		wrongType(l, name, at, "string")
	}
}

func wrongType(l *lua.LState, name string, at int, wanted string) {
	got := "no value"
	if at <= l.GetTop() {
		got = l.Get(at).Type().String()
	}
	badArgument(l, name, at, wanted+" expected, got "+got)
}

// badArgument raises what is wrong with an argument. Lua says the name that the
// script calls the function by, and counts from the second of a method; we can't.
func badArgument(l *lua.LState, name string, at int, what string) {
	l.RaiseError("bad argument #%d to '%s' (%s)", at, name, what)
}

func (m *machine) mathFunctions(library *lua.LTable) map[string]lua.LGFunction {
	library.RawSetString("huge", lua.LNumber(math.Inf(1)))
	library.RawSetString("mod", library.RawGetString("fmod"))
	ours := map[string]lua.LGFunction{}
	library.ForEach(func(key, v lua.LValue) {
		name, f := key.String(), v
		kinds := "n"
		switch name {
		case "atan2", "fmod", "mod", "pow":
			kinds = "nn"
		case "ldexp":
			kinds = "nj"
		case "max", "min":
			kinds = "nn*"
		}
		if f.Type() == lua.LTFunction {
			ours[name] = m.typed(name, kinds, inside(f))
		}
	})
	ours["modf"] = m.typed("modf", "n", modf)
	ours["random"] = m.typed("random", "j*", random)
	ours["randomseed"] = m.typed("randomseed", "j", func(*lua.LState) int { return 0 }) // the generator is everybody's
	return ours
}

func modf(l *lua.LState) int {
	n := float64(l.CheckNumber(1))
	whole, rest := math.Modf(n)
	if math.IsInf(n, 0) {
		rest = math.Copysign(0, n)
	}
	l.Push(lua.LNumber(whole))
	l.Push(lua.LNumber(rest))
	return 2
}

func random(l *lua.LState) int {
	r, first, last := rand.Float64(), 1.0, 0.0
	switch l.GetTop() {
	case 0:
		l.Push(lua.LNumber(r))
		return 1
	case 1:
		last = float64(l.CheckNumber(1))
	case 2:
		first, last = float64(l.CheckNumber(1)), float64(l.CheckNumber(2))
	default:
		l.RaiseError("wrong number of arguments")
	}
	if first > last {
		badArgument(l, "random", l.GetTop(), "interval is empty")
	}
	l.Push(lua.LNumber(math.Floor(r*(last-first+1)) + first))
	return 1
}

func (m *machine) assert(l *lua.LState) int {
	if l.ToBool(1) {
		return l.GetTop()
	}
	m.convert(l, "assert", "vS")
	l.RaiseError("%s", l.OptString(2, "assertion failed!"))
	return 0
}

// choose is Lua's select.
func (m *machine) choose(l *lua.LState) int {
	n := l.GetTop()
	if text, ok := l.Get(1).(lua.LString); ok && strings.HasPrefix(string(text), "#") {
		l.Push(lua.LNumber(n - 1))
		return 1
	}
	m.convert(l, "select", "j")
	i := l.CheckInt(1)
	if i < 0 {
		i += n
	}
	if i < 1 {
		badArgument(l, "select", 1, "index out of range")
	}
	return n - min(i, n)
}
