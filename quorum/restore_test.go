package quorum

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// leaseFor makes a lease as a journal keeps it: of the change with this count,
// and ttl from a desk's start on.
func leaseFor(token string, count uint64, ttl time.Duration) *Lease {
	return &Lease{
		Name: "orders", Value: []byte(token), Fence: MakeNumber(count, 0), Version: MakeNumber(count, 0),
		TTL: ttl, Until: Until(Time(time.Hour), ttl),
	}
}

// restart returns a desk whose journal had one entry.
func restart(t *testing.T, stores int, e Entry) *desk {
	e.Name = "orders"
	d := openDesk(t, deskConfig(stores), History{
		Entries: []Entry{e}, Birth: deskBirth, Limit: MakeNumber(2000, 0),
	})
	d.core.Reserve()
	d.sync()
	return d
}

func TestALeaseOfTheJournalIsHeldUntilItsEnd(t *testing.T) {
	for what, e := range map[string]Entry{
		"granted":                   {Lease: leaseFor("one", 1500, 10*time.Second)},
		"pending":                   {Lease: leaseFor("one", 1500, 10*time.Second), Pending: true},
		"pending, replaced is over": {Lease: leaseFor("one", 1500, 10*time.Second), Pending: true, Replaced: leaseFor("old", 1400, -time.Minute)},
	} {
		d := restart(t, 0, e)
		end := 10*time.Second + Drift(10*time.Second)
		d.pass(end - 1)
		d.ends(d.submit(acquiring("two", time.Second, "orders")), Unchanged)
		d.ends(d.submit(releasing("orders", "old")), Unchanged)
		d.pass(1)
		late := d.submit(acquiring("two", time.Second, "orders"))
		d.settle()
		if r := d.result(late); r.Outcome != Changed || r.Leases[0].Fence <= e.Lease.Fence {
			t.Errorf("%s: after its end %v, %+v, want the lock granted under a higher number", what, r.Outcome, r.Leases)
		}
	}
}

func TestALeaseThatEndedMeanwhileIsStruckOut(t *testing.T) {
	d := restart(t, 0, Entry{Lease: leaseFor("one", 1500, -time.Minute)})
	if len(d.core.leases) != 0 || len(d.core.slots) != 0 {
		t.Errorf("%d leases of %d names, want none", len(d.core.leases), len(d.core.slots))
	}
	struck := false
	for _, r := range d.disk {
		struck = struck || len(r.Entries) == 1 && r.Entries[0].Name == "orders" && r.Entries[0].Lease == nil
	}
	if !struck {
		t.Errorf("the journal was told %+v, want the lock free", d.disk)
	}
}

// Whoever was told that the change is done counts on it, and whoever was not told
// that it failed must reckon with it: an error leaves only with the undo on disk.
func TestAReplacementInDoubtIsHeldAsItWasToBe(t *testing.T) {
	for _, c := range []struct {
		what            string
		lease, replaced time.Duration // TTLs
	}{
		{"the new one ends later", 20 * time.Second, 10 * time.Second},
		{"the old one ends later", 10 * time.Second, 20 * time.Second},
		{"only the old one lives", -time.Second, 20 * time.Second},
		{"only the new one lives", 20 * time.Second, -time.Second},
	} {
		doubt := Entry{Lease: leaseFor("two", 1500, c.lease), Replaced: leaseFor("one", 1400, c.replaced), Pending: true}
		d := restart(t, 0, doubt)
		d.pass(20*time.Second - 1) // until the later end
		d.ends(d.submit(acquiring("three", time.Second, "orders")), Unchanged)
		d.ends(d.submit(releasing("orders", "one")), Unchanged)
		op := d.submit(extending("orders", "two", time.Minute))
		d.settle()
		d.ends(op, Changed)
		if e := d.onDisk("orders"); string(e.Lease.Value) != "two" {
			t.Errorf("%s: the journal has %q, want two", c.what, e.Lease.Value)
		}
		d.ends(d.submit(releasing("orders", "two")), Changed)
	}
}

// With peers it may be either, and what the stores have tells.
func TestWithPeersEitherHolderOfAReplacementInDoubtMayBeItsOwner(t *testing.T) {
	two, one := leaseFor("two", 950, 20*time.Second), leaseFor("one", 900, 20*time.Second)
	for _, have := range []*Lease{one, two} {
		g := openGroup(t, groupConfig(3), groupPast(Entry{Name: "orders", Lease: two, Replaced: one, Pending: true}))
		g.place("orders", have.Copy(), 20*time.Second, g.each()...)
		g.sign("p0", g.each()...) // before the crash: no store has forgotten anything
		g.gather()
		for _, token := range []string{"one", "two"} {
			want := Unchanged
			if token == string(have.Value) {
				want = Changed
			}
			op := g.submit(extending("orders", token, 30*time.Second))
			g.rest()
			if r := g.result(op); r.Outcome != want {
				t.Errorf("the stores have %s, and %s extends: %v (%v), want %v", have.Value, token, r.Outcome, r.Err, want)
			}
		}
	}
}

