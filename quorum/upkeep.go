package quorum

import (
	"slices"
	"time"
)

// A witness is the upkeep of one store: what it should have and may not, and
// what it should not have and may.
type witness struct {
	down        bool  // it can't be asked
	why         error // if down
	incarnation string
	missing     []*slot // live leases that it may have no copy of, to be put back
	debts       []debt  // copies that must go as soon as it can be reached
	auditAt     Time    // when to look again whether it still has what it should
	cursor      int     // where in Core.leases
	audited     int     // looked at in the last audit
	vanished    int     // of them, so far
}

// A debt is a copy that nobody holds by and that may be in a store.
type debt struct {
	name   string
	copy   *Copy
	back   *Lease // somebody else's, to be put in its place, or nil
	after  Time   // not before
	late   bool   // it was looked for, and may still arrive
	until  Time   // when its lease is over
	looked int    // how often it was looked for
}

const (
	maxDebts   = 100_000 // a store; older ones are left to their TTL, and swept when met
	auditEvery = time.Second
	auditShare = 64   // leases an audit at least; each is looked at once a minute,
	auditMost  = 2048 // as long as that takes no more than this
	retryAfter = 100 * time.Millisecond
	overstay   = 5 * time.Second // how long after its lease a copy may still be there
	lateLooks  = 3               // how often a store that may act late is looked into again
)

// takeOut has a copy taken out of a store, now or as soon as it can be reached.
func (c *Core) takeOut(store int, name string, copy *Copy, until Time) {
	c.out.Ask(&Ask{Store: store, why: whyTakeOut, until: until, Request: Request{Name: name, Prev: copy}})
}

func (c *Core) tookOut(now Time, ask *Ask, vote Vote) {
	w := &c.stores[ask.Store]
	if vote.Verdict == Granted && ask.Next != nil { // an undo put the lease before it back
		if s := c.slots[ask.Name]; s != nil && s.lease != nil && s.lease.Version == ask.Next.Version {
			s.has |= 1 << ask.Store
		}
	}
	late := c.cfg.Stores[ask.Store].Late && ask.tries > 0 && ask.tries < lateLooks
	if ask.Prev == nil || now >= ask.until.Add(overstay) || vote.Verdict != Silent && !late {
		return
	}
	d := debt{name: ask.Name, copy: ask.Prev, back: ask.foreign, until: ask.until, looked: ask.tries + 1}
	switch {
	case vote.Verdict != Silent:
		d.late, d.after = true, now.Add(time.Second<<ask.tries)
	case !vote.Unsent: // if the store is down that ends with Up
		d.after = now.Add(retryAfter)
	}
	if len(w.debts) >= maxDebts {
		w.debts = w.debts[1:]
	}
	w.debts = append(w.debts, d)
}

// miss notes that a store may have no copy of the lease of s.
func (c *Core) miss(store int, s *slot) {
	w, bit := &c.stores[store], uint64(1)<<store
	if s.has&bit != 0 || s.queued&bit != 0 {
		return
	}
	s.queued |= bit
	w.missing = append(w.missing, s)
	if len(w.missing) > 2*len(c.leases)+64 { // while a store is down, leases come and go
		w.missing = slices.DeleteFunc(w.missing, func(s *slot) bool {
			if s.lease == nil {
				s.queued &^= bit
			}
			return s.lease == nil
		})
	}
}

// Up says that a store was connected to, and in which incarnation.
func (c *Core) Up(now Time, store int, incarnation string) {
	w := &c.stores[store]
	switch {
	case w.incarnation == "":
		c.event("store.up", store, "", "incarnation %s", incarnation)
	case w.incarnation != incarnation:
		c.event("store.restarted", store, "", "incarnation %s, was %s", incarnation, w.incarnation)
		c.forgot(store)
		c.void(now, store)
	default:
		c.event("store.up", store, "", "the connection was lost, the store was not restarted")
		for _, s := range c.leases {
			c.miss(store, s)
		}
	}
	for i := range w.debts {
		if !w.debts[i].late {
			w.debts[i].after = now
		}
	}
	w.down, w.incarnation, w.auditAt = false, incarnation, now
	c.pump(now)
}

