package commands

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// Replies become values of a script, and what it returns becomes a reply.

// replyTable is about how many bytes a table with one field takes that is made
// for it.
const replyTable = 768

// weight is about how many bytes a reply takes as values of a script.
func (r Reply) weight(proto int) int {
	n := headBytes + len(r.text) + len(r.bytes)
	switch r.kind {
	case status, failure:
		n += replyTable
	case double:
		n += (proto - 2) * replyTable
	case verbatim:
		n += (proto - 2) * 2 * replyTable
	case array:
		n += tableBytes + slotBytes*len(r.items)
	case scored:
		n += tableBytes + slotBytes*len(r.items) + (proto-2)*(tableBytes+listBytes)*len(r.items)/2
	case collection, pairs:
		n += tableBytes + slotBytes*len(r.items) + (proto-2)*(replyTable+hashBytes+entryBytes*len(r.items))
	}
	for _, item := range r.items {
		n += item.weight(proto)
	}
	return n
}

// fromReply is what a script is given for a reply.
func (m *machine) fromReply(l *lua.LState, r Reply) lua.LValue {
	m.take(l, r.weight(m.proto))
	if m.proto == 3 {
		return valueOf3(l, r)
	}
	return valueOf(l, r)
}

// valueOf turns a reply into values by the rules for RESP2.
func valueOf(l *lua.LState, r Reply) lua.LValue {
	switch r.kind {
	case null, nullArray:
		return lua.LFalse
	case status:
		return field(l, "ok", lua.LString(r.text))
	case failure:
		return failureTable(l, r.text)
	case integer, boolean:
		return lua.LNumber(r.n)
	case bulk:
		if r.bytes != nil {
			return lua.LString(r.bytes)
		}
		return lua.LString(r.text)
	case verbatim:
		return lua.LString(r.text)
	case double:
		return lua.LString(formatNumber(r.float, 17))
	}
	t := l.CreateTable(len(r.items), 0)
	for i, item := range r.items {
		t.RawSetInt(i+1, valueOf(l, item))
	}
	return t
}

// valueOf3 does so by the rules for RESP3, for a script that asked for them.
//
// Source: Redis, "RESP3 to Lua type conversion".
func valueOf3(l *lua.LState, r Reply) lua.LValue {
	t := l.CreateTable(0, 0)
	switch r.kind {
	case null, nullArray:
		return lua.LNil
	case boolean:
		return lua.LBool(r.n == 1)
	case double:
		return field(l, "double", lua.LNumber(r.float))
	case verbatim:
		t.RawSetString("format", lua.LString("txt"))
		t.RawSetString("string", lua.LString(r.text))
		return field(l, "verbatim_string", t)
	case pairs:
		for i := 0; i+1 < len(r.items); i += 2 {
			t.RawSet(valueOf3(l, r.items[i]), valueOf3(l, r.items[i+1]))
		}
		return field(l, "map", t)
	case collection:
		for _, item := range r.items {
			t.RawSet(valueOf3(l, item), lua.LTrue)
		}
		return field(l, "set", t)
	case scored:
		for i := 0; i+1 < len(r.items); i += 2 {
			t.Append(valueOf3(l, sayArray(r.items[i:i+2]...)))
		}
		return t
	case status, failure, integer, bulk:
		return valueOf(l, r)
	}
	for i, item := range r.items {
		t.RawSetInt(i+1, valueOf3(l, item))
	}
	return t
}

// field is a table with one field.
func field(l *lua.LState, name string, v lua.LValue) *lua.LTable {
	t := l.CreateTable(0, 1)
	t.RawSetString(name, v)
	return t
}

// Limits on what a script may answer with, besides [maxReply].
const (
	maxReplyDepth = 100
	maxReplyItems = 64 << 10
)

// toReply is the reply for what a script returned. Numbers lose their fraction,
// false is null unless the script asked for RESP3, and an array ends before its
// first nil. It reports bad if that is no reply, which says why.
func toReply(v lua.LValue, proto int) (r Reply, bad bool) {
	c := conversion{proto: proto}
	r = c.convert(v, 0)
	if c.bad != "" {
		return sayFailure(c.bad), true
	}
	return r, false
}

// A conversion makes a reply of what a script returned. One table may be in it at
// many places, or in itself.
type conversion struct {
	proto       int // that the script asked for
	items, size int
	bad         string // why there is no reply
}

func (c *conversion) convert(v lua.LValue, depth int) Reply {
	if c.items++; depth > maxReplyDepth || c.items > maxReplyItems {
		c.bad = "ERR reached lua stack limit"
	}
	if c.bad != "" {
		return Reply{}
	}
	switch v := v.(type) {
	case lua.LString:
		return sayText(c.text(v))
	case lua.LNumber:
		return sayInt(truncate(float64(v)))
	case lua.LBool:
		if c.proto == 3 {
			return sayBool(bool(v))
		}
		if v {
			return sayInt(1)
		}
	case *lua.LTable:
		return c.table(v, depth)
	}
	return Reply{}
}

func (c *conversion) text(s lua.LString) string {
	if c.size += len(s); c.size > maxReply {
		c.bad = errReply
		return ""
	}
	return string(s)
}

// table tells what a table stands for by the first of these fields that it has.
//
// Source: Redis 7.0, luaReplyToRedisReply.
func (c *conversion) table(t *lua.LTable, depth int) Reply {
	if text, ok := t.RawGetString("err").(lua.LString); ok {
		return sayFailure(oneLine(c.text(text)))
	}
	if text, ok := t.RawGetString("ok").(lua.LString); ok {
		return sayStatus(oneLine(c.text(text)))
	}
	if n, ok := t.RawGetString("double").(lua.LNumber); ok {
		return Reply{kind: double, float: float64(n)}
	}
	if digits, ok := t.RawGetString("big_number").(lua.LString); ok {
		return Reply{kind: bigNumber, text: strings.ReplaceAll(strings.ReplaceAll(c.text(digits), "\r", " "), "\n", " ")}
	}
	if text, ok := t.RawGetString("verbatim_string").(*lua.LTable); ok {
		format, hasFormat := text.RawGetString("format").(lua.LString)
		if words, ok := text.RawGetString("string").(lua.LString); ok && hasFormat {
			return Reply{kind: verbatim, text: c.text(words), bytes: []byte(untilNul(string(format)) + "   ")[:3]}
		}
	}
	if fields, ok := t.RawGetString("map").(*lua.LTable); ok {
		return sayPairs(c.fields(fields, depth, true)...)
	}
	if members, ok := t.RawGetString("set").(*lua.LTable); ok {
		return saySet(c.fields(members, depth, false)...)
	}
	list := sayArray()
	for i := 1; t.RawGetInt(i) != lua.LNil && c.bad == ""; i++ {
		list.items = append(list.items, c.convert(t.RawGetInt(i), depth+1))
	}
	return list
}

// fields converts the keys of a table, and what is under them if wanted.
func (c *conversion) fields(t *lua.LTable, depth int, values bool) (items []Reply) {
	for k, v := t.Next(lua.LNil); k != lua.LNil && c.bad == ""; k, v = t.Next(k) {
		items = append(items, c.convert(k, depth+1))
		if values {
			items = append(items, c.convert(v, depth+1))
		}
	}
	return items
}