func TestAnExtensionInDoubtHasOneHolderUntilTheLaterEnd(t *testing.T) {
	for what, ttls := range map[string][2]time.Duration{
		"longer":  {20 * time.Second, 10 * time.Second},
		"shorter": {10 * time.Second, 20 * time.Second},
	} {
		d := restart(t, 0, Entry{
			Lease: leaseFor("one", 1500, ttls[0]), Replaced: leaseFor("one", 1400, ttls[1]), Pending: true,
		})
		d.pass(20*time.Second + Drift(20*time.Second) - 1)
		if d.ends(d.submit(acquiring("two", time.Second, "orders")), Unchanged); d.core.slots["orders"].or != nil {
			t.Errorf("%s: two holders in doubt, want one", what)
		}
		d.pass(1)
		d.submit(acquiring("two", time.Second, "orders"))
		if len(d.written) == 0 {
			t.Errorf("%s: still held after the later end", what)
		}
	}
}

func TestALeaseOfTheJournalIsPutIntoTheStores(t *testing.T) {
	e := Entry{Lease: leaseFor("one", 1500, 10*time.Second)}
	d := restart(t, 3, e)
	d.pass(4 * time.Second)
	for store := range 3 {
		d.core.Up(d.now, store, "first")
		if due := d.core.Due(d.now, store); due > d.now {
			t.Errorf("store %d: due in %v, want now", store, due.Sub(d.now))
		}
		asks := d.core.Chores(d.now, store, 10)
		if len(asks) == 0 || !asks[0].Next.Equal(e.Lease.Copy()) || asks[0].Prev != nil || asks[0].OrNone || asks[0].TTL != 6*time.Second {
			t.Errorf("store %d has the chores %v, want the copy put where there is none, for the 6s that are left", store, asks)
		}
	}
}

// inDoubt returns a group whose p0 crashed while it made a list of one anew, say to put
// a third there. It is a peer's by now, who put the second there.
func inDoubt(t *testing.T, anew string) (g *group, peers, replaced *Copy) {
	one, three := leaseFor("one", 1400, 20*time.Second), leaseFor(anew, 1500, 20*time.Second)
	three.Fence = one.Fence
	g = openGroup(t, groupConfig(3), groupPast(Entry{Name: "orders", Lease: three, Replaced: one, Pending: true}))
	return g, &Copy{Value: []byte("one two"), Fence: one.Fence, Version: MakeNumber(1450, 2)}, one.Copy()
}

// What was to replace a lease is newer than what a peer made of it, and was refused
// for that: a store that has forgotten nothing has what came of it.
func TestAChangeInDoubtLeavesWhatAStoreHas(t *testing.T) {
	g, peers, _ := inDoubt(t, "one three")
	g.place("orders", peers, 20*time.Second, g.each()...)
	g.sign("p0", g.each()...) // before the crash
	g.gather()
	var got *Lease
	op := g.submit(looking("orders", func(l *Lease) { got = l }))
	op2 := g.submit(acquiring("other", time.Second, "orders"))
	g.rest()
	g.ends(op, Unchanged)
	g.ends(op2, Unchanged)
	for i := range g.stores {
		if g.at(i, "orders") != "one two" {
			t.Errorf("store %d has %q, want the peer's list", i, g.at(i, "orders"))
		}
	}
	if got == nil {
		t.Error("the lock looks free, want it held")
	}
}

// Nor is it put where there is nothing. That would be in the way of who took the lock since,
// if a store's clock jumped while nobody was there to see it.
func TestAChangeInDoubtIsNotPutBack(t *testing.T) {
	g, _, _ := inDoubt(t, "one three")
	g.sign("p0", g.each()...) // before the crash
	g.gather()
	for range 5 {
		g.pass(auditEvery)
		g.rest()
		g.beat(g.each()...)
	}
	for i := range g.stores {
		if s := g.mine(i); s.Phase != Signed || g.at(i, "orders") != "" {
			t.Errorf("store %d has %q and the book %v, want nothing there, and it signed", i, g.at(i, "orders"), s)
		}
	}
}