// Down says that a store can't be asked. Whatever it was asked comes back as
// silent votes.
func (c *Core) Down(store int, why error) {
	w := &c.stores[store]
	if !w.down {
		c.event("store.down", store, "", "%v", why)
	}
	w.down, w.why = true, why
}

// forgot says that a store may have lost every copy. Each live lease is put back.
func (c *Core) forgot(store int) {
	for _, s := range c.leases {
		s.has &^= 1 << store
		c.miss(store, s)
	}
}

// vanish notes that a copy that should have been there was not. If that is so of
// an eighth of an audit, the store has lost more than single ones.
func (c *Core) vanish(store int, name string) {
	w := &c.stores[store]
	if w.vanished++; w.vanished == 1+w.audited/8 {
		c.event("store.copy_vanished", store, name, "%d of %d copies looked at were gone; all are put back", w.vanished, w.audited)
		c.forgot(store)
	} else if w.vanished <= w.audited/8 {
		c.event("store.copy_vanished", store, name, "the copy of a live lease was gone; it is put back")
	}
}

// Vanished says that the copy of a name is said to be gone from a store, or of
// all if name is "". Of a single name that is looked into and not believed: word
// of the end of one lease may come when the next has long been granted.
func (c *Core) Vanished(now Time, store int, name string) {
	if name == "" {
		c.event("store.flushed", store, "", "every copy may be gone; all are put back")
		c.forgot(store)
		c.void(now, store)
		c.pump(now)
		return
	}
	bit := uint64(1) << store
	s := c.slots[name]
	if s == nil || s.lease == nil || s.has&bit == 0 || now >= s.lease.Ends() {
		return
	}
	s.has &^= bit
	s.gone |= bit
	c.miss(store, s)
}

// Doubt says that copies may be gone from a store that nobody told of. Each is
// looked at.
func (c *Core) Doubt(store int) { c.forgot(store) }

// Missing returns how many live leases a store may have no copy of.
func (c *Core) Missing(store int) int { return len(c.stores[store].missing) }

// Due returns when Chores has something to do for a store.
func (c *Core) Due(now Time, store int) Time {
	w := &c.stores[store]
	if len(w.missing) > 0 {
		return now
	}
	due := w.auditAt
	for _, d := range w.debts[:min(len(w.debts), 8)] {
		due = min(due, d.after)
	}
	return due
}

// An errand is upkeep that goes out together, bounded by number and by bytes.
type errand struct {
	asks        []*Ask
	most, bytes int
}

func (e *errand) add(ask *Ask) {
	e.asks = append(e.asks, ask)
	e.bytes += ask.size()
}

func (e *errand) full() bool {
	const mostBytes = 512 << 10 // what a store can do besides the votes, within its timeout
	return len(e.asks) >= e.most || e.bytes >= mostBytes
}

// Chores returns at most so many requests that a store should be sent besides
// the votes. They are made at the very moment they are sent: a put-back that
// waited in a queue could bring a copy back whose lease was released meanwhile.
func (c *Core) Chores(now Time, store, most int) []*Ask {
	e := &errand{most: most}
	c.payDebts(now, store, e)
	c.putMissing(now, store, e)
	if w := &c.stores[store]; now >= w.auditAt && !e.full() {
		w.auditAt = now.Add(auditEvery)
		c.audit(now, store, e)
	}
	return e.asks
}

