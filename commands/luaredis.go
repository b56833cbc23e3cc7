package commands

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"holdfast/quorum"
)

// redisLibrary is the table redis of a script.
func (m *machine) redisLibrary(version string) *lua.LTable {
	t := m.state.NewTable()
	for name, f := range map[string]lua.LGFunction{
		"call":               m.redisCall,
		"pcall":              m.redisPcall,
		"error_reply":        m.errorReply,
		"status_reply":       m.statusReply,
		"sha1hex":            m.sha1Hex,
		"log":                m.log,
		"setresp":            m.setProto,
		"acl_check_cmd":      m.mayCall,
		"replicate_commands": func(l *lua.LState) int { l.Push(lua.LTrue); return 1 }, // was a switch; is always on
		// There is nobody to replicate to, and no debugger.
		"set_repl":   m.setReplicas,
		"breakpoint": func(l *lua.LState) int { l.Push(lua.LFalse); return 1 },
		"debug":      func(*lua.LState) int { return 0 },
	} {
		t.RawSetString(name, m.state.NewFunction(f))
	}
	for name, n := range map[string]int{"REPL_NONE": replNone, "REPL_AOF": replAOF, "REPL_SLAVE": replReplica, "REPL_REPLICA": replReplica, "REPL_ALL": replAll} {
		t.RawSetString(name, lua.LNumber(n))
	}
	t.RawSetString("REDIS_VERSION", lua.LString(version))
	t.RawSetString("REDIS_VERSION_NUM", lua.LNumber(versionNumber(version)))
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
	m.tx.strayed = m.tx.strayed || m.strays(c, args)
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

// strays reports whether a command uses a lock that the script's caller did not name.
func (m *machine) strays(c *command, args [][]byte) bool {
	var few [4][]byte
	return slices.ContainsFunc(c.lockArgs(few[:0], args), func(key []byte) bool {
		return m.tx.db != m.db || !slices.ContainsFunc(m.keys, func(named []byte) bool { return bytes.Equal(key, named) })
	})
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
	return field(l, "err", lua.LString(line))
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
	l.Push(field(l, "ok", text))
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

// What set_repl takes, which are bits.
const (
	replNone    = 0
	replAOF     = 1
	replReplica = 2
	replAll     = replAOF | replReplica
)

// versionNumber is a version as Redis tells scripts: a byte for each part.
func versionNumber(version string) (n int) {
	for i, part := range strings.SplitN(version, ".", 3) {
		digits := len(part) - len(strings.TrimLeft(part, "0123456789"))
		number, _ := strconv.Atoi(part[:digits]) // 0 if there is none
		n |= number & 0xff << (16 - 8*i)
	}
	return n
}

// setProto is redis.setresp: what commands answer from here on, and what the script
// returns, is converted by the rules for RESP2 or RESP3.
func (m *machine) setProto(l *lua.LState) int {
	if l.GetTop() != 1 {
		m.fail(l, "ERR redis.setresp() requires one argument.")
	}
	n, _ := m.number(l, l.Get(1))
	if proto := truncate(n); proto == 2 || proto == 3 {
		m.proto = int(proto)
		return 0
	}
	m.fail(l, "ERR RESP version must be 2 or 3.")
	return 0
}

func (m *machine) setReplicas(l *lua.LState) int {
	if l.GetTop() != 1 {
		m.fail(l, "ERR redis.set_repl() requires two arguments.") // Redis's words, for one
	}
	n, _ := m.number(l, l.Get(1))
	if truncate(n)&^replAll != 0 {
		m.fail(l, "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.")
	}
	return 0
}

// mayCall is redis.acl_check_cmd: everybody may call every command there is.
func (m *machine) mayCall(l *lua.LState) int {
	args, bad := m.commandArgs(l)
	if bad == "" {
		if _, p := m.engine.lookup(args); p != noProblem && p != wrongArity {
			bad = "ERR Invalid command passed to redis.acl_check_cmd()"
		}
	}
	if bad != "" {
		m.fail(l, bad)
	}
	l.Push(lua.LTrue)
	return 1
}

// log is redis.log: into our log.
func (m *machine) log(l *lua.LState) int {
	if l.GetTop() < 2 {
		m.fail(l, "ERR redis.log() requires two arguments or more.")
	}
	at, ok := m.number(l, l.Get(1))
	if !ok {
		m.fail(l, "ERR First argument must be a number (log level).")
	}
	if truncate(at) < 0 || truncate(at) > 3 {
		m.fail(l, "ERR Invalid debug level.")
	}
	var words []string
	for i := 2; i <= l.GetTop(); i++ {
		if text, ok := textOrNumber(l.Get(i)); ok {
			m.pass(l, len(text))
			words = append(words, text)
		}
	}
	level := [...]slog.Level{slog.LevelDebug, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn}[truncate(at)]
	m.engine.log.Log(m.meter, level, "script", "text", strings.Join(words, " "))
	return 0
}
