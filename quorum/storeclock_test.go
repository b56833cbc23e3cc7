package quorum

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestTheOldSignatureStandsUntilTheNextOneDoes(t *testing.T) {
	for _, c := range []struct {
		what  string
		alter func(*Signature)
		keeps bool
	}{
		{"as we left it", func(*Signature) {}, true},
		{"of another incarnation", func(s *Signature) { s.Incarnation = "before" }, false},
		{"of another instance", func(s *Signature) { s.Instance = "lost" }, false},
		{"pending", func(s *Signature) { s.Phase = Pending }, false},
		{"an hour ago", func(s *Signature) { shownBefore(s, time.Hour, time.Hour) }, true},
		{"an hour ago, as the clock drifts", func(s *Signature) { shownBefore(s, time.Hour, time.Hour+30*time.Second) }, true},
		{"before its clock jumped ahead", func(s *Signature) { shownBefore(s, time.Second, time.Minute) }, false},
		{"before its clock jumped back", func(s *Signature) { shownBefore(s, time.Minute, time.Second) }, false},
		{"before we were booted", func(s *Signature) { s.Boot = "before" }, false},
		{"before nobody knows what", func(s *Signature) { s.Boot = "" }, false},
		{"without a clock", func(s *Signature) { s.Clock = nil }, false},
	} {
		g := openGroup(t, groupConfig(1), groupPast(ofJournal("orders", "one", 500, groupTTL)))
		g.stores[0].book["p0"] = g.signature("p0", 0, c.alter)
		was := g.mine(0).Nonce
		g.connect(0)
		g.turn(0)
		if g.core.stores[0].phase != "" {
			t.Errorf("%s: taken for %q, want a signature of before the restart to say nothing", c.what, g.core.stores[0].phase)
		}
		g.turn(0)
		if s := g.mine(0); (s.Phase == Signed && s.Nonce == was && s.Next == "n1") != c.keeps || !c.keeps && s.Phase != Pending {
			t.Errorf("%s: while the leases are put back the book has %v, want the old signature kept %t", c.what, s, c.keeps)
		}
		g.whole(0, false, c.what)
		for range 3 {
			g.turn(0)
		}
		if s := g.mine(0); s.Phase != Signed || s.Nonce != "n1" || s.Next != "" || g.at(0, "orders") != "one" {
			t.Errorf("%s: the book has %v, want a signature of this life", c.what, s)
		}
	}
}

// rebooted returns a group of one store in which p0 finds its signature of an earlier
// boot, beside one of p1.
func rebooted(t *testing.T, entries ...Entry) *group {
	g := openGroup(t, groupConfig(1), groupPast(entries...))
	g.sign("p1", 0)
	p1, _ := ParseSignature(g.stores[0].book["p1"])
	g.stores[0].book["p0"] = g.signature("p0", 0, func(s *Signature) { s.Boot, s.Beside = "before", []string{p1.Nonce} })
	return g
}

// Readings of its own clock say nothing of before it was booted. A peer that was there
// all the while has torn the book if the store's clock jumped.
func TestAfterARebootAPeerVouchesForTheOldSignature(t *testing.T) {
	for _, c := range []struct {
		what string
		then func(g *group, turn int)
		want bool
	}{
		{"it lives", func(g *group, turn int) { g.beat(0) }, true},
		{"it stands still", func(*group, int) {}, false},
		{"it has come back meanwhile", func(g *group, turn int) {
			if turn == 0 {
				g.sign("p1", 0)
			}
			g.beat(0)
		}, false},
		{"it has moved once", func(g *group, turn int) {
			if turn == 1 {
				g.beat(0)
			}
		}, false},
	} {
		g := rebooted(t, ofJournal("orders", "one", 500, groupTTL))
		was := g.mine(0).Nonce
		g.connect(0)
		kept := false
		for turn := range 10 {
			g.turn(0)
			g.pass(beatEvery)
			c.then(g, turn)
			kept = kept || g.mine(0).Nonce == was && g.mine(0).Next != ""
		}
		if s := g.mine(0); kept != c.want || s.Phase != Signed || s.Nonce == was || g.at(0, "orders") != "one" {
			t.Errorf("%s: the old signature stood until the next one %t, want %t; the book has %v at last", c.what, kept, c.want, s)
		}
	}
}

// A machine loses power while extensions are being confirmed. The stores have forgotten
// nothing, and the peers were there all the time.
func TestARebootAmidExtensionsStopsNobody(t *testing.T) {
	var entries []Entry
	for i := range maxOwed + 1 {
		e := ofJournal(fmt.Sprint("lock", i), "token", uint64(500+2*i), groupTTL/2)
		was := *e.Lease
		e.Lease.Version, e.Pending, e.Replaced = MakeNumber(uint64(501+2*i), 1), true, &was
		entries = append(entries, e)
	}
	g := rebooted(t, entries...)
	for _, e := range entries {
		g.place(e.Name, e.Lease.Copy(), groupTTL/2, 0)
	}
	g.sign("p2", 0)
	g.connect(0)
	for range 8 {
		g.turn(0)
		g.beat(0)
		g.pass(signAgain)
	}
	g.whole(0, true, "nothing was forgotten")
	op := g.submit(extending("lock0", "token", groupTTL/2))
	g.rest()
	g.ends(op, Changed)
}

func TestASignatureSaysWhatStandsBesideIt(t *testing.T) {
	g := newGroup(t, 1)
	g.stores[0].book["p2"] = g.signature("p2", 0, func(s *Signature) { s.Phase = Pending })
	g.pass(beatEvery)
	g.turn(0)
	p1, _ := ParseSignature(g.stores[0].book["p1"])
	g.pass(beatEvery)
	if g.turn(0); !slices.Equal(g.mine(0).Beside, []string{p1.Nonce}) {
		t.Errorf("the book has %v, want the nonce %s of p1 in it, and none of p2, which is pending", g.mine(0), p1.Nonce)
	}
}

// shownBefore has a signature be made when so much less had passed by our clock, and
// by the store's.
func shownBefore(s *Signature, ours, its time.Duration) {
	s.Clock.Before, s.Clock.After, s.Clock.Shown = s.Clock.Before.Add(-ours), s.Clock.After.Add(-ours), s.Clock.Shown-its
}
