package quorum

import (
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/go-multierror"
)

// An Ask is one request under way to one store.
type Ask struct {
	Store int
	Request
	Deadline Time // after which it need not be sent any more; 0: none

	why     purpose
	attempt *attempt // whyVote
	reading *reading // whyRead
	part    int      // of attempt or reading
	again   bool     // asked a second time: a leftover of ours was in the way
	until   Time     // when the lease of the copy that it takes out is over
	tries   int      // how often a leftover was looked for
	foreign *Lease   // somebody else's, to be put in its place
}

type purpose uint8

const (
	whyVote    purpose = iota // a part of a change
	whyRead                   // a look for other people's copies
	whyTakeOut                // a copy that must not stay: undo, release, leftover
	whyPutBack                // a copy of a live lease that may be missing
	whyAudit                  // the same, of a copy that should be there
	whyBeat                   // is anybody there?
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
		c.out.Write(Record{Entries: entries}, false, nil)
	}
	c.settle(op, Result{Outcome: Changed, Leases: make([]*Lease, len(parts)), Took: now.Sub(op.began)})
}

// number returns a number that no change ever had, or none if the journal must
// first allow more of them.
func (c *Core) number() (Number, bool) {
	n := MakeNumber(c.count+1, c.cfg.Author)
	if n >= c.limit {
		return 0, false
	}
	c.count++
	return n, true
}

// numbersAtOnce is how many numbers are reserved in the journal at a time. A
// restart skips those that were not used.
const numbersAtOnce = 1 << 16

// Reserve asks the journal for numbers if fewer than half a reserve are left.
func (c *Core) Reserve() {
	if c.dead == nil && c.asked <= c.limit && c.count+numbersAtOnce/2 > c.limit.Count() {
		c.asked = MakeNumber(max(c.count, c.limit.Count())+numbersAtOnce, 0)
		if c.breaks&breakReserve != 0 {
			c.limit = c.asked
			return
		}
		c.out.Write(Record{Limit: c.asked}, true, &Want{limit: c.asked})
	}
}

