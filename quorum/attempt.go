package quorum

import (
	"fmt"
	"slices"
)

// An attempt is a change under way.
type attempt struct {
	op       *Op
	parts    []Part
	named    int      // how many of the parts the op named; the rest are checks
	next     []*Lease // what each part leaves; nil for a release
	ballots  []ballot // of part p in store i: [p*stores+i]
	counts   []Count  // by part
	start    Time     // from here validity counts
	spells   []uint   // by part and store, when it got its numbers, if it was not launched at once: see Core.spell
	onDisk   bool
	asked    bool // the stores were
	confirms bool // nothing is changed yet, see Core.confirming
	decided  bool
	retry    bool   // once it is undone, the op looks anew
	awaiting Result // decided, and told once the journal has undone it
}

// ends reports whether the attempt does nothing but end leases. There is nothing
// to undo then: whoever asked for it has let go.
func (a *attempt) ends() bool {
	for i := range a.parts {
		if !a.parts[i].Drop {
			return false
		}
	}
	return true
}

// changes reports whether the attempt does anything to a lease that there is.
func (a *attempt) changes() bool {
	return slices.ContainsFunc(a.parts, func(p Part) bool { return p.Prev != nil || p.Drop })
}

// mayStand reports whether a quorum may have done what any part asks for, other than to
// end a lease.
func (a *attempt) mayStand(need int) bool {
	for p := range a.parts {
		if !a.parts[p].check && a.mayHaveMade(p, need) {
			return true
		}
	}
	return false
}

// mayHaveMade is mayStand of one part.
func (a *attempt) mayHaveMade(p, need int) bool {
	n, may := len(a.ballots)/len(a.parts), 0
	for _, b := range a.ballots[p*n : (p+1)*n] {
		if !b.untouched() {
			may++
		}
	}
	return may >= need
}

// acted reports whether any store may have changed a lease that there was, or has
// a notice now that it ended, which a release leaves where it is refused too.
func (a *attempt) acted() bool {
	n, ends := len(a.ballots)/len(a.parts), a.ends()
	for i, b := range a.ballots {
		if part := &a.parts[i/n]; part.Prev != nil && !part.check && (!b.untouched() || ends && !b.unsent) {
			return true
		}
	}
	return false
}

// mayHaveLed reports whether a lease may be there because of part p: as what it
// made, or, if it was to end another, because that did end by its notice. A lease
// that was in the way in every store was there before.
func (a *attempt) mayHaveLed(p int, lease *Lease) bool {
	part, next := &a.parts[p], a.next[p]
	n := len(a.ballots) / len(a.parts)
	ballots := a.ballots[p*n : (p+1)*n]
	if next != nil || !a.ends() || part.Prev == nil {
		return next != nil && next.Fence == lease.Fence
	}
	return part.Prev.Fence != lease.Fence && slices.ContainsFunc(ballots, func(b ballot) bool {
		return !b.unsent && (b.found == nil || b.found.Fence != lease.Fence)
	})
}

// inTheWay returns how many stores refused part p because they had the lease, in
// this very version.
func (a *attempt) inTheWay(p int, lease *Lease) (count int) {
	n := len(a.ballots) / len(a.parts)
	for _, b := range a.ballots[p*n : (p+1)*n] {
		if b.found != nil && b.found.Version == lease.Version {
			count++
		}
	}
	return count
}

