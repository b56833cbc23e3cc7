package quorum

import (
	"slices"
	"time"
)

// A loss is of a proxy's journal. Rule 7 asks the books and the peers whether its id
// has signed before, and rule 8 goes on above their marks: one of them must be left to
// know. Where none is, and the clock of that machine went back besides, a proxy can't
// be told from a new one, and nothing is promised. It does not take all stores for
// that: one may have had the only signature, and no peer have read it yet.
type loss struct {
	node     *simNode
	instance string // of the journal
	used     Number // by it, the highest
	at       Time
}

// loseJournal has a proxy lose its journal, if somebody else knows of it.
func (w *world) loseJournal(n *simNode) {
	lost := &loss{n, n.cfg.Instance, n.used, w.now}
	if !w.known(lost, nil) {
		return
	}
	w.crash(n)
	w.note("proxy %d loses its journal", n.id)
	w.stats.lost++
	w.lost = lost
	for _, s := range w.stores { // whatever took the one may take the others
		if !w.faithful && w.direct == nil && w.chance(0.4) {
			w.after(w.upTo(time.Second), func() { w.storeFault(s) })
		}
	}
	n.disk = simDisk{entries: map[string]Entry{}}
	n.cfg.Instance = n.cfg.Nonce()
	n.birth = MakeNumber(uint64(1000+w.rng.IntN(2)*w.rng.IntN(1<<20)), n.cfg.Author)
}

// mayForget reports whether a store may lose what it has.
func (w *world) mayForget(s *simStore) bool {
	if w.missed(s) {
		return false
	}
	if !slices.Contains(w.left, s) {
		return true
	}
	// Of those that a proxy is about to leave one must not: where every old store has
	// lost its data, nobody can tell any more which numbers were used there.
	s.blank = true
	s.blank = slices.ContainsFunc(w.left, func(other *simStore) bool { return !other.blank })
	return s.blank
}

// missed reports whether nobody would know of a loss any more if that store forgot.
func (w *world) missed(s *simStore) bool { return w.lost != nil && !w.known(w.lost, s) }

// known reports whether a loss would be noticed, if that store forgot too: by a peer,
// whose signature says so, or by a store of every quorum.
func (w *world) known(lost *loss, without *simStore) bool {
	over := w.now > lost.at.Add((&Core{cfg: w.cfg}).outwait()) // what it had granted
	for _, n := range w.nodes {
		if !n.gone && lost.isKnownTo(n, over) {
			return true
		}
	}
	have := 0
	for _, s := range lost.node.stores {
		if s != without && lost.isIn(s, over) {
			have++
		}
	}
	return have > len(w.cfg.Stores)-w.cfg.Need
}

// isKnownTo reports whether a proxy, itself or its successor, has a journal that knows.
func (l *loss) isKnownTo(n *simNode, over bool) bool {
	count := n.disk.limit.Count()
	if n.proxy != nil {
		count = min(count, n.proxy.core.count)
	}
	seen := slices.ContainsFunc(n.disk.seen, l.isMetBy)
	return n.cfg.Instance != l.instance && count >= l.used.Count() && (over || seen)
}

// isMetBy reports whether a line of [History].Seen is about the journal.
func (l *loss) isMetBy(seen string) bool {
	id, instance, _ := cutSeen(seen)
	return id == l.node.cfg.ID && instance == l.instance
}

// isIn reports whether a store's book knows. After its clock has jumped any proxy may
// tear that, even late.
func (l *loss) isIn(s *simStore, over bool) bool {
	if s.jumps > 0 {
		return false
	}
	mark := Number(0)
	for id, line := range s.book {
		sig, err := ParseSignature(line)
		if err != nil {
			continue
		}
		if id == l.node.cfg.ID && sig.Instance == l.instance {
			over, sig.Mark = true, Above(sig.Mark)
		}
		over = over || slices.ContainsFunc(sig.Seen, l.isMetBy)
		mark = max(mark, sig.Mark)
	}
	return over && mark.Count() >= l.used.Count()
}
