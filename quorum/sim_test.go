package quorum

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	simRuns   = flag.Int("sim.runs", 2000, "histories to simulate")
	simFrom   = flag.Int("sim.from", 1, "seed of the first of them")
	simRule   = flag.String("sim.rule", "", "break only the rules with this in their names")
	simSearch = flag.Bool("sim.search", false, "search from the first history for one that notices a broken rule")
	simBroken = flag.Int("sim.broken", 20000, "histories to simulate with each rule broken")
	simBreaks = flag.Uint("sim.breaks", 0, "the rules to break in that one history")
	simSeed   = flag.Uint64("sim.seed", 0, "simulate this one history only, and tell it")
)

const (
	simLength = 20 * time.Second
	simCalm   = 20 * time.Second // afterwards, without faults
	simMaxTTL = 8 * time.Second
)

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// newWorld makes the history of a seed: how many proxies and stores, how they
// fail, who locks what and for how long.
func newWorld(seed uint64, breaks breakage) *world {
	rng := rand.New(rand.NewPCG(seed, 1))
	proxies := []int{1, 1, 2, 3}[rng.IntN(4)]
	if breaks >= breakPeers { // that is about peers
		proxies = 2 + rng.IntN(2)
	}
	n := []int{0, 1, 3, 3, 3, 5}[rng.IntN(6)]
	if proxies > 1 {
		n = []int{1, 3, 3, 3, 5}[rng.IntN(5)]
	}
	w := &world{
		rng: rng, breaks: breaks, now: Time(time.Hour),
		holds:  map[string][]*hold{},
		fences: map[string]Number{},
	}
	strategy := Majority
	if rng.IntN(4) == 0 {
		strategy = Unanimous
	}
	w.cfg = Config{Need: strategy.Need(n), Timeout: 250 * time.Millisecond, MaxTTL: simMaxTTL}
	if proxies > 1 {
		w.cfg.MaxTTL = time.Second + w.upTo(3*time.Second)
		if rng.IntN(16) == 0 {
			w.cfg.Peek = peekEvery // as it is in life; elsewhere histories would be long
		}
	}
	for i := range n {
		w.cfg.Stores = append(w.cfg.Stores, Traits{Late: rng.IntN(3) == 0, Coarse: rng.IntN(4) == 0})
		w.cfg.Names = append(w.cfg.Names, fmt.Sprintf("s%d", i))
		w.stores = append(w.stores, &simStore{index: i, simMemory: newMemory(), saved: newMemory(), opened: map[int]int{}, rate: 0.99 + rng.Float64()*0.02})
	}
	for i := range proxies {
		w.nodes = append(w.nodes, w.newNode(i, proxies))
	}
	return w
}

// newNode returns the i-th of a group of so many proxies.
func (w *world) newNode(i, group int) *simNode {
	n := &simNode{id: i, cfg: w.cfg, stores: w.stores, disk: simDisk{entries: map[string]Entry{}}}
	n.cfg.Nonce = func() string {
		w.nonces++
		return fmt.Sprint("n", w.nonces)
	}
	if len(w.stores) > 0 {
		n.cfg.ID, n.cfg.Print = fmt.Sprint("p", i), "these stores"
		n.cfg.Instance = n.cfg.Nonce()
	}
	if group > 1 {
		n.cfg.Author = uint8(1 + i)
		for j := range group {
			if j != i {
				n.cfg.Peers = append(n.cfg.Peers, fmt.Sprint("p", j))
			}
		}
	}
	// Their clocks agree on nothing.
	n.birth = MakeNumber(uint64(1000+w.rng.IntN(2)*w.rng.IntN(1<<20)), n.cfg.Author)
	return n
}

