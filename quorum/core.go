package quorum

import (
	"fmt"
	"slices"
	"time"
)

// A Config is what the rules depend on.
type Config struct {
	Stores  []Traits // at most maxStores
	Names   []string // of the stores, for errors; as many
	Need    int      // votes needed, see [Strategy.Need]
	Timeout time.Duration
	MaxTTL  time.Duration
	Peek    time.Duration // how often each book is read at the least; 0: with the audits
	Author  uint8         // of our numbers; 0 for a proxy on its own
	Identity
}

// An Identity is what a proxy signs the stores' books with.
type Identity struct {
	ID       string        // "": books are left alone, and peers is empty
	Instance string        // made with the journal
	Peers    []string      // ids of the other proxies over the same stores, sorted; none: solo
	Print    string        // stores, strategy and max-ttl, in words: the same for all peers
	Boot     string        // names the time that the clock counts from, see [BootID]; "" if unknown
	New      bool          // an operator says that the journal of an earlier proxy of this id is lost for good
	Nonce    func() string // returns another string each time, for ever and everywhere
}

// An Outbox takes what the core wants done. Its methods only queue: they are
// called in the middle of a decision.
type Outbox interface {
	// Ask queues a request for the store ask.Store, behind those before it. The
	// answer comes back through Core.Voted, once.
	Ask(ask *Ask)
	// Write queues a record for the journal, behind those before it. If want is
	// not nil it comes back through Core.Written once the record is on disk, for
	// which sync is then true.
	Write(r Record, sync bool, want *Want)
	// Full reports whether so much is queued for the journal that changes should
	// wait until some of it is written.
	Full() bool
}

// A Want is something that waits for the journal.
type Want struct {
	attempt *attempt
	undone  bool   // the record undoes the attempt
	limit   Number // of numbers, without an attempt
}

// A Core decides. It holds the table of leases and who waits for what, and is
// told everything that happens: each method takes the time at which it did.
// It is not safe for concurrent use, and does nothing by itself.
type Core struct {
	cfg Config
	out Outbox

	slots  map[string]*slot // every name with a lease or an op
	leases []*slot          // those with a lease, in no order
	ends   deadlines        // the same, as a heap by Until

	births  Number     // numbers of ours below it are of another journal
	woke    uint64     // counts of numbers below it are of before we were started
	count   uint64     // of the last number given out
	limit   Number     // numbers below it may be given out
	asked   Number     // the limit we asked the journal for, if above limit
	thirst  []*Op      // ops that wait for the journal, see dry
	parched int        // how often too little was asked for, see Reserve
	timed   []timed    // what is under way, by deadline: all have the same patience
	slow    []*attempt // past it, but the journal is not
	ready   []*slot    // names whose next op may start
	stores  []witness  // upkeep of each store

	// Of the books, see book.go.
	peers   []peer // the others, in the order of Config.Peers
	seen    []string
	started Time
	fresh   bool   // this journal never signed a book
	young   bool   // nor had it when we started
	waiting string // rule 7: why we do not sign yet
	trace   string // rule 7: of an earlier proxy of our id, "" while none was seen
	refused error  // rule 9: why nothing is served
	struck  bool   // our signatures were withdrawn
	pace    pace

	breaks     breakage // zero, but in the simulation
	checkpoint Time     // when the next one is due
	unsynced   bool     // something was written, and no sync asked for since
	untimed    uint64
	dead       error // the journal failed: nothing may be granted any more

	finished []finished
	starts   []*Op
	events   []Event
	news     []News // see note
	curious  bool   // somebody listens
	told     uint64 // how much news there has been
}

// A storeSet is some of the stores, one bit each.
type storeSet uint32

const maxStores = 32

// A slot is what the core knows of one name. There may be a million of them, so it
// is kept small: at 96 bytes, one more would take 112.
type slot struct {
	name    string
	lease   *Lease // nil: free. May be over: see Core.live
	or      *Lease // after a crash: lease was about to replace it, and nobody knows whether it did
	running *Op
	waiting []*Op
	has     storeSet // is known to have a copy of lease
	queued  storeSet // has the slot in its missing list
	asked   storeSet // was asked to put the copy back
	gone    storeSet // is said not to have the copy any more
	owed    storeSet // must have the copy before we sign its book, or the signature leaves it out
	unsure  bool     // nobody knows whether lease was granted
	adopted bool     // and a peer made it, who alone puts it back: see Core.adopt
	at      int32    // index in Core.leases
	end     int32    // index in Core.ends
}

