package quorum

import (
	"fmt"
	"slices"
	"time"
)

// A hold is a client's belief that it holds a lock.
type hold struct {
	client int
	token  string
	name   string
	from   Time      // when the reply came
	until  Time      // by the client's own count of the whole TTL, or when it let go
	valid  Time      // until when it was told that it may rely on it
	asked  *simProxy // of which an answer about it is awaited
	doubt  bool      // whether its token is the one that peers see
}

func lockName(i int) string { return fmt.Sprintf("lock%d", i) }

// A simClient takes locks, keeps them for a while, extends, hands over or
// releases them, and sometimes just forgets.
type simClient struct {
	w      *world
	id     int
	names  int
	tokens int
	mine   []*hold
}

func (c *simClient) act() {
	w := c.w
	c.drop()
	if w.calm && len(c.mine) == 0 {
		return
	}
	defer w.after(time.Millisecond+w.upTo(2*w.patience), c.act)
	n := w.running()
	if n == nil {
		return
	}
	var h *hold
	if len(c.mine) > 0 {
		h = c.mine[w.rng.IntN(len(c.mine))]
	}
	switch {
	case h != nil && h.asked != nil && !h.asked.gone: // one thing at a time
	case h != nil && (w.calm || w.chance(0.2)):
		c.release(n, h)
	case h != nil && w.chance(0.5):
		c.extend(n, h)
	case h != nil && w.chance(0.2):
		c.handOver(n, h)
	case w.chance(0.2) && c.names > 1:
		c.acquire(n, lockName(0), lockName(1))
	case w.chance(0.1):
		c.look(n, lockName(w.rng.IntN(c.names)))
	default:
		c.acquire(n, lockName(w.rng.IntN(c.names)))
	}
}

// drop forgets the holds that are over.
func (c *simClient) drop() {
	kept := c.mine[:0]
	for _, h := range c.mine {
		if h.until > c.w.now {
			kept = append(kept, h)
		}
	}
	c.mine = kept
}

func (c *simClient) token() string {
	c.tokens++
	if len(c.w.nodes) == 1 && c.w.chance(0.1) {
		// Some clients always use the same. A request that a paused proxy carries
		// out late is then taken for one of the next hold: those clients are lost.
		return "1"
	}
	return fmt.Sprintf("c%d.%d", c.id, c.tokens)
}

func (c *simClient) ttl() time.Duration {
	return 5*time.Millisecond + c.w.upTo(c.w.cfg.MaxTTL-5*time.Millisecond)
}

func (c *simClient) submit(n *simNode, op *Op) {
	w := c.w
	n.open++
	proxy := n.proxy
	if w.chance(0.1) { // as a script does: it takes its time to decide
		op.Start = func(v *View) {
			w.after(w.upTo(30*time.Millisecond), func() {
				proxy.step(func(core *Core) { core.Resume(w.now, op, op.Decide(v)) })
			})
		}
	}
	proxy.step(func(core *Core) { core.Submit(w.now, op) })
	if w.chance(0.05) {
		w.after(w.upTo(20*time.Millisecond), func() {
			proxy.step(func(core *Core) { core.Cancel(op) })
		})
		op.Done = func(Result) {} // nobody is there to hear it
	}
}

// acquire asks for all of the names at once, as SET NX does for one.
func (c *simClient) acquire(n *simNode, names ...string) {
	w, sent, ttl, token := c.w, c.w.now, c.ttl(), c.token()
	c.submit(n, &Op{Names: names, Decide: func(v *View) Plan {
		var plan Plan
		for _, name := range names {
			lease, _ := v.Lease(name)
			if lease != nil {
				return Plan{}
			}
			plan.Parts = append(plan.Parts, Part{Name: name, Value: []byte(token), TTL: ttl})
		}
		plan.Anew = w.anew
		return plan
	}, Done: func(r Result) {
		switch r.Outcome {
		case Changed:
			if len(names) > 1 {
				w.stats.pairs++
			}
			for i, name := range names {
				w.stats.granted++
				c.granted(name, token, sent.Add(ttl), r.Leases[i], r.Validity)
			}
			if r.Validity <= 0 {
				w.fail("client %d got %v with no validity left: %v", c.id, names, r.Validity)
			}
		case Failed:
			w.stats.failed++
			w.note("client %d is not given %v: %v", c.id, names, r.Err)
		default:
			w.stats.held++
		}
	}})
}

// look reads two locks, the second of which it did not name at first, as a
// script does that makes its keys up. It is never shown a lease that is over.
func (c *simClient) look(n *simNode, name string) {
	w, other := c.w, lockName(c.w.rng.IntN(c.names))
	c.submit(n, &Op{Names: []string{name}, Reads: true, Decide: func(v *View) Plan {
		for _, n := range []string{name, other} {
			lease, ok := v.Lease(n)
			if !ok {
				return Plan{More: []string{n}}
			}
			if lease != nil && !lease.Live(v.Now) {
				w.fail("client %d is shown %s, which ended %v ago", c.id, n, v.Now.Sub(lease.Until))
			}
		}
		return Plan{}
	}, Done: func(Result) {}})
}