// simulate runs the history of a seed and returns its world.
func simulate(seed uint64, breaks breakage) *world {
	w := newWorld(seed, breaks)
	for _, n := range w.nodes {
		w.after(w.upTo(500*time.Millisecond), func() { w.boot(n) })
	}
	names := 1 + w.rng.IntN(3)
	for i := range 2 + w.rng.IntN(4) {
		c := &simClient{w: w, id: i, names: names, patience: time.Second}
		w.after(w.upTo(time.Second), c.act)
	}
	if len(w.stores) > 1 && w.rng.IntN(3) == 0 {
		w.direct = map[string]*hold{}
		for i := range 2 {
			d := &simStranger{w: w, id: 100 + i, names: names}
			w.after(w.upTo(time.Second), d.act)
		}
	}
	faults := w.rng.IntN(4) // some histories are peaceful
	for range faults * 4 {
		w.after(time.Duration(w.rng.Float64()*float64(simLength)), w.fault)
	}
	for _, s := range w.stores {
		w.after(w.upTo(simLength), func() { s.saved = s.clone() })
	}
	if len(w.nodes) > 1 && w.direct == nil && w.rng.IntN(8) == 0 {
		w.after(w.upTo(simLength/2), w.move)
	} else if len(w.nodes) > 1 && w.rng.IntN(8) == 0 {
		// A stranger that comes to a store with a blank book can't be told from its
		// rightful owner: no store forgets here.
		w.faithful = true
		w.after(w.upTo(simLength), w.intrude)
	}
	start := w.now
	w.run(start.Add(simLength))
	w.calm = true
	for _, n := range w.nodes {
		switch {
		case n.gone && !n.listed():
			w.forgetStranger(n)
		case n.gone:
			w.after(2*w.cfg.MaxTTL, func() { w.forget(n) }) // a store may have come back with its line
		}
	}
	w.run(start.Add(simLength + simCalm))
	if len(w.wrong) == 0 {
		w.afterwards(names)
	}
	return w
}

// boot starts a node's proxy from its journal.
func (w *world) boot(n *simNode) {
	if n.proxy != nil || n.gone {
		return
	}
	if n.leaves != nil && !n.leaves() {
		w.after(200*time.Millisecond, func() { w.boot(n) })
		return
	}
	n.leaves = nil
	p := &simProxy{w: w, node: n}
	for i, s := range n.stores {
		p.lanes = append(p.lanes, &simLane{p: p, at: i, store: s, jumps: -1})
	}
	n.proxy, n.open = p, 0
	p.core = newCore(n.cfg, p, n.disk.history(n.birth), w.now, w.breaks)
	w.note("proxy %d starts with %d leases, numbers from %v", n.id, len(p.core.leases), p.core.limit)
	p.step(func(c *Core) { c.Reserve() })
	for _, l := range p.lanes {
		w.after(w.upTo(100*time.Millisecond), l.connect)
	}
	var tick func()
	tick = func() {
		if p.gone {
			return
		}
		if wait := n.paused.Sub(w.now); wait > 0 {
			w.after(wait, tick)
			return
		}
		var next Time
		p.step(func(c *Core) { next = c.Tick(w.now) })
		w.after(min(max(next.Sub(w.now), time.Millisecond), 50*time.Millisecond), tick)
		for _, l := range p.lanes {
			l.send()
		}
	}
	tick()
}

// fault lets something go wrong.
func (w *world) fault() {
	if w.calm {
		return
	}
	switch {
	case len(w.stores) > 0 && w.chance(0.6) && w.direct == nil && !w.faithful:
		w.stats.forgot++
		w.storeFault(w.stores[w.rng.IntN(len(w.stores))])
		if w.chance(0.2) { // and others with it
			for _, s := range w.stores {
				if w.chance(0.7) {
					w.storeFault(s)
				}
			}
		}
	case len(w.nodes) > 1 && w.chance(0.5):
		w.nodeFault(w.nodes[w.rng.IntN(len(w.nodes))])
	default:
		w.crash(w.nodes[w.rng.IntN(len(w.nodes))])
		if w.chance(0.2) {
			for _, n := range w.nodes {
				w.crash(n)
			}
		}
	}
}

