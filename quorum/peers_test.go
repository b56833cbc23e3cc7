package quorum

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// A group is a desk whose core, p0, has the peers p1 and p2. Its stores behave;
// what the peers do there is the test's to write.
type group struct {
	*desk
	stores []*simStore
	lives  []string // incarnations of the stores
}

const groupTTL = time.Minute // the longest lease there is in a group

// groupConfig is what p0 is started with.
func groupConfig(stores int) Config {
	cfg, nonces := deskConfig(stores), 0
	cfg.MaxTTL, cfg.Author = groupTTL, 1
	cfg.Identity = Identity{ID: "p0", Instance: "i0", Peers: []string{"p1", "p2"}, Print: "these stores", Nonce: func() string {
		nonces++
		return fmt.Sprint("n", nonces)
	}}
	return cfg
}

// seenAs returns what a journal keeps of proxies that it has seen.
func seenAs(cfg Config, proxies ...string) (seen []string) {
	for _, p := range proxies {
		seen = append(seen, p+"@"+(&Core{cfg: cfg}).config())
	}
	return seen
}

// groupPast is the history of a p0 that has signed before and knows its peers.
func groupPast(entries ...Entry) History {
	first := MakeNumber(1000, 1)
	return History{Birth: first, Limit: first, Entries: entries, Seen: seenAs(groupConfig(0), "p0=i0", "p1=i1", "p2=i2")}
}

// openGroup returns a group whose books are blank.
func openGroup(t *testing.T, cfg Config, past History) *group {
	g := &group{desk: openDesk(t, cfg, past)}
	for i := range cfg.Stores {
		g.stores = append(g.stores, &simStore{index: i, simMemory: newMemory(), rate: 1})
		g.lives = append(g.lives, "first")
	}
	g.core.Reserve()
	g.sync()
	return g
}

// newGroup returns a group with so many stores, all of them whole.
func newGroup(t *testing.T, stores int) *group {
	t.Helper()
	g := openGroup(t, groupConfig(stores), groupPast())
	g.gather()
	return g
}

// gather has all of the group sign in all stores, until each is whole.
func (g *group) gather() {
	g.t.Helper()
	g.connect(g.each()...)
	g.sign("p1", g.each()...)
	g.sign("p2", g.each()...)
	for range 4 {
		g.turn(g.each()...)
		g.beat(g.each()...)
	}
	g.turn(g.each()...)
	for i := range g.stores {
		g.whole(i, true, "all have signed")
	}
	g.core.events = nil
}

// each returns every store.
func (g *group) each() (stores []int) {
	for i := range g.stores {
		stores = append(stores, i)
	}
	return stores
}

func (g *group) connect(stores ...int) {
	for _, i := range stores {
		g.core.Up(g.now, i, g.lives[i])
	}
}

// restart has a store come back as another process, with what it had on disk.
func (g *group) restart(store int, life string, with simMemory) {
	g.lives[store], g.stores[store].simMemory = life, with
	g.connect(store)
}

// signature returns one of a peer in a store, as it is now.
func (g *group) signature(id string, store int, alter ...func(*Signature)) string {
	others := slices.DeleteFunc([]string{"p0", "p1", "p2"}, func(p string) bool { return p == id })
	s := Signature{
		Phase: Signed, Nonce: fmt.Sprint("of ", id, " at ", int64(g.now)), Instance: "i" + id[1:], Incarnation: process(g.lives[store]),
		Peers: others, Config: "these stores", Beat: 1,
	}
	for _, f := range alter {
		f(&s)
	}
	return s.String()
}

func (g *group) sign(id string, stores ...int) {
	for _, i := range stores {
		g.stores[i].book[id] = g.signature(id, i)
	}
}

// beat has all that signed, p0 apart, show that they live.
func (g *group) beat(stores ...int) {
	for _, i := range stores {
		for _, id := range []string{"p1", "p2"} {
			if s, err := ParseSignature(g.stores[i].book[id]); err == nil {
				s.Beat++
				g.stores[i].book[id] = s.String()
			}
		}
	}
}

// A flight is a batch on its way: the store has acted, and the core does not know.
type flight struct {
	store   int
	asks    []*Ask
	votes   []Vote
	reading Vote
}

// send has a store carry out what it was asked, and the chores that are due.
func (g *group) send(store int) flight {
	f := g.carry(store)
	f.reading = g.stores[store].do(g.now, Request{Action: ReadBook})
	return f
}

// carry is send without the reading.
func (g *group) carry(store int) flight {
	f := flight{store: store, asks: append(g.asked[store], g.chores(store)...)}
	g.asked[store] = nil
	for _, ask := range f.asks {
		f.votes = append(f.votes, g.stores[store].do(g.now, ask.Request))
	}
	return f
}

func (g *group) land(f flight) { g.core.Answered(g.now, f.store, f.asks, f.votes, &f.reading) }

