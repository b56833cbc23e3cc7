package quorum

import (
	"fmt"
	"strings"
	"time"
)

// mustWait reports whether rule 7 forbids to sign yet, and notes why.
//
// Rule 7: a proxy whose journal is empty does not know what it granted. It is new
// only if no book, and no peer's signature, has seen its id under another
// instance. If one has, or too few books can be read to tell, it waits until all
// that it may have granted has ended.
func (c *Core) mustWait(now Time) bool {
	if !c.fresh || !c.mayHaveGranted(now) {
		return false
	}
	read, trace, pardon := c.traces()
	enough := len(c.stores) - c.cfg.Need + 1
	why := ""
	switch {
	case pardon:
		c.young, c.waiting = false, "" // our own line, which says so, is written over next
		return false
	case trace == "" && read >= enough:
		c.waiting = ""
		return false
	case trace != "":
		why = c.waitOut(now, trace)
	default:
		why = fmt.Sprintf("the journal is new, and %d of %d books could be read, need %d to tell whether the id is", read, len(c.stores), enough)
	}
	if why != c.waiting {
		c.event("proxy.waits", -1, "", "%s", why)
		c.waiting = why
	}
	for i := range c.stores {
		c.stores[i].waits = why
	}
	return true
}

// mustHear reports whether rule 7 forbids to turn our pending line into the first
// signature of this journal: every peer must have been heard, since any of them
// may know our id although the books do not.
func (c *Core) mustHear(now Time) bool {
	if !c.young || !c.mayHaveGranted(now) {
		return false
	}
	_, trace, pardon := c.traces()
	if pardon {
		c.young, c.waiting = false, ""
		return false
	}
	why := ""
	for i := range c.peers {
		if p := &c.peers[i]; !p.heard && !p.forgotten {
			why = fmt.Sprintf("the journal is new, and peer %s was not heard yet, which may know us", p.id)
		}
	}
	if trace != "" {
		why = c.waitOut(now, trace)
	}
	if why != "" && why != c.waiting {
		c.event("proxy.waits", -1, "", "%s", why)
	}
	c.waiting = why
	for i := range c.stores {
		if why != "" && !c.stores[i].whole {
			c.stores[i].waits = why
		}
	}
	return why != ""
}

// mayHaveGranted reports whether leases may live that an earlier proxy of our id
// granted, and that our journal does not know.
func (c *Core) mayHaveGranted(now Time) bool {
	return c.young && !c.cfg.New && c.breaks&breakFresh == 0 && now <= c.started.Add(c.outwait())
}

func (c *Core) waitOut(now Time, trace string) string {
	return fmt.Sprintf("the journal is new, but %s: what that granted ends within %v; say --new if its journal is lost and nobody holds by it",
		trace, c.started.Add(c.outwait()).Sub(now).Round(time.Second))
}

// traces looks for an earlier proxy of our id in all books that were read. It is
// pardoned if an operator declared it forgotten: somebody has waited for us.
//
// What was seen once counts, whatever has become of the book since.
func (c *Core) traces() (read int, trace string, pardon bool) {
	defer func() { c.trace = trace }()
	trace = c.trace
	for i := range c.stores {
		w := &c.stores[i]
		if !w.read {
			continue
		}
		read++
		for _, id := range sortedIDs(w.sigs) {
			s := w.sigs[id]
			if id == c.cfg.ID && s.Phase == Forgotten {
				return read, "", true
			}
			if id == c.cfg.ID && s.Instance != c.cfg.Instance {
				trace = fmt.Sprintf("the book of %s knows %q as instance %s", c.cfg.Names[i], id, s.Instance)
			} else if was := traceOf(s.Seen, c.cfg.ID, c.cfg.Instance); was != "" {
				trace = fmt.Sprintf("peer %s knows %q as instance %s", id, c.cfg.ID, was)
			}
		}
	}
	return read, trace, false
}

// enlist notes that this journal signs books.
func (c *Core) enlist() {
	if !c.fresh {
		return
	}
	c.waiting = ""
	c.record(false, c.cfg.ID, c.cfg.Instance)
}

// traceOf returns the other instance that an id was seen with, "" if there is none.
// What was declared forgotten is none.
func traceOf(seen []string, id, instance string) (other string) {
	for _, text := range seen {
		forgotten := strings.HasPrefix(text, "-")
		who, what, _ := cutSeen(text)
		switch {
		case who != id || what == instance:
		case forgotten:
			other = ""
		default:
			other = what
		}
	}
	return other
}