type opState uint8

const (
	opNew     opState = iota
	opWaiting         // for its names
	opRunning         // its names are ours
	opDone
)

type finished struct {
	op     *Op
	result Result
}

// NewCore returns the core of a keeper that had past when it last stopped. It
// gives out numbers from past.Limit on, once the journal has allowed that: see Reserve.
func NewCore(cfg Config, out Outbox, past History, now Time) *Core {
	return newCore(cfg, out, past, now, 0)
}

func newCore(cfg Config, out Outbox, past History, now Time, breaks breakage) *Core {
	c := &Core{
		cfg: cfg, out: out, breaks: breaks,
		slots:  map[string]*slot{},
		births: past.Birth, woke: past.Limit.Count(), limit: past.Limit, count: past.Limit.Count(),
		stores:     make([]witness, len(cfg.Stores)),
		checkpoint: now,
	}
	if c.peered() && breaks&breakMarks == 0 {
		// They went on while we were not there.
		c.count = pace{count: c.count}.now(Time(past.Away))
		c.woke = c.count
	}
	c.pace = pace{c.count, now}
	c.meet(past.Seen, now)
	for i := range c.stores {
		c.stores[i].waits, c.stores[i].fell = "it was not connected to yet", now
		c.renonce(&c.stores[i])
	}
	for _, e := range past.Entries {
		c.restore(e, now)
	}
	return c
}

// restore takes up a lease of the journal. One that may or may not have been
// granted is held all the same, until the later of the two deadlines.
//
// Alone it is held as it was to be: an error only ever left with the undo on disk,
// so whoever asked for the change was told yes, or nothing. To count the older
// holder as an owner too would be one too many: of a list of holders the older one
// lacks who was told that it joined. With peers the stores may have either.
func (c *Core) restore(e Entry, now Time) {
	lease := e.Lease
	or := e.Replaced
	if !e.Pending || or == nil || !or.Live(now) {
		or = nil
	} else {
		later := max(lease.Until, or.Until)
		lease, or = withUntil(lease, later), withUntil(or, later)
		if string(or.Value) == string(lease.Value) || !c.peered() {
			or = nil
		}
	}
	if c.breaks&breakPendingHeld != 0 && e.Pending {
		return
	}
	if !lease.Live(now) {
		c.write(Record{Entries: []Entry{{Name: e.Name}}}, false, nil)
		return
	}
	s := c.slot(e.Name)
	c.put(s, lease, 0)
	s.or, s.unsure = or, e.Pending
	s.adopted = e.Pending && or == nil && c.peersOwn(lease.Version)
}

// peersOwn reports whether a number is a peer's, though the journal has it.
func (c *Core) peersOwn(n Number) bool {
	same := c.births.Author() == c.cfg.Author // else the group was another one
	return c.peered() && same && n.Author() != 0 && n.Author() != c.cfg.Author
}

func withUntil(l *Lease, until Time) *Lease {
	m := *l
	m.TTL += until.Sub(m.Until)
	m.Until = until
	return &m
}

// write has a record written. What was written without a sync is synced within
// a second: a crash later than that brings back no lease that was released.
func (c *Core) write(r Record, sync bool, want *Want) {
	c.unsynced = !sync
	c.out.Write(r, sync, want)
}

// slot returns what is known of name, made anew if that is nothing.
func (c *Core) slot(name string) *slot {
	s := c.slots[name]
	if s == nil {
		s = &slot{name: name, at: -1, end: -1}
		c.slots[name] = s
	}
	return s
}

// Submit takes an op. Ops on one name go in the order in which they were
// submitted; one on several names takes its place behind all of them at once,
// so that no two ever wait for each other.
func (c *Core) Submit(now Time, op *Op) {
	if err := checkNames(op.Names); err != nil {
		c.finish(op, Result{Outcome: Failed, Err: err})
		return
	}
	op.tries, op.turned, op.parted, op.made, op.late, op.endsBy, op.splitBy = 0, 0, nil, nil, false, 0, 0
	if s := c.vacant(op); s != nil {
		s.running = op
		c.run(now, op)
	} else {
		c.enqueue(op)
		c.start(now, op)
	}
	c.pump(now)
}