func (c *Core) attempt(now Time, op *Op, parts []Part, confirms bool) {
	if err := c.hopeless(parts[0].Name); err != nil {
		c.settle(op, Result{Outcome: Failed, Err: err})
		return
	}
	c.keepPace(now)
	c.Reserve()
	if c.dry() {
		c.thirst = append(c.thirst, op)
		return
	}
	named := len(parts)
	if c.peered() {
		parts = c.alsoRead(op, parts)
	}
	a := &attempt{
		op: op, parts: parts, named: named, start: now, confirms: confirms,
		next:    make([]*Lease, len(parts)),
		ballots: make([]ballot, len(c.cfg.Stores)*len(parts)),
		counts:  make([]Count, len(parts)),
	}
	op.rest = a
	for p := range parts {
		c.prepare(a, p)
	}
	switch entries, replaces := c.pending(a); {
	case a.ends() && c.peered():
		a.onDisk = true // what is on record is taken off once a quorum agrees
		c.launch(now, a)
	case replaces && c.peered():
		// Behind each other: a store whose copy was replaced by a proxy that then
		// crashed and knows nothing of it would be left with a copy that nobody
		// minds, in the place of one that its author believes to be there.
		a.spells = make([]uint, len(a.ballots))
		for i := range a.spells {
			a.spells[i] = c.spell(i%len(c.stores), parts[i/len(c.stores)].Name)
		}
		c.write(Record{Entries: entries}, true, &Want{attempt: a})
	default:
		// Beside the votes and not behind them: the latency is the slower of the two.
		c.launch(now, a)
		c.write(Record{Entries: entries}, true, &Want{attempt: a})
		c.judge(now, a)
	}
}

// alsoRead adds a check for each lease that the op was shown and does not change:
// with peers, nobody but the stores can tell that those are still so.
func (c *Core) alsoRead(op *Op, parts []Part) []Part {
	if !op.Reads {
		return parts
	}
	parts = slices.Clip(parts)
	for i, name := range op.view.names {
		if op.view.used&(1<<min(i, 63)) != 0 && !slices.ContainsFunc(parts, func(p Part) bool { return p.Name == name }) {
			parts = append(parts, Part{Name: name, Prev: op.view.found[i], check: true})
		}
	}
	return parts
}

// pending returns what the journal must know of an attempt before it can be
// granted, and whether that replaces a lease.
func (c *Core) pending(a *attempt) (entries []Entry, replaces bool) {
	entries = make([]Entry, 0, len(a.parts))
	for p := range a.parts {
		part := &a.parts[p]
		if a.next[p] == nil {
			continue // a release in company is on record once it is sure
		}
		prev := c.slots[part.Name].lease
		if c.peered() {
			prev = part.Prev.adopted()
		}
		replaces = replaces || part.Prev != nil
		entries = append(entries, Entry{Name: part.Name, Lease: a.next[p], Pending: true, Replaced: prev})
	}
	return entries, replaces
}

// launch asks the stores.
func (c *Core) launch(now Time, a *attempt) {
	n := len(c.cfg.Stores)
	a.asked = true
	asks := make([]Ask, n*len(a.parts))
	ends := a.ends()
	for p := range a.parts {
		request := c.request(now, a, p, ends)
		for i := range n {
			why := c.wordless(i, a.parts[p].Name)
			if why == "" && a.spells != nil && a.spells[p*n+i] != c.spell(i, a.parts[p].Name) && c.breaks&breakMarks == 0 {
				// Rule 8: the store forgot its marks, and what had passed our numbers before
				// that would not be noticed.
				why = "it forgot what it knew when the change got its number"
			}
			if why != "" {
				a.ballots[p*n+i] = ballot{in: true, unsent: true, err: fmt.Errorf("its vote does not count: %s", why)}
				a.counts[p].Silent++
				continue
			}
			ask := &asks[p*n+i]
			*ask = Ask{Store: i, why: whyVote, attempt: a, part: p, Deadline: now.Add(c.cfg.Timeout), Request: request}
			c.ask(ask)
		}
	}
	c.await(timed{deadline: now.Add(c.cfg.Timeout), attempt: a})
}

