package commands

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// A machine runs scripts, one after the other. Each gets an environment of its
// own; what they share cannot be reached to be altered, so that nothing leaks
// from one script to the next.
type machine struct {
	state     *lua.LState
	globals   *lua.LTable            // the metatable of every environment
	functions map[string]lua.LValue  // of the base library, and ours
	libraries map[string]*lua.LTable // the metatables by which string, table, math, redis are seen
	meter     *meter
	spoiled   bool // a script failed in it: it is not to be used again

	// Of the script that runs.
	engine   *Engine
	tx       *Tx
	keys     [][]byte
	db       int // at its beginning
	readonly bool
	proto    int // RESP2 unless it asked for RESP3
	line     int // where an error was last raised that does not say so itself
}

// Limits on what a script may hold. The stacks are the interpreter's: numbers of
// nested calls, and of values in all of them.
const (
	maxCalls  = 200
	maxValues = 64 << 10
)

// newMachine returns a machine whose scripts are told this version of Redis.
func newMachine(version string) *machine {
	state := lua.NewState(lua.Options{
		SkipOpenLibs:     true,
		CallStackSize:    maxCalls,
		RegistrySize:     1 << 10,
		RegistryGrowStep: 4 << 10,
		RegistryMaxSize:  maxValues,
	})
	m := &machine{state: state, meter: &meter{}, functions: map[string]lua.LValue{}, libraries: map[string]*lua.LTable{}}
	state.SetContext(m.meter)
	m.openBase()
	m.openLibrary(lua.StringLibName, lua.OpenString, m.stringFunctions)
	m.state.SetMetatable(lua.LString(""), m.strings())
	m.openLibrary(lua.TabLibName, lua.OpenTable, m.tableFunctions)
	m.openLibrary(lua.MathLibName, lua.OpenMath, m.mathFunctions)
	m.libraries["redis"] = m.guard(m.redisLibrary(version))
	m.libraries["cjson"] = m.guard(m.jsonLibrary())
	m.globals = m.guard(m.state.NewFunction(m.global))
	return m
}

// openBase keeps of the base library what neither reads files nor compiles.
func (m *machine) openBase() {
	m.state.Push(m.state.NewFunction(lua.OpenBase))
	m.state.Call(0, 0)
	for name, kinds := range map[string]string{
		"getmetatable": "v", "rawequal": "vv", "rawget": "tv", "setmetatable": "t", "type": "v", "unpack": "tJJ",
	} {
		m.functions[name] = m.state.NewFunction(m.typed(name, kinds, inside(m.state.GetGlobal(name))))
	}
	m.functions["ipairs"] = m.state.GetGlobal("ipairs")
	for name, f := range map[string]lua.LGFunction{
		"assert":         m.assert,
		"error":          m.typed("error", "aJ", m.raise),
		"select":         m.choose,
		"pcall":          m.pcall,
		"xpcall":         m.xpcall,
		"rawset":         m.typed("rawset", "tvv", m.rawset),
		"next":           m.typed("next", "t", m.next),
		"pairs":          m.typed("pairs", "t", m.pairs),
		"tostring":       m.typed("tostring", "v", m.tostring),
		"tonumber":       m.tonumber,
		"collectgarbage": func(l *lua.LState) int { l.Push(lua.LNumber(0)); return 1 },
		concatName:       m.concat,
		madeName:         m.made,
		fillName:         m.fill,
		storeName:        m.store,
	} {
		m.functions[name] = m.state.NewFunction(f)
	}
	m.functions["_VERSION"] = lua.LString("Lua 5.1")
}

// openLibrary opens a library of the interpreter, with some functions replaced.
func (m *machine) openLibrary(name string, open lua.LGFunction, ours func(*lua.LTable) map[string]lua.LGFunction) {
	m.state.Push(m.state.NewFunction(open))
	m.state.Call(0, 1)
	library := m.state.CheckTable(-1)
	m.state.Pop(1)
	for f, impl := range ours(library) {
		library.RawSetString(f, m.state.NewFunction(impl))
	}
	m.libraries[name] = m.guard(library)
}

// guard returns a metatable for a table that shows what index says, and that a
// script can neither alter nor see behind.
func (m *machine) guard(index lua.LValue) *lua.LTable {
	t := m.state.NewTable()
	t.RawSetString("__index", index)
	t.RawSetString("__newindex", m.state.NewFunction(refuseWrite))
	t.RawSetString("__metatable", lua.LFalse)
	return t
}

const errReadonlyTable = "Attempt to modify a readonly table"

func refuseWrite(l *lua.LState) int {
	l.RaiseError(errReadonlyTable)
	return 0
}

// global finds a name that the environment does not have (yet). A library is
// shown to each script through a table of its own.
func (m *machine) global(l *lua.LState) int {
	environment, name := l.CheckTable(1), l.CheckString(2)
	if f, ok := m.functions[name]; ok {
		if strings.HasPrefix(name, hidden) { // used often, and in no script's way
			environment.RawSetString(name, f)
		}
		l.Push(f)
		return 1
	}
	if name == "_G" {
		l.Push(environment)
		return 1
	}
	guard, ok := m.libraries[name]
	if !ok {
		l.RaiseError("Script attempted to access nonexistent global variable '%s'", name)
	}
	view := l.CreateTable(0, 0)
	view.Metatable = guard
	environment.RawSetString(name, view)
	l.Push(view)
	return 1
}