func (w *world) storeFault(s *simStore) {
	switch w.rng.IntN(7) {
	case 0, 1:
		w.note("store %d is flushed", s.index)
		s.simMemory = newMemory()
		w.tell(s, "")
	case 2:
		w.note("store %d restarts empty", s.index)
		w.restart(s, newMemory())
	case 3:
		w.note("store %d restarts with old data", s.index)
		w.restart(s, s.saved.clone())
	case 4:
		w.note("store %d is cut off", s.index)
		s.dead = true
		w.after(w.upTo(3*time.Second), func() { s.dead = false })
	case 5:
		by := time.Duration((w.rng.Float64()*2 - 0.5) * float64(w.cfg.MaxTTL))
		w.note("the clock of store %d jumps by %v", s.index, by)
		w.stats.jumps++
		s.jump(by)
	default:
		if len(w.nodes) > 1 {
			return // against that peers cannot promise anything
		}
		name := lockName(w.rng.IntN(3))
		w.note("somebody deletes %s from store %d", name, s.index)
		delete(s.copies, name)
		w.tell(s, name)
	}
}

func (w *world) restart(s *simStore, with simMemory) {
	s.dead = true
	s.simMemory = with
	s.incarnation++
	w.after(w.upTo(3*time.Second), func() { s.dead = false })
}

// nodeFault is what goes wrong with a proxy that has peers, crashes apart.
func (w *world) nodeFault(n *simNode) {
	switch {
	case n.proxy == nil || n.gone:
	case w.chance(0.4):
		for d := 10*time.Millisecond + w.upTo(2*w.cfg.MaxTTL); n.paused < w.now; {
			w.note("proxy %d is paused for %v", n.id, d)
			n.paused = w.now.Add(d)
			w.stats.pauses++
		}
	case w.chance(0.6):
		l := n.proxy.lanes[w.rng.IntN(len(n.proxy.lanes))]
		l.cut = w.now.Add(w.upTo(2 * w.cfg.MaxTTL))
		w.note("proxy %d and store %d are cut apart until %v", n.id, l.store.index, l.cut)
		w.stats.cuts++
	case len(n.cfg.Peers) > 0 && w.stats.lost == 0: // if all are lost nobody can tell; and alone, with blank books, it could not be told from a new one
		w.crash(n)
		w.note("proxy %d loses its journal", n.id)
		w.stats.lost++
		for _, s := range w.stores { // whatever took the one may take the others
			if !w.faithful && w.direct == nil && w.chance(0.4) {
				w.after(w.upTo(time.Second), func() { w.storeFault(s) })
			}
		}
		n.disk = simDisk{entries: map[string]Entry{}}
		n.cfg.Instance = n.cfg.Nonce()
		n.birth = MakeNumber(uint64(1000+w.rng.IntN(2)*w.rng.IntN(1<<20)), n.cfg.Author)
	}
}

// move has the first proxy go on alone over other stores, while its peers learn
// of it late: they are stopped for good some time afterwards.
func (w *world) move() {
	first := w.nodes[0]
	if w.calm || len(first.cfg.Peers) == 0 {
		return
	}
	w.note("proxy 0 is to go on alone, over other stores")
	w.stats.moves++
	moved := Signature{Phase: Moved, Instance: first.cfg.Instance, Config: "other stores"}
	old := first.stores
	first.stores = nil
	for range old {
		s := &simStore{index: len(w.stores), simMemory: newMemory(), saved: newMemory(), opened: map[int]int{}, rate: 0.99 + w.rng.Float64()*0.02}
		w.stores = append(w.stores, s)
		first.stores = append(first.stores, s)
	}
	first.cfg.Print, first.cfg.Peers, first.cfg.Author = moved.Config, nil, 0
	since := w.now
	first.leaves = func() bool {
		if w.breaks&breakMove != 0 {
			return true
		}
		left := 0
		for _, s := range old {
			if s.dead {
				continue
			}
			if s.book[first.cfg.ID] != moved.String() {
				since = w.now // whoever serves there has not seen it for so long yet
				s.book[first.cfg.ID] = moved.String()
			}
			if Left(s.book, first.cfg.ID, moved) {
				left++
			}
			for _, line := range s.book { // numbers go on above what was used there
				if other, err := ParseSignature(line); err == nil {
					first.disk.limit = max(first.disk.limit, Above(other.Mark))
				}
			}
		}
		if !MayMove(left, len(old), w.cfg.Need) {
			since = w.now
		}
		return w.now.Sub(since) > 3*beatEvery
	}
	w.crash(first)
	for _, n := range w.nodes[1:] {
		w.after(w.upTo(3*w.cfg.MaxTTL), func() {
			w.crash(n)
			n.gone = true
			w.note("proxy %d is stopped for good", n.id)
			w.after(2*w.cfg.MaxTTL, func() { w.forget(n) })
		})
	}
}

