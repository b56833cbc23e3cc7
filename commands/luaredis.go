package commands

import (
	"crypto/sha1"
	"encoding/hex"
	"log/slog"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"holdfast/quorum"
)

// redisLibrary is the table redis of a script.
func (m *machine) redisLibrary() *lua.LTable {
	t := m.state.NewTable()
	for name, f := range map[string]lua.LGFunction{
		"call":               m.redisCall,
		"pcall":              m.redisPcall,
		"error_reply":        m.errorReply,
		"status_reply":       m.statusReply,
		"sha1hex":            m.sha1Hex,
		"log":                m.log,
		"replicate_commands": func(l *lua.LState) int { l.Push(lua.LTrue); return 1 }, // was a switch; is always on
	} {
		t.RawSetString(name, m.state.NewFunction(f))
	}
	for level, name := range []string{"LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"} {
		t.RawSetString(name, lua.LNumber(level))
	}
	return t
}

// redisCall raises what goes wrong, with the line where it did.
func (m *machine) redisCall(l *lua.LState) int {
	reply := m.command(l)
	if reply.kind == failure {
		m.fail(l, reply.text)
	}
	l.Push(m.fromReply(l, reply))
	return 1
}

func (m *machine) redisPcall(l *lua.LState) int {
	l.Push(m.fromReply(l, m.command(l)))
	return 1
}

// command runs a command on the script's Tx.
func (m *machine) command(l *lua.LState) Reply {
	args, bad := m.commandArgs(l)
	if bad != "" {
		return sayFailure(bad)
	}
	c, p := m.engine.lookup(args)
	switch {
	case p == wrongArity:
		return sayFailure("ERR Wrong number of args calling Redis command from script")
	case p != noProblem:
		return sayFailure("ERR Unknown Redis command called from script")
	case c.flags&noscript != 0:
		return sayFailure("ERR This Redis command is not allowed from script")
	case c.flags&(write|spreads) != 0 && m.readonly:
		return sayFailure("ERR Write commands are not allowed from read-only scripts.")
	}
	if bad := m.tx.use(c, args); bad != "" {
		return sayFailure(bad)
	}
	// Each name is looked for among all that the script uses.
	m.spend(l, len(args)*(1+len(m.tx.slots)/16))
	reply := c.run(m.tx, args).bounded()
	m.take(l, m.tx.decoded)
	m.spend(l, m.tx.walked/8)
	m.tx.decoded, m.tx.walked = 0, 0
	return reply
}

// use makes a command that a script calls the one under way, and shows it its
// locks. A lock that the script did not name before is not ours to see yet: the
// script fails, whatever it does about that, and starts again with it.
func (tx *Tx) use(c *command, args [][]byte) (bad string) {
	tx.cmd = c
	if c.keys == (keySpec{}) {
		return ""
	}
	var few [4][]byte
	for _, key := range c.lockArgs(few[:0], args) {
		if tx.find(key) != nil {
			continue
		}
		name, err := lockName(tx.db, key)
		if err != nil {
			return errorLine(err)
		}
		if len(tx.slots) >= quorum.MaxNames {
			return "ERR the script uses too many locks"
		}
		if !tx.show(key, name) {
			bad = "ERR the script used a lock that was not among its KEYS"
		}
	}
	return bad
}

// commandArgs returns what redis.call was given.
func (m *machine) commandArgs(l *lua.LState) (args [][]byte, bad string) {
	n := l.GetTop()
	if n == 0 {
		return nil, "ERR Please specify at least one argument for this redis lib call"
	}
	args = make([][]byte, n)
	for i := range args {
		switch v := l.Get(i + 1).(type) {
		case lua.LString:
			m.pass(l, len(v))
			args[i] = []byte(v)
		case lua.LNumber:
			args[i] = []byte(formatDigits(v, 17))
		default:
			return nil, "ERR Lua redis lib command arguments must be strings or integers"
		}
	}
	return args, ""
}

func failureTable(l *lua.LState, line string) *lua.LTable {
	t := l.CreateTable(0, 1)
	t.RawSetString("err", lua.LString(line))
	return t
}

// errorReply is redis.error_reply. A text without a code gets one.
func (m *machine) errorReply(l *lua.LState) int {
	text, ok := l.Get(1).(lua.LString)
	if !ok || l.GetTop() != 1 {
		m.take(l, replyTable)
		l.Push(failureTable(l, "ERR wrong number or type of arguments"))
		return 1
	}
	m.pass(l, replyTable+len(text))
	line := strings.TrimPrefix(string(text), "-")
	if !strings.Contains(line, " ") {
		line = "ERR " + line
	}
	l.Push(failureTable(l, oneLine(line)))
	return 1
}

func (m *machine) statusReply(l *lua.LState) int {
	m.take(l, replyTable)
	text, ok := l.Get(1).(lua.LString)
	if !ok || l.GetTop() != 1 {
		l.Push(failureTable(l, "ERR wrong number or type of arguments"))
		return 1
	}
	t := l.CreateTable(0, 1)
	t.RawSetString("ok", text)
	l.Push(t)
	return 1
}

func (m *machine) sha1Hex(l *lua.LState) int {
	if l.GetTop() != 1 {
		m.fail(l, "ERR wrong number of arguments")
	}
	text, _ := textOrNumber(l.Get(1))
	m.spend(l, len(text)/16)
	m.take(l, headBytes+hex.EncodedLen(sha1.Size))
	sum := sha1.Sum([]byte(text))
	l.Push(lua.LString(hex.EncodeToString(sum[:])))
	return 1
}

// log is redis.log: into our log.
func (m *machine) log(l *lua.LState) int {
	if l.GetTop() < 2 {
		m.fail(l, "ERR redis.log() requires two arguments or more.")
	}
	at, ok := l.Get(1).(lua.LNumber)
	if !ok {
		m.fail(l, "ERR First argument must be a number (log level).")
	}
	if at < 0 || at > 3 {
		m.fail(l, "ERR Invalid log level.")
	}
	var words []string
	for i := 2; i <= l.GetTop(); i++ {
		if text, ok := textOrNumber(l.Get(i)); ok {
			m.pass(l, len(text))
			words = append(words, text)
		}
	}
	level := [...]slog.Level{slog.LevelDebug, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn}[int(at)]
	m.engine.log.Log(m.meter, level, "script", "text", strings.Join(words, " "))
	return 0
}
