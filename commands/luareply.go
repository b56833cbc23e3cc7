package commands

import (
	lua "github.com/yuin/gopher-lua"
)

// Replies become values of a script, and what it returns becomes a reply.

// replyTable is about how many bytes a table with one field takes that is made
// for it.
const replyTable = 768

// weight is about how many bytes a reply takes as values of a script.
func (r Reply) weight() int {
	n := headBytes + len(r.text) + len(r.bytes)
	switch {
	case r.kind == status || r.kind == failure:
		n += replyTable
	case r.kind == array || r.kind == collection || r.kind == pairs || r.kind == scored:
		n += tableBytes + slotBytes*len(r.items)
	}
	for _, item := range r.items {
		n += item.weight()
	}
	return n
}

// fromReply is what a script is given for a reply.
func (m *machine) fromReply(l *lua.LState, r Reply) lua.LValue {
	m.take(l, r.weight())
	return valueOf(l, r)
}

// valueOf turns a reply into values by the rules for RESP2.
func valueOf(l *lua.LState, r Reply) lua.LValue {
	switch r.kind {
	case null, nullArray:
		return lua.LFalse
	case status:
		t := l.CreateTable(0, 1)
		t.RawSetString("ok", lua.LString(r.text))
		return t
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

// Limits on what a script may answer with, besides [maxReply].
const (
	maxReplyDepth = 100
	maxReplyItems = 64 << 10
)

// toReply is the reply for what a script returned. Numbers lose their fraction,
// false is null, and an array ends before its first nil. It reports bad if that
// is no reply, which says why.
func toReply(v lua.LValue) (r Reply, bad bool) {
	c := conversion{}
	r = c.convert(v, 0)
	if c.bad != "" {
		return sayFailure(c.bad), true
	}
	return r, false
}

// A conversion makes a reply of what a script returned. One table may be in it at
// many places, or in itself.
type conversion struct {
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
	list := sayArray()
	for i := 1; t.RawGetInt(i) != lua.LNil && c.bad == ""; i++ {
		list.items = append(list.items, c.convert(t.RawGetInt(i), depth+1))
	}
	return list
}