// intrude starts a proxy that is on nobody's list, over the same stores.
func (w *world) intrude() {
	if w.calm {
		return
	}
	n := w.newNode(len(w.nodes), 1)
	w.note("proxy %d starts, which is on nobody's list", n.id)
	w.nodes = append(w.nodes, n)
	w.boot(n)
	w.after(w.upTo(5*time.Second), func() {
		w.crash(n)
		n.gone = true
	})
}

// forget is what an operator does about a proxy that will not come back, once all
// that it granted has ended.
func (w *world) forget(n *simNode) {
	for _, s := range w.stores {
		for _, book := range []Book{s.book, s.saved.book} {
			if line, err := ParseSignature(book[n.cfg.ID]); err == nil {
				line.Phase = Forgotten
				book[n.cfg.ID] = line.String()
			}
		}
	}
}

// forgetStranger is what an operator does about a proxy that will not come back.
func (w *world) forgetStranger(n *simNode) {
	w.crash(n)
	for _, s := range w.stores {
		delete(s.book, n.cfg.ID)
		delete(s.saved.book, n.cfg.ID)
	}
}

// tell has a store tell of a copy that is gone, if it does and anybody listens.
func (w *world) tell(s *simStore, name string) {
	for _, n := range w.nodes {
		if w.chance(0.5) {
			w.after(w.upTo(50*time.Millisecond), func() {
				if at := slices.Index(n.stores, s); n.proxy != nil && at >= 0 {
					n.proxy.step(func(c *Core) { c.Vanished(w.now, at, name) })
				}
			})
		}
	}
}

// crash kills a proxy. The disk keeps what was synced and some beginning of
// what was written since; requests on their way may still arrive.
func (w *world) crash(n *simNode) {
	if n.proxy == nil {
		return
	}
	w.stats.crashes++
	kept := w.rng.IntN(len(n.disk.written) + 1)
	n.disk.sync(kept)
	w.note("proxy %d crashes; %d unsynced records are kept, %d lost", n.id, kept, len(n.disk.written))
	n.disk.written = nil
	n.proxy.gone = true
	n.proxy, n.paused = nil, 0
	down := w.upTo(2 * time.Second)
	if len(w.nodes) > 1 && w.chance(0.2) {
		down = w.upTo(3 * w.cfg.MaxTTL)
	}
	w.after(down, func() { w.boot(n) })
}

