package commands

import (
	"context"
	"errors"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// A meter bounds one run of a script. The interpreter asks it before every
// instruction whether to go on, by the method of a context.
type meter struct {
	scripts *scripts
	until   time.Time
	steps   uint
	left    int // bytes of strings that may still be made
	over    chan struct{}
}

// maxStrings is how many bytes of strings one run may make, all together.
const maxStrings = 64 << 20

func (m *meter) start(s *scripts) {
	*m = meter{scripts: s, until: time.Now().Add(s.time), left: maxStrings}
}

// maxSteps is how many instructions one run may take, some hundred times what
// the longest script of a lock library takes. What it makes with each is all that
// bounds its tables.
const maxSteps = 5_000_000

// Done returns a closed channel once the script must end. The time is looked at
// every so many instructions: it costs more than they do.
func (m *meter) Done() <-chan struct{} {
	const often = 1024
	if m.steps++; m.over == nil && m.steps%often == 0 && m.done() {
		m.over = make(chan struct{})
		close(m.over)
	}
	return m.over
}

func (m *meter) done() bool {
	return m.steps > maxSteps || m.scripts.closing.Load() || time.Now().After(m.until)
}

// errScriptTime is why a script was stopped.
var errScriptTime = errors.New("the script took too long and was stopped; nothing of it was done")

func (m *meter) Err() error {
	if m.over == nil {
		return nil
	}
	return errScriptTime
}

func (m *meter) Deadline() (time.Time, bool) { return m.until, true }
func (m *meter) Value(any) any               { return nil }

var _ context.Context = (*meter)(nil)

// take counts the bytes of a string that is about to be made.
func (m *machine) take(l *lua.LState, n int) {
	if m.meter.left -= n; n < 0 || m.meter.left < 0 {
		m.meter.left = 0
		l.RaiseError("the script made more than %d bytes of strings", maxStrings)
	}
}
