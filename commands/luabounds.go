package commands

import (
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// The functions of Lua's libraries that can be asked for much work or memory by
// little code: the interpreter cannot be interrupted in them, so they are
// bounded before they begin.

func (m *machine) stringFunctions(library *lua.LTable) map[string]lua.LGFunction {
	ours := map[string]lua.LGFunction{"rep": m.rep, "dump": refuseFunction}
	for name, check := range map[string]lua.LGFunction{
		"find":   m.checkPattern,
		"match":  m.checkPattern,
		"gmatch": m.checkPattern,
		"gfind":  m.checkPattern,
		"gsub":   m.checkGsub,
		"format": m.checkFormat,
	} {
		ours[name] = checked(check, library.RawGetString(name))
	}
	return ours
}

func (m *machine) tableFunctions(*lua.LTable) map[string]lua.LGFunction {
	return map[string]lua.LGFunction{"concat": m.tableConcat}
}

func (m *machine) mathFunctions(*lua.LTable) map[string]lua.LGFunction {
	return map[string]lua.LGFunction{
		"randomseed": func(*lua.LState) int { return 0 }, // the generator is everybody's
	}
}

// checked is a function that is called only if check does not raise an error.
func checked(check lua.LGFunction, f lua.LValue) lua.LGFunction {
	return func(l *lua.LState) int {
		check(l)
		n := l.GetTop()
		l.Insert(f, 1)
		l.Call(n, lua.MultRet)
		return l.GetTop()
	}
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
	if n > maxStrings/len(s) {
		n = maxStrings/len(s) + 1
	}
	m.take(l, n*len(s))
	l.Push(lua.LString(strings.Repeat(s, n)))
	return 1
}

// checkPattern refuses a pattern that could take long. Matching backtracks: each
// repetition in the pattern may be tried at each length, from each place where
// it may begin.
func (m *machine) checkPattern(l *lua.LState) int {
	subject, pattern := l.CheckString(1), l.CheckString(2)
	if plain := l.ToBool(4); !plain && !cheap(pattern, len(subject)) {
		l.RaiseError("the pattern could take too long on a string of %d bytes", len(subject))
	}
	return 0
}

// checkGsub counts what a replacement can become at most: captures come from
// places that do not overlap.
func (m *machine) checkGsub(l *lua.LState) int {
	subject, pattern := l.CheckString(1), l.CheckString(2)
	if !cheap(pattern, len(subject)) {
		l.RaiseError("the pattern could take too long on a string of %d bytes", len(subject))
	}
	longest := len(subject)
	if s, ok := l.Get(3).(lua.LString); ok {
		longest += (len(subject)+1)*len(s) + strings.Count(string(s), "%")*len(subject)
	}
	m.take(l, longest)
	return 0
}

// checkFormat counts what string.format makes, and refuses long widths as Redis
// does.
func (m *machine) checkFormat(l *lua.LState) int {
	format := l.CheckString(1)
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		digits := 0
		for i++; i < len(format) && strings.IndexByte("-+ #.0123456789", format[i]) >= 0; i++ {
			if digits++; format[i] < '0' {
				digits = 0
			}
			if digits > 2 {
				l.RaiseError("invalid format (width or precision too long)")
			}
		}
	}
	n := len(format)
	for i := 2; i <= l.GetTop(); i++ {
		text, _ := textOrNumber(l.Get(i))
		n += 4*len(text) + 400 // quoted, or the widest number
	}
	m.take(l, n)
	return 0
}

// cheap reports whether matching takes at most some hundred million steps.
func cheap(pattern string, length int) bool {
	const most = 1e8
	tries := 1
	for i := 0; i < len(pattern); i++ {
		switch pattern[i] {
		case '%':
			i++
			if i < len(pattern) && pattern[i] == 'b' {
				tries++ // runs over the subject too
			}
		case '*', '+', '-', '?':
			tries++
		}
	}
	return length < 1<<16 && math.Pow(float64(length+1), float64(tries)) <= most
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
		m.take(l, len(text))
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
	m.take(l, n)
	l.Push(lua.LString(strings.Join(parts, "")))
	return 1
}

func textOrNumber(v lua.LValue) (string, bool) {
	switch v := v.(type) {
	case lua.LString:
		return string(v), true
	case lua.LNumber:
		return formatLua(v), true
	}
	return "", false
}

// formatLua writes a number as Redis's Lua does when it makes it a string.
func formatLua(n lua.LNumber) string {
	if math.IsNaN(float64(n)) {
		return "nan"
	}
	return formatNumber(float64(n), 14)
}

func tostring(l *lua.LState) int {
	v := l.CheckAny(1)
	if n, ok := v.(lua.LNumber); ok {
		l.Push(lua.LString(formatLua(n)))
	} else {
		l.Push(l.ToStringMeta(v))
	}
	return 1
}
