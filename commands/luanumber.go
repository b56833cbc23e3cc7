package commands

import (
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// Numbers and texts of scripts are taken for one another as in Lua 5.1, which reads
// and writes them as C does. The interpreter has rules of its own, among them Go's
// 1_000 and 0b11, so it is not asked.

const blanks = " \t\n\v\f\r"

// parseLua reads a text as Lua does where it wants a number.
//
// Source: Lua 5.1, luaO_str2d.
func parseLua(text string) (float64, bool) {
	number, rest := scanFloat(untilNul(text))
	if number == "" {
		return 0, false
	}
	if strings.HasSuffix(number, "nan") {
		if end := strings.IndexByte(rest, ')'); end > 0 && rest[0] == '(' { // C's nan(...), which means no other
			rest = rest[end+1:]
		}
	}
	if strings.TrimLeft(rest, blanks) != "" {
		return 0, false
	}
	switch number {
	case "nan", "+nan":
		return math.Copysign(math.NaN(), 1), true
	case "-nan":
		return math.Copysign(math.NaN(), -1), true
	}
	f, _ := strconv.ParseFloat(number, 64) // what is out of range is infinite or 0
	return f, true
}

// untilNul returns what C takes for the text.
func untilNul(text string) string {
	text, _, _ = strings.Cut(text, "\x00")
	return text
}

// parseBase reads a whole number without a sign; what is too large is the largest,
// and a negative one is counted down from 2 to the 64th.
//
// Source: C's strtoul.
func parseBase(text string, base int) (n uint64, ok bool) {
	text = strings.TrimLeft(untilNul(text), blanks)
	negative := strings.HasPrefix(text, "-")
	if negative || strings.HasPrefix(text, "+") {
		text = text[1:]
	}
	if base == 16 && len(text) > 2 && strings.EqualFold(text[:2], "0x") && digitOf(text[2]) < 16 {
		text = text[2:]
	}
	end, full := 0, false
	for ; end < len(text) && digitOf(text[end]) < base; end++ {
		digit := uint64(digitOf(text[end]))
		full = full || n > (math.MaxUint64-digit)/uint64(base)
		n = n*uint64(base) + digit
	}
	switch {
	case end == 0 || strings.TrimLeft(text[end:], blanks) != "":
		return 0, false
	case full:
		return math.MaxUint64, true
	case negative:
		return -n, true
	}
	return n, true
}

// digitOf returns what a digit or a letter stands for, else 36.
func digitOf(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'Z':
		return int(c-'A') + 10
	}
	return 36
}

// truncate is C's conversion of a double to 64 bits.
func truncate(f float64) int64 {
	if f >= -math.MaxInt64 && f < math.MaxInt64 {
		return int64(f)
	}
	return math.MinInt64
}

// truncateUnsigned is that to 64 bits without a sign.
func truncateUnsigned(f float64) uint64 {
	const half = 1 << 63
	if f >= half {
		return uint64(truncate(f-half)) ^ half
	}
	return uint64(truncate(f))
}

// number returns what a value is where a number is wanted.
func (m *machine) number(l *lua.LState, v lua.LValue) (float64, bool) {
	switch v := v.(type) {
	case lua.LNumber:
		return float64(v), true
	case lua.LString:
		m.spend(l, len(v)/64)
		return parseLua(string(v))
	}
	return 0, false
}

// formatLua writes a number as Redis's Lua does when it makes it a string.
func formatLua(n lua.LNumber) string { return formatDigits(n, 14) }

// formatDigits writes a number with so many digits, and the sign that C gives to
// what is no number.
func formatDigits(n lua.LNumber, digits int) string {
	text := formatNumber(float64(n), digits)
	if text == "nan" && math.Signbit(float64(n)) {
		return "-nan"
	}
	return text
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

func (m *machine) tonumber(l *lua.LState) int {
	m.convert(l, "tonumber", "aJ")
	base := l.OptInt(2, 10)
	if base == 10 {
		m.argument(l, "tonumber", 1, 'v')
		n, ok := m.number(l, l.Get(1))
		return pushNumber(l, n, ok)
	}
	m.convert(l, "tonumber", "s")
	if base < 2 || base > 36 {
		badArgument(l, "tonumber", 2, "base out of range")
	}
	text := l.CheckString(1)
	m.spend(l, len(text)/64)
	n, ok := parseBase(text, base)
	return pushNumber(l, float64(n), ok)
}

func pushNumber(l *lua.LState, n float64, ok bool) int {
	if ok {
		l.Push(lua.LNumber(n))
	} else {
		l.Push(lua.LNil)
	}
	return 1
}

// arithmetic are the operators on strings. The interpreter looks for them before it
// reads a string as a number by itself.
var arithmetic = map[string]func(a, b float64) float64{
	"__add": func(a, b float64) float64 { return a + b },
	"__sub": func(a, b float64) float64 { return a - b },
	"__mul": func(a, b float64) float64 { return a * b },
	"__div": func(a, b float64) float64 { return a / b },
	"__mod": func(a, b float64) float64 { return a - math.Floor(a/b)*b },
	"__pow": math.Pow,
	"__unm": func(a, _ float64) float64 { return -a },
}

// strings returns the metatable of all strings.
func (m *machine) strings() *lua.LTable {
	t := m.state.NewTable()
	t.RawSetString("__index", m.libraries[lua.StringLibName].RawGetString("__index"))
	t.RawSetString("__metatable", lua.LFalse)
	for event, f := range arithmetic {
		t.RawSetString(event, m.state.NewFunction(m.operator(event, f)))
	}
	return t
}

func (m *machine) operator(event string, f func(a, b float64) float64) lua.LGFunction {
	return func(l *lua.LState) int {
		operands := []lua.LValue{l.Get(1), l.Get(2)}
		if event == "__unm" {
			operands[1] = operands[0]
		}
		a, isNumber := m.number(l, operands[0])
		if b, both := m.number(l, operands[1]); isNumber && both {
			l.Push(lua.LNumber(f(a, b)))
			return 1
		}
		for _, v := range operands {
			theirs := l.GetMetaField(v, event)
			if theirs.Type() == lua.LTFunction && v.Type() != lua.LTString {
				for _, v := range []lua.LValue{theirs, operands[0], operands[1]} {
					l.Push(v)
				}
				l.Call(2, 1)
				return 1
			}
		}
		wrong := operands[0]
		if isNumber {
			wrong = operands[1]
		}
		l.RaiseError("attempt to perform arithmetic on a %s value", wrong.Type())
		return 0
	}
}
