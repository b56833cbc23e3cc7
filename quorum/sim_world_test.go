package quorum

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// A world is one seeded history: proxies with their journals, stores, a network
// and clients, on one goroutine and one clock. Nothing in it depends on anything
// but its seed, which is the whole bug report.
type world struct {
	rng    *rand.Rand
	now    Time
	agenda agenda
	seq    int

	cfg    Config // what all proxies have in common
	breaks breakage
	nodes  []*simNode
	stores []*simStore
	nonces int
	names  int          // of locks that one holds
	crowd  []*simMember // clients of the shared locks
	shared []string     // locks that several hold, whoever holds one of them all
	anew   bool         // what stores turn down is looked at anew

	faithful bool          // no store forgets
	twice    bool          // all keep copies twice
	left     []*simStore   // that a proxy is about to leave
	lost     *loss         // of a journal; nil: none
	rare     *storm        // that comes in this history, if any may
	storm    *storm        // that comes again and again; nil: none
	turn     int           // of the storm
	patience time.Duration // of clients: about as long they do nothing
	steady   bool          // they keep it for a while
	restless bool          // the members, who want a place
	calm     bool          // faults are over: everything must come right again
	gentle   bool          // nothing is ever lost, but some of it is slow
	holds    map[string][]*hold
	fences   map[string]Number
	mistaken map[Number]Time  // until when leases last at the most, by their fence: see mistake
	places   []*place         // of the shared lock
	direct   map[string]*hold // by those who lock directly in the stores; nil where stores forget
	wrong    []string
	trace    []string
	stats    simStats
}

// at has f done after d.
func (w *world) after(d time.Duration, f func()) {
	w.seq++
	heap.Push(&w.agenda, item{w.now.Add(d), w.seq, f})
}

// run does what is on the agenda until nothing is left before end.
func (w *world) run(end Time) {
	for len(w.agenda) > 0 && w.agenda[0].at <= end && len(w.wrong) == 0 {
		it := heap.Pop(&w.agenda).(item)
		w.now = it.at
		it.do()
	}
	w.now = max(w.now, end)
}

func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%9.3fms ", float64(w.now)/1e6)+fmt.Sprintf(format, args...))
}

func (w *world) fail(format string, args ...any) {
	w.note(format, args...)
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

// story is the last of what happened, for a failure's report.
func (w *world) story() string {
	return strings.Join(w.trace[max(0, len(w.trace)-120):], "\n")
}

func (w *world) chance(p float64) bool { return w.rng.Float64() < p }

// upTo returns a duration below most, mostly a short one.
func (w *world) upTo(most time.Duration) time.Duration {
	f := w.rng.Float64()
	return time.Duration(f * f * f * float64(most))
}

type item struct {
	at  Time
	seq int
	do  func()
}

type agenda []item

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(item)) }
func (a *agenda) Pop() any {
	old := *a
	it := old[len(old)-1]
	*a = old[:len(old)-1]
	return it
}

// A simNode is where a proxy runs: what is left of it when it crashes.
type simNode struct {
	id     int
	cfg    Config
	birth  Number
	used   Number // of its own, the highest that it put into a copy
	disk   simDisk
	proxy  *simProxy   // nil while it is down
	stores []*simStore // what it asks
	open   int         // ops submitted to the proxy of now, and not answered
	gone   bool        // it never comes back
	leaves func() bool // it is to move, and returns whether it may by now
	paused Time        // nothing happens there before that
}

// listed reports whether the node's proxy is one of the group.
func (n *simNode) listed() bool { return len(n.cfg.Peers) > 0 || n.id == 0 }

// running returns a node whose proxy is up, any of them; nil if there is none.
func (w *world) running() *simNode {
	for range 4 {
		if n := w.nodes[w.rng.IntN(len(w.nodes))]; n.proxy != nil {
			return n
		}
	}
	for _, n := range w.nodes {
		if n.proxy != nil {
			return n
		}
	}
	return nil
}

// A simDisk is a journal as the disk sees it: what is durable, and what was
// written since, of which a crash keeps some beginning.
type simDisk struct {
	entries map[string]Entry
	limit   Number
	birth   Number // unless zero, in the place of the node's
	seen    []string
	written []Record
	told    Time // when it was last written to, 0 for never
}

func (d *simDisk) sync(n int) {
	for _, r := range d.written[:n] {
		for _, e := range r.Entries {
			if e.Lease == nil {
				delete(d.entries, e.Name)
			} else {
				d.entries[e.Name] = e
			}
		}
		d.limit = max(d.limit, r.Limit)
		if r.Birth != 0 {
			d.birth = r.Birth
		}
		if r.Seen != "" {
			d.seen = append(d.seen, r.Seen)
		}
	}
	d.written = d.written[n:]
}

