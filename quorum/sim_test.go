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
	simSearch = flag.Bool("sim.search", false, "search from the first history on for those that notice broken rules, and keep them in sim_hints_test.go")
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
		rng: rng, breaks: breaks, rare: rareStorms[seed%100], now: Time(time.Hour), patience: time.Second,
		holds:  map[string][]*hold{},
		fences: map[string]Number{}, mistaken: map[Number]Time{},
		shared: []string{sharedName},
	}
	// Some seeds, so that the other histories are what they were.
	switch seed % 16 {
	case 12:
		w.anew, w.shared = true, []string{sharedName, otherShared}
	case 15:
		w.anew = true
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
	for _, s := range w.stores {
		// Single copies are deleted by somebody alone, or where they are kept twice.
		s.twice = proxies > 1 && seed%4 == 3
		w.twice = s.twice
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
		n.cfg.ID, n.cfg.Print, n.cfg.Boot = fmt.Sprint("p", i), "these stores", "boot"
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
	w := prepare(seed, breaks)
	w.live()
	return w
}

// prepare makes the history of a seed up to its first moment.
func prepare(seed uint64, breaks breakage) *world {
	w := newWorld(seed, breaks)
	for _, n := range w.nodes {
		w.after(w.upTo(500*time.Millisecond), func() { w.boot(n) })
	}
	w.names = 1 + w.rng.IntN(3)
	for i := range 2 + w.rng.IntN(4) {
		c := &simClient{w: w, id: i, names: w.names}
		w.after(w.upTo(time.Second), c.act)
	}
	if w.rng.IntN(3) == 0 {
		w.gather(2 + w.rng.IntN(3))
	}
	if len(w.stores) > 1 && w.rng.IntN(3) == 0 {
		w.direct = map[string]*hold{}
		for i := range 2 {
			d := &simStranger{w: w, id: 100 + i, names: w.names}
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
	w.brew()
	return w
}

// gather has so many more take part in the shared lock.
func (w *world) gather(members int) {
	for range members {
		m := &simMember{w: w, id: 200 + len(w.crowd)}
		w.crowd = append(w.crowd, m)
		w.after(w.upTo(time.Second), m.act)
	}
}

// live lets everything happen, and looks at what came of it.
func (w *world) live() {
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
		w.afterwards()
	}
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
	p.core = newCore(n.cfg, p, n.disk.history(n.birth, w.now), w.now, w.breaks)
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

// afterwards looks whether all came right: every op was answered, every lock
// can be had again, and the stores keep nothing that nobody holds.
func (w *world) afterwards() {
	for _, n := range w.nodes {
		if n.open != 0 && n.proxy != nil {
			w.fail("%d ops of proxy %d were never answered", n.open, n.id)
		}
	}
	for i := range w.names {
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
		for _, name := range append(sortedKeys(s.copies), sortedKeys(s.seconds)...) {
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
	for what, count := range total.each() {
		if count == 0 && (what != "direct" || *simBreaks < uint(breakPeers)) {
			t.Errorf("%s: it never happened, so it was not tested: %+v", what, total)
		}
	}
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

// A seed is the whole report of a bug: nothing may depend on the order of a map.
func TestAHistoryIsItsSeed(t *testing.T) {
	for seed := range uint64(30) {
		first, again := simulate(seed, breakPeers).trace, simulate(seed, breakPeers).trace
		for i := range min(len(first), len(again)) {
			if first[i] != again[i] {
				t.Fatalf("history %d goes on in two ways:\n%s\n%s", seed, first[i], again[i])
			}
		}
	}
}
