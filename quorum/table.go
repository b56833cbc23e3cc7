package quorum

import (
	"container/heap"
	"slices"
	"time"
)

// live returns the lease of s, nil if it has none or it is over.
func (c *Core) live(now Time, s *slot) *Lease {
	if s.lease == nil {
		return nil
	}
	if s.lease.Live(now) {
		return s.lease
	}
	c.expire(s)
	return nil
}

// put makes lease the one of s, in the stores of has and in no other.
func (c *Core) put(s *slot, lease *Lease, has storeSet) {
	c.paid(s, ^storeSet(0)) // what was owed is over: the new lease has its own quorum
	s.lease, s.or, s.unsure, s.adopted, s.has = lease, nil, false, false, has
	if s.at < 0 {
		s.at = int32(len(c.leases))
		c.leases = append(c.leases, s)
		heap.Push(&c.ends, s)
	} else {
		heap.Fix(&c.ends, int(s.end))
	}
	for i := range c.stores {
		c.miss(i, s)
	}
}

// clear leaves s without a lease. The journal and the stores are the caller's.
func (c *Core) clear(s *slot) {
	if s.lease == nil {
		return
	}
	c.paid(s, ^storeSet(0))
	heap.Remove(&c.ends, int(s.end))
	last := c.leases[len(c.leases)-1]
	c.leases[s.at], last.at = last, s.at
	c.leases[len(c.leases)-1] = nil
	c.leases = c.leases[:len(c.leases)-1]
	s.lease, s.or, s.has, s.at, s.end = nil, nil, 0, -1, -1
}

// expire ends a lease that is over. Stores that still keep it are told: those
// that count in seconds, and all if it is a lease that was made shorter.
func (c *Core) expire(s *slot) {
	lease := s.lease
	c.clear(s)
	c.note(News{Name: s.name, Prev: lease, Why: ByExpiry})
	if s.running != nil && s.running.rest != nil && c.breaks&breakExpiry == 0 {
		return // its change is on its way to the journal, and says there what comes after
	}
	c.write(Record{Entries: []Entry{{Name: s.name}}}, false, nil)
	for i, t := range c.cfg.Stores {
		if t.Coarse || lease.long {
			c.takeOut(i, s.name, lease.Copy(), lease.Until)
		}
	}
}

// Tick does what is due: votes that are out for too long, leases that are over,
// the checkpoint of the clock. It returns when it wants to be called again.
func (c *Core) Tick(now Time) Time {
	c.keepPace(now)
	c.expirePatience(now)
	c.slow = slices.DeleteFunc(c.slow, func(a *attempt) bool { return a.decided })
	const atOnce = 1000 // a million leases may end in one millisecond: let others in between
	for range atOnce {
		if len(c.ends) == 0 || c.ends[0].lease.Live(now) {
			break
		}
		s := c.ends[0]
		c.expire(s)
		c.forget(s)
	}
	if c.checkpoints() && now >= c.checkpoint {
		c.checkpoint = now.Add(time.Second)
		c.write(Record{Now: now}, true, nil)
	}
	c.quench(now) // what was queued for the journal may be through, and nobody wanted to hear of it
	c.pump(now)
	return c.next(now)
}

// checkpoints reports whether the journal wants the time now and then: while
// there are leases, whose deadlines a reboot counts from it.
func (c *Core) checkpoints() bool { return (len(c.leases) > 0 || c.unsynced) && c.dead == nil }

// next returns when something is due, at the latest in an hour.
func (c *Core) next(now Time) Time {
	next := now.Add(time.Hour)
	if c.checkpoints() {
		next = min(next, c.checkpoint)
	}
	if c.peered() {
		next = min(next, now.Add(paceEvery))
	}
	if len(c.thirst) > 0 {
		next = min(next, now.Add(retryAfter))
	}
	if len(c.timed) > 0 {
		next = min(next, c.timed[0].deadline)
	}
	if len(c.ends) > 0 {
		next = min(next, c.ends[0].lease.Until)
	}
	return next
}

// Leases calls f with each live lease, in no order, until it returns false.
func (c *Core) Leases(now Time, f func(*Lease) bool) {
	for _, s := range c.leases {
		if s.lease.Live(now) && !f(s.lease) {
			return
		}
	}
}

// deadlines is a heap of slots by the end of their leases.
type deadlines []*slot

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].lease.Until < d[j].lease.Until }
func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].end, d[j].end = int32(i), int32(j)
}

func (d *deadlines) Push(s any) {
	s.(*slot).end = int32(len(*d))
	*d = append(*d, s.(*slot))
}

func (d *deadlines) Pop() any {
	old := *d
	s := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	return s
}
