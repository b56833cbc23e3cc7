package commands

import (
	"math"
	"strconv"

	lua "github.com/yuin/gopher-lua"
)

// cjson.encode: a value of a script as JSON, as lua-cjson writes it. Its settings
// can't be changed; they are those that Redis has.

// maxNested is how deep JSON may be nested, both ways.
const maxNested = 1000

// jsonNull is what null is to scripts: nil would leave the table.
var jsonNull = &lua.LUserData{Metatable: lua.LNil}

func (m *machine) jsonLibrary() *lua.LTable {
	t := m.state.NewTable()
	t.RawSetString("encode", m.state.NewFunction(m.jsonEncode))
	t.RawSetString("decode", m.state.NewFunction(m.jsonDecode))
	t.RawSetString("null", jsonNull)
	t.RawSetString("_NAME", lua.LString("cjson"))
	return t
}

func (m *machine) jsonEncode(l *lua.LState) int {
	if l.GetTop() != 1 {
		l.RaiseError("bad argument #1 to 'encode' (expected 1 argument)")
	}
	w := jsonWriter{m: m, l: l}
	w.value(l.Get(1), 0)
	l.Push(lua.LString(w.out))
	return 1
}

// A jsonWriter writes one value. What is wrong is raised.
type jsonWriter struct {
	m   *machine
	l   *lua.LState
	out []byte
}

func (w *jsonWriter) value(v lua.LValue, depth int) {
	w.m.pass(w.l, 8)
	switch v := v.(type) {
	case lua.LString:
		w.text(string(v))
	case lua.LNumber:
		w.number(v)
	case lua.LBool:
		w.out = strconv.AppendBool(w.out, bool(v))
	case *lua.LNilType:
		w.out = append(w.out, "null"...)
	case *lua.LTable:
		if depth++; depth > maxNested {
			w.l.RaiseError("Cannot serialise, excessive nesting (%d)", depth)
		}
		if n := w.length(v); n > 0 {
			w.list(v, n, depth)
		} else {
			w.object(v, depth)
		}
	case *lua.LUserData:
		w.out = append(w.out, "null"...) // there is no other
	default:
		w.l.RaiseError("Cannot serialise %s: type not supported", v.Type().String())
	}
}

func (w *jsonWriter) number(n lua.LNumber) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		w.l.RaiseError("Cannot serialise number: must not be NaN or Inf")
	}
	w.out = append(w.out, formatLua(n)...)
}

func (w *jsonWriter) text(s string) {
	w.m.pass(w.l, 2*len(s))
	w.out = append(w.out, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\', '/':
			w.out = append(w.out, '\\', c)
		case '\b':
			w.out = append(w.out, `\b`...)
		case '\f':
			w.out = append(w.out, `\f`...)
		case '\n':
			w.out = append(w.out, `\n`...)
		case '\r':
			w.out = append(w.out, `\r`...)
		case '\t':
			w.out = append(w.out, `\t`...)
		default:
			if c < ' ' || c == 0x7f {
				w.out = append(w.out, `\u00`...)
				w.out = append(w.out, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
				continue
			}
			w.out = append(w.out, c)
		}
	}
	w.out = append(w.out, '"')
}

// Of a list that is longer than sparseLength, less than the sparseRatio-th part may
// be holes.
const (
	sparseLength = 10
	sparseRatio  = 2
)

// length returns how long a table is as a list, 0 if it is none.
func (w *jsonWriter) length(t *lua.LTable) int {
	most, count := 0, 0
	for k, _ := t.Next(lua.LNil); k != lua.LNil; k, _ = t.Next(k) {
		n, ok := k.(lua.LNumber)
		if !ok || n < 1 || n > lua.LNumber(math.MaxInt32) || n != lua.LNumber(math.Trunc(float64(n))) {
			return 0
		}
		most, count = max(most, int(n)), count+1
		w.m.spend(w.l, 1)
	}
	if most > count*sparseRatio && most > sparseLength {
		w.l.RaiseError("Cannot serialise table: excessively sparse array")
	}
	return most
}

func (w *jsonWriter) list(t *lua.LTable, n, depth int) {
	w.out = append(w.out, '[')
	for i := 1; i <= n; i++ {
		if i > 1 {
			w.out = append(w.out, ',')
		}
		w.value(t.RawGetInt(i), depth)
	}
	w.out = append(w.out, ']')
}

func (w *jsonWriter) object(t *lua.LTable, depth int) {
	w.out = append(w.out, '{')
	first := true
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		if !first {
			w.out = append(w.out, ',')
		}
		first = false
		text, ok := textOrNumber(k)
		if !ok {
			w.l.RaiseError("Cannot serialise %s: table key must be a number or string", k.Type().String())
		}
		w.text(text)
		w.out = append(w.out, ':')
		w.value(v, depth)
	}
	w.out = append(w.out, '}')
}
