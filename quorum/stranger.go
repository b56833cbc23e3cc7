package quorum

import (
	"fmt"
	"maps"
	"slices"
)

// estrange looks for those who must not share this store with us.
func (c *Core) estrange(now Time, store int, sigs map[string]Signature) {
	w := &c.stores[store]
	was := w.strange
	w.strange = ""
	if c.breaks&breakStrangers == 0 {
		w.strange = c.difference(now, store, sigs)
	}
	if w.strange == was {
		return
	}
	if w.strange != "" {
		c.event("peer.stranger", store, "", "%s; nothing is served until that is put right", w.strange)
	}
	c.refuse(now)
}

// difference says who signed this book and must not have, "" if nobody did.
//
// Rule 9: a signature that is not on our list of peers, a peer that does not list
// us, another configuration, one instance twice: whoever is right, two groups
// that count votes differently would grant one lock twice.
func (c *Core) difference(now Time, store int, sigs map[string]Signature) string {
	w := &c.stores[store]
	instances := map[string]string{c.cfg.Instance: c.cfg.ID}
	for _, id := range sortedIDs(sigs) {
		s := sigs[id]
		if s.Phase == Signed && !w.current(s) {
			continue // rule 6: it is no signature; whoever lives signs again
		}
		if id == c.cfg.ID {
			if why := c.impostor(now, w, s); why != "" {
				return why
			}
			continue
		}
		at := slices.Index(c.cfg.Peers, id)
		if s.Phase == Moved && at >= 0 && s.Config != c.cfg.Print {
			return fmt.Sprintf("peer %q moved to %s, and we have %s", id, s.Config, c.cfg.Print)
		}
		if s.Phase != Signed {
			continue
		}
		switch other := instances[s.Instance]; {
		case at < 0:
			return fmt.Sprintf("proxy %q (instance %s, %s) signed its book and is not among our peers %q", id, s.Instance, s.Config, c.cfg.Peers)
		case other != "":
			return fmt.Sprintf("proxies %q and %q are the same instance %s: is a data folder copied?", other, id, s.Instance)
		case c.peers[at].forgotten && c.peers[at].instance == s.Instance:
			return fmt.Sprintf("peer %q signed its book and was declared forgotten", id)
		case s.Config != c.cfg.Print:
			return fmt.Sprintf("peer %q has %s, and we have %s", id, s.Config, c.cfg.Print)
		case !c.sameGroup(id, s.Peers):
			return fmt.Sprintf("peer %q has the peers %q, and we are %q with %q", id, s.Peers, c.cfg.ID, c.cfg.Peers)
		}
		instances[s.Instance] = id
	}
	return ""
}

// impostor says whether somebody else signs under our id.
func (c *Core) impostor(now Time, w *witness, s Signature) string {
	switch {
	case s.Phase == Forgotten && s.Instance == c.cfg.Instance:
		return fmt.Sprintf("an operator declared this proxy, %q, forgotten: it can come back with --new and an empty data folder", c.cfg.ID)
	case s.Phase == Signed && s.Instance != c.cfg.Instance:
		// It may be what is left of a proxy that lost its journal: see rule 7. But
		// what moves is alive.
		was := w.twin
		if w.twin = fmt.Sprint(s.Instance, s.Beat); was != "" && was != w.twin {
			w.twinAt = now
		}
		if w.twinAt != 0 && now.Sub(w.twinAt) < 5*beatEvery {
			return fmt.Sprintf("another proxy, instance %s, lives under our id %q", s.Instance, c.cfg.ID)
		}
	case s.Phase != Forgotten && s.Phase != Moved && s.Instance == c.cfg.Instance && w.current(s) && !slices.Contains(w.mine, s.Nonce) &&
		len(w.lapses) == lapsesMost && now.Sub(w.lapses[0]) < lapsesMost*2*beatEvery:
		return fmt.Sprintf("somebody signs its book as instance %s too, again and again: is a data folder copied?", s.Instance)
	}
	return ""
}

func sortedIDs(sigs map[string]Signature) []string { return slices.Sorted(maps.Keys(sigs)) }

// sameGroup reports whether a peer with those peers is in our group. One that
// was declared forgotten may be on either's list or not.
func (c *Core) sameGroup(id string, peers []string) bool {
	group := map[string]bool{}
	for _, p := range c.peers {
		if !p.forgotten {
			group[p.id] = true
		}
	}
	group[c.cfg.ID] = true
	count := 0
	for _, p := range append(slices.Clone(peers), id) {
		i := slices.Index(c.cfg.Peers, p)
		if i >= 0 && c.peers[i].forgotten {
			continue
		}
		if !group[p] {
			return false
		}
		count++
	}
	return count == len(group)
}

// refuse serves nothing while any book shows a stranger, and withdraws our own
// signatures: nobody may take them for a promise.
func (c *Core) refuse(now Time) {
	c.refused = nil
	for i := range c.stores {
		if w := &c.stores[i]; w.strange != "" {
			c.refused = fmt.Errorf("%s: %s: %w", c.cfg.Names[i], w.strange, ErrStranger)
			break
		}
	}
	for i := range c.stores {
		w := &c.stores[i]
		if c.refused != nil {
			c.unwhole(now, i, "a stranger signed a book")
			c.void(now, i)
		} else if w.phase != "" && c.struck {
			c.lapse(now, i, "store.unsigned", "our signature was withdrawn; we sign again")
		}
		w.writeAt = now
	}
	c.struck = c.refused != nil
}
