package commands

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What people ask who look on: MONITOR, SLOWLOG, OBJECT, MEMORY, LATENCY, DEBUG.

// monitors are the sessions that are shown every command that is begun.
type monitors struct {
	count atomic.Int64 // where there are none, nothing is to be done

	mu  sync.Mutex
	all map[*Session]struct{} // guarded by mu
}

func monitor(s *Session, _ *command, r request) {
	m := &s.engine.monitors
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = map[*Session]struct{}{}
	}
	if _, again := m.all[s]; !again && !s.isClosed() {
		m.all[s] = struct{}{}
		m.count.Add(1)
		s.monitoring.Store(true)
	}
	r.answer(sayOK(), s.protocol())
}

// remove is for a session that is closed. It always takes the mutex, as hub.forget does.
func (m *monitors) remove(s *Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.all[s]; ok {
		delete(m.all, s)
		m.count.Add(-1)
		s.monitoring.Store(false)
	}
}

// monitorMost is how much of one argument is shown.
const monitorMost = 1 << 10

// show shows a command. As in Redis, what is for operators is not shown, and no
// password is.
func (m *monitors) show(s *Session, db int, c *command, r request) {
	if m.count.Load() == 0 || c.flags&admin != 0 || c.name == "auth" {
		return
	}
	now := s.engine.wall().UnixMicro()
	line := fmt.Appendf(nil, "+%d.%06d [%d %s]", now/1e6, now%1e6, db, s.conn.Remote)
	secrets := 0
	for _, arg := range r.args {
		line = append(line, ' ')
		if secrets > 0 {
			secrets--
			line = append(line, `"(redacted)"`...)
			continue
		}
		if c.name == "hello" && is(arg, "auth") {
			secrets = 2
		}
		line = appendQuoted(line, head(arg, monitorMost))
	}
	line = append(line, "\r\n"...)
	m.mu.Lock()
	defer m.mu.Unlock()
	sharers := new(atomic.Int64)
	for looker := range m.all {
		looker.conn.Push(line, sharers)
	}
}

// appendQuoted appends b as C would write it.
//
// Source: Redis, sdscatrepr.
func appendQuoted(line, b []byte) []byte {
	line = append(line, '"')
	for _, c := range b {
		switch {
		case c == '\\' || c == '"':
			line = append(line, '\\', c)
		case c == '\n':
			line = append(line, `\n`...)
		case c == '\r':
			line = append(line, `\r`...)
		case c == '\t':
			line = append(line, `\t`...)
		case c == '\a':
			line = append(line, `\a`...)
		case c == '\b':
			line = append(line, `\b`...)
		case c < ' ' || c > '~':
			line = fmt.Appendf(line, `\x%02x`, c)
		default:
			line = append(line, c)
		}
	}
	return append(line, '"')
}

// objectIdletime is how long ago a lease was last changed: reads are not counted.
func objectIdletime(tx *Tx, args [][]byte) Reply {
	s := tx.at(args[2])
	if !s.held {
		return Reply{}
	}
	idle := time.Duration(0)
	if s.prev != nil && !s.changed {
		idle = max(s.prev.TTL-s.prev.Left(tx.view.Now), 0)
	}
	return sayInt(int64(idle / time.Second))
}

func objectFreq(tx *Tx, args [][]byte) Reply {
	if !tx.at(args[2]).held {
		return Reply{}
	}
	return sayFailure("ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.")
}

// leaseCost is about what a lease takes in memory beside its name and its value.
const leaseCost = 512

func memoryUsage(tx *Tx, args [][]byte) Reply {
	if len(args) != 3 && (len(args) != 5 || !is(args[3], "samples")) {
		return sayFailure(errSyntax)
	}
	if len(args) == 5 {
		if n, ok := parseInt(args[4]); !ok {
			return sayFailure(errNotInteger)
		} else if n < 0 {
			return sayFailure(errSyntax)
		}
	}
	s := tx.at(args[2])
	if !s.held {
		return Reply{}
	}
	return sayInt(int64(leaseCost + len(s.name) + len(s.value())))
}

func memoryDoctor(*Session, [][]byte) Reply {
	return Reply{kind: verbatim, text: "All is well: leases are few and small, and none is evicted.\n"}
}

// latency is what is not measured, in the form that clients expect: see SLOWLOG and
// the metrics.
func latencyNone(*Session, [][]byte) Reply      { return sayArray() }
func latencyReset(*Session, [][]byte) Reply     { return sayInt(0) }
func latencyHistogram(*Session, [][]byte) Reply { return sayPairs() }