// granted notes a new hold, and looks whether anybody else believes in one.
func (c *simClient) granted(name, token string, until Time, lease *Lease, validity time.Duration) {
	w := c.w
	w.note("client %d holds %s as %s, fence %v, until %v", c.id, name, token, lease.Fence.Count(), until)
	for _, h := range w.holds[name] {
		if h.until > w.now {
			w.fail("%s is held twice: by client %d as %s since %v until %v, now %v by client %d as %s",
				name, h.client, h.token, h.from, h.until, w.now, c.id, token)
		}
	}
	if d := w.direct[name]; d != nil && d.until > w.now && validity > 0 {
		w.fail("%s is held by client %d, who locks directly, as %s until %v, and now by client %d as %s", name, d.client, d.token, d.until, c.id, token)
	}
	if last := w.fences[name]; lease.Fence <= last {
		w.fail("the fencing token of %s went from %v to %v", name, last, lease.Fence)
	}
	w.fences[name] = lease.Fence
	h := &hold{client: c.id, token: token, name: name, from: w.now, until: until, valid: w.now.Add(validity)}
	if m, ok := w.mistaken[lease.Fence]; ok {
		h.until, h.valid = min(h.until, m), min(h.valid, m)
	}
	w.holds[name] = append(w.holds[name][:0:0], h)
	c.mine = append(c.mine, h)
	if w.chance(0.3) { // it notices in the last moment
		w.after(max(until.Sub(w.now)-w.upTo(20*time.Millisecond), 0), func() {
			if n := w.running(); n != nil && (h.asked == nil || h.asked.gone) && h.until > w.now {
				c.extend(n, h)
			}
		})
	}
	if w.chance(0.05) {
		w.after(w.upTo(time.Millisecond), w.fault)
	}
}

// extend asks for a later end, as compare-and-pexpire does.
func (c *simClient) extend(n *simNode, h *hold) {
	w, sent, ttl := c.w, c.w.now, c.ttl()
	h.asked = n.proxy
	h.until = min(h.until, sent.Add(ttl)) // it may come true without a reply
	h.valid = min(h.valid, sent.Add(ttl))
	c.submit(n, &Op{Names: []string{h.name}, Decide: func(v *View) Plan {
		lease, _ := v.Lease(h.name)
		if lease == nil || string(lease.Value) != h.token {
			return Plan{}
		}
		w.mistake(h, lease, w.now.Add(ttl))
		return Plan{Parts: []Part{{Prev: lease, Name: h.name, Value: lease.Value, TTL: ttl, Renew: true}}, Anew: w.anew}
	}, Done: func(r Result) {
		h.asked = nil
		if *simSeed != 0 {
			w.note("    client %d asked proxy %d at %v to extend %s by %v: %v %v", c.id, n.id, sent, h.name, ttl, r.Outcome, r.Err)
		}
		if h.until <= w.now && r.Outcome == Changed && !w.alone(h) && h.token != "1" {
			w.fail("client %d extended %s, which somebody else holds", c.id, h.name)
		}
		late := h.until <= w.now && len(w.nodes) == 1 && h.token != "1" && sent.Add(ttl) > w.now
		if r.Outcome == Changed && late { // it was just not over yet where it is kept
			h.until = sent.Add(ttl)
			c.mine = append(slices.DeleteFunc(c.mine, func(m *hold) bool { return m == h }), h)
		}
		switch {
		case r.Outcome == Changed && h.until > w.now:
			w.stats.extended++
			w.note("client %d extends %s by %v", c.id, h.name, ttl)
			h.until, h.valid = sent.Add(ttl), w.now.Add(r.Validity)
			if w.chance(0.1) {
				w.after(w.upTo(time.Millisecond), w.fault)
			}
		case r.Outcome == Unchanged && h.until > w.now && h.token != "1" && !h.doubt && n.listed():
			w.fail("client %d holds %s until %v, and was told otherwise", c.id, h.name, h.until)
		}
	}})
}

// alone reports whether nobody but h believes that it holds h's lock.
func (w *world) alone(h *hold) bool {
	for _, other := range w.holds[h.name] {
		if other != h && other.until > w.now {
			return false
		}
	}
	return true
}

// mistake is about a request for h that comes late: where several clients use one
// token it may be done to another's hold, which then lasts until then at the most; to
// one, too, that whoever asked for it is just about to hear of.
func (w *world) mistake(h *hold, lease *Lease, until Time) {
	if m, ok := w.mistaken[lease.Fence]; !ok || until < m {
		w.mistaken[lease.Fence] = until
	}
	for _, other := range w.holds[h.name] {
		if other != h && other.token == h.token {
			other.until = min(other.until, until)
			other.valid = min(other.valid, until)
		}
	}
}

