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
	epoch       uint
	leaf                // its book
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
	notice bool   // a notice is owed too
}

const (
	maxDebts   = 100_000 // a store; older ones are left to their TTL, and swept when met
	auditEvery = time.Second
	auditShare = 64   // leases an audit at least; each is looked at once a minute,
	auditMost  = 2048 // as long as that takes no more than this
	retryAfter = 100 * time.Millisecond
	overstay   = 5 * time.Second // how long after its lease a copy may still be there
	beatName   = "holdfast:beat"
	peekEvery  = 100 * time.Millisecond
	eagerEvery = 20 * time.Millisecond // while somebody waits for a book
	eagerMost  = 2 * time.Second
	lateLooks  = 3 // how often a store that may act late is looked into again
)

// takeOut has a copy taken out of a store, now or as soon as it can be reached.
func (c *Core) takeOut(store int, name string, copy *Copy, until Time) {
	c.ask(&Ask{Store: store, why: whyTakeOut, until: until, Request: Request{Name: name, Prev: copy}})
}

// sweep takes a leftover of ours out, or puts back what it had replaced.
func (c *Core) sweep(now Time, store int, name string, copy *Copy, until Time) {
	ask := &Ask{Store: store, why: whyTakeOut, until: until, Request: Request{Name: name, Prev: copy}}
	c.backfill(now, ask)
	c.ask(ask)
}

// backfill has a copy that is to go replaced by that of the lease which lives, in one
// step. That store may be one of the quorum that granted the lease: where it had none
// for a moment, a peer could take the lock, or somebody who locks in the stores.
func (c *Core) backfill(now Time, ask *Ask) {
	s := c.slots[ask.Name]
	if s == nil || !s.lease.Live(now) || s.lease.Version == ask.Prev.Version || c.breaks&breakBackfill != 0 {
		return
	}
	ask.Next, ask.TTL, ask.Heed = s.lease.Copy(), c.keep(now, s.lease), c.heeds()
}

func (c *Core) tookOut(now Time, ask *Ask, vote Vote) {
	w := &c.stores[ask.Store]
	if vote.Verdict == Granted && ask.Next != nil { // an undo put the lease before it back
		if s := c.slots[ask.Name]; s != nil && s.lease != nil && s.lease.Version == ask.Next.Version {
			c.has(ask.Store, s)
		}
	}
	if vote.Verdict == Refused && forbids(vote, ask) { // and that has ended meanwhile
		if s := c.slots[ask.Name]; s != nil && s.running == nil {
			c.endedBy(s, vote.Gone)
		}
		c.takeOut(ask.Store, ask.Name, ask.Prev, ask.until)
		return
	}
	late := c.cfg.Stores[ask.Store].Late && ask.tries > 0 && ask.tries < lateLooks
	if ask.Prev == nil || ask.Next == nil && ask.Gone == 0 && vote.Verdict == Refused && c.peered() && !late || now >= ask.until.Add(overstay) || vote.Verdict != Silent && !late {
		return
	}
	d := debt{name: ask.Name, copy: ask.Prev, back: ask.foreign, until: ask.until, notice: ask.Gone > 0, looked: ask.tries + 1}
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
	w, bit := &c.stores[store], storeSet(1)<<store
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
		kind := "store.restarted"
		if process(w.incarnation) == process(incarnation) {
			// Whoever signed this book counts on copies that may have run out early.
			// They may not have noticed yet, so the whole book goes.
			kind, w.torn = "store.clock_jump", c.signs()
		} else if c.breaks&breakIncarnation == 0 {
			// Rule 6. Nor do we know what its clock did since: who signed before we came
			// has to look after it once more while we do.
			clear(w.peers)
		}
		c.lapse(now, store, kind, "incarnation %s, was %s", incarnation, w.incarnation)
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
	w.down, w.incarnation, w.auditAt, w.landed = false, incarnation, now, now
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
		c.lapse(now, store, "store.flushed", "every copy may be gone; all are put back")
		c.pump(now)
		return
	}
	c.note(News{Name: name, Why: ByHearsay})
	bit := storeSet(1) << store
	s := c.slots[name]
	c.doubtVote(s, store)
	if s == nil || s.lease == nil || s.has&bit == 0 || now >= s.lease.Ends() {
		return
	}
	s.has &^= bit
	s.gone |= bit
	c.miss(store, s)
}

// keep returns for how long a store should keep a copy of a lease that is put back.
func (c *Core) keep(now Time, l *Lease) time.Duration {
	if c.peered() {
		return max(l.Until.Sub(now), MinTTL)
	}
	return l.Left(now)
}

// heeds reports whether a copy may only be put back where no notice says that it ended.
func (c *Core) heeds() bool { return c.peered() && c.breaks&breakNotices == 0 }