func latencyDoctor(*Session, [][]byte) Reply {
	return Reply{kind: verbatim, text: "No events are sampled here: SLOWLOG GET has the slow commands, STORES how the stores do.\n"}
}

// An alarm ends what waits for nothing but time.
type alarm struct {
	mu    sync.Mutex
	timer *time.Timer // guarded by mu; nil until it is set
	over  bool        // guarded by mu; it has rung, or is not to
	early bool        // guarded by mu; it was stopped before it was set
	ring  func()
}

// set has it ring in a while: at once if it was stopped, and not at all if it was
// cancelled.
func (a *alarm) set(d time.Duration) {
	a.mu.Lock()
	now := a.early && !a.over
	switch {
	case now:
		a.over = true
	case !a.over:
		a.timer = time.AfterFunc(d, a.due)
	}
	a.mu.Unlock()
	if now {
		a.ring()
	}
}

// due is what the timer does.
func (a *alarm) due() {
	a.mu.Lock()
	was := a.over
	a.over = true
	a.mu.Unlock()
	if !was {
		a.ring()
	}
}

// cancel sees to it that the alarm does not ring, unless it has.
func (a *alarm) cancel() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	if a.timer != nil {
		a.timer.Stop()
	}
}

// stop has it ring now, or as soon as it is set. It reports false, and does not call
// because, which may be nil, if it has rung or is not to.
func (a *alarm) stop(because func()) bool {
	a.mu.Lock()
	pending, set := !a.over && !a.early, a.timer != nil
	if pending && because != nil {
		because()
	}
	if pending {
		a.over, a.early = set, !set
	}
	a.mu.Unlock()
	if pending && set {
		a.timer.Stop()
		a.ring()
	}
	return pending
}

// debugSleep is DEBUG SLEEP: the connection, and no other, waits.
func debugSleep(s *Session, cmd *command, r request) {
	seconds, err := strconv.ParseFloat(string(r.args[2]), 64)
	if err != nil || !(seconds >= 0 && seconds <= 3600) {
		r.answer(sayFailure("ERR DEBUG SLEEP takes 0 to 3600 seconds"), s.protocol())
		return
	}
	c := &call{session: s, cmd: cmd, request: r, proto: s.protocol(), holds: true}
	c.alarm.ring = func() {
		s.engine.slow.look(s, cmd, r)
		c.request.answer(sayOK(), c.proto)
		s.remove(c)
	}
	s.add(c)
	c.alarm.set(time.Duration(seconds * float64(time.Second)))
	if s.isClosed() { // and who closed it may not have seen the call
		c.alarm.stop(nil)
	}
}

// configSet is CONFIG SET name value [name value ...]: of what can be changed
// while we run, which is not much.
func configSet(s *Session, args [][]byte) Reply {
	if len(args)%2 != 0 {
		return sayFailure(errSyntax)
	}
	for i := 2; i < len(args); i += 2 {
		name, value := strings.ToLower(string(args[i])), string(args[i+1])
		known, bad := s.engine.setting(name, value)
		switch {
		case !known:
			return sayFailure(fmt.Sprintf("ERR Unknown option or number of arguments for CONFIG SET - '%s'", args[i]))
		case bad != "":
			return sayFailure(fmt.Sprintf("ERR CONFIG SET failed (possibly related to argument '%s') - %s", args[i], bad))
		}
	}
	return sayOK()
}

func (e *Engine) setting(name, value string) (known bool, bad string) {
	n, isNumber := parseInt([]byte(value))
	switch {
	case name == "notify-keyspace-events":
		return true, e.tracker.setNotify(value)
	case name != "slowlog-log-slower-than" && name != "slowlog-max-len":
		return false, ""
	case !isNumber:
		return true, "argument couldn't be parsed into an integer"
	case name == "slowlog-max-len":
		if n < 0 || n > maxSlow {
			return true, fmt.Sprintf("argument must be between 0 and %d inclusive", maxSlow)
		}
		e.slow.setMost(n)
	case n < -1:
		return true, "argument must be between -1 and 9223372036854775807 inclusive"
	default:
		e.slow.above.Store(n)
	}
	return true, ""
}

func configResetStat(s *Session, _ [][]byte) Reply {
	s.engine.served.Store(0)
	s.engine.opened.Store(0)
	return sayOK()
}