// lose has the connection break before the answers of a batch came back.
func (g *group) lose(f flight) {
	g.core.Down(f.store, errLost)
	for _, ask := range f.asks {
		g.core.Voted(g.now, ask, Vote{Err: errLost})
	}
}

// turn sends a batch to each of the stores, and has it answered.
func (g *group) turn(stores ...int) {
	for _, i := range stores {
		g.land(g.send(i))
	}
	g.sync()
}

// rest takes turns until the stores have nothing more to do.
func (g *group) rest() {
	for range 6 {
		g.turn(g.each()...)
	}
}

// mine returns p0's line in a store's book; its phase is "" if there is none.
func (g *group) mine(store int) Signature {
	s, err := ParseSignature(g.stores[store].book["p0"])
	if err != nil {
		return Signature{}
	}
	return s
}

func (g *group) whole(store int, want bool, what string) {
	g.t.Helper()
	if w := &g.core.stores[store]; w.whole != want {
		g.t.Fatalf("%s: store %d is whole %t (%s), want %t", what, store, w.whole, w.waits, want)
	}
}

// doing returns those of a store's requests that are made for why.
func doing(asks []*Ask, why purpose) (of []*Ask) {
	for _, ask := range asks {
		if ask.why == why {
			of = append(of, ask)
		}
	}
	return of
}

// peersLease is one of p1, as it shows in the stores.
func peersLease(token string, count uint64) *Copy {
	return &Copy{Value: []byte(token), Fence: MakeNumber(count, 2), Version: MakeNumber(count, 2)}
}

// place puts a copy into stores, for so long.
func (g *group) place(name string, c *Copy, ttl time.Duration, stores ...int) {
	for _, i := range stores {
		g.stores[i].put(g.now, name, c, ttl)
	}
}

// holds acquires a lock for p0, in every store.
func (g *group) holds(name, token string, ttl time.Duration) *Lease {
	g.t.Helper()
	op := g.submit(acquiring(token, ttl, name))
	g.rest()
	g.quiet("everything is settled")
	return g.ends(op, Changed).Leases[0]
}

// at returns the value of a store's copy, "" if it has none.
func (g *group) at(store int, name string) string {
	if c := g.stores[store].get(g.now, name); c != nil {
		return string(c.Value)
	}
	return ""
}

// seeing has an op shown the leases of peers too.
func seeing(op *Op) *Op {
	op.Reads = true
	return op
}

// peerHolds has a peer hold "orders" in all stores.
func (g *group) peerHolds(token string, ttl time.Duration) *Copy {
	c := peersLease(token, 5000)
	g.place("orders", c, ttl, g.each()...)
	return c
}

func TestALeaseIsAskedForAsPeersNeedIt(t *testing.T) {
	g := newGroup(t, 3)
	op := g.submit(acquiring("token", 10*time.Second, "orders"))
	if len(g.written) != 1 || !g.written[0].sync || !g.written[0].Entries[0].Pending {
		t.Errorf("the journal is asked for %+v beside the votes, want one pending lease, synced", g.written)
	}
	for i := range 3 {
		// By a fast clock of the store it must last for the whole TTL: nobody's table denies beyond it.
		if ask := g.asked[i][0]; ask.TTL != 10*time.Second+Drift(10*time.Second) || ask.OrNone || !ask.Mark || ask.Next.Version.Author() != 1 {
			t.Errorf("store %d is asked %s, mark %t, want a strict swap for the TTL and the drift", i, showAsk(ask), ask.Mark)
		}
	}
	g.turn(0, 1)
	g.ends(op, Changed)
}

func TestTheJournalIsFirstWhereALeaseIsReplaced(t *testing.T) {
	for what, c := range map[string]struct {
		held func(g *group)
		op   *Op
	}{
		"an extension of ours":     {func(g *group) { g.holds("orders", "token", groupTTL/2) }, extending("orders", "token", groupTTL)},
		"a hand-over of ours":      {func(g *group) { g.holds("orders", "token", groupTTL/2) }, handingOver("orders", "token", "next", groupTTL)},
		"an extension of a peer's": {func(g *group) { g.peerHolds("token", groupTTL/2) }, seeing(extending("orders", "token", groupTTL))},
		"a hand-over of a peer's":  {func(g *group) { g.peerHolds("token", groupTTL/2) }, seeing(handingOver("orders", "token", "next", groupTTL))},
	} {
		g := newGroup(t, 3)
		c.held(g)
		g.submit(c.op)
		for i := range g.stores { // those of peers are looked for first
			g.land(g.send(i))
		}
		g.waits(c.op, what)
		g.quiet(what + ", and the journal does not know")
		if len(g.written) == 0 {
			t.Fatalf("%s: the journal is asked for nothing", what)
		}
		last := g.written[len(g.written)-1]
		if e := last.Entries[0]; !last.sync || !e.Pending || e.Replaced == nil || string(e.Replaced.Value) != "token" || e.Replaced.Foreign {
			t.Errorf("%s: the journal is asked for %+v, want a pending lease and what it replaces, synced", what, e)
		}
		g.sync()
		if vote := g.asked[0][0]; len(g.asked[0]) != 1 || !vote.Mark || vote.OrNone || string(vote.Prev.Value) != "token" {
			t.Errorf("%s: store 0 is asked %s once the journal knows, want exactly what was read replaced", what, showAsk(vote))
		}
		g.rest()
		g.ends(c.op, Changed)
	}
}

