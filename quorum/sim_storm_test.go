package quorum

import (
	"slices"
	"time"
)

// A storm is a kind of trouble that comes again and again in one history, close
// together: some schedules go wrong only if one fault follows another within the
// time that an op takes.
type storm struct {
	name  string
	every time.Duration // about
	blow  func(*world)
	slow  float64 // the share of syncs that take long
	lag   float64 // the share of batches that take as long on the way as a store may take
	twice bool    // only where stores keep copies twice
	crowd bool    // many take part in the shared lock
}

var storms = []storm{
	{name: "slow disks, and stores that forget", every: 400 * time.Millisecond, blow: (*world).flushOne, slow: 0.3},
	{name: "clocks ahead and back", every: 600 * time.Millisecond, blow: (*world).shiftClock},
	{name: "one cut from one", every: 300 * time.Millisecond, blow: (*world).cutOne},
	{name: "deletes", every: 20 * time.Millisecond, blow: (*world).deleteOne, twice: true},
	{name: "a crowd, slow links, and some that are cut", every: 300 * time.Millisecond, blow: (*world).cutOrFlush, lag: 0.2, crowd: true},
	{name: "a crowd, proxies that crash, and some that are cut", every: 200 * time.Millisecond, blow: (*world).cutOrCrash, slow: 0.1, lag: 0.2, crowd: true},
}

// Of a proxy alone, which may die while a lease ends that it is changing; or whose
// changes fail where others, who lock in the stores, wait for what they leave there.
var soloStorms = []storm{
	{name: "slow disks, and crashes", every: time.Second, blow: func(w *world) { w.crash(w.nodes[0]) }, slow: 0.3},
	{name: "one cut from one", every: 300 * time.Millisecond, blow: (*world).cutOne, slow: 0.1},
}

// Everything forgets at once, and somebody who does not know what came of his last
// change comes back to put his leases there.
var wreck = storm{name: "wrecks", every: 1500 * time.Millisecond, blow: (*world).wreckAll, slow: 0.3, lag: 0.1}

// Every proxy is away when a clock jumps, and all come back with what they knew.
var unseen = storm{name: "jumps unseen", every: 1500 * time.Millisecond, blow: (*world).jumpUnseen, slow: 0.5}

// rareStorms are those of histories by the last two digits of their seeds.
var rareStorms = map[uint64]*storm{
	77: &wreck, 78: &unseen,
	79: {name: "some wrecked, and a crowd", every: 700 * time.Millisecond, blow: (*world).wreckSome, slow: 0.3, lag: 0.15, crowd: true},
	80: {name: "some wrecked, and one away", every: 900 * time.Millisecond, blow: (*world).wreckAway, slow: 0.3, lag: 0.1, crowd: true},
	81: {name: "old data, and crashes", every: 900 * time.Millisecond, blow: (*world).wreckOld, slow: 0.3, lag: 0.1, crowd: true},
	82: {name: "jumps, some unseen", every: 900 * time.Millisecond, blow: (*world).wreckJump, slow: 0.4, lag: 0.1},
	83: {name: "some wrecked, and one asleep", every: 900 * time.Millisecond, blow: (*world).wreckAsleep, slow: 0.3, lag: 0.1, crowd: true},
}

// brew has some histories be stormy.
func (w *world) brew() {
	solo := len(w.nodes) == 1
	if w.rare != nil && !solo && w.direct == nil && !w.faithful {
		w.rage(w.rare)
		return
	}
	if w.direct != nil && !solo || w.faithful || w.rng.IntN(4) > 0 {
		return
	}
	kinds := slices.DeleteFunc(slices.Clone(storms), func(s storm) bool {
		return s.twice && !w.twice || s.crowd && w.cfg.Need == len(w.stores)
	})
	if solo {
		kinds = soloStorms
	}
	w.rage(&kinds[w.rng.IntN(len(kinds))])
}

func (w *world) rage(s *storm) {
	w.storm = s
	w.patience = 100 * time.Millisecond // and clients are in a hurry
	for _, n := range w.nodes {
		if len(w.nodes) > 1 {
			n.cfg.Peek = peekEvery
		}
	}
	if w.storm.crowd {
		w.restless, w.steady = true, w.chance(0.5)
		w.gather(2 + w.rng.IntN(3) - len(w.crowd))
	}
	w.after(w.upTo(time.Second), w.blow)
	w.stats.storms++
}

func (w *world) blow() {
	if w.calm {
		return
	}
	w.storm.blow(w)
	w.after(10*time.Millisecond+time.Duration(w.rng.Float64()*2*float64(w.storm.every)), w.blow)
}

func (w *world) flushOne() {
	w.flush(w.stores[w.rng.IntN(len(w.stores))])
}

