package commands

import (
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// The functions of Lua's libraries that can be asked for much work or memory by
// little code: the interpreter cannot be interrupted in them, so they are
// bounded before they begin.

func (m *machine) stringFunctions(library *lua.LTable) map[string]lua.LGFunction {
	library.RawSetString("__index", lua.LNil) // it is seen by a metatable of its own
	ours := map[string]lua.LGFunction{"dump": refuseFunction}
	for name, f := range map[string]struct {
		kinds string
		does  lua.LGFunction
	}{
		"byte":    {"sII", m.byte},
		"char":    {"j*", m.char},
		"find":    {"ssIa", m.find},
		"format":  {"s", m.format},
		"gfind":   {"ss", m.gmatch},
		"gmatch":  {"ss", m.gmatch},
		"gsub":    {"ssaJ", m.gsub},
		"len":     {"s", inside(library.RawGetString("len"))},
		"lower":   {"s", m.lower},
		"match":   {"ssI", m.match},
		"rep":     {"sj", m.rep},
		"reverse": {"s", m.reverse},
		"sub":     {"siI", m.sub},
		"upper":   {"s", m.upper},
	} {
		ours[name] = m.typed(name, f.kinds, f.does)
	}
	return ours
}

func refuseFunction(l *lua.LState) int {
	l.RaiseError("not available in scripts")
	return 0
}

func (m *machine) rep(l *lua.LState) int {
	s, n := l.CheckString(1), l.CheckInt(2)
	if n <= 0 || s == "" {
		l.Push(lua.LString(""))
		return 1
	}
	if n > maxBytes/len(s) {
		n = maxBytes/len(s) + 1
	}
	m.pass(l, n*len(s))
	l.Push(lua.LString(strings.Repeat(s, n)))
	return 1
}

func (m *machine) upper(l *lua.LState) int {
	return m.mapped(l, func(to, from []byte) {
		for i, c := range from {
			if 'a' <= c && c <= 'z' {
				c -= 'a' - 'A'
			}
			to[i] = c
		}
	})
}

func (m *machine) lower(l *lua.LState) int {
	return m.mapped(l, func(to, from []byte) { appendLower(to[:0], from) })
}

func (m *machine) reverse(l *lua.LState) int {
	return m.mapped(l, func(to, from []byte) {
		copy(to, from)
		slices.Reverse(to)
	})
}

// mapped makes a string of another, byte by byte: the interpreter's own functions
// take strings for UTF-8, and spoil those that are not.
func (m *machine) mapped(l *lua.LState, f func(to, from []byte)) int {
	s := l.CheckString(1)
	m.spend(l, len(s)/16)
	m.take(l, headBytes+len(s))
	to := make([]byte, len(s))
	f(to, []byte(s))
	l.Push(lua.LString(to))
	return 1
}

func (m *machine) sub(l *lua.LState) int {
	s := l.CheckString(1)
	first, last := slice(len(s), l.CheckInt(2), l.OptInt(3, -1))
	m.take(l, headBytes+last-first)
	l.Push(lua.LString(s[first:last]))
	return 1
}

// slice returns where a part of so many bytes begins and ends that Lua counts from
// 1, or from -1 backwards. There may be nothing of it.
func slice(length, first, last int) (from, to int) {
	if first < 0 {
		first += length + 1
	}
	if last < 0 {
		last += length + 1
	}
	if first, last = max(first, 1), min(last, length); first > last {
		return 0, 0
	}
	return first - 1, last
}

func (m *machine) byte(l *lua.LState) int {
	s, first := l.CheckString(1), l.OptInt(2, 1)
	from, to := slice(len(s), first, l.OptInt(3, first))
	if to-from > maxValues/2 {
		l.RaiseError("string slice too long")
	}
	for i := from; i < to; i++ {
		l.Push(lua.LNumber(s[i]))
	}
	return to - from
}

func (m *machine) char(l *lua.LState) int {
	m.take(l, headBytes+l.GetTop())
	text := make([]byte, l.GetTop())
	for i := range text {
		c := l.CheckInt(i + 1)
		if c != c&0xff {
			badArgument(l, "char", i+1, "invalid value")
		}
		text[i] = byte(c)
	}
	l.Push(lua.LString(text))
	return 1
}

func (m *machine) tableConcat(l *lua.LState) int {
	t, sep := l.CheckTable(1), l.OptString(2, "")
	first, last := l.OptInt(3, 1), l.OptInt(4, t.Len())
	var b strings.Builder
	for i := first; i <= last; i++ {
		text, ok := textOrNumber(t.RawGetInt(i))
		if !ok {
			l.RaiseError("invalid value (%s) at index %d in table for 'concat'", t.RawGetInt(i).Type().String(), i)
		}
		if i < last {
			text += sep
		}
		m.pass(l, len(text))
		b.WriteString(text)
	}
	l.Push(lua.LString(b.String()))
	return 1
}

// concat is the operator "..", of strings and numbers only.
func (m *machine) concat(l *lua.LState) int {
	n := 0
	parts := make([]string, l.GetTop())
	for i := range parts {
		text, ok := textOrNumber(l.Get(i + 1))
		if !ok {
			l.RaiseError("attempt to concatenate a %s value", l.Get(i+1).Type().String())
		}
		parts[i] = text
		n += len(text)
	}
	m.pass(l, n)
	l.Push(lua.LString(strings.Join(parts, "")))
	return 1
}

func (m *machine) tostring(l *lua.LState) int {
	v := l.CheckAny(1)
	m.take(l, 2*headBytes) // but for what __tostring makes, no name or number is longer
	if n, ok := v.(lua.LNumber); ok {
		l.Push(lua.LString(formatLua(n)))
	} else {
		l.Push(l.ToStringMeta(v))
	}
	return 1
}
