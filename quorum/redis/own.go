package redis

import (
	"slices"
	"sync"

	"holdfast/quorum"
)

// An own tells what Do wrote from what others did. The server reports writes by
// name alone, ours too, and several acts of one moment as one. So a
// report of a name that Do has under way, or had a moment ago, says nothing by
// itself: once Do is done with the name, what is there is looked at, behind the
// report of our own write. If it is what we left, nobody else acted, and from then
// on every report of the name is of somebody else. A watch that is not broad is told
// of a name only from that look on.
//
// It is safe for concurrent use.
type own struct {
	wake     chan struct{} // gets one when there is something to check
	overflow func()        // called, locked, when there is too much to remember

	mu     sync.Mutex
	traces map[string]*trace // guarded by mu; of names that are under way or to be checked
	under  []*trace          // guarded by mu; of each request of the batch under way, nil if it leaves none
	due    []*trace          // guarded by mu; of names that Do is done with
	missed bool              // guarded by mu; overflow was called
}

// A trace is what Do did under one name.
type trace struct {
	name   string
	seq    int // counts the batches; a check of an earlier one says nothing
	asking bool
	due    bool // it is in the list
	left   left
	copy   *quorum.Copy // what is there if left is leftCopy
	told   bool         // the name was reported meanwhile
}

// left is what Do left under a name, as far as is known.
type left uint8

const (
	leftUnknown left = iota // it wrote nothing, or nobody can tell what
	leftNone                // it took out what was there
	leftCopy
)

// maxTraces bounds what is remembered while the server does not answer checks.
const maxTraces = 1 << 16

func newOwn(overflow func()) *own {
	return &own{wake: make(chan struct{}, 1), overflow: overflow, traces: map[string]*trace{}}
}

// begin is called before a batch is sent.
func (o *own) begin(requests []quorum.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.under = o.under[:0]
	for i := range requests {
		if requests[i].Action != quorum.Swap {
			o.under = append(o.under, nil)
			continue
		}
		t := o.traces[requests[i].Name]
		if t == nil {
			if len(o.traces) >= maxTraces {
				o.missed = true
				o.overflow()
				return
			}
			t = &trace{name: requests[i].Name}
			o.traces[t.name] = t
		}
		t.asking = true
		t.seq++
		o.under = append(o.under, t)
	}
}

// end is called with the votes of the batch.
func (o *own) end(requests []quorum.Request, votes []quorum.Vote) {
	o.mu.Lock()
	for i, t := range o.under {
		if t == nil {
			continue
		}
		t.asking = false
		t.note(requests[i].Next, votes[i])
		if !t.due {
			t.due = true
			o.due = append(o.due, t)
		}
	}
	due := len(o.due) > 0
	o.mu.Unlock()
	if due {
		o.ring()
	}
}

func (o *own) ring() {
	select {
	case o.wake <- struct{}{}:
	default: // whoever waits for it is awake, or will be
	}
}

// note takes what a swap to next came to. What was refused left no trace, unless
// that was for next itself: then it is there.
func (t *trace) note(next *quorum.Copy, v quorum.Vote) {
	switch {
	case v.Verdict == quorum.Refused && next != nil && next.Equal(v.Found):
		t.left, t.copy = leftCopy, next
	case v.Verdict == quorum.Granted && next == nil:
		t.left, t.copy = leftNone, nil
	case v.Verdict == quorum.Granted:
		t.left, t.copy = leftCopy, next
	case v.Verdict == quorum.Silent && !v.Unsent:
		t.left, t.copy = leftUnknown, nil
	}
}

// A check is a name to look at, and what should be there.
type check struct {
	trace *trace
	seq   int          // of the trace, then
	copy  *quorum.Copy // nil: it need not be looked at, only waited for
}

// maxChecks go out together.
const maxChecks = 1024

// take appends what is to be checked now, and reports whether there is more.
func (o *own) take(checks []check) (_ []check, more bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := min(len(o.due), maxChecks)
	for _, t := range o.due[:n] {
		t.due = false
		if !t.asking { // else it is due again once that is done
			checks = append(checks, check{trace: t, seq: t.seq, copy: t.copy})
		}
	}
	o.due = slices.Delete(o.due, 0, n)
	return checks, len(o.due) > 0
}

// checked ends a check, and reports whether somebody else did something. same:
// what should be there is there.
func (o *own) checked(c check, same bool) (others bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := c.trace
	if t.seq != c.seq {
		return false // Do has been there again, and that will be checked
	}
	delete(o.traces, t.name)
	switch t.left {
	case leftCopy:
		return !same
	case leftNone:
		return false // there is no lease that somebody could have harmed
	}
	return t.told
}

// reported takes a report, and reports whether it can only be of others.
func (o *own) reported(name []byte) (others bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.traces[string(name)]
	if t != nil {
		t.told = true
	}
	return t == nil
}

// overflowed reports whether something was not remembered.
func (o *own) overflowed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.missed
}
