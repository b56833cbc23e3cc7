package quorum

// putBack takes the answer to a put-back.
func (c *Core) putBack(now Time, ask *Ask, vote Vote) {
	s := c.slots[ask.Name]
	bit := storeSet(1) << ask.Store
	if s != nil {
		s.asked &^= bit
	}
	current := s != nil && s.lease != nil && s.lease.Version == ask.Next.Version
	if vote.Gone != 0 && s != nil && (s.running == nil || s.running.rest == nil) {
		c.endedBy(s, vote.Gone) // a peer's client let it go
		if s.lease == nil {
			return
		}
	}
	if s != nil && (s.running == nil || s.running.rest == nil) {
		c.sight(ask.Name, vote.Found)
		current = current && s.lease != nil
	}
	switch {
	case !current && vote.Verdict != Refused:
		// The lease ended or changed while this was under way. Its change was sent
		// behind it, so it met this copy and took it along; but if that was not
		// granted, the copy must still go.
		if c.leftover(ask.Name, ask.Next) && (s == nil || s.running == nil) {
			c.takeOut(ask.Store, ask.Name, ask.Next, now.Add(ask.TTL))
		}
	case !current:
	case vote.Verdict == Silent:
		s.has &^= bit // Up or the audit tries again
	case vote.Verdict == Granted && ask.why == whyRestore:
		c.event("store.copy_vanished", ask.Store, ask.Name, "somebody deleted the copy of a live lease; it is put back")
		c.has(ask.Store, s)
	case vote.Verdict == Granted:
		if ask.why == whyAudit && s.has&bit != 0 {
			c.vanish(ask.Store, ask.Name)
		}
		c.has(ask.Store, s)
	case c.covers(ask.Store, s, vote.Found, ask.Next) && !c.refreshes(ask, vote.Found):
		c.has(ask.Store, s)
	case !ask.again && (c.mayGo(ask.Name, vote.Found) || c.refreshes(ask, vote.Found) || c.overrules(ask.Store, s, vote.Found)):
		second := *ask
		second.Prev, second.OrNone, second.again = vote.Found, true, true
		second.Gone = 0 // that notice is there already, and this is of one version of it
		c.ask(&second)
	default:
		if f := vote.Found; f != nil && (f.Fence != ask.Next.Fence || f.Version < ask.Next.Version) && (s.has&bit != 0 || ask.why == whyPutBack && !ask.again) {
			c.event("store.foreign_value", ask.Store, ask.Name, "somebody else's copy is in the place of ours")
		}
		s.has &^= bit // the audit tries again
		c.stick(ask.Store, s)
	}
}

// covers reports whether what is in a store does for the copy next of our lease:
// it is that, or the other of two that we are in doubt of, or a peer's later
// change of the same lease, which outlives what it replaces until it is granted.
//
// Before we sign, the other of two only does where nothing was forgotten. There
// anything does for a lease that may never have been granted: it is what came of it.
func (c *Core) covers(store int, s *slot, found, next *Copy) bool {
	signing := c.owes(store, s)
	switch {
	case found == nil:
		return false
	case signing && s.unsure && c.forgotNothing(store, s.name):
		return true
	case found.Version == 0:
		return false
	case found.Version == next.Version:
		return true
	case s.or != nil && found.Version == s.or.Version:
		return !signing
	}
	// Nor, in a store that forgot, does a later change of it: that may be one which was
	// given up and came late, and whoever made it takes it out.
	return c.peered() && (!signing || c.forgotNothing(store, s.name)) && found.Version > next.Version && (found.Fence == next.Fence || s.or != nil && found.Fence == s.or.Fence)
}

// refreshes reports whether a copy that is there must be put there again: before
// we sign, since the store's clock may have jumped and let it end too early.
func (c *Core) refreshes(ask *Ask, found *Copy) bool {
	s := c.slots[ask.Name]
	return s != nil && c.owes(ask.Store, s) && !ask.again && found != nil && found.Version == ask.Next.Version
}

// overrules reports whether our lease may take the place of what is in a store.
//
// Rule 4: only before our signature, or where that leaves ours out, and only of an older version of the same
// lease, or of a lease that must have ended since ours is granted and newer. What
// else is in the way may be somebody's: the signature waits until that goes, or
// our lease ends. If ours may never have been granted, what is older may have been.
func (c *Core) overrules(store int, s *slot, found *Copy) bool {
	switch {
	case found == nil:
		return false
	case c.breaks&breakOver != 0:
		return c.peered()
	case !c.owes(store, s):
		return false
	case found.Version == 0 || found.Opaque || found.Version >= s.lease.Version:
		return false
	}
	return !s.unsure
}
