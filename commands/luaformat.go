package commands

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// string.format is C's printf, with the checks that Lua makes. Go's does other
// things for most of it.

const (
	// widest is more than one number can take: one of 309 digits, and the longest
	// precision.
	widest = 420
	// longText is how long a text is that %s leaves as it is, whatever the width.
	longText = 100
)

// format is Lua's.
//
// Source: Lua 5.1, str_format.
func (m *machine) format(l *lua.LState) int {
	format := l.CheckString(1)
	n := len(format)
	for i := 2; i <= l.GetTop(); i++ { // each is used once at most
		text, _ := l.Get(i).(lua.LString)
		n += 4*len(text) + widest // quoted, a byte may take four
	}
	m.pass(l, n)
	var out []byte
	for at, arg := 0, 1; at < len(format); {
		next := strings.IndexByte(format[at:], '%')
		if next < 0 {
			out = append(out, format[at:]...)
			break
		}
		out = append(out, format[at:at+next]...)
		if at += next + 1; at < len(format) && format[at] == '%' {
			out = append(out, '%')
			at++
			continue
		}
		if arg++; arg > l.GetTop() {
			badArgument(l, "format", arg, "no value")
		}
		d, length := parseDirective(l, format[at:])
		out = m.item(l, out, d, arg)
		at += length
	}
	l.Push(lua.LString(out))
	return 1
}

// A directive says how one argument is written.
type directive struct {
	minus, plus, space, sharp, zero bool

	width     int
	precision int // -1 if there is none
	verb      byte
}

// parseDirective reads what follows a %, and returns how long it is.
//
// Source: Lua 5.1, scanformat.
func parseDirective(l *lua.LState, text string) (d directive, length int) {
	rest := strings.TrimLeft(text, "-+ #0")
	flags := text[:len(text)-len(rest)]
	if len(flags) > 5 {
		l.RaiseError("invalid format (repeated flags)")
	}
	d.minus, d.plus, d.space = strings.Contains(flags, "-"), strings.Contains(flags, "+"), strings.Contains(flags, " ")
	d.sharp, d.zero = strings.Contains(flags, "#"), strings.Contains(flags, "0")
	d.width, rest = twoDigits(rest)
	d.precision = -1
	if strings.HasPrefix(rest, ".") {
		d.precision, rest = twoDigits(rest[1:])
	}
	if rest != "" && digitOf(rest[0]) < 10 {
		l.RaiseError("invalid format (width or precision too long)")
	}
	if rest == "" || strings.IndexByte("cdiouxXeEfgGqs", rest[0]) < 0 {
		l.RaiseError("invalid option '%%%s' to 'format'", untilNul(rest[:min(len(rest), 1)]))
	}
	d.verb = rest[0]
	return d, len(text) - len(rest) + 1
}

func twoDigits(text string) (n int, rest string) {
	for range 2 {
		if text != "" && digitOf(text[0]) < 10 {
			n, text = 10*n+digitOf(text[0]), text[1:]
		}
	}
	return n, text
}

// item appends one argument.
func (m *machine) item(l *lua.LState, out []byte, d directive, arg int) []byte {
	switch d.verb {
	case 'q':
		m.argument(l, "format", arg, 's')
		return appendLiteral(out, l.CheckString(arg))
	case 's':
		m.argument(l, "format", arg, 's')
		return append(out, d.text(l.CheckString(arg))...)
	}
	m.argument(l, "format", arg, 'n')
	n := float64(l.CheckNumber(arg))
	switch d.verb {
	case 'c':
		c := d.pad(string([]byte{byte(truncate(n))}))
		return append(out, untilNul(c)...)
	case 'd', 'i':
		return append(out, d.signed(truncate(n))...)
	case 'o', 'u', 'x', 'X':
		return append(out, d.unsigned(truncateUnsigned(n))...)
	}
	return append(out, d.float(n)...)
}

func (d directive) text(s string) string {
	if d.precision < 0 && len(s) >= longText {
		return s
	}
	s = untilNul(s)
	if d.precision >= 0 {
		s = s[:min(len(s), d.precision)]
	}
	return d.pad(s)
}

// pad fills up to the width with blanks.
func (d directive) pad(s string) string {
	blanks := strings.Repeat(" ", max(d.width-len(s), 0))
	if d.minus {
		return s + blanks
	}
	return blanks + s
}

// sign returns what stands before a number.
func (d directive) sign(negative bool) string {
	switch {
	case negative:
		return "-"
	case d.plus:
		return "+"
	case d.space:
		return " "
	}
	return ""
}

func (d directive) signed(n int64) string {
	magnitude := uint64(n)
	if n < 0 {
		magnitude = -magnitude
	}
	return d.whole(d.sign(n < 0), strconv.FormatUint(magnitude, 10))
}

func (d directive) unsigned(n uint64) string {
	switch d.verb {
	case 'o':
		digits := strconv.FormatUint(n, 8)
		switch { // so that it begins with a 0
		case d.sharp && n != 0 && d.precision <= len(digits):
			digits = "0" + digits
		case d.sharp && n == 0 && d.precision == 0:
			d.precision = 1
		}
		return d.whole("", digits)
	case 'u':
		return d.whole("", strconv.FormatUint(n, 10))
	}
	digits, prefix := strconv.FormatUint(n, 16), ""
	if d.sharp && n != 0 {
		prefix = "0x"
	}
	if d.verb == 'X' {
		digits, prefix = strings.ToUpper(digits), strings.ToUpper(prefix)
	}
	return d.whole(prefix, digits)
}

// whole writes a whole number of these digits.
func (d directive) whole(sign, digits string) string {
	most := d.precision
	switch {
	case most == 0 && digits == "0":
		digits = ""
	case most < 0 && d.zero && !d.minus:
		most = d.width - len(sign)
	}
	return d.pad(sign + strings.Repeat("0", max(most-len(digits), 0)) + digits)
}

// float writes a number as Go does, which is as C does but for what is infinite or
// no number, and for what is said of precision and 0.
func (d directive) float(n float64) string {
	if math.IsInf(n, 0) || math.IsNaN(n) {
		text := strings.TrimPrefix(formatNumber(math.Abs(n), 6), "-")
		if d.verb == 'E' || d.verb == 'G' {
			text = strings.ToUpper(text)
		}
		return d.pad(d.sign(math.Signbit(n)) + text)
	}
	precision := d.precision
	if precision < 0 {
		precision = 6
	}
	if precision == 0 && (d.verb == 'g' || d.verb == 'G') {
		precision = 1
	}
	flags := ""
	for flag, set := range map[string]bool{"-": d.minus, "+": d.plus, " ": d.space && !d.plus, "#": d.sharp, "0": d.zero && !d.minus} {
		if set {
			flags += flag
		}
	}
	return fmt.Sprintf("%"+flags+"*.*"+string(d.verb), d.width, precision, n)
}

// appendLiteral appends a text as Lua's compiler would read it.
//
// Source: Lua 5.1, addquoted.
func appendLiteral(out []byte, text string) []byte {
	out = append(out, '"')
	for i := range len(text) {
		switch c := text[i]; c {
		case '"', '\\', '\n':
			out = append(out, '\\', c)
		case '\r':
			out = append(out, `\r`...)
		case 0:
			out = append(out, `\000`...)
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}
