package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// Limits on one run of a script. All runs at once take at most as many times that
// memory as scripts are run at a time, and as much again for what is being made.
const (
	// maxSteps is how many instructions it may take, some hundred times what the
	// longest script of a lock library takes. A function of a library counts as
	// about as many as take the same time.
	maxSteps = 5_000_000
	// maxBytes is how much it may make, of strings and tables, all together.
	maxBytes = 16 << 20
	// maxTime is how long it may take, and partingTime how much longer once nobody
	// waits for it: a release is worth that much.
	maxTime     = 5 * time.Second
	partingTime = 100 * time.Millisecond
)

// A meter bounds one run of a script. The interpreter asks it before every
// instruction whether to go on, by the method of a context.
type meter struct {
	session *Session // that sent it
	until   time.Time
	parting bool // until was made sooner: the session was closed
	steps   int
	look    int // at the time, once there were so many steps
	left    int // bytes that may still be made
	over    chan struct{}
	why     error // it is over
}

func (m *meter) start(s *Session) {
	*m = meter{session: s, until: time.Now().Add(s.engine.scripts.time), look: often, left: maxBytes}
}

// often is how many steps are taken before the time is looked at again, which
// costs more than a step does. Lock libraries' scripts are over before that.
const often = 64

// Done returns a closed channel once the script must end.
func (m *meter) Done() <-chan struct{} {
	if m.steps++; m.steps >= m.look {
		m.done()
	}
	return m.over
}

// done looks whether the script must end.
func (m *meter) done() bool {
	m.look = m.steps + often
	switch {
	case m.over != nil:
		return true
	case m.steps > maxSteps:
		m.why = errScriptSteps
	case m.late():
		m.why = errScriptTime
	default:
		return false
	}
	m.over = make(chan struct{})
	close(m.over)
	return true
}

func (m *meter) late() bool {
	now := time.Now()
	if !m.parting && m.session.isClosed() {
		m.parting = true
		if soon := now.Add(partingTime); soon.Before(m.until) {
			m.until = soon
		}
	}
	return now.After(m.until) || m.session.engine.scripts.closing.Load()
}

// Why a script was stopped. By time alone it may be that the machine was busy, and
// that it would be done another time; by its steps it never would.
var (
	errScriptTime  = errors.New("the script took too long and was stopped; nothing of it was done")
	errScriptSteps = fmt.Errorf("the script took too many steps, more than %d, and was stopped; nothing of it was done", maxSteps)
)

func (m *meter) Err() error { return m.why }

func (m *meter) Deadline() (time.Time, bool) { return m.until, true }
func (m *meter) Value(any) any               { return nil }

var _ context.Context = (*meter)(nil)

// take counts bytes that are about to be made.
func (m *machine) take(l *lua.LState, n int) {
	if m.meter.left -= n; n < 0 || m.meter.left < 0 {
		m.meter.left = 0
		l.RaiseError("the script made more than %d bytes of strings and tables", maxBytes)
	}
}

// spend counts steps that are about to be taken where the interpreter does not
// count, and ends the script if it may take no more. The time is looked at before
// and, by the next instruction, after them, unless they are few.
func (m *machine) spend(l *lua.LState, n int) {
	if m.meter.steps += n; m.meter.steps < m.meter.look {
		return
	}
	if m.meter.done() {
		l.RaiseError("%s", m.meter.why)
	}
	if n >= often {
		m.meter.look = 0
	}
}

// pass counts a string that is about to be made or gone through.
func (m *machine) pass(l *lua.LState, length int) {
	m.spend(l, length/64)
	m.take(l, length+headBytes)
}

// headBytes is what a string takes besides its bytes.
const headBytes = 16
