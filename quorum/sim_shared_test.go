package quorum

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A simMember is a client of a lock that several hold at once: its value is the
// list of them, each with the moment until which it is one, as semaphores and
// shared locks keep it. Whoever joins or leaves changes the list that it has
// read, through any of the proxies.
type simMember struct {
	w      *world
	id     int
	tokens int
	mine   *place // that it has, or is on its way to or from
}

const (
	sharedName  = "shared"
	otherShared = "shared too" // that all who hold the one hold as well, by the same change
	sharedMost  = 2            // so many hold it at once
)

// A place is what its owner believes of it.
type place struct {
	token string
	asked *simProxy
	sure  bool // it was told that it has it, and did not ask for anything else since
	since Time // it was told so
	until Time // by its own count
	left  Time // it was told that it has it no more; 0: it was not
}

// A list is the value of a shared lock.
type list map[string]Time

func readList(lease *Lease) list {
	l := list{}
	if lease == nil {
		return l
	}
	for _, entry := range strings.Fields(string(lease.Value)) {
		var token string
		var until Time
		if _, err := fmt.Sscanf(strings.Replace(entry, "@", " ", 1), "%s %d", &token, &until); err == nil {
			l[token] = until
		}
	}
	return l
}

func (l list) value() []byte {
	var entries []string
	for token, until := range l {
		entries = append(entries, fmt.Sprintf("%s@%d", token, until))
	}
	slices.Sort(entries)
	return []byte(strings.Join(entries, " "))
}

// latest returns when the last of them is none any more.
func (l list) latest() (last Time) {
	for _, until := range l {
		last = max(last, until)
	}
	return last
}

// prune takes those out whose time is over.
func (l list) prune(now Time) {
	for token, until := range l {
		if until <= now {
			delete(l, token)
		}
	}
}

func (m *simMember) act() {
	w := m.w
	if m.mine != nil && m.mine.until <= w.now {
		m.mine = nil
	}
	if w.calm && m.mine == nil {
		return
	}
	defer m.pause()
	n := w.running()
	switch p := m.mine; {
	case n == nil:
	case p == nil:
		m.join(n)
	case p.asked != nil && !p.asked.gone:
	case w.calm || w.chance(0.5):
		m.leave(n, p)
	default:
		m.stay(n, p)
	}
}

// pause has it act again, soon if it has no place in a crowd.
func (m *simMember) pause() {
	most := 2 * m.w.patience
	if m.w.restless {
		if most = 60 * time.Millisecond; m.w.steady && m.mine != nil && m.mine.sure {
			most = m.w.cfg.MaxTTL
		}
	}
	m.w.after(time.Millisecond+m.w.upTo(most), m.act)
}

// ttl returns for how long a member wants its place.
func (m *simMember) ttl() time.Duration {
	most := m.w.cfg.MaxTTL
	switch m.w.rng.IntN(4) {
	case 0:
		return 20*time.Millisecond + m.w.upTo(most-20*time.Millisecond)
	case 1:
		return 20*time.Millisecond + m.w.upTo(most/4)
	}
	return most
}

func (m *simMember) join(n *simNode) {
	w := m.w
	m.tokens++
	p := &place{token: fmt.Sprintf("m%d.%d", m.id, m.tokens), until: w.now.Add(m.ttl())}
	until := p.until
	m.mine = p
	w.places = append(w.places, p)
	m.change(n, p, func(l list) bool {
		if len(l) >= sharedMost {
			return false
		}
		l[p.token] = until
		return true
	}, func(r Result, already bool) {
		if r.Outcome == Changed && already { // a counter in the place of the list would count it again
			w.fail("member %d was on the list as %s before it was told that it joined", m.id, p.token)
		}
		if m.mine != p || until <= w.now {
			return
		}
		if r.Outcome == Changed {
			w.stats.joined++
			p.sure, p.since = true, w.now
			return
		}
		m.mine = nil
	})
}