// request returns what every store is asked for part p.
func (c *Core) request(now Time, a *attempt, p int, ends bool) Request {
	part := &a.parts[p]
	r := Request{Name: part.Name, TTL: part.TTL}
	if part.Prev != nil {
		r.Prev = part.Prev.Copy()
	}
	switch {
	case part.check:
		r.Action = Check
		return r
	case ends && c.peered():
		// Rule 10: whoever ends a lease leaves the notice before it takes the copy
		// out, or a peer's put-back would bring back what was let go.
		r.OrNone = true
		if part.Prev != nil {
			r.Gone = max(part.Prev.latest().Sub(now), MinTTL)
		}
		return r
	}
	// The table knows that the lease is ours: a store that lost its copy need not
	// stand in the way, as long as nobody else has it there. With peers the table
	// knows no such thing, and the swap is strict.
	r.OrNone = (part.Drop || part.Prev != nil && !part.Prev.Foreign) && !c.peered() || c.breaks&breakStrict != 0 && part.Prev != nil
	r.Mark = c.peered() && !part.Drop && c.breaks&breakMarks == 0 && c.breaks&breakVersion == 0
	// A quorum may have granted it, and its holder let it go, before it comes here.
	r.Heed = c.heeds() && !part.Drop
	// Until it is decided, the copy must outlive what it replaces: if the change
	// is not granted and its copies are over before they are undone, the stores
	// would let others in while that lease still lives.
	if part.Prev != nil && a.next[p] != nil && part.Prev.Left(now) > r.TTL && c.breaks&breakOutlive == 0 {
		r.TTL = part.Prev.Left(now)
		a.next[p].long = true
	}
	if c.peered() && !part.Drop {
		// A store's clock may be fast, and with peers nobody's table denies beyond
		// what the stores keep: the copy must last for the whole TTL by any clock.
		r.TTL += Drift(r.TTL)
	}
	if a.next[p] != nil {
		r.Next = a.next[p].Copy()
	}
	return r
}

// sure reports whether the lease that a part of a change replaces is known to have
// been granted, or to have had a quorum at least: whatever else was granted is
// older than it, and was replaced, or is newer.
func (c *Core) sure(part Part) bool {
	prev := part.Prev
	return prev == nil || prev.Version == 0 || prev.agreed || !prev.Foreign && !c.slots[part.Name].unsure
}

// confirming returns the parts of a change that leaves everything as it is, to go
// before one that ends leases of which nobody knows whether they were granted. A
// notice ends all that is older too, and leaves nothing in the place of the copy:
// if the change that wrote this did not come true, the lease which it was to
// replace would be gone with it. nil if there is no need.
func (c *Core) confirming(now Time, parts []Part) []Part {
	kept := func(p Part) bool { return !p.Drop }
	unsure := func(p Part) bool { return !c.sure(p) }
	if !c.peered() || c.breaks&breakUnsure != 0 || slices.ContainsFunc(parts, kept) || !slices.ContainsFunc(parts, unsure) {
		return nil
	}
	same := make([]Part, 0, len(parts))
	for _, p := range parts {
		if p.Prev != nil {
			same = append(same, Part{Prev: p.Prev, Name: p.Name, Value: p.Prev.Value, TTL: min(p.Prev.Left(now), c.cfg.MaxTTL), Renew: true, Untimed: p.Prev.Untimed})
		}
	}
	return same
}

// A ballot is what one store said to one part.
type ballot struct {
	in     bool
	vote   Verdict
	unsent bool
	stale  bool  // Refused, because its number was not new enough
	found  *Copy // Refused: what was there
	err    error
}

// A timed is something under way that is given up at its deadline.
type timed struct {
	deadline Time
	attempt  *attempt
	reading  *reading
}

func (t timed) over() bool {
	return t.attempt != nil && t.attempt.decided || t.reading != nil && t.reading.decided
}