// Nobody puts such a change back, so where it is, it has always been: it only has to
// last, since the store's clock may have jumped.
func TestAChangeInDoubtThatIsThereIsNotLeftOut(t *testing.T) {
	three := leaseFor("one three", 1500, 20*time.Second)
	three.Fence = MakeNumber(1400, 0)
	g, _, _ := inDoubt(t, "one three")
	g.place("orders", three.Copy(), time.Second, 0, 1)
	g.gather()
	for i, left := range []bool{false, false, true} {
		if s := g.mine(i); s.Phase != Signed || (len(s.Owed) > 0) != left {
			t.Errorf("store %d has the book %v, want orders left out %t", i, s, left)
		}
		if _, until := g.stores[i].find(g.now, "orders"); !left && until < g.core.slots["orders"].lease.Until {
			t.Errorf("store %d has it for %v, want until the lease is over", i, until.Sub(g.now))
		}
	}
	op := g.submit(extending("orders", "one three", 30*time.Second))
	g.rest()
	g.ends(op, Changed)
}

// A store that forgot does not know which of the two it had, nor what a peer made
// of the one, who would take the other for what came after that: it has no word on
// that lock until all are over.
func TestAStoreThatForgotHasNoWordOnADoubt(t *testing.T) {
	for _, anew := range []string{"one three", "one"} {
		g, peers, replaced := inDoubt(t, anew)
		g.place("orders", replaced, 20*time.Second, 0)
		g.place("orders", peers, 20*time.Second, 1)
		g.gather()
		for i, want := range []*Copy{replaced, peers, nil} {
			if s := g.mine(i); s.Phase != Signed || !slices.Equal(s.Owed, []int{Bucket("orders")}) || !g.stores[i].get(g.now, "orders").Equal(want) {
				t.Errorf("%q in doubt: store %d has %q and the book %v, want %s and that left out", anew, i, g.at(i, "orders"), s, showCopy(want))
			}
		}
		g.ends(g.submit(acquiring("other", time.Second, "orders")), Failed)
		op := g.submit(acquiring("other", time.Second, "parcels"))
		g.rest()
		g.ends(op, Changed)
		g.pass(21 * time.Second)
		g.sign("p1", g.each()...)
		g.sign("p2", g.each()...)
		g.rest()
		for i := range g.stores {
			if s := g.mine(i); s.Phase != Signed || len(s.Owed) > 0 {
				t.Errorf("%q in doubt: store %d has the book %v, want nothing left out once both are over", anew, i, s)
			}
		}
	}
}

// So what is known to be granted must not be in doubt for longer than needed.
func TestWithPeersAnExtensionIsConfirmed(t *testing.T) {
	g := newGroup(t, 3)
	g.holds("orders", "token", groupTTL/2)
	op := g.submit(extending("orders", "token", groupTTL))
	g.rest()
	lease := g.ends(op, Changed).Leases[0]
	if e := g.onDisk("orders"); e.Pending || e.Lease != lease {
		t.Errorf("the journal has %+v, want it granted", e)
	}
}

// A store shows what was perhaps replaced, another what a peer has made of that
// since, and the third is silent: whoever is on the peer's list is not turned away.
func TestADoubtOfTwoHidesNoThird(t *testing.T) {
	g, _, replaced := inDoubt(t, "one three")
	g.place("orders", replaced, 20*time.Second, g.each()...)
	g.sign("p0", g.each()...)
	g.gather()
	g.place("orders", &Copy{Value: []byte("one four"), Fence: replaced.Fence, Version: MakeNumber(1<<20, 2)}, 20*time.Second, 1, 2)
	op := g.submit(extending("orders", "one four", 30*time.Second))
	g.turn(0, 1)
	g.mute(2) // the look
	for range 4 {
		g.turn(0, 1, 2)
	}
	if r := g.result(op); r.Outcome != Changed {
		t.Errorf("extended by one who is on the list: %v (%v), want it done", r.Outcome, r.Err)
	}
}

// Of a change in doubt no notice is left: it would end what a peer made of the lease
// before, under a lower number.
func TestAReleaseOfWhatIsInDoubtConfirmsItFirst(t *testing.T) {
	g, peers, _ := inDoubt(t, "one three")
	g.place("orders", peers, 20*time.Second, g.each()...)
	g.sign("p0", g.each()...)
	g.gather()
	op := g.submit(releasing("orders", "one three"))
	g.rest()
	g.ends(op, Unchanged)
	for i := range g.stores {
		if gone := g.stores[i].ended(g.now, "orders"); gone != 0 || g.at(i, "orders") != "one two" {
			t.Errorf("store %d has the notice %v and %q, want no notice, and the peer's list", i, gone, g.at(i, "orders"))
		}
	}
}