// doubtVote has a store asked again whether it still has the copy that it voted
// for, if the attempt is not decided yet: with peers its vote is all there is.
func (c *Core) doubtVote(s *slot, store int) {
	if !c.peered() || s == nil || s.running == nil || s.running.rest == nil {
		return
	}
	a := s.running.rest
	for p := range a.parts {
		b := &a.ballots[p*len(c.stores)+store]
		if a.parts[p].Name != s.name || a.next[p] == nil || a.decided || !b.in || b.vote != Granted {
			continue
		}
		*b = ballot{}
		a.counts[p].Granted--
		c.ask(&Ask{Store: store, why: whySure, attempt: a, part: p, Request: Request{Action: Check, Name: s.name, Prev: a.next[p].Copy()}})
	}
}

// Doubt says that copies may be gone from a store that nobody told of. Each is
// looked at.
func (c *Core) Doubt(store int) { c.forgot(store) }

// Missing returns how many live leases a store may have no copy of.
func (c *Core) Missing(store int) int { return len(c.stores[store].missing) }

// Due returns when Chores has something to do for a store.
func (c *Core) Due(now Time, store int) Time {
	w := &c.stores[store]
	if len(w.missing) > 0 && c.mayPlant(store) {
		return now
	}
	due := min(w.auditAt, c.bookDue(now, store))
	if c.cfg.Peek > 0 {
		due = min(due, w.peekAt)
	}
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
	if w := &c.stores[store]; c.cfg.Peek > 0 && now >= w.peekAt && len(e.asks) == 0 {
		// With peers, how soon a store votes again after it forgot depends on how
		// soon all of them notice.
		w.peekAt = now.Add(c.peek(now, w))
		e.add(&Ask{Store: store, why: whyBeat, Request: Request{Action: Read, Name: beatName}})
	}
	// Behind the put-backs: what is signed there is signed for those before it too.
	if ask := c.inscribe(now, store); ask != nil {
		e.add(ask)
	}
	for _, ask := range e.asks {
		ask.epoch = c.stores[store].epoch
	}
	return e.asks
}

// peek returns how soon a store's book is to be read again. How soon a store that
// forgot votes again depends on how soon everybody sees what the others wrote there.
func (c *Core) peek(now Time, w *witness) time.Duration {
	if !w.whole && now < w.fell.Add(eagerMost) {
		return min(c.cfg.Peek, eagerEvery)
	}
	return c.cfg.Peek
}

// mayPlant reports whether copies may be put back: once our pending line stands,
// since what was there before that says nothing of what is there now. And not while we
// refuse to serve: a stranger may be counting on what it has there.
func (c *Core) mayPlant(store int) bool {
	return !c.signs() || c.stores[store].phase != "" && c.refused == nil
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
			switch {
			case d.notice:
				ask.Gone = max(d.until.Sub(now), MinTTL)
			case d.back.Live(now):
				ask.Next, ask.TTL = d.back.Copy(), c.keep(now, d.back)
			default:
				c.backfill(now, ask)
			}
			e.add(ask)
		}
	}
}

// putMissing has copies of live leases put back that may be missing.
func (c *Core) putMissing(now Time, store int, e *errand) {
	w := &c.stores[store]
	if !c.mayPlant(store) {
		return
	}
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
	if left <= Drift(s.lease.TTL) && !c.peered() {
		return nil
	}
	if c.peered() {
		if left = s.lease.Until.Sub(now); left < MinTTL {
			return nil
		}
		if s.adopted {
			return nil // if it was granted, the peer who made it puts it back
		}
		if s.unsure && (s.lease.Fence != s.lease.Version || c.peersOwn(s.lease.Version)) {
			// A change of a lease that may never have been granted, or a peer's lease in its
			// place. Where it was forgotten what came of it, the store has no word on that lock
			// until it is settled, or over: a peer who made another of the lease would take
			// this for what came after that. Where nothing was, what is there is what came of it.
			if c.forgotNothing(store, s.name) {
				c.paid(s, 1<<store)
				return nil
			}
			if s.owed>>store&1 == 0 {
				return nil
			}
			// But what it has of just this version, nobody has put back. It only has to last.
			s.asked |= 1 << store
			return &Ask{Store: store, why: why, again: true, Request: Request{Name: s.name, Prev: s.lease.Copy(), Next: s.lease.Copy(), TTL: left, Heed: c.heeds()}}
		}
	}
	s.asked |= 1 << store
	ask := &Ask{Store: store, why: why, Request: Request{Name: s.name, Next: s.lease.Copy(), TTL: left, Heed: c.heeds()}}
	if c.owes(store, s) && !s.unsure && !c.forgotNothing(store, s.name) {
		// It forgot the notices too. A peer who missed the end of what was there before
		// this lease would put that back, and wait for its end to sign.
		ask.Prev, ask.OrNone, ask.Gone = &Copy{Version: s.lease.Fence - 1}, true, left
	}
	return ask
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
		if !c.mayPlant(store) || s.running != nil && s.running.rest != nil || (s.queued|s.asked)>>store&1 == 1 {
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
		e.add(&Ask{Store: store, why: whyBeat, Request: Request{Action: Read, Name: beatName}})
	}
}