func (d *simDisk) history(birth Number, now Time) History {
	if d.birth != 0 {
		birth = d.birth
	}
	h := History{Birth: birth, Limit: max(birth, d.limit), Seen: slices.Clone(d.seen)}
	if d.told != 0 {
		h.Away = now.Sub(d.told)
	}
	for _, name := range sortedKeys(d.entries) {
		h.Entries = append(h.Entries, d.entries[name])
	}
	return h
}

// A simProxy is a core with its lanes and what it has under way to the journal.
type simProxy struct {
	w        *world
	node     *simNode
	core     *Core
	lanes    []*simLane
	flushing bool
	queue    []record
	rejected []answered
	gone     bool // crashed: what is still on its way to it is lost
}

type simLane struct {
	p     *simProxy
	at    int // the store's index in the core
	store *simStore
	queue []*Ask
	busy  bool
	up    bool
	conn  int
	cut   Time // the network between the two is down until then
	jumps int  // of the store's clock that this proxy knows of
	known int  // jumps when it first looked
	life  int  // the incarnation that it is connected to
}

func (p *simProxy) Ask(ask *Ask) {
	if ask.Next != nil && ask.Next.Version.Author() == p.node.cfg.Author {
		p.node.used = max(p.node.used, ask.Next.Version)
	}
	l := p.lanes[ask.Store]
	if !l.up {
		p.rejected = append(p.rejected, answered{ask, Vote{Unsent: true, Err: fmt.Errorf("down")}})
		return
	}
	l.queue = append(l.queue, ask)
}

func (p *simProxy) Write(r Record, sync bool, want *Want) {
	p.queue = append(p.queue, record{r, sync, want})
}

func (p *simProxy) Full() bool { return len(p.queue) > 3 }

// step has the core do something, and then carries out what it wants done.
func (p *simProxy) step(f func(*Core)) {
	if p.gone {
		return
	}
	if now := p.w.now; now < p.node.paused {
		p.w.after(p.node.paused.Sub(now), func() { p.step(f) })
		return
	}
	f(p.core)
	for len(p.rejected)+len(p.core.finished)+len(p.core.starts) > 0 {
		rejected, ended, starts := p.rejected, p.core.finished, p.core.starts
		p.rejected, p.core.finished, p.core.starts = nil, nil, nil
		for _, op := range starts {
			op.Start(&op.view)
		}
		for _, r := range rejected {
			p.core.Voted(p.w.now, r.ask, r.vote)
		}
		for _, f := range ended {
			p.node.open--
			f.op.Done(f.result)
			if p.gone {
				return
			}
		}
	}
	for _, e := range p.core.events {
		if e.Kind == "peer.stranger" {
			p.w.stats.strangers++
		}
		p.w.note("proxy %d: %s %d %s %s", p.node.id, e.Kind, e.Store, e.Name, e.Text)
	}
	p.core.events = nil
	p.flush()
	for _, l := range p.lanes {
		l.send()
	}
}

// flush writes what is queued, together, and syncs it if any of it asks for that.
func (p *simProxy) flush() {
	if p.flushing || len(p.queue) == 0 {
		return
	}
	w := p.w
	batch := p.queue
	p.queue, p.flushing = nil, true
	sync := false
	for _, r := range batch {
		p.node.disk.written = append(p.node.disk.written, r.Record)
		sync = sync || r.sync
	}
	took := time.Duration(0)
	if sync {
		took = 100*time.Microsecond + w.upTo(5*time.Millisecond)
		if w.chance(w.slowness()) && !w.calm {
			took = w.upTo(600 * time.Millisecond)
		}
	}
	n := len(p.node.disk.written)
	w.after(took, func() {
		if p.gone {
			return
		}
		if sync {
			p.node.disk.sync(n)
		}
		p.flushing = false
		p.step(func(c *Core) {
			for _, r := range batch {
				if r.want != nil {
					c.Written(w.now, r.want, nil)
				}
			}
		})
	})
}

// slowness is the share of syncs that take long.
func (w *world) slowness() float64 {
	if w.storm != nil {
		return max(w.storm.slow, 0.01)
	}
	return 0.01
}

// connect opens a lane's connection, now or when the store is back.
func (l *simLane) connect() {
	w := l.p.w
	if l.p.gone || l.up {
		return
	}
	if wait := l.p.node.paused.Sub(w.now); wait > 0 {
		w.after(wait, l.connect)
		return
	}
	if l.store.dead || w.now < l.cut || w.chance(0.1) && !w.calm {
		w.after(20*time.Millisecond+w.upTo(200*time.Millisecond), l.connect)
		return
	}
	l.store.opened[l.p.node.id]++
	l.conn, l.up, l.busy = l.store.opened[l.p.node.id], true, false
	if l.jumps < 0 {
		l.jumps, l.known = l.store.jumps, l.store.jumps
	}
	l.jumps = l.store.jumps
	l.life = l.store.incarnation
	incarnation := fmt.Sprint(l.life)
	if l.jumps > l.known {
		incarnation += fmt.Sprint("/j", l.jumps-l.known)
	}
	l.p.step(func(c *Core) { c.Up(w.now, l.at, incarnation) })
}