func (m *simMember) stay(n *simNode, p *place) {
	w := m.w
	until := w.now.Add(m.ttl())
	p.until = min(p.until, until) // it may come true without a reply
	m.change(n, p, func(l list) bool {
		_, on := l[p.token]
		l[p.token] = until
		return on
	}, func(r Result, _ bool) {
		switch {
		case p.until <= w.now:
		case r.Outcome == Changed:
			p.until = until
		case r.Outcome == Unchanged && p.sure && n.listed():
			w.fail("member %d has its place %s until %v, and was told otherwise", m.id, p.token, p.until)
		}
	})
}

func (m *simMember) leave(n *simNode, p *place) {
	w := m.w
	sure := p.sure
	p.sure = false
	m.change(n, p, func(l list) bool {
		_, on := l[p.token]
		delete(l, p.token)
		return on
	}, func(r Result, _ bool) {
		switch {
		case r.Outcome == Changed:
			w.stats.left++
			p.left = w.now
		case r.Outcome == Unchanged && sure && p.until > w.now && n.listed():
			w.fail("member %d leaves its place %s, which it has until %v, and was told that it has none", m.id, p.token, p.until)
		}
		if m.mine == p {
			m.mine = nil
		}
	})
}

// change has f alter each list that is there, if it returns true. The lease goes on
// for as long as there may be, so that nobody shortens what others hold by. told hears
// too whether m was on one of them already when it was decided.
func (m *simMember) change(n *simNode, p *place, f func(list) bool, told func(r Result, already bool)) {
	w, sent := m.w, m.w.now
	p.asked = n.proxy
	already, seen := false, make([]list, len(w.shared)) // before the change, and what came of it
	n.open++
	op := &Op{Names: w.shared, Reads: true, Decide: func(v *View) (plan Plan) {
		already = false
		for i, name := range w.shared {
			lease, _ := v.Lease(name)
			l := readList(lease)
			seen[i] = readList(lease)
			l.prune(v.Now)
			_, on := l[p.token]
			already = already || on
			if !f(l) || len(l) > 0 && l.latest() <= v.Now {
				return Plan{}
			}
			part := Part{Prev: lease, Name: name, Value: l.value(), TTL: l.latest().Sub(v.Now), Renew: lease != nil}
			if seen[i] = l; len(l) == 0 {
				part = Part{Prev: lease, Name: name, Drop: true}
			}
			plan.Parts = append(plan.Parts, part)
		}
		plan.Anew = w.anew
		return plan
	}, Done: func(r Result) {
		p.asked = nil
		w.note("member %d asked proxy %d at %v: %v %s %v", m.id, n.id, sent, r.Outcome, seen[0].value(), r.Err)
		for _, l := range seen {
			if r.Outcome == Changed {
				w.audit(m, p, l, sent)
			}
		}
		told(r, already)
	}}
	n.proxy.step(func(c *Core) { c.Submit(w.now, op) })
}

// audit looks at the list that a change by m left, which it asked for at sent:
// whoever had a place before that and still has it is on it, whoever had left is
// not, and there are no more than there may be.
func (w *world) audit(m *simMember, own *place, l list, sent Time) {
	for _, p := range w.places {
		_, on := l[p.token]
		switch {
		case p == own:
		case p.sure && !on && p.since < sent && p.until > w.now:
			w.fail("member %d is lost: %s has its place until %v, and member %d left %s", m.id, p.token, p.until, m.id, l.value())
		case on && p.left != 0 && p.left < sent && len(w.nodes) == 1 && w.stats.crashes == 0:
			// After a crash, and where peers change a lease that ends meanwhile, what
			// ended may come back for a while: late, and never early.
			w.fail("member %d left %s, and %s is back, which had left", m.id, l.value(), p.token)
		}
	}
	have := 0
	for _, p := range w.places {
		if p.sure && p.until > w.now {
			have++
		}
	}
	if l.prune(w.now); have > sharedMost || len(l) > sharedMost {
		w.fail("%d have a place in %s, which has %d", have, l.value(), sharedMost)
	}
}
