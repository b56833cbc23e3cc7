package quorum

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	simRuns = flag.Int("sim.runs", 2000, "histories to simulate")
	simSeed = flag.Uint64("sim.seed", 0, "simulate this one history only, and tell it")
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

// newWorld makes the history of a seed: how many stores, how they fail, who
// locks what and for how long.
func newWorld(seed uint64, breaks breakage) *world {
	rng := rand.New(rand.NewPCG(seed, 1))
	n := []int{0, 1, 3, 3, 3, 5}[rng.IntN(6)]
	w := &world{
		rng: rng, breaks: breaks, now: Time(time.Hour),
		disk:   simDisk{entries: map[string]Entry{}},
		holds:  map[string][]*hold{},
		fences: map[string]Number{},
	}
	strategy := Majority
	if rng.IntN(4) == 0 {
		strategy = Unanimous
	}
	w.cfg = Config{Need: strategy.Need(n), Timeout: 250 * time.Millisecond, MaxTTL: simMaxTTL}
	for i := range n {
		w.cfg.Stores = append(w.cfg.Stores, Traits{Late: rng.IntN(3) == 0, Coarse: rng.IntN(4) == 0})
		w.cfg.Names = append(w.cfg.Names, fmt.Sprintf("s%d", i))
		w.stores = append(w.stores, &simStore{index: i, copies: map[string]simCopy{}, rate: 0.99 + rng.Float64()*0.02})
	}
	return w
}

// simulate runs the history of a seed and returns its world.
func simulate(seed uint64, breaks breakage) *world {
	w := newWorld(seed, breaks)
	w.boot()
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
	start := w.now
	w.run(start.Add(simLength))
	w.calm = true
	w.run(start.Add(simLength + simCalm))
	if len(w.wrong) == 0 {
		w.afterwards(names)
	}
	return w
}

// boot starts the proxy from its journal.
func (w *world) boot() {
	p := &simProxy{w: w}
	for _, s := range w.stores {
		p.lanes = append(p.lanes, &simLane{p: p, store: s})
	}
	w.proxy, w.open = p, 0
	const birth = Number(1000 << authorBits)
	p.core = newCore(w.cfg, p, w.disk.history(birth), w.now, w.breaks)
	w.note("proxy starts with %d leases, numbers from %v", len(p.core.leases), p.core.limit)
	p.step(func(c *Core) { c.Reserve() })
	for _, l := range p.lanes {
		w.after(w.upTo(100*time.Millisecond), l.connect)
	}
	var tick func()
	tick = func() {
		if !p.gone {
			var next Time
			p.step(func(c *Core) { next = c.Tick(w.now) })
			w.after(min(max(next.Sub(w.now), time.Millisecond), 50*time.Millisecond), tick)
		}
	}
	tick()
}

// fault lets something go wrong.
func (w *world) fault() {
	if w.calm {
		return
	}
	if len(w.stores) > 0 && w.chance(0.6) && w.direct == nil {
		s := w.stores[w.rng.IntN(len(w.stores))]
		w.stats.forgot++
		switch w.rng.IntN(4) {
		case 0:
			w.note("store %d is flushed", s.index)
			clear(s.copies)
			w.tell(s, "")
		case 3:
			name := lockName(w.rng.IntN(3))
			w.note("somebody deletes %s from store %d", name, s.index)
			delete(s.copies, name)
			w.tell(s, name)
		case 1:
			w.note("store %d restarts empty", s.index)
			s.dead = true
			clear(s.copies)
			s.incarnation++
			w.after(w.upTo(3*time.Second), func() { s.dead = false })
		case 2:
			w.note("store %d is cut off", s.index)
			s.dead = true
			w.after(w.upTo(3*time.Second), func() { s.dead = false })
		}
		return
	}
	w.crash()
}

// tell has a store tell of a copy that is gone, if it does and anybody listens.
func (w *world) tell(s *simStore, name string) {
	if w.chance(0.5) {
		w.after(w.upTo(50*time.Millisecond), func() {
			if w.proxy != nil {
				w.proxy.step(func(c *Core) { c.Vanished(w.now, s.index, name) })
			}
		})
	}
}