// shiftClock sets the clocks of the stores ahead one after the other, and back.
func (w *world) shiftClock() {
	w.turn++
	s, by := w.stores[w.turn%len(w.stores)], 2*w.cfg.MaxTTL
	if w.turn/len(w.stores)%2 == 1 {
		by = -by
	}
	w.setClock(s, by)
}

// deleteOne has each name deleted, in one store after the other.
func (w *world) deleteOne() {
	w.turn++
	names := []string{sharedName, lockName(0), lockName(1), lockName(2)}
	w.delete(w.stores[w.turn/len(names)%len(w.stores)], names[w.turn%len(names)])
}

func (w *world) cutOne() {
	if n := w.nodes[w.rng.IntN(len(w.nodes))]; n.proxy != nil && len(n.stores) > 0 {
		l := n.proxy.lanes[w.rng.IntN(len(n.proxy.lanes))]
		l.cut = w.now.Add(w.upTo(time.Second))
		w.note("proxy %d and store %d are cut apart until %v", n.id, l.store.index, l.cut)
		w.stats.cuts++
	}
}

func (w *world) cutOrFlush() {
	if w.chance(0.3) {
		w.flushOne()
	} else {
		w.cutOne()
	}
}

func (w *world) cutOrCrash() {
	if w.chance(0.15) {
		w.crashOne()
	} else {
		w.cutOne()
	}
}

func (w *world) wreckAll() {
	for range 1 + w.rng.IntN(2) {
		w.after(w.upTo(50*time.Millisecond), w.crashOne)
	}
	for _, s := range w.stores {
		w.after(w.upTo(50*time.Millisecond), func() { w.flush(s) })
	}
}

func (w *world) jumpUnseen() {
	for _, n := range w.nodes {
		w.crash(n)
	}
	for _, s := range w.stores {
		w.setClock(s, time.Duration(w.rng.Float64()*float64(w.cfg.MaxTTL)))
	}
}

func (w *world) wreckSome() {
	if w.chance(0.7) {
		w.after(w.upTo(50*time.Millisecond), w.crashOne)
	}
	p := w.rng.Float64()
	for _, s := range w.stores {
		if w.chance(p) {
			w.after(w.upTo(400*time.Millisecond), func() { w.flush(s) })
		}
	}
	if w.chance(0.3) {
		w.after(w.upTo(600*time.Millisecond), w.cutOne)
	}
}

func (w *world) wreckAway() {
	w.wreckSome()
	if w.chance(0.3) {
		w.cutOne()
	}
	n := w.nodes[len(w.nodes)-1]
	if w.chance(0.3) && n.proxy != nil {
		n.paused = w.now.Add(w.upTo(2 * w.cfg.MaxTTL))
	}
	w.crash(n)
}

// wreckAsleep has somebody sleep until it takes the others for dead.
func (w *world) wreckAsleep() {
	w.wreckSome()
	if n := w.nodes[w.rng.IntN(len(w.nodes))]; w.chance(0.3) && n.proxy != nil && n.paused < w.now {
		n.paused = w.now.Add((&Core{cfg: w.cfg}).silence() + w.upTo(time.Second))
		w.note("proxy %d sleeps until %v", n.id, n.paused)
		w.stats.pauses++
	}
}

func (w *world) wreckOld() {
	if w.chance(0.6) {
		w.after(w.upTo(50*time.Millisecond), w.crashOne)
	}
	for _, s := range w.stores {
		switch w.rng.IntN(6) {
		case 0:
			w.after(w.upTo(100*time.Millisecond), func() { w.restart(s, s.saved.clone()) })
		case 1:
			w.after(w.upTo(100*time.Millisecond), func() { w.flush(s) })
		case 2, 3:
			w.after(w.upTo(300*time.Millisecond), func() { s.saved = s.clone() })
		}
	}
}

func (w *world) wreckJump() {
	for _, n := range w.nodes {
		if w.chance(0.7) {
			w.crash(n)
		}
	}
	for _, s := range w.stores {
		if w.chance(0.6) {
			w.after(w.upTo(100*time.Millisecond), func() { w.setClock(s, time.Duration((w.rng.Float64()*1.5-0.5)*float64(w.cfg.MaxTTL))) })
		}
	}
}

func (w *world) crashOne() { w.crash(w.nodes[w.rng.IntN(len(w.nodes))]) }

// lag returns how long something is on its way from or to a store.
func (w *world) lag(most time.Duration) time.Duration {
	if w.storm != nil && w.storm.lag > 0 && w.chance(w.storm.lag) && !w.calm {
		most = w.cfg.Timeout
	}
	return w.upTo(most)
}
