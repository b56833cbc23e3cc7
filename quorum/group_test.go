package quorum

import (
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
	cfg.Identity = Identity{ID: "p0", Instance: "i0", Peers: []string{"p1", "p2"}, Print: "these stores", Boot: "boot", Nonce: func() string {
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
		Peers: others, Config: "these stores", Mark: MakeNumber(g.core.woke, 2), Beat: 1, Clock: g.stores[store].shows(g.now), Boot: "boot",
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

// beat has all that signed, p0 apart, show that they live, and have heard of our numbers.
func (g *group) beat(stores ...int) {
	for _, i := range stores {
		for _, id := range []string{"p1", "p2"} {
			if s, err := ParseSignature(g.stores[i].book[id]); err == nil {
				s.Beat++
				s.Mark = max(s.Mark, g.mine(i).Mark)
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

// pass lets time go by, in which the journal allows numbers.
func (g *group) pass(by time.Duration) {
	g.desk.pass(by)
	for i, r := range g.written {
		if r.want != nil && r.want.limit != 0 && g.core.dry() {
			g.written = slices.Delete(g.written, i, i+1)
			g.disk = append(g.disk, r.Record)
			g.wrote([]record{r}, nil)
			return
		}
	}
}

// wait has the books read now and then, up to a time.
func (g *group) wait(to Time) {
	for g.now.Add(beatEvery) < to {
		g.pass(beatEvery)
		g.turn(g.each()...)
	}
	g.pass(to.Sub(g.now))
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
