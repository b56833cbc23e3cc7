package quorum

import (
	"fmt"
	"slices"
)

// An attempt is a change under way.
type attempt struct {
	op       *Op
	parts    []Part
	next     []*Lease // what each part leaves; nil for a release
	ballots  []ballot // of part p in store i: [p*stores+i]
	counts   []Count  // by part
	start    Time     // from here validity counts
	onDisk   bool
	decided  bool
	awaiting Result // decided, and told once the journal has undone it
}

func (c *Core) attempt(now Time, op *Op, parts []Part) {
	if err := c.hopeless(parts[0].Name); err != nil {
		c.settle(op, Result{Outcome: Failed, Err: err})
		return
	}
	c.Reserve()
	if c.dry() {
		c.thirst = append(c.thirst, op)
		return
	}
	version := c.number()
	n := len(c.cfg.Stores)
	a := &attempt{
		op: op, parts: parts, start: now,
		next:    make([]*Lease, len(parts)),
		ballots: make([]ballot, n*len(parts)),
		counts:  make([]Count, len(parts)),
	}
	op.rest = a
	entries := make([]Entry, 0, len(parts))
	asks := make([]Ask, n*len(parts))
	for p := range parts {
		part := &parts[p]
		c.prepare(a, p, version)
		if e := (Entry{Name: part.Name, Lease: a.next[p], Pending: true, Replaced: c.slots[part.Name].lease}); e.Lease != nil {
			entries = append(entries, e) // a release in company is on record once it is sure
		}
		// Until it is decided, the copy must outlive what it replaces: if the change
		// is not granted and its copies are over before they are undone, the stores
		// would let others in while that lease still lives.
		ttl := part.TTL
		if part.Prev != nil && a.next[p] != nil && part.Prev.Left(now) > ttl && c.breaks&breakOutlive == 0 {
			ttl = part.Prev.Left(now)
			a.next[p].long = true
		}
		for i := range n {
			ask := &asks[p*n+i]
			*ask = Ask{Store: i, why: whyVote, attempt: a, part: p, Deadline: now.Add(c.cfg.Timeout), Request: Request{
				Name: part.Name, TTL: ttl,
				// The table knows that the lease is ours: a store that lost its copy
				// need not stand in the way, as long as nobody else has it there.
				OrNone: part.Drop || part.Prev != nil && !part.Prev.Foreign,
			}}
			if part.Prev != nil {
				ask.Prev = part.Prev.Copy()
			}
			if a.next[p] != nil {
				ask.Next = a.next[p].Copy()
			}
			c.out.Ask(ask)
		}
	}
	// Beside the votes and not behind them: the latency is the slower of the two.
	c.write(Record{Entries: entries}, true, &Want{attempt: a})
	c.timed = append(c.timed, timed{deadline: now.Add(c.cfg.Timeout), attempt: a})
	c.judge(now, a)
}

// A ballot is what one store said to one part.
type ballot struct {
	in     bool
	vote   Verdict
	unsent bool
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
		if current := c.live(now, s); !same(current, s.or, p.Prev) {
			c.again(now, op)
			return
		}
		creates = creates || p.Prev == nil && !p.Drop
		drops = drops && p.Drop && (p.Prev == nil || !p.Prev.Foreign)
	}
	switch {
	case op.gone && creates:
		c.settle(op, Result{Outcome: Unchanged})
	case drops:
		c.release(now, op, parts)
	case c.dead != nil:
		c.settle(op, Result{Outcome: Failed, Err: c.dead})
	default:
		c.attempt(now, op, parts)
	}
}

// same reports whether prev, as op was shown it, is what the table has.
func same(lease, or, prev *Lease) bool {
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
		lease, or := s.lease, s.or
		c.clear(s)
		entries = append(entries, Entry{Name: s.name})
		for i := range c.cfg.Stores {
			c.takeOut(i, s.name, lease.Copy(), lease.Until)
			if or != nil {
				c.takeOut(i, s.name, or.Copy(), or.Until)
			}
		}
	}
	if len(entries) > 0 {
		c.write(Record{Entries: entries}, false, nil)
	}
	c.settle(op, Result{Outcome: Changed, Leases: make([]*Lease, len(parts)), Took: now.Sub(op.began)})
}

// prepare makes the lease that part p leaves.
func (c *Core) prepare(a *attempt, p int, version Number) {
	part := &a.parts[p]
	if part.Drop {
		return
	}
	fence := version
	if part.Renew && part.Prev != nil && !part.Prev.Foreign {
		fence = part.Prev.Fence
	}
	a.next[p] = &Lease{
		Name: part.Name, Value: part.Value, Fence: fence, Version: version,
		TTL: part.TTL, Until: Until(a.start, part.TTL), Untimed: part.Untimed,
	}
}
