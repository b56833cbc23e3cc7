package commands

import (
	"bytes"
	"fmt"
	"time"

	"holdfast/quorum"
)

// A Tx is one or several commands that will be one change: what the leases were
// shown to be, overlaid by what the commands have made of them so far. It is
// used by one goroutine at a time, and nothing it does is seen by others before
// its plan is carried out.
type Tx struct {
	engine *Engine
	cmd    *command // under way, for the words of its errors
	db     int
	script bool // SET overwrites, as in Redis
	view   *quorum.View
	slots  []slot
	more   []string // names that were used and are not ours to see

	strayed bool // the script used a lock that its caller did not name

	// What to answer when the stores turn the change down, since they have
	// copies of somebody else. Unless final, it is looked at again first, with
	// those copies shown.
	refused Reply
	final   bool
	denied  bool // a lock was to be acquired, and is held

	seized []*quorum.Lease // ended or replaced without a question whose they are

	posts  []post // messages for when all this is done
	posted int    // what they count for
	notes  *notes // of what a client that tracks reads; else nil

	chronicled bool       // what is done is told by notifications: all of it, or nothing
	chronicle  *chronicle // of it; nil if nothing was done

	// What collections cost, for a script to pay: bytes for what was decoded, and
	// how many items were gone through.
	decoded, walked int

	first [1]slot // of slots: most commands name one lock
}

// A slot is one lock in a Tx.
type slot struct {
	db   int
	key  string // in db
	name string
	prev *quorum.Lease // as it was shown

	// As the Tx sees it now.
	held    bool
	shape   shape
	text    []byte // if it is a string
	items   []item // if it is a collection that was opened; never altered, only replaced
	opened  bool
	ttl     time.Duration
	untimed bool

	changed bool // it is not as it was shown
	broken  bool // the lease that was shown is over: what is held now is another
}

// reset begins again, with another view, for a command sent by a client.
func (tx *Tx) reset(cmd *command, db int, view *quorum.View) {
	tx.cmd, tx.db, tx.view = cmd, db, view
	if tx.slots == nil {
		tx.slots = tx.first[:0]
	}
	tx.slots, tx.more = tx.slots[:0], tx.more[:0]
	tx.refused, tx.final, tx.denied, tx.strayed = cmd.refused, false, false, false
	tx.seized, tx.posts, tx.posted = tx.seized[:0], nil, 0
	tx.decoded, tx.walked = 0, 0
	tx.chronicled, tx.chronicle = tx.engine.tracker.events.Load() != 0, nil
}

// show makes a lock of the current database part of the Tx. It reports false if
// the op does not have it yet; then nothing the commands say counts, and the op
// starts again with what plan asks for.
func (tx *Tx) show(key []byte, name string) bool {
	if tx.find(key) != nil {
		return true
	}
	var lease *quorum.Lease
	ok := false
	if tx.view != nil {
		lease, ok = tx.view.Lease(name)
	}
	if !ok {
		tx.more = append(tx.more, name)
		return false
	}
	s := slot{db: tx.db, key: name[len(name)-len(key):], name: name, prev: lease}
	if lease != nil {
		s.held, s.untimed, s.ttl = true, lease.Untimed, lease.Left(tx.view.Now)
		s.shape = leaseShape(lease)
		s.text, _ = textOf(lease)
	}
	tx.slots = append(tx.slots, s)
	return true
}

func (tx *Tx) find(key []byte) *slot {
	for i := range tx.slots {
		if s := &tx.slots[i]; s.db == tx.db && s.key == string(key) {
			return s
		}
	}
	return nil
}

// at returns the lock that the command under way calls key. It is there if the
// table says where the command's keys are, which is an invariant.
func (tx *Tx) at(key []byte) *slot {
	s := tx.find(key)
	if s == nil {
		panic(fmt.Sprintf("command %q used a key that its table entry does not name", tx.cmd.name))
	}
	return s
}

// get returns the string of a lock, nil if it is free. It reports false if what
// is there is no string.
func (s *slot) get() ([]byte, bool) {
	if !s.held {
		return nil, true
	}
	return s.text, s.shape == textShape
}

// holds reports whether token is the holder's.
func (s *slot) holds(token []byte) bool {
	return s.held && s.shape == textShape && bytes.Equal(s.text, token)
}

// put makes text the lock's value for ttl from now. The same text goes on as the
// same lease; another one is another holder, with a new fencing token.
func (tx *Tx) put(s *slot, text []byte, ttl time.Duration, untimed bool) {
	if !s.holds(text) {
		s.broken = true
		s.text = bytes.Clone(text) // ours to keep, unlike the client's buffer
	}
	tx.hold(s)
	s.shape, s.items, s.opened = textShape, nil, false
	s.renew(ttl, untimed)
	tx.note(s, '$', "set")
}

