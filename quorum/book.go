package quorum

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// This file keeps the stores' books: it finds out which store has forgotten, puts
// our signature there once every lease is back, and says whose votes count. The
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
	book    Book                 // as last read
	sigs    map[string]Signature // what it says
	line    string               // ours in it, "" if there is none
	phase   Phase                // of our signature of this epoch; "" before that
	nonce   string               // of this epoch
	signed  Time                 // when the signature was first seen to stand
	writing bool                 // a line of ours is under way
	writeAt Time                 // when to write the next one
	torn    bool                 // the book is not to be believed any more, and must go
	owing   int                  // leases that must be in the store before we sign, see slot.owed
	whole   bool                 // rule 5
	waits   string               // if not whole: what for
	lookAt  Time                 // when to look anew whether it is whole, though the book is the same
	strange string               // the difference that forbids to serve, "" if there is none
	read    bool                 // it was read in this life of the proxy
	once    bool                 // our signature has stood there in this life of the proxy
	peers   []glimpse
	lapses  []Time // the latest
	beats   uint64 // of our lines in it
	twin    string // what somebody else has under our id
}

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
	for i := range c.stores {
		c.stores[i].peers = make([]glimpse, len(c.peers))
	}
}

// remember takes up a line of [History].Seen.
func (c *Core) remember(text string) {
	c.seen = append(c.seen, text)
	id, instance, _ := strings.Cut(strings.TrimPrefix(text, "-"), "=")
	if id == c.cfg.ID && instance == c.cfg.Instance {
		c.fresh = false
	}
	for i := range c.peers {
		if p := &c.peers[i]; p.id == id {
			p.known, p.instance, p.forgotten = true, instance, strings.HasPrefix(text, "-")
		}
	}
}

// record remembers text, and has the journal do so.
func (c *Core) record(text string) {
	if len(c.seen) > 0 && slices.Contains(c.seen, text) && !strings.HasPrefix(text, "-") {
		if last := c.lastSeen(text); last == text {
			return
		}
	}
	c.remember(text)
	c.write(Record{Seen: text}, true, nil)
}

// lastSeen returns the latest line about the same id as text.
func (c *Core) lastSeen(text string) string {
	id, _, _ := strings.Cut(strings.TrimPrefix(text, "-"), "=")
	for i := len(c.seen) - 1; i >= 0; i-- {
		if other, _, _ := strings.Cut(strings.TrimPrefix(c.seen[i], "-"), "="); other == id {
			return c.seen[i]
		}
	}
	return ""
}

// signs reports whether there are books at all; peered whether others sign them too.
func (c *Core) signs() bool  { return c.cfg.ID != "" }
func (c *Core) peered() bool { return len(c.cfg.Peers) > 0 }

