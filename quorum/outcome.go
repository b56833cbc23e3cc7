package quorum

import (
	"fmt"
	"slices"
	"time"
)

func (c *Core) win(now Time, a *attempt) {
	validity, ttl := time.Duration(1<<62), time.Duration(0)
	creates := false
	for p := range a.parts {
		part := &a.parts[p]
		if part.Drop || part.check {
			continue
		}
		if v := Validity(part.TTL, now.Sub(a.start)); v < validity {
			validity, ttl = v, part.TTL
		}
		creates = creates || part.Prev == nil
	}
	switch {
	case validity <= 0 && c.breaks&breakTooSlow == 0:
		c.lose(now, a, Result{Outcome: Failed, Err: fmt.Errorf(
			"change %q: %d of %d stores and the journal agreed after %v, too late for a TTL of %v; it is undone: %w",
			a.parts[0].Name, c.cfg.Need, len(c.cfg.Stores), now.Sub(a.start).Round(time.Microsecond), ttl, ErrTooSlow)})
		return
	case a.op.gone && creates:
		c.lose(now, a, Result{Outcome: Unchanged}) // nobody is there to release it
		return
	}
	if creates := slices.ContainsFunc(a.next, func(l *Lease) bool { return l != nil }); !creates {
		validity = 0
	}
	a.decided = true
	c.confirm(a)
	for p, lease := range a.next {
		part := &a.parts[p]
		s := c.slots[part.Name]
		switch {
		case part.check:
			continue
		case lease == nil:
			c.clear(s)
		default:
			if lease.Untimed && part.Prev == nil {
				c.untimed++
			}
			c.put(s, lease, a.granted(p, len(c.cfg.Stores)))
		}
		if !a.confirms {
			c.note(News{Name: part.Name, Prev: part.Prev, Lease: lease, Why: ByChange, Op: a.op})
		}
		if c.peered() {
			c.announce(now, a, p)
		}
	}
	if a.confirms {
		a.op.rest = nil
		c.again(now, a.op)
		return
	}
	c.settle(a.op, Result{Outcome: Changed, Leases: a.next[:a.named], Validity: validity, Took: now.Sub(a.op.began)})
}

// announce tells the stores what part p has ended, where others may believe that
// it lives: a notice keeps them from putting it back, and lets them drop it.
func (c *Core) announce(now Time, a *attempt, p int) {
	part := &a.parts[p]
	prev := part.Prev
	if prev == nil || prev.Version == 0 || part.Drop && a.ends() && c.allAsked(a, p) {
		return
	}
	if !part.Drop && !prev.Foreign && a.next[p].Fence == prev.Fence && a.next[p].Until >= prev.Until {
		return // whoever else has it may go on: it is the same lease, and lasts longer now
	}
	for i := range c.stores {
		if !part.Drop || !a.ends() || a.ballots[p*len(c.stores)+i].unsent {
			c.ask(&Ask{Store: i, why: whyTakeOut, until: prev.latest(), Request: Request{
				Name: part.Name, Prev: prev.Copy(), OrNone: true, Gone: max(prev.latest().Sub(now), MinTTL)}})
		}
	}
}

// allAsked reports whether every store was asked about part p.
func (c *Core) allAsked(a *attempt, p int) bool {
	n := len(c.stores)
	return !slices.ContainsFunc(a.ballots[p*n:(p+1)*n], func(b ballot) bool { return b.unsent })
}

// granted returns the stores that granted part p, one bit each.
func (a *attempt) granted(p, stores int) (has storeSet) {
	for i, b := range a.ballots[p*stores : (p+1)*stores] {
		if b.in && b.vote == Granted {
			has |= 1 << i
		}
	}
	return has
}

// confirm puts on record what a pending record leaves open: whether a lease of
// another value was replaced, with peers any lease, and what was released in its
// company. A crash that loses this leaves either holder as owner.
func (c *Core) confirm(a *attempt) {
	var entries []Entry
	for p := range a.parts {
		part := &a.parts[p]
		prev := c.slots[part.Name].lease
		if c.peered() && part.Prev.adopted() != nil && !part.check {
			prev = part.Prev
		}
		if prev != nil && (part.Drop || c.peered() || string(prev.Value) != string(part.Value)) {
			entries = append(entries, Entry{Name: part.Name, Lease: a.next[p]})
		}
	}
	if len(entries) > 0 {
		c.write(Record{Entries: entries}, false, nil)
	}
}

