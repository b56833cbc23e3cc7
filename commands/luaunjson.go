package commands

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
)

// cjson.decode: JSON as a value of a script.

func (m *machine) jsonDecode(l *lua.LState) int {
	text, ok := textOrNumber(l.Get(1))
	if !ok || l.GetTop() != 1 {
		l.RaiseError("bad argument #1 to 'decode' (expected 1 argument)")
	}
	m.spend(l, len(text)/64)
	r := jsonReader{m: m, l: l, in: text}
	v := r.value(r.next(), 0)
	if end := r.next(); end.kind != "T_END" {
		r.expected("the end", end)
	}
	l.Push(v)
	return 1
}

// A jsonReader reads one value. What is wrong is raised.
type jsonReader struct {
	m  *machine
	l  *lua.LState
	in string
	at int
}

// A jsonToken is one word of JSON, with lua-cjson's names for their kinds.
type jsonToken struct {
	kind string
	at   int
	text string
	n    float64
}

func (r *jsonReader) expected(what string, t jsonToken) {
	r.l.RaiseError("Expected %s but found %s at character %d", what, t.kind, t.at+1)
}

func (r *jsonReader) next() jsonToken {
	for r.at < len(r.in) && strings.IndexByte(" \t\n\r", r.in[r.at]) >= 0 {
		r.at++
	}
	r.m.spend(r.l, 2)
	t := jsonToken{at: r.at}
	if r.at == len(r.in) {
		t.kind = "T_END"
		return t
	}
	for _, word := range [...]struct{ text, kind string }{
		{"{", "T_OBJ_BEGIN"}, {"}", "T_OBJ_END"}, {"[", "T_ARR_BEGIN"}, {"]", "T_ARR_END"}, {",", "T_COMMA"}, {":", "T_COLON"},
		{"true", "T_TRUE"}, {"false", "T_FALSE"}, {"null", "T_NULL"},
	} {
		if strings.HasPrefix(r.in[r.at:], word.text) {
			r.at += len(word.text)
			t.kind = word.kind
			return t
		}
	}
	if r.in[r.at] == '"' {
		t.kind, t.text = "T_STRING", r.text()
		return t
	}
	return r.number(t)
}

// number reads a number, of which JSON's are a part.
func (r *jsonReader) number(t jsonToken) jsonToken {
	end := r.at
	for end < len(r.in) && strings.IndexByte("+-.0123456789eExXabcdfABCDFinINty", r.in[end]) >= 0 {
		end++
	}
	n, err := strconv.ParseFloat(r.in[r.at:end], 64)
	if text := r.in[r.at:end]; err != nil && len(text) > 2 && strings.EqualFold(text[:2], "0x") {
		var whole uint64
		whole, err = strconv.ParseUint(text[2:], 16, 64)
		n = float64(whole)
	}
	if err != nil && !math.IsInf(n, 0) || end == r.at {
		t.kind = "invalid token"
		return t
	}
	r.at, t.kind, t.n = end, "T_NUMBER", n
	return t
}

func (r *jsonReader) value(t jsonToken, depth int) lua.LValue {
	switch t.kind {
	case "T_STRING":
		return lua.LString(t.text)
	case "T_NUMBER":
		return lua.LNumber(t.n)
	case "T_TRUE":
		return lua.LTrue
	case "T_FALSE":
		return lua.LFalse
	case "T_NULL":
		return jsonNull
	case "T_OBJ_BEGIN", "T_ARR_BEGIN":
		if depth++; depth > maxNested {
			r.l.RaiseError("Found too many nested data structures (%d) at character %d", depth, t.at+1)
		}
		r.m.take(r.l, tableBytes)
		if t.kind == "T_ARR_BEGIN" {
			return r.list(depth)
		}
		return r.object(depth)
	}
	r.expected("value", t)
	return lua.LNil
}

func (r *jsonReader) list(depth int) lua.LValue {
	made := r.l.CreateTable(0, 0)
	t := r.next()
	if t.kind == "T_ARR_END" {
		return made
	}
	for i := 1; ; i++ {
		r.m.put(r.l, made, lua.LNumber(i), r.value(t, depth))
		switch t = r.next(); t.kind {
		case "T_ARR_END":
			return made
		case "T_COMMA":
			t = r.next()
		default:
			r.expected("comma or array end", t)
		}
	}
}

func (r *jsonReader) object(depth int) lua.LValue {
	made := r.l.CreateTable(0, 0)
	t := r.next()
	if t.kind == "T_OBJ_END" {
		return made
	}
	for {
		if t.kind != "T_STRING" {
			r.expected("object key string", t)
		}
		if colon := r.next(); colon.kind != "T_COLON" {
			r.expected("colon", colon)
		}
		r.m.put(r.l, made, lua.LString(t.text), r.value(r.next(), depth))
		switch t = r.next(); t.kind {
		case "T_OBJ_END":
			return made
		case "T_COMMA":
			t = r.next()
		default:
			r.expected("comma or object end", t)
		}
	}
}

// text reads a string, from its first quote to its last.
func (r *jsonReader) text() string {
	var b strings.Builder
	for r.at++; r.at < len(r.in); r.at++ {
		switch c := r.in[r.at]; c {
		case '"':
			r.at++
			r.m.pass(r.l, b.Len())
			return b.String()
		case '\\':
			r.escape(&b)
		default:
			b.WriteByte(c)
		}
	}
	r.expected("value", jsonToken{kind: "unexpected end of string", at: len(r.in)})
	return ""
}

// escape reads what follows a backslash, and stops at its last byte.
func (r *jsonReader) escape(b *strings.Builder) {
	const letters, meant = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if r.at+1 < len(r.in) {
		if i := strings.IndexByte(letters, r.in[r.at+1]); i >= 0 {
			b.WriteByte(meant[i])
			r.at++
			return
		}
	}
	first, ok := r.unit(r.at)
	if !ok {
		r.expected("value", jsonToken{kind: "invalid escape code", at: r.at})
	}
	r.at += len(`u0000`)
	if !utf16.IsSurrogate(first) {
		b.WriteString(string(first))
		return
	}
	second, _ := r.unit(r.at + 1)
	both := utf16.DecodeRune(first, second)
	if both == utf8.RuneError {
		r.expected("value", jsonToken{kind: "invalid unicode escape code", at: r.at - len(`u0000`)})
	}
	r.at += len(`\u0000`)
	b.WriteString(string(both))
}

// unit reads a \u with its four digits.
func (r *jsonReader) unit(at int) (rune, bool) {
	rest := r.in[min(at, len(r.in)):]
	if len(rest) < len(`\u0000`) || rest[:2] != `\u` {
		return 0, false
	}
	n, err := strconv.ParseUint(rest[2:6], 16, 16)
	return rune(n), err == nil
}