// Answered takes the answers of a batch to one store, the last of which is a
// reading of its book; nil without books.
func (c *Core) Answered(now Time, store int, asks []*Ask, votes []Vote, reading *Vote) {
	switch {
	case reading == nil:
	case reading.Verdict == Granted:
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
	if w.read && w.phase != "" && maps.Equal(book, w.book) {
		if now >= w.lookAt {
			c.weigh(now, store, c.parse(store, book))
		}
		return
	}
	w.read = true
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
		w.phase = Pending
		c.owe(store)
	case w.phase == Pending && signed:
		w.phase, w.signed = Signed, now
		c.event("store.signed", store, "", "every lease of ours is there")
	case w.phase == Pending && (s.Phase == Pending && s.Nonce == w.nonce || s.Next == w.nonce):
	case w.phase == Signed && signed:
	case w.phase != "" && c.refused != nil:
		w.phase, w.writing, w.nonce = "", false, c.cfg.Nonce() // we struck it ourselves
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
	if c.signs() {
		w.nonce = c.cfg.Nonce()
	}
	c.unwhole(store, "our signature is not there yet")
	c.forgot(store)
	c.void(now, store)
	if w.lapses = append(w.lapses, now); len(w.lapses) > lapsesMost {
		w.lapses = w.lapses[1:]
	}
}

const lapsesMost = 4

// owe notes which leases must be in the store before we sign its book: those of
// now. One granted later has a quorum without this store, or with a vote that it
// gave after it was signed.
func (c *Core) owe(store int) {
	bit := uint64(1) << store
	c.stores[store].owing = 0
	for _, s := range c.leases {
		s.has &^= bit
		s.owed |= bit
		c.stores[store].owing++
		c.miss(store, s)
	}
}

// has notes that a store has a copy of the lease of s, or all that is needed of one.
func (c *Core) has(store int, s *slot) {
	s.has |= 1 << store
	c.paid(s, 1<<store)
}

// paid notes that stores need not get the lease of s before we sign their books.
func (c *Core) paid(s *slot, stores uint64) {
	for i := 0; s.owed&stores != 0 && i < len(c.stores); i++ {
		if bit := uint64(1) << i; s.owed&stores&bit != 0 {
			s.owed &^= bit
			c.stores[i].owing--
		}
	}
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
				c.record("-" + p.id + "=" + s.Instance)
				c.event("peer.forgotten", store, "", "%s: an operator says that it will not come back", p.id)
			}
			continue
		}
		if !w.current(s) {
			continue
		}
		if !p.known || p.instance != s.Instance {
			c.record(p.id + "=" + s.Instance)
		}
		p.known = true
		switch {
		case g.nonce == "":
			g.nonce, p.moved = s.Nonce, now
		case g.nonce != s.Nonce:
			g.nonce, g.sure, p.moved = s.Nonce, true, now
		case g.beat != s.Beat:
			p.moved = now
			if g.moves++; g.moves >= beatsBelieve {
				g.sure = true
			}
		}
		g.beat = s.Beat
	}
	if c.peered() && c.breaks&breakMarks == 0 {
		for _, s := range sigs {
			c.learn(now, s.Mark) // rule 8: above every high-water mark that can be read
		}
	}
}

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
			return fmt.Sprintf("another proxy, instance %s, lives under our id %q", s.Instance, c.cfg.ID)
		}
	case s.Phase != Forgotten && s.Phase != Moved && s.Instance == c.cfg.Instance && s.Nonce != w.nonce && s.Next != w.nonce &&
		len(w.lapses) == lapsesMost && now.Sub(w.lapses[0]) < lapsesMost*2*beatEvery:
		return fmt.Sprintf("somebody signs its book as instance %s too, again and again: is a data folder copied?", s.Instance)
	}
	return ""
}

// current reports whether a signature was made in this incarnation of the store.
//
// Rule 6: one made in an earlier incarnation is no signature: the server came
// back with old data, and has forgotten what came after.
func (w *witness) current(s Signature) bool {
	return process(s.Incarnation) == process(w.incarnation)
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

// refuse serves nothing while any book shows a stranger, and strikes our own
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
			c.unwhole(i, "a stranger signed a book")
			c.void(now, i)
		} else if w.phase != "" && c.struck {
			c.lapse(now, i, "store.unsigned", "our signature was withdrawn; we sign again")
		}
		w.writeAt = now
	}
	c.struck = c.refused != nil
}

// weigh finds out whether a store is whole for us.
func (c *Core) weigh(now Time, store int, sigs map[string]Signature) {
	w := &c.stores[store]
	waits, again := c.waitsFor(now, store, sigs)
	w.lookAt = again
	switch {
	case waits != "":
		if w.whole {
			c.event("store.unwhole", store, "", "%s", waits)
			c.unwhole(store, waits)
			c.void(now, store)
		}
		w.waits = waits
	case !w.whole:
		w.whole, w.waits = true, ""
		if c.peered() {
			c.event("store.whole", store, "", "every proxy's leases are there: its votes count")
		}
	}
}