// change carries out what op decided: it looks whether the leases are still as
// they were shown, and asks the stores and the journal at the same moment.
func (c *Core) change(now Time, op *Op, parts []Part) {
	if err := c.check(op, parts); err != nil {
		c.settle(op, Result{Outcome: Failed, Err: err})
		return
	}
	creates, drops := false, true
	for i := range parts {
		p := &parts[i]
		s := c.slots[p.Name]
		if current := c.live(now, s); !c.same(current, s.or, p.Prev) {
			c.again(now, op)
			return
		}
		creates = creates || p.Prev == nil && !p.Drop
		drops = drops && p.Drop && (p.Prev == nil || !p.Prev.Foreign)
	}
	switch {
	case op.gone && creates:
		c.settle(op, Result{Outcome: Unchanged})
	case creates && op.view.ending && c.waitsForEnd(now, op):
		op.doubts = true // the table may let it begin without a look
		c.begin(now, op)
	case drops && !c.peered():
		c.release(now, op, parts)
	case c.dead != nil:
		c.settle(op, Result{Outcome: Failed, Err: c.dead})
	default:
		if same := c.confirming(now, parts); same != nil {
			c.attempt(now, op, same, true)
			return
		}
		c.attempt(now, op, parts, false)
	}
}

// same reports whether prev, as op was shown it, is what the table has. What a
// peer holds it need not have: there the stores decide.
func (c *Core) same(lease, or, prev *Lease) bool {
	if c.peered() && prev != nil && prev.Foreign {
		return true
	}
	if prev == nil || prev.Foreign {
		return lease == nil
	}
	return prev == lease || lease != nil && prev == or
}

func (c *Core) check(op *Op, parts []Part) error {
	for i := range parts {
		p := &parts[i]
		if slices.ContainsFunc(parts[:i], func(q Part) bool { return q.Name == p.Name }) {
			return fmt.Errorf("change %q: twice in one change: %w", p.Name, ErrInvalid)
		}
		if s := c.slots[p.Name]; s == nil || s.running != op {
			return fmt.Errorf("change %q: it is not among the names of its op: %w", p.Name, ErrInvalid)
		}
		switch {
		case p.Drop:
		case len(p.Value) > MaxValue:
			return fmt.Errorf("change %q: a value of %d bytes, at most %d: %w", p.Name, len(p.Value), MaxValue, ErrInvalid)
		case p.TTL < MinTTL || p.TTL > c.cfg.MaxTTL:
			return fmt.Errorf("change %q: a TTL of %v, want %v to %v: %w", p.Name, p.TTL, MinTTL, c.cfg.MaxTTL, ErrInvalid)
		}
	}
	return nil
}

// release ends leases of ours. The table and the journal decide, at once; the
// stores follow. A crash may bring such a lease back, until its deadline: late,
// never early.
func (c *Core) release(now Time, op *Op, parts []Part) {
	entries := make([]Entry, 0, len(parts))
	for i := range parts {
		s := c.slots[parts[i].Name]
		if s.lease == nil {
			continue
		}
		lease := s.lease
		c.clear(s)
		c.note(News{Name: s.name, Prev: lease, Why: ByChange, Op: op})
		entries = append(entries, Entry{Name: s.name})
		for i := range c.cfg.Stores {
			c.takeOut(i, s.name, lease.Copy(), lease.Until)
		}
	}
	if len(entries) > 0 {
		c.write(Record{Entries: entries}, false, nil)
	}
	c.settle(op, Result{Outcome: Changed, Leases: make([]*Lease, len(parts)), Took: now.Sub(op.began)})
}

// prepare makes the lease that part p leaves.
func (c *Core) prepare(a *attempt, p int) {
	part := &a.parts[p]
	if part.Drop || part.check {
		return
	}
	// Each part has a number of its own: of two names of one bucket, the second
	// would else be refused for the first one's mark.
	version := c.number()
	fence, by := version, a.op.By
	if part.Renew && part.Prev != nil && part.Prev.Version != 0 {
		fence, by = part.Prev.Fence, part.Prev.By
		if c.breaks&breakVersion != 0 {
			version = part.Prev.Version
		}
	}
	a.next[p] = &Lease{
		Name: c.slots[part.Name].name, Value: part.Value, Fence: fence, Version: version,
		TTL: part.TTL, Until: Until(a.start, part.TTL), Untimed: part.Untimed, By: by,
	}
}
