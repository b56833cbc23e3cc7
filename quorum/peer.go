package quorum

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// A glimpse is what we saw of one peer in one store's book.
type glimpse struct {
	nonce string
	beat  uint64
	moves int
	// sure: it looked after the store's clock while we did. A jump before we came
	// is noticed by whoever was there with its next request, and two of those
	// have come since.
	sure bool
}

// A peer is what is known of another proxy.
type peer struct {
	id        string
	known     bool // our journal or some store has seen it
	instance  string
	heard     bool // a line of its was read since we started
	forgotten bool // an operator says that it will not come back, and holds nothing
	moved     Time // when its beat was last seen to move
}

// meet fills in what the journal knows of proxies.
func (c *Core) meet(seen []string, now Time) {
	c.started, c.fresh = now, true
	for _, id := range c.cfg.Peers {
		c.peers = append(c.peers, peer{id: id, moved: now})
	}
	for _, text := range seen {
		c.remember(text)
	}
	c.young = c.fresh
	for i := range c.stores {
		c.stores[i].peers = make([]glimpse, len(c.peers))
	}
}

// remember takes up a line of [History].Seen.
func (c *Core) remember(text string) {
	c.seen = append(c.seen, text)
	id, instance, config := cutSeen(text)
	if id == c.cfg.ID && instance == c.cfg.Instance {
		c.fresh = false
	}
	for i := range c.peers {
		if p := &c.peers[i]; p.id == id {
			p.instance, p.forgotten = instance, strings.HasPrefix(text, "-")
			p.known = config == c.config()
		}
	}
}

// record remembers a proxy, and has the journal do so.
func (c *Core) record(forgotten bool, id, instance string) {
	text := id + "=" + instance + "@" + c.config()
	if forgotten {
		text = "-" + text
	}
	if c.latest(id) != text {
		c.remember(text)
		c.write(Record{Seen: text}, true, nil)
	}
}

// latest returns the last that was recorded of a proxy.
func (c *Core) latest(id string) (text string) {
	for _, t := range c.seen {
		if other, _, _ := cutSeen(t); other == id {
			text = t
		}
	}
	return text
}

// config is a short name of our configuration. A peer that was seen under another
// one may be there still.
func (c *Core) config() string {
	h := fnv.New32a()
	h.Write([]byte(c.cfg.Print))
	return fmt.Sprintf("%08x", h.Sum32())
}

// cutSeen takes a line of [History].Seen apart.
func cutSeen(text string) (id, instance, config string) {
	id, rest, _ := strings.Cut(strings.TrimPrefix(text, "-"), "=")
	instance, config, _ = strings.Cut(rest, "@")
	return id, instance, config
}

// greet has our beat move sooner for a while: whoever just came believes in our
// signature once it has.
func (c *Core) greet(now Time, w *witness) {
	w.eager = beatsBelieve + 1
	if w.phase == Signed {
		w.writeAt = min(w.writeAt, now.Add(eagerEvery))
	}
}

// over returns when all that a peer granted has ended, if its beat stands still from
// now on. One that lives and does not sign in some store sees another server or network
// than we do, and is heard elsewhere.
func (c *Core) over(p *peer) Time { return p.moved.Add(c.silence()) }

// mayBeDead reports whether a peer that is over may be taken for dead: each store that
// can be reached was asked since. What is read first may be old, the answer lay there
// while we did not run.
func (c *Core) mayBeDead(p *peer) bool {
	for i := range c.stores {
		if w := &c.stores[i]; w.incarnation != "" && !w.down && w.asked <= c.over(p) {
			return false
		}
	}
	return true
}

// lives takes note that a peer was seen to do something since its line was last read. That
// may have been long ago, and what it granted then lasts as long as if it was now.
func (c *Core) lives(now Time, p *peer) {
	if now > c.over(p) {
		for i := range c.stores {
			c.stores[i].lookAt = 0 // it was taken for dead
		}
	}
	p.moved = now
}

// glimpse takes what a reading says of the peers.
func (c *Core) glimpse(now Time, store int, sigs map[string]Signature) {
	w := &c.stores[store]
	for i := range c.peers {
		p, g := &c.peers[i], &w.peers[i]
		s, ok := sigs[p.id]
		if !ok {
			continue
		}
		if s.Phase == Forgotten {
			if !p.forgotten || p.instance != s.Instance {
				c.record(true, p.id, s.Instance)
				c.event("peer.forgotten", store, "", "%s: an operator says that it will not come back", p.id)
			}
			continue
		}
		if !w.current(s) {
			continue
		}
		p.heard = true
		if (!p.known || p.instance != s.Instance) && s.Config == c.cfg.Print {
			c.record(false, p.id, s.Instance)
		}
		moved := true
		switch {
		case g.nonce == "":
			c.greet(now, w)
		case g.nonce != s.Nonce:
			g.sure = true
			c.greet(now, w)
		case g.beat != s.Beat:
			if g.moves++; g.moves >= beatsBelieve {
				g.sure = true
			}
		default:
			moved = false
		}
		g.nonce, g.beat = s.Nonce, s.Beat
		if moved {
			c.lives(now, p)
		}
	}
	if c.breaks&breakMarks == 0 {
		highest := Number(0)
		for id, s := range sigs {
			// Rule 8: above every high-water mark that can be read; and above what a
			// proxy whose journal is lost may have used since it last wrote its own.
			mark := s.Mark
			if id == c.cfg.ID && s.Instance != c.cfg.Instance {
				mark = Above(mark)
			}
			highest = max(highest, mark)
		}
		c.learn(now, highest)
	}
}