func (c *Core) attempt(now Time, op *Op, parts []Part) {
	c.Reserve()
	version, ok := c.number()
	if !ok {
		c.thirst = append(c.thirst, op)
		return
	}
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
	c.out.Write(Record{Entries: entries}, true, &Want{attempt: a})
	c.timed = append(c.timed, timed{deadline: now.Add(c.cfg.Timeout), attempt: a})
	c.judge(now, a)
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

// Voted takes a store's answer.
func (c *Core) Voted(now Time, ask *Ask, vote Vote) {
	switch ask.why {
	case whyVote:
		c.vote(now, ask, vote)
	case whyRead:
		c.readVote(now, ask, vote)
	case whyTakeOut:
		c.tookOut(now, ask, vote)
	case whyPutBack, whyAudit:
		c.putBack(now, ask, vote)
	}
	c.pump(now)
}

func (c *Core) vote(now Time, ask *Ask, vote Vote) {
	a := ask.attempt
	b := &a.ballots[ask.part*len(c.cfg.Stores)+ask.Store]
	if a.decided || b.in {
		c.straggler(ask, vote)
		return
	}
	leftover := c.leftover(ask.Name, vote.Found)
	if vote.Verdict == Refused && !ask.again && (leftover || c.inDoubt(ask.Name, vote.Found)) {
		// What is in the way is a copy of an attempt of ours that failed, or of a
		// lease that is over. Nobody holds by it, and only this very copy goes.
		if leftover {
			c.event("store.leftover", ask.Store, ask.Name, "copy %v of an ended attempt was in the way", vote.Found.Version)
		}
		second := *ask
		second.Prev, second.OrNone, second.again = vote.Found, true, true
		c.out.Ask(&second)
		return
	}
	*b = ballot{in: true, vote: vote.Verdict, unsent: vote.Unsent, err: vote.Err}
	count := &a.counts[ask.part]
	switch vote.Verdict {
	case Granted:
		count.Granted++
	case Refused:
		count.Refused++
	default:
		count.Silent++
	}
	c.judge(now, a)
}

// leftover reports whether a copy is ours and of nothing that lives or is under way.
func (c *Core) leftover(name string, found *Copy) bool {
	if found == nil || found.Opaque || found.Version == 0 || found.Version.Author() != c.cfg.Author ||
		found.Version < c.births || found.Version.Count() > c.count {
		return false
	}
	s := c.slots[name]
	if s == nil {
		return true
	}
	if s.lease != nil && s.lease.Version == found.Version {
		return false
	}
	if s.running != nil && s.running.rest != nil {
		for _, next := range s.running.rest.next {
			if next != nil && next.Version == found.Version {
				return false
			}
		}
	}
	return true
}

// inDoubt reports whether a copy is one of the two of which a crash left open
// which one is the lease's: the store may have either.
func (c *Core) inDoubt(name string, found *Copy) bool {
	s := c.slots[name]
	return s != nil && s.or != nil && found != nil && (found.Version == s.lease.Version || found.Version == s.or.Version)
}

// straggler takes an answer that came after the decision. If the change was
// undone, its undo is behind this very request in the store's lane.
func (c *Core) straggler(ask *Ask, vote Vote) {
	s := c.slots[ask.Name]
	if vote.Verdict == Granted && s != nil && s.lease != nil && ask.Next != nil && s.lease.Version == ask.Next.Version {
		s.has |= 1 << ask.Store
	}
}

// judge decides an attempt as soon as the votes and the journal allow it.
func (c *Core) judge(now Time, a *attempt) {
	if a.decided {
		return
	}
	won, held, mute := true, -1, -1
	for p, count := range a.counts {
		switch Tally(len(c.cfg.Stores), c.cfg.Need, count) {
		case LostHeld:
			held = p
		case LostMute:
			mute = p
		case Undecided:
			won = false
		}
	}
	switch {
	case held >= 0:
		c.lose(now, a, Result{Outcome: Held})
	case mute >= 0:
		c.lose(now, a, Result{Outcome: Failed, Err: c.noQuorum(a, mute)})
	case won && (a.onDisk || c.breaks&breakJournalFirst != 0):
		c.win(now, a)
	}
}

// noQuorum says how the vote on part p ended, and why each silent store was so.
func (c *Core) noQuorum(a *attempt, p int) error {
	n := len(c.cfg.Stores)
	why := &multierror.Error{ErrorFormat: oneLine}
	for i, b := range a.ballots[p*n : (p+1)*n] {
		if b.in && b.vote == Silent && b.err != nil {
			why = multierror.Append(why, fmt.Errorf("%s: %w", c.cfg.Names[i], b.err))
		}
	}
	return c.quorumError("change", a.parts[p].Name, a.counts[p], why)
}

func (c *Core) win(now Time, a *attempt) {
	validity, ttl := time.Duration(1<<62), time.Duration(0)
	creates := false
	for p := range a.parts {
		part := &a.parts[p]
		if part.Drop {
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
		s := c.slots[a.parts[p].Name]
		if lease == nil {
			c.clear(s)
			continue
		}
		if lease.Untimed && a.parts[p].Prev == nil {
			c.untimed++
		}
		c.put(s, lease, a.granted(p, len(c.cfg.Stores)))
	}
	c.settle(a.op, Result{Outcome: Changed, Leases: a.next, Validity: validity, Took: now.Sub(a.op.began)})
}

// granted returns the stores that granted part p, one bit each.
func (a *attempt) granted(p, stores int) (has uint64) {
	for i, b := range a.ballots[p*stores : (p+1)*stores] {
		if b.in && b.vote == Granted {
			has |= 1 << i
		}
	}
	return has
}

// confirm puts on record what a pending record leaves open: whether a lease of
// another value was replaced, and what was released in its company. A crash
// that loses this leaves either holder as owner.
func (c *Core) confirm(a *attempt) {
	var entries []Entry
	for p := range a.parts {
		part := &a.parts[p]
		prev := c.slots[part.Name].lease
		if part.Drop && prev != nil || prev != nil && string(prev.Value) != string(part.Value) {
			entries = append(entries, Entry{Name: part.Name, Lease: a.next[p]})
		}
	}
	if len(entries) > 0 {
		c.out.Write(Record{Entries: entries}, false, nil)
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
		prev := c.live(now, s)
		c.undo(now, a, p, s, prev)
		if a.next[p] != nil {
			entries = append(entries, Entry{Name: part.Name, Lease: prev, Pending: s.or != nil, Replaced: s.or})
			replaced = replaced || prev != nil
		}
	}
	if !replaced {
		c.out.Write(Record{Entries: entries}, false, nil)
		c.settle(a.op, result)
		return
	}
	// The pending record on disk would deny until the later deadline and take
	// either holder as owner: no error leaves before that is put right.
	a.awaiting = result
	c.out.Write(Record{Entries: entries}, true, &Want{attempt: a, undone: true})
}

func (c *Core) undo(now Time, a *attempt, p int, s *slot, prev *Lease) {
	n := len(c.cfg.Stores)
	part := &a.parts[p]
	for i, b := range a.ballots[p*n : (p+1)*n] {
		if b.in && (b.vote == Refused || b.vote == Silent && b.unsent) {
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
			ask.Next, ask.TTL, ask.foreign = back.Copy(), back.Left(now), back
		case prev != nil:
			ask.Next, ask.TTL = prev.Copy(), prev.Left(now)
			s.has &^= 1 << i
			c.miss(i, s)
		}
		if ask.Prev != nil || ask.Next != nil {
			c.out.Ask(ask)
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
		c.limit = max(c.limit, want.limit)
		thirst := c.thirst
		c.thirst = nil
		for _, op := range thirst {
			c.again(now, op)
		}
	case a == nil:
	case want.undone && err != nil: // after a restart it may have been granted after all
		c.settle(a.op, Result{Outcome: Failed, Err: err, Took: a.awaiting.Took})
	case want.undone:
		c.settle(a.op, a.awaiting)
	case a.decided:
	case err != nil:
		a.decided = true
		for p := range a.parts {
			s := c.slots[a.parts[p].Name]
			c.undo(now, a, p, s, c.live(now, s))
		}
		c.settle(a.op, Result{Outcome: Failed, Err: err, Took: now.Sub(a.op.began)})
	default:
		a.onDisk = true
		c.judge(now, a)
	}
	c.pump(now)
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

// expirePatience counts the stores that are out for too long as silent.
func (c *Core) expirePatience(now Time) {
	for len(c.timed) > 0 && (c.timed[0].over() || c.timed[0].deadline <= now) {
		t := c.timed[0]
		c.timed[0] = timed{}
		if c.timed = c.timed[1:]; len(c.timed) == 0 {
			c.timed = nil
		}
		switch {
		case t.over():
		case t.attempt != nil:
			c.outOfPatience(t.attempt)
			if c.judge(now, t.attempt); !t.attempt.decided {
				c.slow = append(c.slow, t.attempt)
			}
		default:
			c.endRead(now, t.reading)
		}
	}
}

// void takes back what a store granted in changes still undecided: it forgot.
func (c *Core) void(now Time, store int) {
	open := slices.DeleteFunc(c.slow, func(a *attempt) bool { return a.decided })
	c.slow = open
	for _, t := range c.timed {
		if t.attempt != nil && !t.attempt.decided {
			open = append(slices.Clip(open), t.attempt)
		}
	}
	for _, a := range open {
		for p := range a.parts {
			if b := &a.ballots[p*len(c.cfg.Stores)+store]; b.in && b.vote == Granted {
				*b = ballot{in: true, unsent: true, err: errForgot}
				a.counts[p].Granted--
				a.counts[p].Silent++
			}
		}
		c.judge(now, a)
	}
}

func (c *Core) outOfPatience(a *attempt) {
	n := len(c.cfg.Stores)
	for i := range a.ballots {
		if b := &a.ballots[i]; !b.in {
			*b = ballot{in: true, err: fmt.Errorf("no answer within %v", c.cfg.Timeout)}
			a.counts[i/n].Silent++
		}
	}
}