// afterwards looks whether all came right: every op was answered, every lock
// can be had again, and the stores keep nothing that nobody holds.
func (w *world) afterwards(names int) {
	for _, n := range w.nodes {
		if n.open != 0 && n.proxy != nil {
			w.fail("%d ops of proxy %d were never answered", n.open, n.id)
		}
	}
	for i := range names {
		n := w.running()
		if n == nil {
			w.dumpBooks()
			w.fail("long after the last fault, no proxy runs")
			return
		}
		got := Result{Outcome: Failed}
		op := &Op{Names: []string{lockName(i)}, Decide: func(v *View) Plan {
			lease, _ := v.Lease(lockName(i))
			return Plan{Parts: []Part{{Prev: lease, Name: lockName(i), Value: []byte("last"), TTL: time.Second}}}
		}, Done: func(r Result) { got = r }}
		n.open++
		n.proxy.step(func(c *Core) { c.Submit(w.now, op) })
		w.run(w.now.Add(500 * time.Millisecond))
		if got.Outcome != Changed {
			if len(w.wrong) == 0 {
				w.dumpBooks()
			}
			w.fail("long after the last fault, lock %q can't be had of proxy %d: %v %v", lockName(i), n.id, got.Outcome, got.Err)
		}
	}
	w.run(w.now.Add(simMaxTTL))
	for _, n := range w.nodes {
		if n.proxy != nil {
			w.tidy(n)
		}
	}
}

func (w *world) tidy(n *simNode) {
	c := n.proxy.core
	if n := len(c.slots) + len(c.leases) + len(c.ends) + len(c.timed) + len(c.slow) + len(c.thirst) + len(c.ready); n > 0 {
		w.fail("nothing is held or under way, and the core keeps %d slots, %d leases, %d ends, %d timed, %d slow, %d thirsty, %d ready",
			len(c.slots), len(c.leases), len(c.ends), len(c.timed), len(c.slow), len(c.thirst), len(c.ready))
	}
	for i, s := range n.stores {
		if n := len(c.stores[i].debts); n > 0 {
			w.fail("nothing is held, and store %d is owed %d copies to take out", i, n)
		}
		if c.signs() && !c.stores[i].whole {
			if len(w.wrong) == 0 {
				w.dumpBooks()
			}
			w.fail("long after the last fault, store %d is not whole for proxy %d: %s", i, n.id, c.stores[i].waits)
		}
		for _, name := range sortedKeys(s.copies) {
			if copy := s.get(w.now, name); copy != nil && copy.Version != 0 {
				w.fail("nothing is held, and store %d keeps %s as %q %v", i, name, copy.Value, copy.Version)
			}
		}
	}
}