func (l *simLane) fall(asks []*Ask, unsent bool) {
	if l.p.gone || !l.up {
		return
	}
	l.up = false
	queue := l.queue
	l.queue = nil
	l.p.step(func(c *Core) {
		c.Down(l.at, fmt.Errorf("connection lost"))
		for _, ask := range asks {
			c.Voted(l.p.w.now, ask, Vote{Unsent: unsent, Err: fmt.Errorf("connection lost")})
		}
		for _, ask := range queue {
			c.Voted(l.p.w.now, ask, Vote{Unsent: true, Err: fmt.Errorf("connection lost")})
		}
	})
	l.p.w.after(l.p.w.upTo(300*time.Millisecond), l.connect)
}

// send sends what is queued, and upkeep behind it, if nothing is under way.
func (l *simLane) send() {
	w := l.p.w
	if l.p.gone || !l.up || l.busy || w.now < l.p.node.paused {
		return
	}
	asks := l.queue
	l.queue = nil
	if l.p.core.Due(w.now, l.at) <= w.now {
		asks = append(asks, l.p.core.Chores(w.now, l.at, 16)...)
	}
	if len(asks) == 0 {
		return
	}
	l.busy = true
	w.stats.batches++
	there, back := w.lag(10*time.Millisecond), w.lag(10*time.Millisecond)
	fate := w.rng.Float64()
	if w.calm {
		fate = 1
	} else if w.gentle {
		fate = 0.04 + 0.2*fate // one in ten is slow
	}
	if w.now < l.cut {
		fate = 0
	}
	conn := l.conn
	switch {
	case fate < 0.02: // lost on the way there, perhaps to arrive late
		w.after(w.cfg.Timeout, func() { l.fall(asks, false) })
		if w.chance(0.5) {
			w.after(w.upTo(3*time.Second), func() { l.late(asks, conn) })
		}
	case fate < 0.04: // done, but the reply is lost
		w.after(there, func() { l.arrive(asks) })
		w.after(w.cfg.Timeout, func() { l.fall(asks, false) })
	default:
		if fate < 0.06 {
			there = w.upTo(w.cfg.Timeout)
		}
		w.after(there, func() {
			if votes, ok := l.arrive(asks); ok {
				w.after(back, func() { l.answer(asks, votes, conn) })
			} else {
				w.after(back, func() { l.fall(asks, false) })
			}
		})
	}
}

// late is the arrival of requests whose connection may be closed by now. A
// store that kills the old connection of a proxy when the new one is opened
// does not act on them.
func (l *simLane) late(asks []*Ask, conn int) {
	if l.store.dead || l.store.opened[l.p.node.id] > conn && !l.p.w.cfg.Stores[l.at].Late {
		return
	}
	if l.store.opened[l.p.node.id] > conn {
		l.p.w.stats.late++
	}
	l.carryOut(asks)
}

func (l *simLane) arrive(asks []*Ask) ([]Vote, bool) {
	if l.store.dead || l.store.incarnation != l.life {
		return nil, false // no connection outlives the server
	}
	votes := l.carryOut(asks)
	// The clock is looked at with each batch; if it jumped nothing of it counts.
	return votes, l.store.jumps == l.jumps
}

func (l *simLane) carryOut(asks []*Ask) []Vote {
	votes := make([]Vote, len(asks)+1)
	for i, ask := range asks {
		votes[i] = l.store.do(l.p.w.now, ask.Request)
		if *simSeed != 0 && ask.Name != "holdfast:beat" && ask.Action != Sign {
			l.p.w.note("    proxy %d store %d why %d action %d %s %s -> %s ttl %v heed %v gone %v: %v found %s gone %v mark %v", l.p.node.id, l.store.index, ask.why, ask.Action, ask.Name,
				tellCopy(ask.Prev), tellCopy(ask.Next), ask.TTL, ask.Heed, ask.Gone, votes[i].Verdict, tellCopy(votes[i].Found), votes[i].Gone, votes[i].Mark)
		}
	}
	votes[len(asks)] = l.store.do(l.p.w.now, Request{Action: ReadBook})
	return votes
}

func (l *simLane) answer(asks []*Ask, votes []Vote, conn int) {
	if l.p.gone || !l.up || l.conn != conn {
		return
	}
	if l.store.dead || l.store.incarnation != l.life {
		l.fall(asks, false)
		return
	}
	l.busy = false
	var reading *Vote
	if l.p.core.signs() {
		reading = &votes[len(asks)]
	}
	l.p.step(func(c *Core) { c.Answered(l.p.w.now, l.at, asks, votes[:len(asks)], reading) })
}

func tellCopy(c *Copy) string {
	if c == nil {
		return "-"
	}
	return fmt.Sprintf("%s~%x.%x", c.Value, uint64(c.Fence), uint64(c.Version))
}
