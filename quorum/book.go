package quorum

import (
	"fmt"
	"maps"
	"time"
)

// This file keeps the stores' books: it finds out which store has forgotten, puts
// our signature there once every lease is back, or left out, and says whose votes count. The
// rules are numbered; a test that leaves each one out is in the simulation.
//
// Two proxies that share no memory can only exclude each other through stores
// that both ask. Such a store must know of every live lease that ever counted its
// vote. It does from the vote on, until it forgets; and then again once everybody
// has put back what is theirs. The book is how each proxy learns which of the two
// is so: a signature says "all of mine are here", and a store that forgets leases
// forgets the signatures with them.

const (
	beatEvery    = time.Second           // our line in each book is renewed
	signAgain    = 20 * time.Millisecond // after a line was refused or lost
	beatsBelieve = 2                     // see glimpse
)

// A leaf is what a store's book says, and what is to be written there.
type leaf struct {
	book       Book                 // as last read
	sigs       map[string]Signature // what it says
	landed     Time                 // when its last reading came, or failed
	asked      Time                 // that was asked for after this
	line       string               // ours in it, "" if there is none
	phase      Phase                // of our signature of this epoch; "" before that
	nonce      string               // of this epoch
	signed     Time                 // when the signature was first seen to stand
	writing    bool                 // a line of ours is under way
	writeAt    Time                 // when to write the next one
	torn       bool                 // the book is not to be believed any more, and must go
	owing      int                  // leases that must be in the store before we sign, see slot.owed
	stuck      map[*slot]bool       // those of them that can't be put there for now
	overstated bool                 // our line there leaves out more than it need, and others wait for that
	left       []int                // while kept: the buckets of the leases that our signature before left out
	silent     map[int]string       // the buckets of locks on which its word does not count, and the peer who says so
	kept       bool                 // while we do: our signature before that stands, so it has forgotten nothing
	whole      bool                 // rule 5
	unwholes   uint                 // how often it was found not to be, any more
	waits      string               // if not whole: what for
	lookAt     Time                 // when to look anew whether it is whole, though the book is the same
	strange    string               // the difference that forbids to serve, "" if there is none
	read       bool                 // it was read in this life of the proxy
	met        Time                 // when it was first read
	clock      *ClockReading        // of the store, as last read; nil: it has none that can be set
	peekAt     Time                 // when to read it again if nothing else does
	once       bool                 // our signature has stood there in this life of the proxy
	peers      []glimpse
	lapses     []Time   // the latest
	fell       Time     // when it was last found not to be whole, or we came
	beats      uint64   // of our lines in it
	eager      int      // how many of the next come sooner
	twin       string   // what somebody else has under our id
	twinAt     Time     // when that was last seen to move
	mine       []string // the nonces of this life of the proxy, the latest of them
}

// signs reports whether there are books at all; peered whether others sign them too.
func (c *Core) signs() bool  { return c.cfg.ID != "" }
func (c *Core) peered() bool { return len(c.cfg.Peers) > 0 }

// Answered takes the answers of a batch to one store, the last of which is a
// reading of its book; nil without books.
func (c *Core) Answered(now Time, store int, asks []*Ask, votes []Vote, reading *Vote) {
	if w := &c.stores[store]; reading != nil {
		w.asked, w.landed = w.landed, now // one batch is under way at a time
	}
	switch {
	case reading == nil:
	case reading.Verdict == Granted:
		c.stores[store].clock = reading.Clock
		c.opened(now, store, reading.Book)
	case c.breaks&breakUnread == 0:
		// Rule 1: a vote counts only if its batch ended with a reading of the book.
		// Without one, the store may have forgotten the vote as soon as it was given.
		for i := range votes {
			if votes[i].Verdict != Silent {
				votes[i] = Vote{Err: fmt.Errorf("its book could not be read: %w", reading.Err)}
			}
		}
	}
	for i, ask := range asks {
		c.Voted(now, ask, votes[i])
	}
}