// waitsFor says why a store is not whole, "" if it is, and when to look again.
//
// Rule 5: a store is whole once a reading of its book taken after our signature,
// and showing it, also shows that of every peer; or, of a peer that is missing
// there, once it is dead and what it granted has ended.
func (c *Core) waitsFor(now Time, store int, sigs map[string]Signature) (waits string, again Time) {
	w := &c.stores[store]
	again = now.Add(time.Hour)
	switch {
	case c.refused != nil:
		return "a stranger signed a book", again
	case w.phase != Signed:
		return "our signature is not there yet", again
	}
	for i := range c.peers {
		p := &c.peers[i]
		s := sigs[p.id]
		current := w.current(s) || c.breaks&breakIncarnation != 0
		switch {
		case s.Phase == Signed && current && (w.peers[i].sure || c.breaks&breakSure != 0):
		case c.breaks&breakWhole != 0:
		case s.Phase == Signed && current:
			return fmt.Sprintf("peer %s signed before we came: its beat must move", p.id), now
		case p.forgotten:
		case !p.known:
			// It is new or elsewhere, and may be granting locks where we can't see it.
			return fmt.Sprintf("peer %s was never seen: a new group serves once all have signed", p.id), again
		default:
			// Its beat must have stood still too: a peer that lives and does not sign
			// here sees another server or network than we do.
			dead := max(w.signed, p.moved).Add(c.outwait())
			if now <= dead && c.breaks&breakOutwait == 0 {
				return fmt.Sprintf("peer %s has not signed; if it is dead, its last lease ends in %v", p.id, dead.Sub(now).Round(time.Second)), min(again, dead)
			}
			if now > dead && !w.whole {
				c.event("peer.absent", store, "", "%s has not been seen for %v: whatever it granted has ended", p.id, now.Sub(p.moved).Round(time.Second))
			}
			again = min(again, now.Add(beatEvery))
		}
	}
	return "", again
}

// outwait is how long a lease of anybody may last, by our clock.
func (c *Core) outwait() time.Duration { return c.cfg.MaxTTL + c.cfg.MaxTTL/50 + driftFloor }

// counts reports whether a store may be asked for its vote.
//
// Rule 1: with peers, only one that is whole for us. Solo our table knows all
// there is, and a store only has to know of us: our signature must have stood
// there once, so that whoever else comes will see it.
func (c *Core) counts(store int) bool {
	w := &c.stores[store]
	return w.whole || !c.peered() && (w.once || !c.signs())
}

func (c *Core) unwhole(store int, waits string) {
	w := &c.stores[store]
	w.whole, w.waits = false, waits
}

// inscribe returns the line that a store's book should get now, nil if none.
func (c *Core) inscribe(now Time, store int) *Ask {
	w := &c.stores[store]
	if !c.signs() || w.writing || now < w.writeAt || !w.read || w.down {
		return nil
	}
	ask := &Ask{Store: store, why: whyBook, epoch: w.epoch, Request: Request{Action: Sign, Name: c.cfg.ID, Was: w.line}}
	switch {
	case c.refused != nil:
		if s, err := ParseSignature(w.line); err != nil || s.Instance != c.cfg.Instance || s.Phase == Forgotten {
			return nil // nothing of ours to strike
		}
	case w.torn:
		ask.Action, ask.Was = Tear, ""
	case w.phase == "":
		if c.mustWait(now) {
			return nil
		}
		ask.Line = c.line(w, Pending)
	case w.phase == Pending && c.outdated(w) != "":
		// Nobody signs under that id here any more, and we could not.
		ask.Name = c.outdated(w)
		ask.Was = w.book[ask.Name]
	case w.phase == Pending:
		// Rule 3: pending becomes the signature only once every lease is back, and
		// only if that same pending still stands: a flush since then has taken it.
		if w.owing > 0 && c.breaks&breakReseed == 0 {
			return nil
		}
		ask.Line, ask.Only = c.line(w, Signed), append(slices.Clone(c.cfg.Peers), c.cfg.ID)
		if c.breaks&breakStrangers != 0 {
			ask.Only = nil
		}
	default:
		ask.Line = c.line(w, Signed)
	}
	w.writing = true
	return ask
}

// outdated returns the id of somebody who is not of our group, and whose
// signature came back with a store's old data; "" if there is none.
func (c *Core) outdated(w *witness) string {
	for _, id := range sortedIDs(w.sigs) {
		if s := w.sigs[id]; s.Phase == Signed && !w.current(s) && id != c.cfg.ID && !slices.Contains(c.cfg.Peers, id) {
			return id
		}
	}
	return ""
}