// A change of the one that fails leaves it where it was: in a store that voted for it
// the other would be counted for what nobody granted.
func TestAFailedChangeLeavesThatOfTwoWhichTheStoreHad(t *testing.T) {
	two, one := leaseFor("two", 1500, 20*time.Second), leaseFor("one", 1400, 20*time.Second)
	two.Fence = one.Fence // a list, with one more and without
	g := openGroup(t, groupConfig(3), groupPast(Entry{Name: "orders", Lease: two, Replaced: one, Pending: true}))
	g.place("orders", one.Copy(), 20*time.Second, g.each()...)
	g.sign("p0", g.each()...) // before the crash: no store has forgotten anything
	g.gather()
	g.place("orders", two.Copy(), 20*time.Second, 1)
	op := g.submit(extending("orders", "one", 30*time.Second))
	g.turn(0, 1)
	g.mute(2) // the look
	g.sync()
	g.turn(0)
	if got := g.stores[0].get(g.now, "orders").Version; got == one.Version {
		t.Fatalf("store 0 still has %v, want the change", got)
	}
	g.turn(1)
	g.mute(2)
	g.turn(0)
	g.sync()
	g.turn(0)
	g.ends(op, Failed)
	if got := g.at(0, "orders"); got != "one" || g.stores[0].get(g.now, "orders").Version != one.Version {
		t.Errorf("store 0 has %q, want what it had before the change", got)
	}
}

// reborn starts p0 anew, with what is on disk of "orders" and the stores as they are.
func (g *group) reborn(nonce string) *group {
	g.t.Helper()
	e := g.onDisk("orders")
	e.Name = "orders"
	past := groupPast(e)
	past.Limit = MakeNumber(g.core.count+100, 1)
	cfg, count := groupConfig(len(g.stores)), 0
	cfg.Nonce = func() string { count++; return fmt.Sprint(nonce, count) }
	h := &group{desk: openDesk(g.t, cfg, past), stores: g.stores, lives: g.lives}
	h.now = g.now
	h.core = NewCore(cfg, h.desk, past, h.now)
	h.core.Reserve()
	h.sync()
	h.connect(h.each()...)
	for range 12 {
		h.turn(h.each()...)
		h.beat(h.each()...)
		h.pass(signAgain)
	}
	return h
}

// A change of it that failed says nothing of whether it was ever granted.
func TestWhatIsInDoubtStaysSoThroughAFailedChange(t *testing.T) {
	g := newGroup(t, 3)
	g.submit(acquiring("mine", groupTTL/2, "orders"))
	g.sync()
	lease := g.core.slots["orders"].running.rest.next[0]
	theirs := peersLease("theirs", lease.Version.Count()-1) // a peer was sooner
	g.place("orders", theirs, groupTTL/2, 0, 1)
	g.send(2)
	g = g.reborn("second")
	op := g.submit(extending("orders", "mine", groupTTL/2))
	g.rest()
	if r := g.result(op); r.Outcome == Changed {
		t.Fatalf("extended: %v, want it refused by the peer's lease", r.Outcome)
	}
	if g = g.reborn("third"); !g.core.slots["orders"].unsure {
		t.Error("after a restart it is taken for granted")
	}
	g.restart(0, "second", newMemory())
	for range 5 {
		g.turn(0)
		g.pass(signAgain)
	}
	if gone := g.stores[0].ended(g.now, "orders"); gone >= theirs.Version {
		t.Errorf("a store that forgot is told that the peer's lease, %v, has ended", theirs.Version)
	}
}

// A crash takes what was to be undone with it. Its copies are of the same lease.
func TestWhatACrashLeftOfAnExtensionIsInNobodysWay(t *testing.T) {
	g := newGroup(t, 3)
	g.holds("orders", "token", groupTTL/2)
	op := g.submit(extending("orders", "token", groupTTL))
	g.sync()
	for _, i := range []int{0, 1} { // they act, and their answers are lost
		ask := g.next(i)
		g.stores[i].do(g.now, ask.Request)
		g.core.Voted(g.now, ask, Vote{Err: errLost})
	}
	g.core.Voted(g.now, g.next(2), Vote{Err: errLost, Unsent: true})
	g.sync()
	g.ends(op, Failed)
	g = g.reborn("second")
	op = g.submit(extending("orders", "token", groupTTL))
	g.rest()
	g.ends(op, Changed)
}