// lose ends an attempt that is not granted, and undoes it: in every store that
// granted or stayed silent, this very copy is swapped back to what was there.
func (c *Core) lose(now Time, a *attempt, result Result) {
	a.decided = true
	result.Took = now.Sub(a.op.began)
	entries := make([]Entry, 0, len(a.parts))
	replaced := false
	for p := range a.parts {
		part := &a.parts[p]
		s := c.slots[part.Name]
		if part.check {
			continue
		}
		if a.ends() && c.peered() {
			c.letGo(a, p, s)
			continue
		}
		c.adopt(now, a, p, s)
		prev := c.live(now, s)
		c.undo(now, a, p, s, prev)
		if a.next[p] != nil {
			entries = append(entries, Entry{Name: part.Name, Lease: prev, Pending: prev != nil && s.unsure, Replaced: s.or})
			replaced = replaced || prev != nil
		}
	}
	if !replaced {
		if len(entries) > 0 {
			c.write(Record{Entries: entries}, false, nil)
		}
		a.awaiting = result
		c.lost(now, a)
		return
	}
	// The pending record on disk would deny until the later deadline and take
	// either holder as owner: no error leaves before that is put right.
	a.awaiting = result
	c.write(Record{Entries: entries}, true, &Want{attempt: a, undone: true})
}

// letGo is what becomes of a release that no quorum has confirmed: whoever asked
// for it has let go all the same. What can't be reached is told later.
func (c *Core) letGo(a *attempt, p int, s *slot) {
	prev := a.parts[p].Prev
	if a.retry || prev == nil || prev.Version == 0 {
		return
	}
	if s.lease != nil && s.lease.Version <= prev.Version {
		c.drop(s)
	}
	n := len(c.stores)
	for i, b := range a.ballots[p*n : (p+1)*n] {
		if b.in && b.vote == Silent {
			c.ask(&Ask{Store: i, why: whyTakeOut, until: prev.latest(), Request: Request{
				Name: a.parts[p].Name, Prev: prev.Copy(), OrNone: true, Gone: max(prev.latest().Sub(a.start), MinTTL)}})
		}
	}
}

// mostTurned is how often an op that asks for it is shown what turned its change down.
const mostTurned = 2

// lost ends the op of an attempt that was not granted, or has it look anew.
func (c *Core) lost(now Time, a *attempt) {
	op := a.op
	enough := a.awaiting.Outcome == Failed && c.triedEnough(now, op)
	if a.retry && !op.gone && c.refused == nil && !enough {
		op.rest = nil
		op.doubts = true // what the table has was refused: it looks into the stores now
		c.again(now, op)
		return
	}
	if a.awaiting.Outcome == Held && op.anew && op.turned < mostTurned && !op.gone && c.refused == nil && !c.triedEnough(now, op) {
		op.rest, op.Reads, op.doubts = nil, true, c.peered()
		op.turned++
		c.again(now, op)
		return
	}
	if a.retry && a.ends() {
		a.retry = false
		for p := range a.parts {
			c.letGo(a, p, c.slots[a.parts[p].Name])
		}
	}
	c.settle(op, a.awaiting)
}