// hold makes the lock held.
func (tx *Tx) hold(s *slot) {
	if !s.held {
		s.held = true
		tx.note(s, creation.class, creation.event)
	}
}

// open returns the items of a lock's collection, none if it is free. It reports
// false if what is there is nothing of that shape.
func (tx *Tx) open(s *slot, want shape) (items []item, ok bool) {
	if !s.held {
		return nil, true
	}
	if s.shape != want {
		return nil, false
	}
	if !s.opened {
		if s.items, ok = decodeItems(want, s.prev.Value); !ok {
			s.shape = opaqueShape
			return nil, false
		}
		s.opened = true
		tx.decoded += len(s.items) * itemBytes
	}
	tx.walked += len(s.items)
	return s.items, true
}

// keep makes items, in the order of their shape, the value of a lock that is free
// or has that shape. The lease goes on, with its fencing token: who shares it, or
// enters once more, is no other holder. No items are a release. event is what Redis
// calls what was done.
func (tx *Tx) keep(s *slot, of shape, items []item, event string) (bad *Reply) {
	if len(items) == 0 {
		if s.held {
			tx.note(s, shapes[of].class, event)
			tx.drop(s)
		}
		return nil
	}
	if n := sizeOf(of, items); n > quorum.MaxValue {
		return tooMuch(n)
	}
	s.shape, s.items, s.opened = of, items, true
	tx.goOn(s)
	tx.note(s, shapes[of].class, event)
	return nil
}

// edit makes text the string of a lock that is free or has one, and the lease goes
// on, with its fencing token: a counter is the same one whatever it counts. event is
// as of keep.
func (tx *Tx) edit(s *slot, text []byte, event string) (bad *Reply) {
	if bad := tooLong(text); bad != nil {
		return bad
	}
	s.shape, s.text = textShape, text
	tx.goOn(s)
	tx.note(s, '$', event)
	return nil
}

// goOn makes the lock held with what it was given, for as long as it was. A lease
// whose TTL nobody asked for has the longest there is, from its last change on:
// what is in use does not end.
func (tx *Tx) goOn(s *slot) {
	if !s.held || s.untimed {
		tx.hold(s)
		s.renew(tx.engine.maxTTL, true)
	}
	s.changed = true
}

// renew gives the lease another TTL from now.
func (s *slot) renew(ttl time.Duration, untimed bool) {
	s.ttl, s.untimed, s.changed = ttl, untimed, true
}

// extend gives the lease the end that somebody asks for.
func (tx *Tx) extend(s *slot, ttl time.Duration) {
	s.renew(ttl, false)
	tx.note(s, 'g', "expire")
}

// persist gives the lease the longest TTL there is.
func (tx *Tx) persist(s *slot) {
	s.renew(tx.engine.maxTTL, true)
	tx.note(s, 'g', "persist")
}

// drop frees the lock.
func (tx *Tx) drop(s *slot) {
	s.held, s.text, s.items, s.opened = false, nil, nil, false
	s.changed, s.broken = true, true
	tx.note(s, deletion.class, deletion.event)
}

// plan returns what is to become of the locks.
func (tx *Tx) plan() quorum.Plan {
	if len(tx.more) > 0 {
		return quorum.Plan{More: tx.more}
	}
	var parts []quorum.Part
	for i := range tx.slots {
		if s := &tx.slots[i]; s.changed && (s.held || s.prev != nil) {
			parts = append(parts, s.part())
			if s.held && s.shape == listShape && s.opened {
				tx.engine.commands[waitFor].room.wake(s.name)
			}
		}
	}
	return quorum.Plan{Parts: parts, Denied: tx.denied}
}

func (s *slot) part() quorum.Part {
	if !s.held {
		return quorum.Part{Prev: s.prev, Name: s.name, Drop: true}
	}
	return quorum.Part{
		Prev:    s.prev,
		Name:    s.name,
		Value:   s.value(),
		TTL:     s.ttl,
		Untimed: s.untimed,
		// A lease that somebody made directly in the stores has no fencing token
		// to keep: extending it makes it ours. A peer's has one.
		Renew: s.prev != nil && s.prev.Version != 0 && !s.broken,
	}
}

// value returns the bytes that keep what the slot holds.
func (s *slot) value() []byte {
	switch {
	case s.shape == textShape:
		return encode(s.text)
	case s.opened:
		return encodeItems(s.shape, s.items)
	}
	return s.prev.Value
}
