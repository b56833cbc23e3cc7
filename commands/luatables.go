package commands

import (
	"math"
	"sort"

	lua "github.com/yuin/gopher-lua"
)

// Tables and functions of a script, and what they take.

// What the interpreter takes for them, in bytes, rounded up. A slot or an entry
// includes what growing step by step leaves unused.
//
// Source: measured, with gopher-lua 1.1.2.
const (
	tableBytes    = 96
	listBytes     = 512 // once there is a first slot
	slotBytes     = 48
	hashBytes     = 2700 // once there is a first entry
	entryBytes    = 320
	functionBytes = 72
	upvalueBytes  = 72
)

// made counts a table or a function that the script has just made.
func (m *machine) made(l *lua.LState) int {
	switch v := l.Get(1).(type) {
	case *lua.LTable:
		n := tableBytes + slotBytes*v.MaxN()
		if v.RawGetString("n") != lua.LNil { // the arguments of a function, with their number
			n += hashBytes
		}
		m.take(l, n)
	case *lua.LFunction:
		m.take(l, functionBytes+upvalueBytes*len(v.Upvalues))
	}
	l.SetTop(1)
	return 1
}

// fill puts keys and values into a table that has just been made.
func (m *machine) fill(l *lua.LState) int {
	t := l.CheckTable(1)
	for i := 2; i < l.GetTop(); i += 2 {
		m.put(l, t, l.Get(i), l.Get(i+1))
	}
	l.SetTop(1)
	return 1
}

// store is the assignment to a field, by way of __newindex if there is one.
func (m *machine) store(l *lua.LState) int {
	object, key, value := l.Get(1), l.Get(2), l.Get(3)
	for range lua.MaxTableGetLoop {
		t, ok := object.(*lua.LTable)
		if ok && (t.Metatable == lua.LNil || t.RawGet(key) != lua.LNil) {
			m.put(l, t, key, value)
			return 0
		}
		switch next := l.GetMetaField(object, "__newindex"); {
		case next.Type() == lua.LTFunction:
			for _, v := range []lua.LValue{next, object, key, value} {
				l.Push(v)
			}
			l.Call(3, 0)
			return 0
		case next != lua.LNil:
			object = next
		case ok:
			m.put(l, t, key, value)
			return 0
		default:
			l.SetTable(object, key, value) // which knows what is wrong with it
			return 0
		}
	}
	l.RaiseError("too many recursions in settable")
	return 0
}

// put sets what is in a table under a key, once it is counted.
func (m *machine) put(l *lua.LState, t *lua.LTable, key, value lua.LValue) {
	m.take(l, growth(t, key))
	l.RawSet(t, key, value)
}

// growth is about how many bytes a table takes more with something under key. A
// table is a list, filled up to the highest index there was, and a hash.
func growth(t *lua.LTable, key lua.LValue) int {
	last := t.MaxN()
	if n, ok := key.(lua.LNumber); ok && n >= 1 && n < lua.LNumber(lua.MaxArrayIndex) && n == lua.LNumber(math.Trunc(float64(n))) {
		more := slotBytes * max(int(n)-last, 0)
		if last == 0 {
			more += listBytes
		}
		return more
	}
	if t.RawGet(key) != lua.LNil {
		return 0
	}
	var before lua.LValue = lua.LNil // where Next goes on with the hash
	if last > 0 {
		before = lua.LNumber(last)
	}
	if first, _ := t.Next(before); first == lua.LNil {
		return hashBytes + entryBytes
	}
	return entryBytes
}

// rawset is Lua's, but for what is guarded.
func (m *machine) rawset(l *lua.LState) int {
	t := l.CheckTable(1)
	if guard, ok := t.Metatable.(*lua.LTable); ok && guard.RawGetString("__metatable") == lua.LFalse {
		m.fail(l, "ERR "+errReadonlyTable)
	}
	m.put(l, t, l.CheckAny(2), l.CheckAny(3))
	l.SetTop(1)
	return 1
}

// next is Lua's. It may have to pass many fields that were deleted.
func (m *machine) next(l *lua.LState) int {
	key, value := l.CheckTable(1).Next(l.Get(2))
	m.meter.look = 0
	l.Push(key)
	if key == lua.LNil {
		return 1
	}
	l.Push(value)
	return 2
}

func (m *machine) pairs(l *lua.LState) int {
	t := l.CheckTable(1)
	l.Push(m.functions["next"])
	l.Push(t)
	l.Push(lua.LNil)
	return 3
}

func (m *machine) tableFunctions(library *lua.LTable) map[string]lua.LGFunction {
	insert := inside(library.RawGetString("insert"))
	return map[string]lua.LGFunction{
		"concat": m.typed("concat", "tSJJ", m.tableConcat),
		"insert": func(l *lua.LState) int { m.checkInsert(l); return insert(l) },
		"remove": m.typed("remove", "tJ", m.remove),
		"sort":   m.sort,
	}
}

// checkInsert counts what table.insert is about to do.
func (m *machine) checkInsert(l *lua.LState) {
	kinds := "t"
	if l.GetTop() > 2 {
		kinds = "tj"
	}
	m.convert(l, "insert", kinds)
	if n := l.GetTop(); n != 2 && n != 3 {
		l.RaiseError("wrong number of arguments to 'insert'")
	}
	t := l.CheckTable(1)
	last := t.MaxN()
	at := last + 1
	if l.GetTop() > 2 {
		at = l.CheckInt(2)
	}
	m.spend(l, moving(last-at))
	m.take(l, max(growth(t, lua.LNumber(at)), slotBytes))
}

func (m *machine) remove(l *lua.LState) int {
	t := l.CheckTable(1)
	last := t.Len()
	m.meter.look = 0 // it may have to pass many values that were deleted
	at := l.OptInt(2, last)
	if at < 1 || at > last {
		return 0
	}
	m.spend(l, moving(last-at))
	l.Push(t.Remove(at))
	return 1
}

// moving is how many steps it takes to move so many values of a list.
func moving(values int) int { return max(values, 0) / 64 }

// sort is Lua's, but that it can be interrupted.
func (m *machine) sort(l *lua.LState) int {
	t := l.CheckTable(1)
	by := sorting{machine: m, state: l}
	if l.GetTop() > 1 && l.Get(2) != lua.LNil {
		by.less = l.CheckFunction(2)
	}
	n := t.Len()
	m.take(l, slotBytes*n)
	by.values = make([]lua.LValue, n)
	for i := range n {
		by.values[i] = t.RawGetInt(i + 1)
	}
	sort.Sort(by)
	for i, v := range by.values {
		t.RawSetInt(i+1, v)
	}
	return 0
}

type sorting struct {
	machine *machine
	state   *lua.LState
	less    *lua.LFunction
	values  []lua.LValue
}

func (s sorting) Len() int      { return len(s.values) }
func (s sorting) Swap(i, j int) { s.values[i], s.values[j] = s.values[j], s.values[i] }

func (s sorting) Less(i, j int) bool {
	a, b := s.values[i], s.values[j]
	if s.less == nil {
		first, _ := a.(lua.LString)
		second, _ := b.(lua.LString)
		s.machine.spend(s.state, 1+min(len(first), len(second))/64)
		return s.state.LessThan(a, b)
	}
	s.machine.spend(s.state, 1)
	for _, v := range []lua.LValue{s.less, a, b} {
		s.state.Push(v)
	}
	s.state.Call(2, 1)
	defer s.state.Pop(1)
	return lua.LVAsBool(s.state.Get(-1))
}
