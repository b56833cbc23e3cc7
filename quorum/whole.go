package quorum

import (
	"fmt"
	"time"
)

// current reports whether a signature was made in this incarnation of the store.
//
// Rule 6: one made in an earlier incarnation is no signature: the server came
// back with old data, and has forgotten what came after.
func (w *witness) current(s Signature) bool {
	return process(s.Incarnation) == process(w.incarnation)
}

// weigh finds out whether a store is whole for us.
func (c *Core) weigh(now Time, store int, sigs map[string]Signature) {
	w := &c.stores[store]
	waits, again := c.waitsFor(now, store, sigs)
	w.lookAt = min(again, c.hush(now, store, sigs))
	switch {
	case waits != "":
		if w.whole {
			c.event("store.unwhole", store, "", "%s", waits)
			c.unwhole(now, store, waits)
			c.void(now, store)
		}
		w.waits = waits
	case !w.whole:
		w.whole, w.waits = true, ""
		if c.peered() {
			c.event("store.whole", store, "", "every proxy's leases are there: its votes count")
		}
	}
}

// waitsFor says why a store is not whole, "" if it is, and when to look again.
//
// Rule 5: a store is whole once a reading of its book taken after our signature,
// and showing it, also shows that of every peer; or, of a peer that is missing
// there, or whose line says nothing of today, once it is dead and what it granted
// has ended.
func (c *Core) waitsFor(now Time, store int, sigs map[string]Signature) (waits string, again Time) {
	w := &c.stores[store]
	again = now.Add(time.Hour)
	switch {
	case c.refused != nil:
		return "a stranger signed a book", again
	case w.phase != Signed:
		return "our signature is not there yet", again
	}
	if c.peered() && c.mayHaveGranted(now) {
		// Books may have been blank when we signed; a peer's word comes later.
		if _, trace, pardon := c.traces(); trace != "" && !pardon {
			return c.waitOut(now, trace), c.started.Add(c.outwait())
		}
	}
	var absent []*peer
	for i := range c.peers {
		p := &c.peers[i]
		s := sigs[p.id]
		current := w.current(s) || c.breaks&breakIncarnation != 0
		signed := s.Phase == Signed && current
		missing, look := "has not signed", now.Add(beatEvery)
		switch {
		case signed && !w.peers[i].sure && c.breaks&breakSure == 0:
			missing, look = "signed before we came: its beat must move", now
		case signed && s.Mark.Count() < c.woke && c.breaks&breakMarks == 0:
			// Rule 8: a restart takes our numbers ahead. Should every store forget and we die,
			// a peer that never heard of that would go on below them.
			missing = "did not hear of our numbers yet"
		case signed:
			continue
		case c.breaks&breakWhole != 0, p.forgotten:
			continue
		case !p.known:
			// It is new or elsewhere, and may be granting locks where we can't see it.
			return fmt.Sprintf("peer %s was never seen: a new group serves once all have signed", p.id), again
		}
		dead := max(w.signed.Add(c.silence()), c.over(p))
		if (now <= dead || !w.whole && !c.mayBeDead(p)) && c.breaks&breakOutwait == 0 {
			return fmt.Sprintf("peer %s %s; if it is dead, its last lease ends in %v", p.id, missing, max(dead.Sub(now), 0).Round(time.Second)), min(again, look, dead)
		}
		again = min(again, now.Add(beatEvery))
		if now > dead && !w.whole {
			absent = append(absent, p)
		}
	}
	for _, p := range absent { // told once nobody is waited for any more
		c.event("peer.absent", store, "", "%s has not been seen for %v: whatever it granted has ended", p.id, now.Sub(p.moved).Round(time.Second))
	}
	return "", again
}

// silence is how long a peer is not heard until it is taken for dead: what it granted
// has ended. Nobody's numbers are beyond those of the others by then for no more than
// that it was restarted, see reservePeered.
func (c *Core) silence() time.Duration { return max(c.outwait(), 4*beatEvery) }

// outwait is how long a lease of anybody may last, by our clock.
func (c *Core) outwait() time.Duration { return c.cfg.MaxTTL + c.cfg.MaxTTL/50 + driftFloor }

// counts reports whether a store may be asked for its vote, see [Core.wordless] too.
//
// Rule 1: with peers, only one that is whole for us. Solo our table knows all
// there is, and a store only has to know of us: our signature must have stood
// there once, so that whoever else comes will see it.
func (c *Core) counts(store int) bool {
	w := &c.stores[store]
	return w.whole || !c.peered() && (w.once || !c.signs())
}

// spell returns which of the times a store counts for a lock this is, 0 while it does not.
func (c *Core) spell(store int, name string) uint {
	if c.wordless(store, name) != "" {
		return 0
	}
	return c.stores[store].unwholes + 1
}

func (c *Core) unwhole(now Time, store int, waits string) {
	w := &c.stores[store]
	if w.whole {
		w.unwholes++
	}
	w.whole, w.waits = false, waits
	w.fell = now
}