func TestAFailedChangeOfAPeersLeaseMakesItOursToLookAfter(t *testing.T) {
	for _, touched := range []bool{true, false} {
		g := newGroup(t, 1)
		g.peerHolds("token", groupTTL/2)
		op := g.submit(seeing(handingOver("orders", "token", "next", groupTTL)))
		g.turn(0) // the look
		vote := g.next(0)
		if touched {
			g.stores[0].do(g.now, vote.Request)
		}
		g.core.Voted(g.now, vote, Vote{Err: errLost, Unsent: !touched})
		if touched {
			g.waits(op, "the journal does not know that it failed")
			last := g.written[len(g.written)-1]
			if e := last.Entries[0]; !last.sync || e.Pending || e.Lease == nil || string(e.Lease.Value) != "token" || e.Lease.Foreign {
				t.Errorf("the journal is asked for %+v, want the peer's lease as one of ours, synced", e)
			}
		}
		g.sync()
		g.ends(op, Failed)
		s := g.core.slots["orders"]
		if adopted := s != nil && s.lease != nil; adopted != touched {
			t.Fatalf("a store may have acted %t: the table has the peer's lease %t", touched, adopted)
		}
		g.rest()
		if touched && (!s.unsure || string(s.lease.Value) != "token" || s.lease.Foreign || s.lease.Until < g.now.Add(groupTTL/2-time.Second)) {
			t.Errorf("the table has %+v, unsure %t, want the peer's lease, until its last copy is over", s.lease, s.unsure)
		}
		for i := range g.stores {
			if g.at(i, "orders") != "token" {
				t.Errorf("store %d has %q, want the peer's copy", i, g.at(i, "orders"))
			}
		}
	}
}

func TestWhatWasReadAndNotChangedIsCheckedToo(t *testing.T) {
	g := newGroup(t, 3)
	g.holds("guard", "token", groupTTL/2)
	guarded := func(name string) *Op {
		return seeing(&Op{Names: []string{"guard", name, "unread"}, Decide: func(v *View) Plan {
			if guard, _ := v.Lease("guard"); guard == nil {
				return Plan{}
			}
			prev, _ := v.Lease(name)
			return Plan{Parts: []Part{{Prev: prev, Name: name, Value: []byte("mine"), TTL: time.Second}}}
		}})
	}
	op := g.submit(guarded("orders"))
	g.turn(0, 1, 2) // the look
	g.sync()
	asks := g.asked[0]
	if len(asks) != 2 || asks[1].Action != Check || asks[1].Name != "guard" || string(asks[1].Prev.Value) != "token" {
		t.Fatalf("store 0 is asked %v, want the change and a check of what was read besides", asks)
	}
	g.rest()
	if r := g.ends(op, Changed); len(r.Leases) != 1 {
		t.Errorf("%d leases, want the one that was asked for", len(r.Leases))
	}
	if string(g.core.slots["guard"].lease.Value) != "token" {
		t.Error("a check changed what it checked")
	}

	op = g.submit(guarded("parcels"))
	g.turn(0, 1, 2)
	for i := range 3 { // and before the votes are in, a peer's client lets the guard go
		g.stores[i].do(g.now, Request{Name: "guard", Prev: g.stores[i].get(g.now, "guard"), Gone: groupTTL})
	}
	g.rest()
	g.ends(op, Unchanged)

	op = g.submit(seeing(&Op{Names: []string{"guard", "letters"}, Decide: func(v *View) Plan {
		if guard, _ := v.Lease("guard"); guard != nil {
			return Plan{}
		}
		return Plan{Parts: []Part{{Name: "letters", Value: []byte("mine"), TTL: time.Second}}}
	}}))
	g.turn(0, 1, 2)
	g.place("guard", peersLease("theirs", 6000), groupTTL/2, 0, 1, 2) // and before the votes are in, it is taken
	g.rest()
	g.ends(op, Unchanged) // the lock that it asked for is free: that is not held
}

