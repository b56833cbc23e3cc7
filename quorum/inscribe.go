package quorum

import (
	"slices"
	"strings"
	"time"
)

// inscribe returns the line that a store's book should get now, nil if none.
func (c *Core) inscribe(now Time, store int) *Ask {
	w := &c.stores[store]
	if !c.signs() || w.writing || now < w.writeAt || !w.read || w.down {
		return nil
	}
	ask := &Ask{Store: store, why: whyBook, epoch: w.epoch, Request: Request{Action: Sign, Name: c.cfg.ID, Was: w.line}}
	switch {
	case c.refused != nil && c.mustShow(w):
		ask.Line = c.line(w, Pending)
	case c.refused != nil:
		s, err := ParseSignature(w.line)
		if err != nil || s.Instance != c.cfg.Instance || s.Phase != Signed {
			return nil // nothing of ours to withdraw
		}
		// It does not go altogether: what we have granted is not over.
		s.Phase, s.Nonce, s.Next = Pending, w.nonce, ""
		ask.Line = s.String()
	case w.torn:
		ask.Action, ask.Was = Tear, ""
	case w.phase == "":
		if c.mustWait(now) {
			w.writeAt = now.Add(signAgain)
			return nil
		}
		if old := c.standing(w); old != nil && !c.keptPace(w, old) && c.mayVouch(w, old) && now < w.met.Add(3*beatEvery) {
			w.writeAt = now.Add(signAgain)
			return nil
		}
		ask.Line = c.line(w, Pending)
	case w.phase == Pending && c.outdated(w) != "":
		// Nobody signs under that id here any more, and we could not.
		ask.Name = c.outdated(w)
		ask.Was = w.book[ask.Name]
	case w.phase == Pending:
		// Rule 3: pending becomes the signature only once every lease is back, but for
		// those that it leaves out, and only if that same pending still stands: a flush
		// since then has taken it.
		if !w.mayLeaveOut() && c.breaks&breakReseed == 0 {
			return nil
		}
		if c.mustHear(now) {
			w.writeAt = now.Add(signAgain)
			return nil
		}
		c.enlist()
		ask.Line, ask.Only = c.line(w, Signed), append(slices.Clone(c.cfg.Peers), c.cfg.ID)
		if c.breaks&breakStrangers != 0 {
			ask.Only = nil
		}
	default:
		ask.Line = c.line(w, Signed)
	}
	w.writing = true
	return ask
}

// mustShow reports whether a store's book lost the line that we withdrew: whoever
// moves to other stores waits until what we granted is over, and would not know of us.
func (c *Core) mustShow(w *witness) bool { return w.line == "" && c.peered() && !c.fresh }

// outdated returns the id of somebody who is not of our group, and whose
// signature came back with a store's old data; "" if there is none.
func (c *Core) outdated(w *witness) string {
	for _, id := range sortedIDs(w.sigs) {
		if s := w.sigs[id]; s.Phase == Signed && !w.current(s) && id != c.cfg.ID && !slices.Contains(c.cfg.Peers, id) {
			return id
		}
	}
	return ""
}

// line returns what we put into a store's book.
func (c *Core) line(w *witness, phase Phase) string {
	w.beats++
	w.overstated = false
	s := Signature{
		Phase: phase, Nonce: w.nonce, Instance: c.cfg.Instance, Incarnation: process(w.incarnation),
		Peers: c.cfg.Peers, Seen: c.seen, Config: c.cfg.Print, Mark: MakeNumber(min(c.count, c.limit.Count()), c.cfg.Author), Beat: w.beats,
		Owed: w.owed(), Clock: w.clock, Boot: c.cfg.Boot, Beside: c.beside(w),
	}
	if phase == Pending {
		// The signature of before a restart of ours stays as long as it is true: the
		// others need not stop while we look after the copies.
		if old := c.standing(w); old != nil && c.keptPace(w, old) {
			s.Phase, s.Nonce, s.Next, s.Owed = Signed, old.Nonce, w.nonce, old.Owed
		}
	}
	return s.String()
}

// inscribed takes the answer to that.
func (c *Core) inscribed(now Time, ask *Ask, vote Vote) {
	w := &c.stores[ask.Store]
	if ask.epoch != w.epoch {
		return
	}
	// What stands there is told by readings alone: this batch's is in already.
	w.writing, w.writeAt = false, now.Add(signAgain)
	switch {
	case vote.Verdict == Refused && w.phase == "" && ask.Was != w.line:
		w.writeAt = now // that it forgot our line is known now
	case vote.Verdict != Granted:
	case ask.Action == Tear:
		w.torn = false
	case w.phase == Signed:
		switch w.writeAt = now.Add(beatEvery); {
		case w.overstated:
			w.writeAt = now
		case w.eager > 0:
			w.eager--
			w.writeAt = now.Add(eagerEvery)
		}
	case c.refused == nil:
		w.writeAt = now
	}
}

// bookDue returns when a store's book wants a line.
func (c *Core) bookDue(now Time, store int) Time {
	w := &c.stores[store]
	switch {
	case !c.signs() || w.writing || !w.read || w.down:
		return now.Add(time.Hour)
	case c.refused != nil && !strings.HasPrefix(w.line, string(Signed)) && !c.mustShow(w), w.phase == Pending && !w.mayLeaveOut():
		return now.Add(beatEvery)
	}
	return w.writeAt
}