// handOver gives the lock to another token, as SET IFEQ does.
func (c *simClient) handOver(n *simNode, h *hold) {
	w, sent, ttl, token := c.w, c.w.now, c.ttl(), c.token()
	before := h.until
	h.asked = n.proxy
	h.until = w.now // whatever comes of it, it does not act on it any more
	c.submit(n, &Op{Names: []string{h.name}, Decide: func(v *View) Plan {
		lease, _ := v.Lease(h.name)
		if lease == nil || string(lease.Value) != h.token {
			return Plan{}
		}
		w.mistake(h, lease, w.now)
		return Plan{Parts: []Part{{Prev: lease, Name: h.name, Value: []byte(token), TTL: ttl}}, Anew: w.anew}
	}, Done: func(r Result) {
		h.asked = nil
		switch {
		case r.Outcome == Changed:
			c.granted(h.name, token, sent.Add(ttl), r.Leases[0], r.Validity)
		case before > w.now && w.alone(h):
			h.until = before           // it is still the holder
			h.doubt = len(w.nodes) > 1 // but a peer may see the new token until that is undone
			c.mine = append(c.mine, h)
		}
	}})
}

// release lets go, as compare-and-delete does.
func (c *simClient) release(n *simNode, h *hold) {
	w := c.w
	w.note("client %d lets %s go", c.id, h.name)
	until := h.until
	h.until = w.now
	c.drop()
	c.submit(n, &Op{Names: []string{h.name}, Decide: func(v *View) Plan {
		lease, _ := v.Lease(h.name)
		if lease == nil || string(lease.Value) != h.token {
			return Plan{}
		}
		w.mistake(h, lease, w.now)
		return Plan{Parts: []Part{{Prev: lease, Name: h.name, Drop: true}}}
	}, Done: func(r Result) {
		switch {
		case r.Outcome == Changed:
			w.stats.released++
		case (r.Outcome == Unchanged || r.Outcome == Held) && until > w.now && h.token != "1" && !h.doubt && n.listed():
			w.fail("client %d lets %s go, which it holds until %v, and was told that it does not", c.id, h.name, until)
		}
	}})
}

// A simStranger locks directly in the stores, as Redlock does: against it the
// promise is Redlock's own. It is about only where no store forgets.
type simStranger struct {
	w      *world
	id     int
	names  int
	tokens int
	mine   *hold
}

func (d *simStranger) act() {
	w := d.w
	if w.calm {
		return
	}
	defer w.after(time.Millisecond+w.upTo(time.Second), d.act)
	if d.mine != nil {
		if w.chance(0.5) || d.mine.until <= w.now {
			d.mine.until = min(d.mine.until, w.now)
			d.takeOut(d.mine.name, d.mine.token)
			d.mine = nil
		}
		return
	}
	d.tokens++
	d.acquire(lockName(w.rng.IntN(d.names)), fmt.Sprintf("d%d.%d", d.id, d.tokens), 20*time.Millisecond+w.upTo(w.cfg.MaxTTL/2))
}

func (d *simStranger) acquire(name, token string, ttl time.Duration) {
	w, sent, granted, answered := d.w, d.w.now, 0, 0
	for _, s := range w.stores {
		w.after(w.upTo(10*time.Millisecond), func() {
			vote := Vote{}
			if !s.dead {
				vote = s.do(w.now, Request{Name: name, Next: &Copy{Value: []byte(token)}, TTL: ttl})
			}
			w.after(w.upTo(10*time.Millisecond), func() {
				answered++
				if vote.Verdict == Granted {
					granted++
				}
				if answered == len(w.stores) {
					d.count(name, token, granted, Validity(ttl, w.now.Sub(sent)))
				}
			})
		})
	}
}

func (d *simStranger) count(name, token string, granted int, validity time.Duration) {
	w := d.w
	if granted < w.cfg.Need || validity <= 0 {
		d.takeOut(name, token)
		return
	}
	w.stats.direct++
	w.note("client %d holds %s directly as %s until %v", d.id, name, token, w.now.Add(validity))
	for _, h := range w.holds[name] {
		if h.valid > w.now && h.until > w.now {
			w.fail("%s is held by client %d as %s until %v, and now by client %d, who locks directly", name, h.client, h.token, h.valid, d.id)
		}
	}
	if other := w.direct[name]; other != nil && other.until > w.now {
		w.fail("%s is held directly by %d and %d: the simulated stores are at fault", name, other.client, d.id)
	}
	d.mine = &hold{client: d.id, token: token, name: name, from: w.now, until: w.now.Add(validity)}
	w.direct[name] = d.mine
}

func (d *simStranger) takeOut(name, token string) {
	for _, s := range d.w.stores {
		d.w.after(d.w.upTo(10*time.Millisecond), func() {
			if !s.dead {
				s.do(d.w.now, Request{Name: name, Prev: &Copy{Value: []byte(token)}})
			}
		})
	}
}
