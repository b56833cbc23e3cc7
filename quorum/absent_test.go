package quorum

import (
	"testing"
	"time"
)

func TestAPeerIsOutwaitedExactly(t *testing.T) {
	outwait := groupTTL + groupTTL/50 + driftFloor
	for _, c := range []struct {
		what  string
		seen  []string
		moves time.Duration // p2's beat, in another store, that long after we signed; 0: never
		after time.Duration // since we signed; 0: never
	}{
		{"known, and dead", []string{"p0=i0", "p1=i1", "p2=i2"}, 0, outwait},
		{"known, and alive elsewhere", []string{"p0=i0", "p1=i1", "p2=i2"}, 10 * time.Second, 10*time.Second + outwait},
		{"never seen, but in old data", []string{"p0=i0", "p1=i1"}, 0, 0},
		{"declared forgotten", []string{"p0=i0", "p1=i1", "-p2=i2"}, 0, 1},
	} {
		g := openGroup(t, groupConfig(2), History{Birth: MakeNumber(1000, 1), Limit: MakeNumber(1000, 1), Seen: seenAs(groupConfig(0), c.seen...)})
		g.stores[1].book["p2"] = g.signature("p2", 1, func(s *Signature) { s.Incarnation = "before" })
		g.connect(0, 1)
		for range 4 {
			g.sign("p1", 0)
			g.turn(0, 1)
			g.pass(1)
		}
		signed := g.core.stores[0].signed
		if c.moves > 0 {
			g.now = signed.Add(c.moves)
			g.sign("p2", 1)
			g.turn(1)
			delete(g.stores[1].book, "p2")
			g.turn(1)
		}
		if c.after == 0 {
			g.wait(signed.Add(5 * outwait))
			g.turn(0)
			g.whole(0, false, c.what)
			if got, want := g.core.stores[0].waits, "peer p2 was never seen: a new group serves once all have signed"; got != want {
				t.Errorf("%s: waits for %q, want %q", c.what, got, want)
			}
			continue
		}
		g.wait(signed.Add(c.after))
		if g.turn(0); c.after > 1 {
			g.whole(0, false, c.what+", to the last moment")
		}
		g.now++
		if g.turn(0, 1); c.after > 1 {
			g.whole(0, false, c.what+", and that was asked before")
		}
		g.turn(0, 1)
		g.turn(0, 1)
		g.whole(0, true, c.what)
	}
}

// It is waited for no longer than one without a signature is.
func TestAPeerThatSignedAndDiedIsOutwaited(t *testing.T) {
	for _, c := range []struct {
		what, waits string
		beats       uint64 // after we came
		mark        Number
	}{
		{"its beat stands still", "signed before we came: its beat must move", 0, MakeNumber(1<<40, 2)},
		{"it did not hear of us", "did not hear of our numbers yet", beatsBelieve, 0},
	} {
		g := openGroup(t, groupConfig(1), groupPast())
		g.stores[0].book["p2"] = g.signature("p2", 0, func(s *Signature) { s.Phase = Forgotten })
		g.connect(0)
		for beat := range c.beats + 1 {
			g.stores[0].book["p1"] = g.signature("p1", 0, func(s *Signature) { s.Nonce, s.Beat, s.Mark = "its own", beat, c.mark })
			g.rest()
		}
		want := "peer p1 " + c.waits + "; if it is dead, its last lease ends in 1m1s"
		if got := g.core.stores[0].waits; got != want {
			t.Errorf("%s: waits for %q, want %q", c.what, got, want)
		}
		g.core.events = nil
		g.wait(g.now.Add(g.core.outwait()))
		g.turn(0)
		g.whole(0, false, c.what+", to the last moment")
		g.pass(1)
		g.turn(0)
		g.turn(0)
		g.whole(0, true, c.what)
		g.happened(c.what, "peer.absent", "store.whole")

		f := g.send(0)
		g.pass(g.core.outwait())
		g.land(f)
		g.whole(0, true, c.what+", and was so before we stood still")
	}
}

