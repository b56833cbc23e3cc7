package commands

import (
	"slices"

	"holdfast/quorum"
)

// notes are which locks a command, or what is run as one change, has read: and
// whether it has changed them after that.
type notes struct{ read map[string]bool }

// noting has a command note what it reads. Most clients track nothing.
func noting(run func(*Tx, [][]byte) Reply) func(*Tx, [][]byte) Reply {
	return func(tx *Tx, args [][]byte) Reply {
		reply := run(tx, args)
		if tx.notes != nil {
			tx.notes.note(tx, args)
		}
		return reply
	}
}

func (n *notes) note(tx *Tx, args [][]byte) {
	var few [4][]byte
	for _, key := range tx.cmd.lockArgs(few[:0], args) {
		s := tx.find(key)
		if s == nil {
			continue
		}
		if tx.cmd.flags&write == 0 {
			n.read[s.name] = false
		} else if _, ok := n.read[s.name]; ok && s.changed {
			n.read[s.name] = true
		}
	}
}

// readings are what one call of a session that tracks has read. nil is of one
// that does not.
type readings struct {
	notes     notes
	interests []*interest
}

// follow has the reads of a call noted, if its session tracks them.
func (c *call) follow() {
	if c.session.tracksNext() {
		c.reads = &readings{notes: notes{map[string]bool{}}}
	}
}

// again begins anew: the call is decided once more.
func (r *readings) again(tx *Tx) {
	if r == nil {
		return
	}
	clear(r.notes.read)
	tx.notes = &r.notes
	t := tx.engine.tracker
	t.mu.Lock()
	defer t.mu.Unlock()
	r.withdrawLocked(t)
}

func (r *readings) withdrawLocked(t *tracker) {
	for _, i := range r.interests {
		t.dropLocked(i)
	}
	r.interests = nil
}

// expect makes known what was read. Nothing can have changed it yet but time, if a script
// took some; what peers change is read again every so often.
func (r *readings) expect(c *call) {
	if r == nil || len(c.tx.more) > 0 {
		return
	}
	t, view := c.session.engine.tracker, c.tx.view
	t.mu.Lock()
	defer t.mu.Unlock()
	r.withdrawLocked(t)
	for name := range r.notes.read {
		lease, ok := view.Lease(name)
		if !ok {
			continue
		}
		i := &interest{session: c.session, name: name, told: view.Told, lease: lease, op: c.op.Load()}
		i.again = t.mayChangeUnheard(lease)
		r.interests = append(r.interests, i)
		t.addLocked(i)
		i.stale = lease != nil && !lease.Live(t.engine.keeper.Now()) // and that may have been told already
	}
}

// reply gives the reply of a call, and then tells the session what it has read that
// is not so any more.
func (c *call) reply(reply Reply, result quorum.Result) {
	if c.reads == nil && !c.session.tracks.Load() {
		c.request.answer(reply, c.proto)
		return
	}
	t := c.session.engine.tracker
	t.mu.Lock()
	defer t.mu.Unlock()
	c.request.answer(reply, c.proto)
	c.reads.settleLocked(t, c, result)
	if !c.session.tracks.Load() {
		return
	}
	for _, name := range c.owed {
		new(invalidation).send(t, c.session, name)
	}
	if t.elsewhere {
		t.rouse()
	}
}

// settleLocked makes what was read the session's to be told of, if it still is so.
func (r *readings) settleLocked(t *tracker, c *call, result quorum.Result) {
	if r == nil {
		return
	}
	through := result.Outcome == quorum.Changed || result.Outcome == quorum.Unchanged
	for _, i := range r.interests {
		mine := result.Outcome == quorum.Changed && r.notes.read[i.name]
		if c.session.tracks.Load() && through && !i.stale && !mine {
			if result.Outcome == quorum.Changed {
				i.changed(c, result)
			}
			t.keepLocked(i)
			continue
		}
		t.dropLocked(i)
		if through && (i.stale || mine && !c.session.noLoop) && !slices.Contains(c.owed, i.name) {
			c.owed = append(c.owed, i.name)
		}
	}
}

// changed makes what was read what it is since the call's own change of it.
func (i *interest) changed(c *call, result quorum.Result) {
	for at := range c.tx.slots {
		if s := &c.tx.slots[at]; s.name != i.name || !s.changed {
			continue
		}
		i.lease = nil
		for _, made := range result.Leases {
			if made != nil && made.Name == i.name {
				i.lease = made
			}
		}
		i.again = c.session.engine.tracker.mayChangeUnheard(i.lease)
	}
}

// mayChangeUnheard reports whether a lock can change without our keeper's knowing.
func (t *tracker) mayChangeUnheard(lease *quorum.Lease) bool {
	return t.elsewhere && (t.peers || lease == nil || lease.Foreign)
}