// adopt takes a peer's lease into our table that a failed change of ours may
// have replaced in some store: that copy is ours to undo, and the peer would
// look for its own. Until one of us knows that it ended, both deny by it. A store
// that forgets gets it from the peer: if it was granted, that has it in its journal.
func (c *Core) adopt(now Time, a *attempt, p int, s *slot) {
	prev := a.parts[p].Prev
	if !c.peered() || prev == nil || !prev.Foreign || prev.Version == 0 {
		return
	}
	n := len(c.cfg.Stores)
	if slices.ContainsFunc(a.ballots[p*n:(p+1)*n], func(b ballot) bool { return !b.untouched() }) && prev.adopted().Live(now) {
		was := c.live(now, s)
		if was != nil && (!s.unsure || was.agreed && !prev.agreed) && c.breaks&breakAdopt == 0 {
			return // what we have is the lease rather than that, which we only tried
		}
		if c.breaks&breakAdopt != 0 {
			was = nil
		}
		peers := was == nil || s.adopted
		lease, owed := prev.adopted(), storeSet(0)
		if was != nil {
			// It may be the one that was granted all the same, and until the later end:
			// a store that forgot it has no word on the lock as long.
			later := max(lease.Until, was.Until)
			lease, was, owed = withUntil(lease, later), withUntil(was, later), s.owed
		}
		c.put(s, lease, 0)
		s.unsure, s.adopted = true, peers
		c.oweStill(s, owed)
		if was != nil && was.Version != prev.Version && string(was.Value) != string(prev.Value) {
			s.or = was
		}
	}
}

// untouched reports whether the store did not act for sure.
func (b ballot) untouched() bool { return b.in && (b.vote == Refused || b.vote == Silent && b.unsent) }

func (c *Core) undo(now Time, a *attempt, p int, s *slot, prev *Lease) {
	n := len(c.cfg.Stores)
	part := &a.parts[p]
	for i, b := range a.ballots[p*n : (p+1)*n] {
		if b.untouched() {
			continue
		}
		ask := &Ask{Store: i, why: whyTakeOut, Request: Request{Name: part.Name}}
		if b.in && b.vote == Silent {
			ask.tries = 1 // it may act on the change later than on this: see tookOut
		}
		if a.next[p] != nil {
			ask.Prev, ask.until = a.next[p].Copy(), a.next[p].Until
		}
		switch back := part.Prev; {
		case back != nil && back.Foreign && back.Live(now):
			ask.Next, ask.TTL, ask.foreign = back.Copy(), c.keep(now, back), back
		case back != nil && back == s.or && back.Live(now): // of two that the lease may be, the store had this
			ask.Next, ask.TTL, ask.foreign, ask.Heed = back.Copy(), c.keep(now, back), back, c.heeds()
		case prev != nil:
			ask.Next, ask.TTL, ask.Heed = prev.Copy(), c.keep(now, prev), c.heeds()
			s.has &^= 1 << i
			c.miss(i, s)
		}
		if ask.Prev != nil || ask.Next != nil {
			c.ask(ask)
		}
	}
}

// Written says that what want waited for is on disk, or with an error that it
// may not be, and that the journal is of no use any more.
func (c *Core) Written(now Time, want *Want, err error) {
	if err != nil {
		c.fail(err)
	}
	switch a := want.attempt; {
	case a == nil && err == nil:
		c.allowed(now, want.limit)
	case a == nil:
	case want.undone && err != nil: // after a restart it may have been granted after all
		c.settle(a.op, Result{Outcome: Failed, Err: err, Took: a.awaiting.Took})
	case want.undone:
		c.lost(now, a)
	case a.decided:
	case err != nil:
		a.decided = true
		for p := range a.parts {
			s := c.slots[a.parts[p].Name]
			if a.asked && !a.parts[p].check {
				c.undo(now, a, p, s, c.live(now, s))
			}
		}
		c.settle(a.op, Result{Outcome: Failed, Err: err, Took: now.Sub(a.op.began)})
	default:
		if a.onDisk = true; !a.asked {
			c.launch(now, a)
		}
		c.judge(now, a)
	}
	c.quench(now)
	c.pump(now)
}

// quench lets those go on that waited for the journal.
func (c *Core) quench(now Time) {
	c.Reserve() // what others use may have gone beyond what was asked for
	if len(c.thirst) == 0 || c.dry() {
		return
	}
	thirst := c.thirst
	c.thirst = nil
	for _, op := range thirst {
		c.begin(now, op)
	}
}

// fail says that the journal failed. Nothing is granted from now on; leases
// already given stay as they are.
func (c *Core) fail(err error) {
	if c.dead == nil {
		c.dead = err
	}
	for _, op := range c.thirst {
		c.settle(op, Result{Outcome: Failed, Err: c.dead})
	}
	c.thirst = nil
}