func TestNoScheduleGrantsALockTwice(t *testing.T) {
	if *simSeed != 0 {
		w := simulate(*simSeed, breakage(*simBreaks))
		t.Logf("seed %d: %+v\n%s", *simSeed, w.stats, strings.Join(w.trace, "\n"))
		if len(w.wrong) > 0 {
			t.Errorf("seed %d: %s", *simSeed, w.wrong[0])
		}
		return
	}
	var total simStats
	var wrong *world
	var first uint64
	var mu sync.Mutex
	var wg sync.WaitGroup
	var next atomic.Int64
	for range runtime.GOMAXPROCS(0) { // each history is one goroutine's
		wg.Go(func() {
			for i := next.Add(1); i <= int64(*simRuns); i = next.Add(1) {
				seed := uint64(int64(*simFrom) + i - 1)
				w := simulate(seed, breakage(*simBreaks))
				mu.Lock()
				total.add(w.stats)
				if len(w.wrong) > 0 && (wrong == nil || seed < first) {
					wrong, first = w, seed
					next.Store(int64(*simRuns))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if wrong != nil {
		t.Fatalf("seed %d (go test ./quorum -run %s -sim.seed %d -v): %s\n%s", first, t.Name(), first, wrong.wrong[0], wrong.story())
	}
	t.Logf("%d histories: %+v", *simRuns, total)
	if total.granted == 0 || total.held == 0 || total.failed == 0 || total.crashes == 0 || total.extended == 0 || total.direct == 0 ||
		total.pauses == 0 || total.jumps == 0 || total.lost == 0 || total.cuts == 0 || total.strangers == 0 || total.moves == 0 {
		t.Errorf("something never happened, so nothing was tested: %+v", total)
	}
}

// A brokenRule is a rule left out, and the first history that is known to notice.
// Where histories have changed since, others are searched.
type brokenRule struct {
	name   string
	breaks breakage
	near   int
}

// Two are not among them. That votes are taken back of a store that forgot since
// (breakVoid), and that no older copy gives way (breakStrict), is noticed by none
// or one of ten thousand histories: other rules catch what follows. Those two have
// tests of their own, see book_test.go and peers_test.go.
var brokenRules = []brokenRule{
	{"grant before the journal has it", breakJournalFirst, 23},
	{"take a pending lease for none", breakPendingHeld, 1},
	{"let ops run on names that are being changed", breakOneAtATime, 1},
	{"give out numbers that the journal did not allow", breakReserve, 1},
	{"let the end of a lease erase the change that follows", breakExpiry, 8950},
	{"let an undecided copy end before what it replaces", breakOutlive, 3434},
	{"grant what has no validity left", breakTooSlow, 1},
	{"rule 1: count votes whatever the book says", breakUnread, 809},
	{"rule 2: count what an older epoch said", breakEpoch, 166},
	{"rule 3: sign before every lease is back", breakReseed, 809},
	{"rule 4: put our lease over somebody else's", breakOver, 2},
	{"rule 5: ask a store that not every peer has signed", breakWhole, 316},
	{"rule 5: take a silent peer for dead at once", breakOutwait, 179},
	{"rule 5: believe in peers that may have missed a jump", breakSure, 1134},
	{"rule 6: believe in signatures of an earlier incarnation", breakIncarnation, 2273},
	{"rule 7: sign with an empty journal", breakFresh, 1410},
	{"rule 8: take numbers that others may have passed", breakMarks, 2},
	{"rule 8: let a lease go when a newer copy is seen", breakSight, 12},
	{"rule 9: serve beside those who are not on the list", breakStrangers, 14},
	{"rule 10: put back without looking for a notice", breakNotices, 26},
	{"rule 10: deny by the own table", breakDeny, 1},
	{"rule 11: take up another list of stores at once", breakMove, 1},
	{"section 3: let an extension keep its version", breakVersion, 2},
}

func TestEachBrokenRuleIsNoticed(t *testing.T) {
	for _, rule := range brokenRules {
		if strings.Contains(rule.name, *simRule) {
			t.Run(rule.name, func(t *testing.T) {
				t.Parallel()
				rule.isNoticed(t)
			})
		}
	}
}

func (rule brokenRule) isNoticed(t *testing.T) {
	seed := rule.near
	if *simSearch {
		seed = 1
	}
	for range *simBroken {
		if w := simulateSafely(uint64(seed), rule.breaks); len(w.wrong) > 0 {
			t.Logf("noticed by history %5d: %s", seed, w.wrong[0])
			if rule.breaks > breakPeers { // and it is the broken rule that does it
				if w := simulate(uint64(seed), breakPeers); len(w.wrong) > 0 {
					t.Errorf("history %d, no rule broken: %s\n%s", seed, w.wrong[0], w.story())
				}
			}
			return
		}
		seed++
	}
	t.Errorf("not noticed in %d histories from %d on", *simBroken, rule.near)
}

// simulateSafely takes a panic of a core with a broken rule for what it is.
func simulateSafely(seed uint64, breaks breakage) (w *world) {
	defer func() {
		if r := recover(); r != nil {
			w = &world{wrong: []string{fmt.Sprintf("panic: %v", r)}}
		}
	}()
	return simulate(seed, breaks)
}

func (w *world) dumpBooks() {
	for i, s := range w.stores {
		for _, id := range sortedKeys(s.book) {
			w.note("store %d inc %d: %s: %s", i, s.incarnation, id, s.book[id])
		}
		for _, n := range w.nodes {
			if n.proxy != nil {
				l := n.proxy.core.stores[i]
				w.note("  proxy %d: phase %q owing %d missing %d writing %v line %q inc %s waits %s", n.id, l.phase, l.owing, len(l.missing), l.writing, l.line, l.incarnation, l.waits)
			}
		}
	}
}
