package commands

import (
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/pm"
)

// Lua's patterns are matched by trying, which may take as many steps as there
// are ways to divide a string among the repetitions of a pattern.

const (
	// maxEffort is the most that one match may take, in steps: some 50 ms.
	maxEffort = 1_000_000
	// maxRepeated is the longest string that repetitions are tried on: each byte
	// that they take is a call inside a call, of some hundred bytes of stack.
	maxRepeated = 16 << 10
)

// Bytes that the interpreter keeps of each match, and of each capture in it.
const (
	matchBytes   = 64
	captureBytes = 32
)

func (m *machine) checkFind(l *lua.LState) int {
	if l.GetTop() == 4 && l.ToBool(4) { // with one argument more it is no plain search to the interpreter
		m.spend(l, len(l.CheckString(1))/64)
		return 0
	}
	return m.checkMatch(l)
}

// checkMatch refuses a pattern that could take long, and counts it if not.
func (m *machine) checkMatch(l *lua.LState) int {
	subject, pattern := l.CheckString(1), l.CheckString(2)
	m.spend(l, m.effort(l, subject, pattern))
	m.take(l, matchLimit(pattern))
	return 0
}

// checkGmatch counts the matches too, which are all found at once and kept.
func (m *machine) checkGmatch(l *lua.LState) int {
	subject, pattern := l.CheckString(1), l.CheckString(2)
	m.spend(l, m.effort(l, subject, pattern))
	m.take(l, matchLimit(pattern)*(len(subject)+1))
	return 0
}

// matchLimit is how many bytes one match takes at most.
func matchLimit(pattern string) int { return matchBytes + captureBytes*strings.Count(pattern, "(") }

func (m *machine) effort(l *lua.LState, subject, pattern string) int {
	n := effort(pattern, len(subject))
	if n > maxEffort {
		l.RaiseError("the pattern could take too long on a string of %d bytes", len(subject))
	}
	return int(n)
}

// effort is about how many steps it may take to match a pattern on a string of so
// many bytes: the ways to choose where the match begins and where each repetition
// ends, times what is compared each time. Where the pattern ends with a repetition
// there is nothing to choose, since nothing after it can fail.
func effort(pattern string, length int) float64 {
	choices, ways := 1, 1.0
	if strings.HasPrefix(pattern, "^") {
		choices = 0
	}
	repeats, plain, longest := false, 0, 0
	for i := 0; i < len(pattern); i++ {
		plain++
		switch pattern[i] {
		case '%':
			i++
			if i < len(pattern) && (pattern[i] == 'b' || '0' <= pattern[i] && pattern[i] <= '9') {
				choices++ // goes over the string too
			}
		case '?':
			ways *= 2
		case '*', '+', '-':
			repeats, plain = true, 0
			if strings.Trim(pattern[i+1:], ")") != "" {
				choices++
			}
		}
		longest = max(longest, plain)
	}
	if repeats && length > maxRepeated {
		return math.Inf(1)
	}
	for i := range choices {
		ways *= float64(length+i+1) / float64(i+1)
	}
	return ways*float64(longest+2) + float64(length)
}

// gsub is Lua's. The interpreter's own copies the whole string for each match.
func (m *machine) gsub(l *lua.LState) int {
	m.checkGmatch(l)
	s, pattern, with, most := l.CheckString(1), l.CheckString(2), l.CheckAny(3), l.OptInt(4, -1)
	if _, ok := textOrNumber(with); !ok && with.Type() != lua.LTTable && with.Type() != lua.LTFunction {
		l.ArgError(3, "string/function/table expected")
	}
	var matches []*pm.MatchData
	if most != 0 {
		var err error
		if matches, err = pm.Find(pattern, []byte(s), 0, most); err != nil {
			l.RaiseError("%s", err)
		}
	}
	var b strings.Builder
	done := 0
	for _, found := range matches {
		match := match{s, found}
		text := m.replacement(l, match, with)
		m.pass(l, len(text))
		b.WriteString(s[done:found.Capture(0)])
		b.WriteString(text)
		done = found.Capture(1)
	}
	m.pass(l, len(s)-done)
	b.WriteString(s[done:])
	l.Push(lua.LString(b.String()))
	l.Push(lua.LNumber(len(matches)))
	return 2
}

// replacement is what gsub puts in the place of a match.
func (m *machine) replacement(l *lua.LState, found match, with lua.LValue) string {
	var value lua.LValue
	switch with := with.(type) {
	case *lua.LTable:
		value = l.GetTable(with, found.first())
	case *lua.LFunction:
		l.Push(with)
		n := max(found.captures(), 1)
		l.Push(found.first())
		for i := 2; i <= n; i++ {
			l.Push(found.capture(i))
		}
		l.Call(n, 1)
		value = l.Get(-1)
		l.Pop(1)
	default:
		text, _ := textOrNumber(with)
		return m.expand(l, found, text)
	}
	if lua.LVIsFalse(value) {
		return found.whole()
	}
	text, ok := textOrNumber(value)
	if !ok {
		l.RaiseError("invalid replacement value (a %s)", value.Type())
	}
	return text
}

// expand puts captures in the places of %0 to %9.
func (m *machine) expand(l *lua.LState, found match, text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		switch n := int(text[i] - '0'); {
		case text[i] < '0' || text[i] > '9':
			b.WriteByte(text[i])
		case n == 0:
			b.WriteString(found.whole())
		case n == 1:
			b.WriteString(lua.LVAsString(found.first()))
		case n > found.captures():
			l.RaiseError("invalid capture index")
		default:
			b.WriteString(lua.LVAsString(found.capture(n)))
		}
		if b.Len() > maxBytes {
			m.take(l, b.Len())
		}
	}
	return b.String()
}

// A match is a place in a string where a pattern was found.
type match struct {
	in    string
	found *pm.MatchData
}

func (f match) captures() int { return f.found.CaptureLength()/2 - 1 }
func (f match) whole() string { return f.in[f.found.Capture(0):f.found.Capture(1)] }

// capture returns the i-th capture, from 1: a string, or a place.
func (f match) capture(i int) lua.LValue {
	if f.found.IsPosCapture(2 * i) {
		return lua.LNumber(f.found.Capture(2 * i))
	}
	return lua.LString(f.in[f.found.Capture(2*i):f.found.Capture(2*i+1)])
}

// first returns the first capture, or the whole match if the pattern has none.
func (f match) first() lua.LValue {
	if f.captures() == 0 {
		return lua.LString(f.whole())
	}
	return f.capture(1)
}