// crash kills the proxy. The disk keeps what was synced and some beginning of
// what was written since; requests on their way may still arrive.
func (w *world) crash() {
	if w.proxy == nil {
		return
	}
	w.stats.crashes++
	kept := w.rng.IntN(len(w.disk.written) + 1)
	w.disk.sync(kept)
	w.note("proxy crashes; %d unsynced records are kept, %d lost", kept, len(w.disk.written))
	w.disk.written = nil
	w.proxy.gone = true
	w.proxy = nil
	w.after(w.upTo(2*time.Second), w.boot)
}

// afterwards looks whether all came right: every op was answered, every lock
// can be had again, and the stores keep nothing that nobody holds.
func (w *world) afterwards(names int) {
	if w.open != 0 {
		w.fail("%d ops were never answered", w.open)
	}
	if w.proxy == nil {
		return
	}
	for i := range names {
		got := Result{Outcome: Failed}
		op := &Op{Names: []string{lockName(i)}, Decide: func(v *View) Plan {
			lease, _ := v.Lease(lockName(i))
			return Plan{Parts: []Part{{Prev: lease, Name: lockName(i), Value: []byte("last"), TTL: time.Second}}}
		}, Done: func(r Result) { got = r }}
		w.open++
		w.proxy.step(func(c *Core) { c.Submit(w.now, op) })
		w.run(w.now.Add(500 * time.Millisecond))
		if got.Outcome != Changed {
			w.fail("long after the last fault, lock %q can't be had: %v %v", lockName(i), got.Outcome, got.Err)
		}
	}
	w.run(w.now.Add(simMaxTTL))
	c := w.proxy.core
	if n := len(c.slots) + len(c.leases) + len(c.ends) + len(c.timed) + len(c.slow) + len(c.thirst) + len(c.ready); n > 0 {
		w.fail("nothing is held or under way, and the core keeps %d slots, %d leases, %d ends, %d timed, %d slow, %d thirsty, %d ready",
			len(c.slots), len(c.leases), len(c.ends), len(c.timed), len(c.slow), len(c.thirst), len(c.ready))
	}
	for i, s := range w.stores {
		if n := len(c.stores[i].debts); n > 0 {
			w.fail("nothing is held, and store %d is owed %d copies to take out", i, n)
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
		w := simulate(*simSeed, 0)
		t.Logf("seed %d: %+v\n%s", *simSeed, w.stats, strings.Join(w.trace, "\n"))
		if len(w.wrong) > 0 {
			t.Errorf("seed %d: %s", *simSeed, w.wrong[0])
		}
		return
	}
	var total simStats
	for i := range *simRuns {
		seed := uint64(i + 1)
		w := simulate(seed, 0)
		if len(w.wrong) > 0 {
			t.Fatalf("seed %d (go test ./quorum -run %s -sim.seed %d -v): %s\n%s", seed, t.Name(), seed, w.wrong[0], w.story())
		}
		total.granted += w.stats.granted
		total.held += w.stats.held
		total.failed += w.stats.failed
		total.crashes += w.stats.crashes
		total.forgot += w.stats.forgot
		total.extended += w.stats.extended
		total.released += w.stats.released
		total.direct += w.stats.direct
	}
	t.Logf("%d histories: %+v", *simRuns, total)
	if total.granted == 0 || total.held == 0 || total.failed == 0 || total.crashes == 0 || total.extended == 0 || total.direct == 0 {
		t.Errorf("something never happened, so nothing was tested: %+v", total)
	}
}

func TestEachBrokenRuleIsNoticed(t *testing.T) {
	for _, rule := range []struct {
		name   string
		breaks breakage
	}{
		{"grant before the journal has it", breakJournalFirst},
		{"take a pending lease for none", breakPendingHeld},
		{"let ops run on names that are being changed", breakOneAtATime},
		{"give out numbers that the journal did not allow", breakReserve},
		{"let the end of a lease erase the change that follows", breakExpiry},
		{"let an undecided copy end before what it replaces", breakOutlive},
		{"grant what has no validity left", breakTooSlow},
	} {
		const most = 20000
		noticed := 0
		var how string
		for i := 1; i <= most && noticed == 0; i++ {
			if w := simulateSafely(uint64(i), rule.breaks); len(w.wrong) > 0 {
				noticed, how = i, w.wrong[0]
			}
		}
		if noticed == 0 {
			t.Errorf("rule broken: %s: not noticed in %d histories", rule.name, most)
			continue
		}
		t.Logf("%-55s noticed after %5d histories: %s", rule.name, noticed, how)
	}
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