// vacant returns the slot of the only name of op, nil if there are more or somebody is
// there already. Mostly nobody is, and to queue up would only cost.
func (c *Core) vacant(op *Op) *slot {
	if len(op.Names) != 1 {
		return nil
	}
	if s := c.slot(op.Names[0]); s.running == nil && len(s.waiting) == 0 {
		return s
	}
	return nil
}

func checkNames(names []string) error {
	if len(names) > MaxNames {
		return fmt.Errorf("%d locks at once, at most %d: %w", len(names), MaxNames, ErrInvalid)
	}
	for i, name := range names {
		if len(name) == 0 || len(name) > MaxName {
			return fmt.Errorf("a lock's name of %d bytes, want 1 to %d: %w", len(name), MaxName, ErrInvalid)
		}
		if i > 0 && slices.Contains(names[:i], name) {
			return fmt.Errorf("lock %q named twice: %w", name, ErrInvalid)
		}
	}
	return nil
}

func (c *Core) enqueue(op *Op) {
	op.state = opWaiting
	for _, name := range op.Names {
		s := c.slot(name)
		s.waiting = append(s.waiting, op)
	}
}

// start lets op run if it is the next one on all its names.
func (c *Core) start(now Time, op *Op) {
	for _, name := range op.Names {
		if s := c.slots[name]; (s.running != nil || s.waiting[0] != op) && c.breaks&breakOneAtATime == 0 {
			return
		}
	}
	for _, name := range op.Names {
		s := c.slots[name]
		s.running = op
		if s.waiting = s.waiting[1:]; len(s.waiting) == 0 {
			s.waiting = nil
		}
	}
	c.run(now, op)
}

// run begins an op whose names are its own now.
func (c *Core) run(now Time, op *Op) {
	op.state = opRunning
	op.began = now
	c.begin(now, op)
}

// begin shows op its leases, those of strangers too if it asks for them.
func (c *Core) begin(now Time, op *Op) {
	if c.refused != nil {
		c.settle(op, Result{Outcome: Failed, Err: c.refused})
		return
	}
	op.looked, op.other = false, 0
	op.view = View{Now: now, names: op.Names, found: op.one[:0]}
	free := 0
	for i, name := range op.Names {
		s := c.slots[name]
		lease := c.live(now, s)
		if lease == nil {
			free++
		}
		op.view.found = append(op.view.found, lease)
		op.view.doubt(i, s.other(now, lease))
	}
	op.view.Told = c.told // behind the end of leases that were over
	doubts := op.doubts
	op.doubts = false
	if (op.Reads && free > 0 || doubts) && len(c.cfg.Stores) > 0 {
		c.read(now, op)
		return
	}
	c.decide(now, op)
}

func (c *Core) decide(now Time, op *Op) {
	if i := op.overtaken(); i >= 0 {
		c.settle(op, Result{Outcome: Failed, Took: now.Sub(op.began), Err: fmt.Errorf(
			"change %q: some stores did it, and somebody has changed it since: %w", op.Names[i], ErrStale)})
		return
	}
	if op.Start != nil {
		c.starts = append(c.starts, op)
		return
	}
	c.proceed(now, op, op.Decide(&op.view))
}

// Resume goes on with an op whose Start was called.
func (c *Core) Resume(now Time, op *Op, plan Plan) {
	c.proceed(now, op, plan)
	c.pump(now)
}