// opened takes a reading of a store's book.
func (c *Core) opened(now Time, store int, book Book) {
	w := &c.stores[store]
	w.peekAt = now.Add(c.peek(now, w))
	if w.read && w.phase != "" && maps.Equal(book, w.book) {
		if now >= w.lookAt {
			c.weigh(now, store, c.parse(store, book))
		}
		return
	}
	if !w.read {
		w.read, w.met = true, now
	}
	sigs := c.parse(store, book)
	c.ours(now, store, book[c.cfg.ID], sigs[c.cfg.ID])
	c.glimpse(now, store, sigs)
	c.estrange(now, store, sigs)
	c.weigh(now, store, sigs)
}

func (c *Core) parse(store int, book Book) map[string]Signature {
	w := &c.stores[store]
	sigs := make(map[string]Signature, len(book))
	for id, line := range book {
		s, ok := w.sigs[id]
		if !ok || line != w.book[id] { // most lines are as they were
			var err error
			if s, err = ParseSignature(line); err != nil {
				c.event("store.book", store, "", "under %q: %v", id, err)
				continue
			}
		}
		sigs[id] = s
	}
	w.sigs, w.book = sigs, book
	return sigs
}

// ours looks at our own line.
func (c *Core) ours(now Time, store int, line string, s Signature) {
	w := &c.stores[store]
	w.line = line
	signed := s.Phase == Signed && s.Nonce == w.nonce
	w.once = w.once || signed || s.Phase == Signed && s.Next == w.nonce
	switch {
	case w.phase == "" && w.writing && (s.Phase == Pending && s.Nonce == w.nonce || s.Next == w.nonce):
		w.phase, w.kept, w.left = Pending, s.Next == w.nonce, s.Owed
		c.owe(store)
	case w.phase == Pending && signed:
		w.phase, w.signed = Signed, now
		if n := len(w.stuck); n > 0 {
			c.event("store.signed", store, "", "every lease of ours is there but %d, of which it is not known who holds them, or somebody else's copy is in the way: %s", n, w.except())
		} else {
			c.event("store.signed", store, "", "every lease of ours is there")
		}
	case w.phase == Pending && (s.Phase == Pending && s.Nonce == w.nonce || s.Next == w.nonce):
	case w.phase == Signed && signed:
	case w.phase != "" && c.refused != nil:
		w.phase, w.writing = "", false // we withdrew it ourselves
		c.renonce(w)
		w.epoch++
	case w.phase != "" && c.breaks&breakUnread == 0:
		// Rule 1, and the sign by which a flush is noticed: the nonce is not ours any more.
		c.lapse(now, store, "store.forgot", "our signature is not in its book any more")
	}
}

// lapse says that a store may have lost every copy: what it has said so far
// says nothing any more, and we sign its book anew.
func (c *Core) lapse(now Time, store int, kind, format string, args ...any) {
	w := &c.stores[store]
	c.event(kind, store, "", format, args...)
	if c.breaks&breakEpoch == 0 {
		w.epoch++ // rule 2: a vote, a reading, a signature's reply of an older epoch says nothing
	}
	w.phase, w.writing, w.writeAt = "", false, now
	c.renonce(w)
	c.unwhole(now, store, "our signature is not there yet")
	c.forgot(store)
	c.void(now, store)
	if w.lapses = append(w.lapses, now); len(w.lapses) > lapsesMost {
		w.lapses = w.lapses[1:]
	}
}

const lapsesMost = 4

// renonce has our next signature in a store's book be another one.
func (c *Core) renonce(w *witness) {
	if !c.signs() {
		return
	}
	w.nonce = c.cfg.Nonce()
	if w.mine = append(w.mine, w.nonce); len(w.mine) > 8 {
		w.mine = w.mine[1:]
	}
}

// has notes that a store has a copy of the lease of s, or all that is needed of one.
func (c *Core) has(store int, s *slot) {
	s.has |= 1 << store
	c.paid(s, 1<<store)
}
