package quorum

import "slices"

// What is known of a lease that several versions of it, or of it and another, may be.

// certain reports whether op, of which attempts were carried out in part, is known
// to have changed nothing: because somebody else's lease is there for sure, which
// is not a later change of what op made, nor there because op ended what was.
func (c *Core) certain(op *Op) bool {
	return !slices.ContainsFunc(op.parted, func(a *attempt) bool { return !c.vain(op, a) })
}

// vain is certain of one attempt.
func (c *Core) vain(op *Op, parted *attempt) bool {
	for i, name := range op.Names {
		lease := op.view.found[i]
		if lease == nil {
			return false
		}
		sure := c.sure(Part{Name: name, Prev: lease})
		for p := range parted.parts {
			if parted.parts[p].Name != name {
				continue
			}
			led := parted.mayHaveLed(p, lease)
			if parted.next[p] != nil {
				// A store that refused for this very version never had what op made, of which
				// that could be a later change. If a quorum did, that version is the lease.
				before := parted.inTheWay(p, lease)
				sure = sure || before >= c.cfg.Need
				led = led && before < c.cfg.Need && (before == 0 || !lease.Foreign || !lease.agreed) &&
					lease.Version > parted.next[p].Version
			}
			if led {
				return false
			}
		}
		if !sure {
			return false
		}
	}
	return true
}

// overtaken returns which of its names op is shown a lease of that goes on from what op
// may have made itself, and lost: to make it anew would be to do it twice. -1 if there
// is none. What is still as op made it is not shown, but undone.
func (op *Op) overtaken() int {
	if len(op.made) == 0 {
		return -1
	}
	return slices.IndexFunc(op.view.found, func(l *Lease) bool {
		return l != nil && slices.ContainsFunc(op.made, func(made *Lease) bool {
			return made.Name == l.Name && made.Fence == l.Fence && made.Version < l.Version
		})
	})
}

// other returns the lease that was perhaps replaced by that of our table, just
// before a crash; nil if what is found is not that, or there is no such doubt.
func (s *slot) other(now Time, found *Lease) []*Lease {
	if found != nil && found == s.lease && s.or.Live(now) {
		return []*Lease{s.or}
	}
	return nil
}

// showOther shows op what its leases may be just as well: the one that was perhaps
// replaced just before a crash, and those that a silent store may make a quorum
// of. Either may be the one that is held, so an op that could do nothing by the
// one is tried by each of the others.
func (c *Core) showOther(op *Op) (seen bool) {
	at := int(op.other)
	op.other++
	if at == 0 && op.view.rivals != nil {
		op.view.first = slices.Clone(op.view.found)
	}
	for i, others := range op.view.rivals {
		if at < len(others) {
			op.view.found[i] = others[at]
			seen = true
		}
	}
	if !seen && op.view.first != nil {
		copy(op.view.found, op.view.first)
	}
	return seen
}