// line returns what we put into a store's book.
func (c *Core) line(w *witness, phase Phase) string {
	w.beats++
	s := Signature{
		Phase: phase, Nonce: w.nonce, Instance: c.cfg.Instance, Incarnation: process(w.incarnation),
		Peers: c.cfg.Peers, Seen: c.seen, Config: c.cfg.Print, Mark: MakeNumber(c.count, c.cfg.Author), Beat: w.beats,
	}
	if phase == Pending {
		// The signature of before a restart of ours stays as long as it is true: the
		// others need not stop while we look after the copies.
		if old, err := ParseSignature(w.line); err == nil && old.Phase == Signed && old.Instance == s.Instance && old.Incarnation == s.Incarnation {
			s.Phase, s.Nonce, s.Next = Signed, old.Nonce, w.nonce
		}
	}
	return s.String()
}

// inscribed takes the answer to that.
func (c *Core) inscribed(now Time, ask *Ask, vote Vote) {
	w := &c.stores[ask.Store]
	if ask.epoch != w.epoch {
		return
	}
	// What stands there is told by readings alone: this batch's is in already.
	w.writing, w.writeAt = false, now.Add(signAgain)
	switch {
	case vote.Verdict != Granted:
	case ask.Action == Tear:
		w.torn = false
	case w.phase == Signed:
		w.writeAt = now.Add(beatEvery)
	case c.refused == nil:
		w.writeAt = now
	}
}

// mustWait reports whether rule 7 forbids to sign yet, and notes why.
//
// Rule 7: a proxy whose journal is empty does not know what it granted. It is new
// only if no book, and no peer's signature, has seen its id under another
// instance. If one has, or too few books can be read to tell, it waits until all
// that it may have granted has ended.
func (c *Core) mustWait(now Time) bool {
	if !c.fresh || c.cfg.New || c.breaks&breakFresh != 0 || now > c.started.Add(c.outwait()) {
		c.enlist()
		return false
	}
	read, trace := 0, ""
	for i := range c.stores {
		w := &c.stores[i]
		if !w.read {
			continue
		}
		read++
		for _, id := range slices.Sorted(maps.Keys(w.book)) {
			s, err := ParseSignature(w.book[id])
			switch {
			case err != nil:
			case id == c.cfg.ID && s.Phase == Forgotten:
				c.enlist() // somebody has waited for us
				return false
			case id == c.cfg.ID && s.Instance != c.cfg.Instance:
				trace = fmt.Sprintf("the book of %s knows %q as instance %s", c.cfg.Names[i], id, s.Instance)
			default:
				if was := traceOf(s.Seen, c.cfg.ID, c.cfg.Instance); was != "" {
					trace = fmt.Sprintf("peer %s knows %q as instance %s", id, c.cfg.ID, was)
				}
			}
		}
	}
	enough := len(c.stores) - c.cfg.Need + 1
	left := c.started.Add(c.outwait()).Sub(now).Round(time.Second)
	why := ""
	switch {
	case trace != "":
		why = fmt.Sprintf("the journal is new, but %s: what that granted ends within %v; say --new if its journal is lost and nobody holds by it", trace, left)
	case read < enough:
		why = fmt.Sprintf("the journal is new, and %d of %d books could be read, need %d to tell whether the id is", read, len(c.stores), enough)
	default:
		c.enlist()
		return false
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

// enlist notes that this journal signs books.
func (c *Core) enlist() {
	if !c.fresh {
		return
	}
	c.waiting = ""
	c.record(c.cfg.ID + "=" + c.cfg.Instance)
}

// traceOf returns the other instance that an id was seen with, "" if there is none.
// What was declared forgotten is none.
func traceOf(seen []string, id, instance string) (other string) {
	for _, text := range seen {
		forgotten := strings.HasPrefix(text, "-")
		who, what, _ := strings.Cut(strings.TrimPrefix(text, "-"), "=")
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

// bookDue returns when a store's book wants a line.
func (c *Core) bookDue(now Time, store int) Time {
	w := &c.stores[store]
	switch {
	case !c.signs() || w.writing || !w.read || w.down:
		return now.Add(time.Hour)
	case c.refused != nil && w.line == "", w.phase == Pending && w.owing > 0:
		return now.Add(beatEvery)
	case w.phase == "" && c.waiting != "":
		return max(w.writeAt, now.Add(beatEvery/10))
	}
	return w.writeAt
}