// fail raises a line of RESP, as redis.call does, and notes where.
func (m *machine) fail(l *lua.LState, line string) {
	m.line = lineOf(l.Where(1))
	l.Error(failureTable(l, line), 0)
}

// raise is Lua's error: a text or a number is told with its place, if that is in
// the script.
func (m *machine) raise(l *lua.LState) int {
	v := l.Get(1)
	if text, ok := textOrNumber(v); ok {
		if place := l.Where(l.OptInt(2, 1)); lineOf(place) > 0 {
			text = place + " " + text
		}
		m.pass(l, len(text))
		v = lua.LString(text)
	}
	if v == lua.LNil {
		v = lua.LString("nil")
	}
	m.line = lineOf(l.Where(1))
	l.Error(v, 0)
	return 0
}

// pcall is Lua's, but that an error of redis.call is caught as its text.
func (m *machine) pcall(l *lua.LState) int {
	l.CheckAny(1)
	if err := l.PCall(l.GetTop()-1, lua.MultRet, nil); err != nil {
		l.Push(lua.LFalse)
		l.Push(m.caught(l, err))
		return 2
	}
	l.Insert(lua.LTrue, 1)
	return l.GetTop()
}

// xpcall is Lua's, but that the handler is called when the stack is down again:
// on a stack that is full the interpreter cannot call it, and panics.
func (m *machine) xpcall(l *lua.LState) int {
	f, handler := l.CheckAny(1), l.CheckFunction(2)
	l.SetTop(0)
	l.Push(f)
	if err := l.PCall(0, lua.MultRet, nil); err != nil {
		l.Push(lua.LFalse)
		l.Push(handler)
		l.Push(m.caught(l, err))
		l.Call(1, 1)
		return 2
	}
	l.Insert(lua.LTrue, 1)
	return l.GetTop()
}

// caught is what a script that catches an error is given. What the interpreter
// says of a name may be as long as the name.
func (m *machine) caught(l *lua.LState, err error) lua.LValue {
	m.spoiled = true
	object := errorObject(err)
	if text, ok := object.(lua.LString); ok {
		m.pass(l, len(text))
	}
	return object
}

// errorObject returns what a script raised; of a table with an error, its text.
func errorObject(err error) lua.LValue {
	var raised *lua.ApiError
	if !errors.As(err, &raised) {
		return lua.LString(err.Error())
	}
	if t, ok := raised.Object.(*lua.LTable); ok {
		if text, ok := t.RawGetString("err").(lua.LString); ok {
			return text
		}
	}
	return raised.Object
}

// run runs a script to its end. With raised, it failed, and reply is the error.
func (m *machine) run(s *Session, tx *Tx, j job, readonly bool) (reply Reply, raised bool) {
	m.engine, m.tx, m.readonly, m.proto, m.line = s.engine, tx, readonly, 2, 0
	m.keys, m.db = j.keys, tx.db
	m.meter.start(s)
	defer func() { m.engine, m.tx, m.keys, m.meter.session = nil, nil, nil, nil }()
	if err := m.call(j); err != nil {
		m.spoiled = true
		return m.failed(err, j.script), true
	}
	defer m.state.SetTop(0)
	return toReply(m.state.Get(-1), m.proto)
}

// call runs the script and leaves what it returned on the stack. The interpreter
// panics where its own stack is full in an unlucky place: that ends the script,
// and not the program.
func (m *machine) call(j job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the interpreter failed: %.200v", p)
		}
	}()
	f := m.state.NewFunctionFromProto(j.script.proto)
	f.Env = m.environment(j)
	m.state.Push(f)
	return m.state.PCall(0, 1, nil)
}

func (m *machine) environment(j job) *lua.LTable {
	environment := m.state.CreateTable(0, 4)
	environment.RawSetString("KEYS", m.list(j.keys))
	environment.RawSetString("ARGV", m.list(j.argv))
	environment.Metatable = m.globals
	return environment
}

func (m *machine) list(args [][]byte) *lua.LTable {
	t := m.state.CreateTable(len(args), 0)
	for _, arg := range args {
		m.meter.left -= slotBytes + headBytes + len(arg)
		t.Append(lua.LString(arg))
	}
	return t
}

// lineOf returns the line of a place in a script, or 0.
func lineOf(place string) int {
	rest, ok := strings.CutPrefix(place, chunk+":")
	if !ok {
		return 0
	}
	digits, _, _ := strings.Cut(rest, ":")
	line, _ := strconv.Atoi(digits) // 0 if there is none
	return line
}

// failed words an error that ended a script as Redis does.
func (m *machine) failed(err error, s *script) Reply {
	var text string
	object := errorObject(err)
	var raised *lua.ApiError
	if errors.As(err, &raised) && raised.Object.Type() == lua.LTTable && object.Type() == lua.LTString {
		text = object.String() // it has its own code
	} else {
		text = "ERR " + object.String()
	}
	line := lineOf(object.String())
	if line == 0 {
		line = max(m.line, 1)
	}
	return sayFailure(text + " script: " + s.sha + ", on @" + chunk + ":" + strconv.Itoa(line) + ".")
}