func TestAVoteInDoubtIsAskedForAgain(t *testing.T) {
	for what, deleted := range map[string]bool{"deleted": true, "still there": false} {
		g := newGroup(t, 3)
		op := g.submit(acquiring("token", groupTTL/2, "orders"))
		g.land(g.send(0))
		if deleted {
			delete(g.stores[0].copies, "orders")
		}
		g.core.Vanished(g.now, 0, "orders")
		g.sync()
		g.turn(1)
		g.waits(op, what+": a store's vote is in doubt, and one is no quorum")
		ask := g.asked[0][0]
		if ask.Action != Check || string(ask.Prev.Value) != "token" {
			t.Errorf("%s: store 0 is asked %s, want whether the copy is there", what, showAsk(ask))
		}
		g.turn(0)
		if _, over := g.over(op); over == deleted {
			t.Errorf("%s: decided %t", what, over)
		}
		g.mute(2)
		if want := map[bool]Outcome{true: Failed, false: Changed}[deleted]; g.ends(op, want).Outcome == Failed &&
			!errors.Is(g.result(op).Err, ErrNoQuorum) {
			t.Errorf("%s: error %v, want no quorum", what, g.result(op).Err)
		}
	}
}

func TestALockThatSomebodyTookMeanwhileIsHeld(t *testing.T) {
	g := newGroup(t, 3)
	op := g.submit(acquiring("token", time.Second, "orders"))
	g.peerHolds("theirs", groupTTL/2)
	g.rest()
	g.ends(op, Held)
	op = g.submit(seeing(handingOver("orders", "theirs", "next", groupTTL/2)))
	g.turn(0, 1, 2)
	g.place("orders", peersLease("later", 6000), groupTTL/2, 0, 1, 2)
	g.rest()
	g.ends(op, Unchanged) // it looked again, and is not the holder
	for i := range g.stores {
		if g.at(i, "orders") != "later" {
			t.Errorf("store %d has %q, want the copy of whoever holds it", i, g.at(i, "orders"))
		}
	}
}

func TestAnOpThatWasRefusedLooksIntoTheStoresBeforeItTriesAgain(t *testing.T) {
	for what, op := range map[string]*Op{
		"an extension": extending("orders", "token", groupTTL/2),
		"a release":    releasing("orders", "token"),
	} {
		g := newGroup(t, 3)
		before := g.holds("orders", "token", groupTTL/2).Copy()
		for _, s := range g.stores { // a client has it handed over through a peer
			s.do(g.now, Request{Name: "orders", Prev: before, Next: peersLease("next", 5000), TTL: groupTTL / 2, Mark: true})
			s.do(g.now, Request{Name: "orders", Prev: before, OrNone: true, Gone: groupTTL})
		}
		g.submit(op)
		for range 4 {
			g.turn(0, 1, 2)
		}
		g.ends(op, Unchanged) // the token is not its holder's any more
		for i := range g.stores {
			if g.at(i, "orders") != "next" {
				t.Errorf("%s: store %d has %q, want the copy of the next holder", what, i, g.at(i, "orders"))
			}
		}
	}
}

func TestOnlyTheVeryLeftoverThatWasSeenIsReplaced(t *testing.T) {
	g := newGroup(t, 3)
	left := &Copy{Value: []byte("left"), Fence: MakeNumber(1000, 1), Version: MakeNumber(1000, 1)}
	g.core.births = left.Version
	g.place("orders", left, groupTTL, 0)
	op := g.submit(acquiring("token", time.Second, "orders"))
	g.land(g.send(0))
	again := doing(g.asked[0], whyVote)
	if len(again) != 1 || !again[0].Prev.Equal(left) || again[0].OrNone || !again[0].Mark {
		t.Fatalf("store 0 is asked %v, want what was left there replaced, and nothing else", g.asked[0])
	}
	g.rest()
	g.ends(op, Changed)
}

func TestAnExtensionThatFindsNoCopyHasItPutBackFirst(t *testing.T) {
	g := newGroup(t, 3)
	g.holds("orders", "token", groupTTL/2)
	for i := range 2 { // nobody tells of it
		delete(g.stores[i].copies, "orders")
	}
	op := g.submit(extending("orders", "token", groupTTL))
	for range 4 {
		g.turn(0, 1, 2)
	}
	g.rest()
	g.ends(op, Changed)
}

// Others' attempts stand where two copies were: the release was refused there, and
// has done what it was to do all the same.
func TestAReleaseAmongOthersAttemptsIsOne(t *testing.T) {
	g := newGroup(t, 3)
	g.holds("orders", "token", groupTTL/2)
	for _, i := range []int{1, 2} {
		delete(g.stores[i].copies, "orders")
	}
	g.place("orders", peersLease("attempt", 1<<30), groupTTL/2, 1, 2)
	op := g.submit(releasing("orders", "token"))
	for range 3 {
		g.turn(0, 1, 2)
	}
	g.ends(op, Changed)
	if got := g.at(0, "orders"); got != "" {
		t.Errorf("store 0 still has %q", got)
	}
}
