package quorum

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// This file keeps what a signature leaves out. A store that forgot has to get every
// lease back before it is signed, and some can't be put there: somebody else's copy
// is in the way, or nobody knows which of two leases is the one that was granted.
// That lasts until the lease is over, and the store would have no vote as long, on
// any lock. So the signer says of which locks its signature says nothing: for those,
// and no others, the store has no word.

// maxOwed is how many leases a signature leaves out at most: every proxy reads
// every line of a book behind each batch. Where there are more it waits.
const maxOwed = 64

// stick notes that a lease can't be put into a store for now.
func (c *Core) stick(store int, s *slot) {
	if s.owed>>store&1 == 0 {
		return
	}
	w := &c.stores[store]
	if w.stuck == nil {
		w.stuck = map[*slot]bool{}
	}
	w.stuck[s] = true
}

// owe notes which leases must be in the store before we sign its book: those of
// now. One granted later has a quorum without this store, or with a vote that it
// gave after it was signed.
func (c *Core) owe(store int) {
	bit := storeSet(1) << store
	c.stores[store].owing, c.stores[store].stuck = 0, nil
	for _, s := range c.leases {
		s.has &^= bit
		c.miss(store, s)
		if !s.adopted { // else the peer who made it puts it back before it signs
			s.owed |= bit
			c.stores[store].owing++
		}
	}
}

// paid notes that stores need not get the lease of s any more.
func (c *Core) paid(s *slot, stores storeSet) {
	for i := 0; s.owed&stores != 0 && i < len(c.stores); i++ {
		if bit := storeSet(1) << i; s.owed&stores&bit != 0 {
			w := &c.stores[i]
			s.owed &^= bit
			w.owing--
			if w.stuck[s] {
				delete(w.stuck, s)
				w.overstated, w.writeAt = true, 0
			}
		}
	}
}

// oweStill has stores owed what s has now in the place of what they were owed, which
// nobody knows to be over.
func (c *Core) oweStill(s *slot, stores storeSet) {
	for i := range c.stores {
		if bit := storeSet(1) << i; stores&bit != 0 {
			s.owed |= bit
			c.stores[i].owing++
			c.stick(i, s)
		}
	}
}

// mayLeaveOut reports whether all that is still owed to a store can be left out of
// its signature.
func (w *witness) mayLeaveOut() bool { return w.owing == len(w.stuck) && w.owing <= maxOwed }

// owed returns the buckets of what a store's signature leaves out.
func (w *witness) owed() []int {
	buckets := make([]int, 0, len(w.stuck))
	for s := range w.stuck {
		buckets = append(buckets, Bucket(s.name))
	}
	slices.Sort(buckets)
	return slices.Compact(buckets)
}

// except names some of the leases that a store's signature leaves out.
func (w *witness) except() string {
	names := make([]string, 0, len(w.stuck))
	for s := range w.stuck {
		names = append(names, fmt.Sprintf("%q", s.name))
	}
	slices.Sort(names)
	if len(names) > 3 {
		names = append(names[:3], "...")
	}
	return strings.Join(names, ", ")
}

// gaps says on which locks a store that votes has no word, "" if there are none.
func (w *witness) gaps() string {
	var gaps []string
	if n := len(w.stuck); n > 0 {
		gaps = append(gaps, fmt.Sprintf("on %d of our locks (%s)", n, w.except()))
	}
	if n := len(w.silent); n > 0 {
		gaps = append(gaps, fmt.Sprintf("for peers on %d of %d buckets of locks", n, Buckets))
	}
	if gaps == nil {
		return ""
	}
	return "it forgot, and has no word " + strings.Join(gaps, ", and ")
}

// owes reports whether we look after a lease in a store for which nobody takes that
// store's word: we have not signed it yet, or left that lease out.
func (c *Core) owes(store int, s *slot) bool {
	return c.peered() && (c.stores[store].phase == Pending || s.owed>>store&1 == 1)
}

// forgotNothing reports whether a store has forgotten nothing of a lock since a
// signature of ours that spoke of it, made before we were restarted.
func (c *Core) forgotNothing(store int, name string) bool {
	w := &c.stores[store]
	return w.kept && !slices.Contains(w.left, Bucket(name))
}

// hush notes of which locks the peers' signatures in a store say nothing, and
// returns when to look again.
func (c *Core) hush(now Time, store int, sigs map[string]Signature) (again Time) {
	w := &c.stores[store]
	again = now.Add(time.Hour)
	var silent map[int]string
	for i := range c.peers {
		p := &c.peers[i]
		// What a peer leaves out is over at some time, though it is dead and can't say so.
		dead := c.over(p)
		s := sigs[p.id]
		if len(s.Owed) == 0 || s.Phase != Signed || now > dead && c.mayBeDead(p) {
			continue
		}
		again = min(again, dead)
		if silent == nil {
			silent = map[int]string{}
		}
		for _, bucket := range s.Owed {
			silent[bucket] = p.id
		}
	}
	if maps.Equal(silent, w.silent) {
		return again
	}
	grown := false
	for bucket := range silent {
		_, was := w.silent[bucket]
		grown = grown || !was
	}
	w.silent = silent
	if grown && w.whole {
		w.unwholes++
		c.void(now, store)
	}
	return again
}

// wordless returns why a store's word on a lock does not count, "" if it does.
func (c *Core) wordless(store int, name string) string {
	w := &c.stores[store]
	if !c.counts(store) {
		return w.waits
	}
	if !c.peered() || c.breaks&breakOwed != 0 {
		return ""
	}
	if s := c.slots[name]; s != nil && s.owed>>store&1 == 1 {
		return "it forgot this lock, and so far nobody knows who holds it"
	}
	if len(w.silent) > 0 {
		if id, ok := w.silent[Bucket(name)]; ok {
			return fmt.Sprintf("it forgot this lock or one of the same bucket, and so far peer %s does not know who holds that", id)
		}
	}
	return ""
}