func (c *Core) proceed(now Time, op *Op, plan Plan) {
	op.deed = deed(plan.Parts)
	if plan.Denied && op.deed == Looked {
		op.deed = Acquired
	}
	op.anew = plan.Anew
	switch {
	case plan.Start != nil:
		op.Start = plan.Start
		c.decide(now, op)
	case len(plan.More) > 0:
		c.regroup(now, op, plan.More)
	case len(plan.Parts) == 0 && c.peered() && !op.looked && c.breaks&breakDeny == 0:
		// Rule 10, second half: what our own table denies may have been released
		// through a peer, and what it does not have may be held through one.
		c.read(now, op)
	case len(plan.Parts) == 0 && c.showOther(op):
		c.decide(now, op)
	case len(plan.Parts) == 0 && !c.certain(op):
		c.settle(op, Result{Outcome: Failed, Took: now.Sub(op.began), Err: fmt.Errorf(
			"change %q: some stores did it and some refused, and what it was to change is gone: %w", op.Names[0], ErrStale)})
	case len(plan.Parts) == 0:
		c.settle(op, Result{Outcome: Unchanged, Took: now.Sub(op.began)})
	default:
		c.change(now, op, plan.Parts)
	}
}

// regroup starts op again with more names. It keeps its place: behind what
// runs on them now, and before all that waits. What runs never waits for
// another op, so this cannot close a circle.
func (c *Core) regroup(now Time, op *Op, more []string) {
	names := slices.Clone(op.Names)
	for _, name := range more {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if err := checkNames(names); err != nil || len(names) == len(op.Names) {
		if err == nil {
			err = fmt.Errorf("%d locks asked for again: %w", len(more), ErrStale)
		}
		c.settle(op, Result{Outcome: Failed, Err: err})
		return
	}
	c.leave(op)
	op.Names, op.state = names, opWaiting
	for _, name := range names {
		s := c.slot(name)
		s.waiting = slices.Insert(s.waiting, 0, op)
	}
	c.start(now, op)
}

// again shows op the leases anew: what it was shown is not so any more.
func (c *Core) again(now Time, op *Op) {
	if c.triedEnough(now, op) {
		c.settle(op, Result{Outcome: Failed, Took: now.Sub(op.began), Err: fmt.Errorf("after %d tries: %w", op.tries, ErrStale)})
		return
	}
	op.tries++
	c.begin(now, op)
}

// fewTries is how often an op is shown the leases anew however little time passes.
const fewTries = 16

// triedEnough reports whether to look anew will not help. A peer may take as long over a
// change as stores may take to vote, and many looks may fit into that; but where no time
// passes between two, nothing else will be seen.
func (c *Core) triedEnough(now Time, op *Op) bool {
	const many = 1024
	return op.tries >= fewTries && (now == op.view.Now || now >= op.began.Add(c.cfg.Timeout)) || op.tries >= many
}

// settle ends a running op and lets those behind it go.
func (c *Core) settle(op *Op, r Result) {
	c.leave(op)
	c.finish(op, r)
}

// leave gives op's names up.
func (c *Core) leave(op *Op) {
	for _, name := range op.Names {
		s := c.slots[name]
		s.running = nil
		if len(s.waiting) > 0 {
			c.ready = append(c.ready, s)
		} else {
			c.forget(s)
		}
	}
}

func (c *Core) finish(op *Op, r Result) {
	op.state = opDone
	r.Deed = op.deed
	op.rest, op.reads = nil, nil
	c.finished = append(c.finished, finished{op, r})
}

// forget drops a slot that holds nothing.
func (c *Core) forget(s *slot) {
	if s.lease == nil && s.running == nil && len(s.waiting) == 0 {
		delete(c.slots, s.name)
	}
}

// pump starts what may start. It is a loop and no recursion, since ten thousand
// ops that are denied in turn may stand behind one name.
func (c *Core) pump(now Time) {
	for len(c.ready) > 0 {
		s := c.ready[len(c.ready)-1]
		c.ready = c.ready[:len(c.ready)-1]
		if s.running == nil && len(s.waiting) > 0 {
			c.start(now, s.waiting[0])
		}
	}
}

// Close ends every op that is waiting or under way with why. What is under way
// is not undone: it may have been granted, and a restart finds it in the journal.
func (c *Core) Close(why error) {
	for _, s := range c.slots {
		for _, op := range append(s.waiting, s.running) {
			if op != nil && op.state != opDone {
				c.finish(op, Result{Outcome: Failed, Err: why})
			}
		}
	}
}

// Cancel says that the client of op hung up. An op that would give it a lease
// is dropped or undone; a release is not: the client meant it.
func (c *Core) Cancel(op *Op) { op.gone = true }
