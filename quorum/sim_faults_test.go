package quorum

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

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
		w.flush(s)
	case 2:
		w.note("store %d restarts empty", s.index)
		w.restart(s, newMemory())
	case 3:
		w.note("store %d restarts with old data", s.index)
		w.stats.restored++
		w.restart(s, s.saved.clone())
	case 4:
		w.note("store %d is cut off", s.index)
		s.dead = true
		w.after(w.upTo(3*time.Second), func() { s.dead = false })
	case 5:
		w.setClock(s, time.Duration((w.rng.Float64()*2-0.5)*float64(w.cfg.MaxTTL)))
	default:
		if len(w.nodes) > 1 && !w.twice {
			return // against that peers cannot promise anything
		}
		w.delete(s, lockName(w.rng.IntN(3)))
	}
}

// delete is what somebody does who knows nothing of locks.
func (w *world) delete(s *simStore, name string) {
	w.note("somebody deletes %s from store %d", name, s.index)
	w.stats.deleted++
	delete(s.copies, name)
	w.tell(s, name)
}

func (w *world) flush(s *simStore) {
	if !w.mayForget(s) {
		return
	}
	w.note("store %d is flushed", s.index)
	w.stats.flushed++
	s.simMemory = newMemory()
	w.tell(s, "")
}

// setClock has a store's clock jump. What runs out by that is told like every
// other end of a copy, before anybody can know why.
func (w *world) setClock(s *simStore, by time.Duration) {
	if !w.mayForget(s) { // whoever notices it tears the book
		return
	}
	const least = simMaxTTL / 32 // less would pass for drift, and there is enough of that
	if by < 0 {
		by = min(by, -least)
	} else {
		by = max(by, least)
	}
	w.note("the clock of store %d jumps by %v", s.index, by)
	w.stats.jumps++
	for _, name := range sortedKeys(s.copies) {
		if until := s.copies[name].until; until > w.now && until.Add(-by) <= w.now {
			w.tell(s, name)
		}
	}
	s.jump(by)
}

func (w *world) restart(s *simStore, with simMemory) {
	if !w.mayForget(s) {
		return
	}
	s.dead = true
	s.simMemory = with
	w.stats.restarted++
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
	case len(n.cfg.Peers) > 0 && w.lost == nil: // if all are lost nobody can tell; and alone, with blank books, it could not be told from a new one
		w.loseJournal(n)
	}
}

// move has the first proxy go on alone over other stores, while its peers learn
// of it late: they are stopped for good some time afterwards.
func (w *world) move() {
	first := w.nodes[0]
	if w.calm || len(first.cfg.Peers) == 0 {
		return
	}
	// A journal made anew after a loss, and not signed with yet, knows of no list that it
	// could leave. If the old stores forgot too, nobody could tell it what was used there.
	signed := func(seen string) bool { return strings.HasPrefix(seen, first.cfg.ID+"="+first.cfg.Instance+"@") }
	if w.lost != nil && !slices.ContainsFunc(first.disk.seen, signed) {
		return
	}
	w.note("proxy 0 is to go on alone, over other stores")
	w.stats.moves++
	moved := Signature{Phase: Moved, Instance: first.cfg.Instance, Config: "other stores"}
	old := first.stores
	first.stores, w.left = nil, old
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
		if w.now.Sub(since) <= 3*beatEvery {
			return false
		}
		first.disk.limit = Beyond(first.disk.limit)
		return true
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
	n.disk.written, n.disk.told = nil, w.now
	if w.stats.crashes%3 == 0 { // and its machine with it
		n.cfg.Boot = fmt.Sprint("boot ", w.stats.crashes)
	}
	n.proxy.gone = true
	n.proxy, n.paused = nil, 0
	down := w.upTo(2 * time.Second)
	if len(w.nodes) > 1 && w.chance(0.2) {
		down = w.upTo(3 * w.cfg.MaxTTL)
	}
	w.after(down, func() { w.boot(n) })
}