// What is read first was said before we stood still, as a proxy may whose machine is
// paused: its peers have gone on.
func TestTimeInWhichNothingWasReadProvesNobodyDead(t *testing.T) {
	g := openGroup(t, groupConfig(1), groupPast())
	g.sign("p2", 0)
	g.connect(0)
	g.rest()
	f := g.send(0)
	g.pass(2 * g.core.outwait())
	g.land(f)
	g.whole(0, false, "p1 may have signed meanwhile")
	g.sign("p1", 0)
	g.turn(0)
	g.whole(0, false, "p1 has signed meanwhile")
	g.wait(g.now.Add(g.core.outwait()))
	g.turn(0)
	g.whole(0, false, "and may have granted something just then")
	g.pass(1)
	g.turn(0)
	g.turn(0)
	g.whole(0, true, "which has ended")
}

// An old line in a store that could not be reached for long may say what was granted
// just now.
func TestAnotherLineOfAPeerTakesEveryStoreFromWhoLetItBe(t *testing.T) {
	g := openGroup(t, groupConfig(3), groupPast())
	g.connect(0, 1)
	for range 4 { // without p1
		g.sign("p2", 0, 1)
		g.turn(0, 1)
		g.pass(1)
	}
	g.wait(g.now.Add(2 * g.core.outwait()))
	g.turn(0, 1)
	g.whole(0, true, "p1 is dead")
	g.sign("p1", 2)
	g.connect(2)
	g.turn(2)
	g.turn(0, 1)
	g.whole(0, false, "it may live")
}

// A store that is there and does not show its book says nothing of anybody.
func TestABookThatCannotBeReadKeepsNobodyAlive(t *testing.T) {
	g := newGroup(t, 2)
	g.stores[1].simMemory = newMemory()
	g.rest()
	g.sign("p2", 1)
	g.rest()
	g.whole(1, false, "p1 is missing there")
	end := g.now.Add(2 * g.core.outwait())
	for g.now < end {
		g.pass(beatEvery)
		f := g.send(0)
		f.reading = Vote{Err: errLost}
		g.land(f)
		g.turn(1)
	}
	g.whole(1, true, "p1 is dead, and the other store can't tell")
}

// While nobody of us read, a peer came back, and it is in doubt of a lock.
func TestWhatAPeerLeavesOutIsHeededAfterAPause(t *testing.T) {
	for _, before := range [][]string{nil, {"parcels"}} {
		g := newGroup(t, 3)
		for i := range g.stores {
			if before != nil {
				g.stores[i].book["p1"] = g.signature("p1", i, leavesOut(before...))
			}
		}
		g.rest()
		g.pass(2 * g.core.outwait())
		for i := range g.stores {
			g.stores[i].book["p1"] = g.signature("p1", i, leavesOut(append(before, "orders")...))
		}
		for range 4 {
			g.turn(0, 1, 2)
			for i := range g.stores {
				if g.core.wordless(i, "orders") == "" {
					t.Fatalf("store %d has a word on what p1 left out beside %q", i, before)
				}
			}
		}
	}
}

// It would never say that it is over.
func TestWhatADeadPeerLeftOutIsOverAtSomeTime(t *testing.T) {
	g := newGroup(t, 3)
	for i := range g.stores {
		g.stores[i].book["p1"] = g.signature("p1", i, leavesOut("orders"))
	}
	g.rest()
	dead := g.now.Add(g.core.outwait())
	g.wait(dead)
	g.rest()
	g.ends(g.submit(acquiring("token", time.Second, "orders")), Failed)
	late := []flight{g.send(0), g.send(1), g.send(2)}
	g.pass(time.Minute)
	for _, f := range late {
		g.land(f)
	}
	if g.core.wordless(0, "orders") == "" {
		t.Error("a reading that was asked for before the end ended it, and the peer may live")
	}
	g.rest()
	op := g.submit(acquiring("token", time.Second, "orders"))
	g.rest()
	g.ends(op, Changed)
}