// payDebts has copies taken out that must go.
func (c *Core) payDebts(now Time, store int, e *errand) {
	w := &c.stores[store]
	for range min(len(w.debts), 2*e.most) { // the others come next time: this is under the mutex
		if e.full() {
			return
		}
		d := w.debts[0]
		w.debts = w.debts[1:]
		switch {
		case now >= d.until.Add(overstay):
		case now < d.after:
			w.debts = append(w.debts, d)
		default:
			ask := &Ask{Store: store, why: whyTakeOut, until: d.until, tries: d.looked, foreign: d.back,
				Request: Request{Name: d.name, Prev: d.copy}}
			if d.back.Live(now) {
				ask.Next, ask.TTL = d.back.Copy(), d.back.Left(now)
			}
			e.add(ask)
		}
	}
}

// putMissing has copies of live leases put back that may be missing.
func (c *Core) putMissing(now Time, store int, e *errand) {
	w := &c.stores[store]
	for range len(w.missing) {
		if e.full() {
			return
		}
		s := w.missing[0]
		w.missing[0] = nil
		w.missing = w.missing[1:]
		s.queued &^= 1 << store
		switch {
		case s.lease == nil || s.has>>store&1 == 1:
		case s.running != nil && s.running.rest != nil:
			c.miss(store, s) // it is being changed: see what becomes of it
		default:
			why := whyPutBack
			if s.gone>>store&1 == 1 {
				why = whyRestore
				s.gone &^= 1 << store
			}
			if ask := c.plant(now, store, s, why); ask != nil {
				e.add(ask)
			}
		}
	}
}

// plant returns the request that puts a lease's copy where there is none, nil
// if the lease ends too soon for that to matter.
func (c *Core) plant(now Time, store int, s *slot, why purpose) *Ask {
	left := s.lease.Ends().Sub(now)
	if left <= Drift(s.lease.TTL) {
		return nil
	}
	s.asked |= 1 << store
	return &Ask{Store: store, why: why, Request: Request{Name: s.name, Next: s.lease.Copy(), TTL: left}}
}

// audit looks whether the store still has some of the copies that it should
// have, another share each time; and if there are none, whether it is there.
func (c *Core) audit(now Time, store int, e *errand) {
	w := &c.stores[store]
	before := len(e.asks)
	share := min(max(auditShare, len(c.leases)/60), auditMost, len(c.leases))
	w.audited, w.vanished = 0, 0
	for range share {
		if e.full() {
			break
		}
		w.audited++
		w.cursor = (w.cursor + 1) % len(c.leases)
		s := c.leases[w.cursor]
		if s.running != nil && s.running.rest != nil || (s.queued|s.asked)>>store&1 == 1 {
			continue
		}
		why := whyAudit
		if s.has>>store&1 == 0 {
			why = whyPutBack // somebody else's copy was in the way: try again
		}
		if ask := c.plant(now, store, s, why); ask != nil {
			e.add(ask)
		}
	}
	if len(e.asks) == before {
		e.add(&Ask{Store: store, why: whyBeat, Request: Request{Action: Read, Name: "holdfast:beat"}})
	}
}

// putBack takes the answer to a put-back.
func (c *Core) putBack(now Time, ask *Ask, vote Vote) {
	s := c.slots[ask.Name]
	bit := uint64(1) << ask.Store
	if s != nil {
		s.asked &^= bit
	}
	current := s != nil && s.lease != nil && s.lease.Version == ask.Next.Version
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
		s.has |= bit
	case vote.Verdict == Granted:
		if ask.why == whyAudit && s.has&bit != 0 {
			c.vanish(ask.Store, ask.Name)
		}
		s.has |= bit
	case vote.Found != nil && vote.Found.Version == ask.Next.Version:
		s.has |= bit
	case c.leftover(ask.Name, vote.Found) && !ask.again:
		second := *ask
		second.Prev, second.OrNone, second.again = vote.Found, true, true
		c.out.Ask(&second)
	default:
		if s.has&bit != 0 || ask.why == whyPutBack && !ask.again {
			c.event("store.foreign_value", ask.Store, ask.Name, "somebody else's copy is in the place of ours")
		}
		s.has &^= bit // the audit tries again
	}
}
