package commands

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// The functions of strings that take patterns.

// Bytes that are taken for each match, and for each capture in it.
const (
	matchBytes   = 768
	captureBytes = 32
)

// prepare returns what matches the pattern that a function of strings is given.
func (m *machine) prepare(l *lua.LState) *matcher {
	m.take(l, matchBytes)
	return &matcher{m: m, l: l, in: l.CheckString(1), pattern: untilNul(l.CheckString(2))} // as C's strings end
}

func (m *machine) find(l *lua.LState) int {
	subject, text := l.CheckString(1), l.CheckString(2)
	if !l.ToBool(4) && strings.ContainsAny(untilNul(text), "^$*+?.([%-") {
		return m.search(l, true)
	}
	from := startAt(l, subject)
	m.spend(l, len(subject)/64)
	at := strings.Index(subject[from:], text)
	if at < 0 {
		l.Push(lua.LNil)
		return 1
	}
	l.Push(lua.LNumber(from + at + 1))
	l.Push(lua.LNumber(from + at + len(text)))
	return 2
}

func (m *machine) match(l *lua.LState) int { return m.search(l, false) }

// startAt returns where a search begins by its third argument.
func startAt(l *lua.LState, subject string) int {
	from := l.OptInt(3, 1)
	if from < 0 {
		from += len(subject) + 1
	}
	return min(max(from, 1)-1, len(subject))
}

// search returns the captures of the first match, and its place too if wanted.
func (m *machine) search(l *lua.LState, place bool) int {
	c := m.prepare(l)
	anchored := c.char(0) == '^'
	p := 0
	if anchored {
		p = 1
	}
	start, end := c.find(startAt(l, c.in), p, anchored)
	switch {
	case start < 0:
		l.Push(lua.LNil)
		return 1
	case !place:
		return c.push(start, end)
	}
	l.Push(lua.LNumber(start + 1))
	l.Push(lua.LNumber(end))
	if c.level == 0 {
		return 2
	}
	return 2 + c.push(start, end)
}

// gmatch returns a function that finds one match after the other.
func (m *machine) gmatch(l *lua.LState) int {
	m.take(l, functionBytes)
	c, at := m.prepare(l), 0
	l.Push(l.NewFunction(func(l *lua.LState) int {
		c.l = l
		start, end := c.find(at, 0, false)
		if start < 0 {
			return 0
		}
		if at = end; end == start {
			at++
		}
		return c.push(start, end)
	}))
	return 1
}

// gsub is Lua's.
//
// Source: Lua 5.1, str_gsub.
func (m *machine) gsub(l *lua.LState) int {
	with := l.Get(3)
	if _, ok := textOrNumber(with); !ok && with.Type() != lua.LTTable && with.Type() != lua.LTFunction {
		badArgument(l, "gsub", 3, "string/function/table expected")
	}
	c := m.prepare(l)
	most := l.OptInt(4, len(c.in)+1)
	anchored, p := c.char(0) == '^', 0
	if anchored {
		p = 1
	}
	var b strings.Builder
	n, done := 0, 0
	for at := 0; n < most; {
		start, end := c.find(at, p, anchored)
		if start < 0 {
			break
		}
		n++
		text := c.replacement(with, start, end)
		m.pass(l, len(text)+start-done)
		b.WriteString(c.in[done:start])
		b.WriteString(text)
		if done, at = end, end; end == start {
			at++
		}
		if anchored {
			break
		}
	}
	m.pass(l, len(c.in)-done)
	b.WriteString(c.in[done:])
	l.Push(lua.LString(b.String()))
	l.Push(lua.LNumber(n))
	return 2
}

// replacement is what gsub puts in the place of a match.
func (c *matcher) replacement(with lua.LValue, start, end int) string {
	l := c.l
	var value lua.LValue
	switch with := with.(type) {
	case *lua.LTable:
		value = l.GetTable(with, c.value(0, start, end))
	case *lua.LFunction:
		l.Push(with)
		l.Call(c.push(start, end), 1)
		value = l.Get(-1)
		l.Pop(1)
	default:
		text, _ := textOrNumber(with)
		return c.expand(text, start, end)
	}
	if lua.LVIsFalse(value) {
		return c.in[start:end]
	}
	text, ok := textOrNumber(value)
	if !ok {
		l.RaiseError("invalid replacement value (a %s)", value.Type())
	}
	return text
}

// expand puts captures in the places of %0 to %9.
func (c *matcher) expand(text string, start, end int) string {
	if !strings.Contains(text, "%") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			b.WriteByte(text[i])
			continue
		}
		switch i++; {
		case i == len(text):
			b.WriteByte(0) // where C's string ends
		case text[i] < '0' || text[i] > '9':
			b.WriteByte(text[i])
		case text[i] == '0':
			b.WriteString(c.in[start:end])
		default:
			part, _ := textOrNumber(c.value(int(text[i]-'1'), start, end))
			b.WriteString(part)
		}
		if b.Len() > maxBytes {
			c.m.take(c.l, b.Len())
		}
	}
	return b.String()
}
