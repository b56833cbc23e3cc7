package quorum

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestAPaceFollowsTheTime(t *testing.T) {
	start := Time(time.Hour)
	for after, want := range map[time.Duration]uint64{
		-time.Second:                       1000, // a clock that went back
		0:                                  1000,
		time.Second/numbersASecond - 1:     1000,
		time.Second / numbersASecond:       1001,
		time.Second:                        1000 + numbersASecond,
		time.Hour:                          1000 + 3600*numbersASecond,
		365 * 24 * time.Hour:               1000 + 365*24*3600*numbersASecond,
		time.Minute + time.Second/2 + 1000: 1000 + 60*numbersASecond + numbersASecond/2,
	} {
		got := pace{1000, start}.now(start.Add(after))
		if off := int64(got - want); off < 0 || off > int64(want/1e5) { // it counts in whole nanoseconds
			t.Errorf("%v after 1000 it is %d, want %d", after, got, want)
		}
	}
}

func TestWhatSomebodyElseUsedLiftsOurNumbers(t *testing.T) {
	g := openGroup(t, groupConfig(1), groupPast())
	start := g.core.count
	for _, c := range []struct {
		what  string
		n     Number
		count uint64
	}{
		{"a lower one", MakeNumber(start-1, 2), start},
		{"none", 0, start},
		{"the same count of another author", MakeNumber(start, 255), start},
		{"a higher one", MakeNumber(start+100, 2), start + 100},
		{"a far higher one", MakeNumber(start+1<<40, 2), start + 1<<40},
		{"that of before again", MakeNumber(start+100, 2), start + 1<<40},
	} {
		g.core.learn(g.now, c.n)
		if g.core.count != c.count || g.core.pace.now(g.now) != c.count {
			t.Errorf("%s: count %d, pace %d, want both %d", c.what, g.core.count, g.core.pace.now(g.now), c.count)
		}
	}
	if n := g.core.number(); n != MakeNumber(start+1<<40+1, 1) {
		t.Errorf("the next number is %v, want one above all, with our own author", n)
	}
}

func TestNumbersGoOnWhileNothingIsHeard(t *testing.T) {
	g := newGroup(t, 3)
	before := g.holds("orders", "token", 100*time.Millisecond).Version.Count()
	end := g.now.Add(time.Minute)
	for g.now < end { // called when it wants to be
		g.now = min(g.core.Tick(g.now), end)
		if g.core.dry() {
			t.Fatal("a lock that is taken now waits until the journal allows numbers")
		}
		g.sync()
	}
	if got := g.holds("orders", "token", time.Second).Version.Count(); got < before+55*numbersASecond {
		t.Errorf("a minute later the number is %d higher, want about %d", got-before, 60*numbersASecond)
	}
	d := newDesk(t, 0) // alone nobody else has numbers
	before = d.hold("orders", "token", 100*time.Millisecond).Version.Count()
	d.pass(time.Minute)
	if got := d.hold("orders", "token", time.Second).Version.Count(); got != before+1 {
		t.Errorf("alone, a minute later the number is %d higher, want 1", got-before)
	}
}

func TestNumbersStartAboveEveryMarkInABook(t *testing.T) {
	high := MakeNumber(1<<40, 2)
	for what, alter := range map[string]func(*Signature){
		"a signature's":                    func(s *Signature) { s.Mark = high },
		"a pending one's":                  func(s *Signature) { s.Phase, s.Mark = Pending, high },
		"one of an earlier incarnation":    func(s *Signature) { s.Incarnation, s.Mark = "before", high },
		"of a peer that was forgotten":     func(s *Signature) { s.Phase, s.Mark = Forgotten, high },
		"of a peer of whatever other life": func(s *Signature) { s.Instance, s.Mark = "another", high },
	} {
		g := newGroup(t, 3)
		g.stores[1].book["p1"] = g.signature("p1", 1, alter)
		g.turn(1)
		op := g.submit(acquiring("token", time.Second, "orders"))
		g.rest()
		if got := g.ends(op, Changed).Leases[0].Version; got <= high {
			t.Errorf("the mark is %s: number %v, want one above %v", what, got, high)
		}
	}
}

func TestOurMarkIsAboveEveryNumberThatWeGave(t *testing.T) {
	g := newGroup(t, 3)
	lease := g.holds("orders", "token", time.Minute)
	g.pass(beatEvery)
	g.rest()
	for i := range g.stores {
		if s := g.mine(i); s.Mark < lease.Version || s.Mark.Author() != 1 {
			t.Errorf("store %d: the mark is %v, want at least %v", i, s.Mark, lease.Version)
		}
	}
}

func TestAStaleNumberIsTriedAgainWithAHigherOne(t *testing.T) {
	g := newGroup(t, 3)
	mark := MakeNumber(g.core.count+50_000, 2)
	for i := range 2 { // a peer was here, and we have not heard
		g.stores[i].marks[Bucket("orders")] = mark
	}
	op := g.submit(acquiring("token", time.Second, "orders"))
	first := g.asked[0][0].Next.Version
	g.sync()
	g.turn(0)
	g.waits(op, "one store has a higher number")
	g.turn(1)
	g.waits(op, "two stores have: that is no denial")
	g.rest()
	if got := g.ends(op, Changed).Leases[0].Version; got <= mark || got <= first {
		t.Errorf("number %v, want one above %v", got, mark)
	}
	if p := g.core.pace.now(g.now); p < mark.Count() {
		t.Errorf("the pace is %d, want it to have learned of %d", p, mark.Count())
	}
	for i := range g.stores {
		if c := g.stores[i].get(g.now, "orders"); c.Version == first {
			t.Errorf("store %d keeps the copy of the first try", i)
		}
	}
}

func TestAMarkThatKeepsRisingEndsInAnError(t *testing.T) {
	g := newGroup(t, 1)
	op := g.submit(acquiring("token", time.Second, "orders"))
	for range 40 {
		g.stores[0].marks[Bucket("orders")] = MakeNumber(g.core.count+10, 2)
		g.turn(0)
	}
	if r := g.ends(op, Failed); r.Outcome == Held {
		t.Errorf("%v: a number is no holder", r.Outcome)
	}
}

func TestAMarkOfAnotherBucketIsNoMatter(t *testing.T) {
	g := newGroup(t, 1)
	for b := range Buckets {
		if b != Bucket("orders") {
			g.stores[0].marks[b] = MakeNumber(g.core.count+1000, 2)
		}
	}
	before := g.core.count
	if got := g.holds("orders", "token", time.Second).Version.Count(); got != before+1 {
		t.Errorf("number %d, want %d at the first try", got, before+1)
	}
}

func TestThePartsOfOneChangeHaveNumbersThatGrow(t *testing.T) {
	first := "lock0" // two names that share a mark: the second must pass the first one's
	second := ""
	for i := 1; second == ""; i++ {
		if name := fmt.Sprint("lock", i); Bucket(name) == Bucket(first) {
			second = name
		}
	}
	for _, names := range [][]string{{first, second}, {second, first}, {"a", first, "b", second, "c"}} {
		g := newGroup(t, 3)
		op := g.submit(acquiring("token", time.Second, names...))
		for i, ask := range g.asked[0] {
			if i > 0 && ask.Next.Version <= g.asked[0][i-1].Next.Version {
				t.Errorf("%q: the numbers go from %v to %v, want them to grow in the order in which they are sent", names, g.asked[0][i-1].Next.Version, ask.Next.Version)
			}
		}
		g.rest()
		g.ends(op, Changed)
		op = g.submit(acquiring("token", time.Second, "z"))
		g.rest()
		if last := g.core.slots[names[len(names)-1]].lease; g.ends(op, Changed).Leases[0].Version <= last.Version {
			t.Errorf("%q: the next change repeats a number", names)
		}
	}
}

func TestOnlyNewNumbersAreMarked(t *testing.T) {
	g := newGroup(t, 1)
	g.holds("orders", "token", time.Minute)
	g.submit(extending("orders", "token", time.Minute))
	g.sync()
	if ask := g.asked[0][0]; !ask.Mark {
		t.Errorf("an extension asks %s without its mark", showAsk(ask))
	}
	g.rest()
	g.submit(releasing("orders", "token"))
	if ask := g.asked[0][0]; ask.Mark {
		t.Errorf("a release asks %s with a mark", showAsk(ask))
	}
	d := newDesk(t, 1)
	d.submit(acquiring("token", time.Minute, "orders"))
	if ask := d.asked[0][0]; ask.Mark {
		t.Errorf("alone, store 0 is asked %s with a mark", showAsk(ask))
	}
}

func TestLearnedNumbersWaitForTheJournal(t *testing.T) {
	g := newGroup(t, 1)
	g.core.learn(g.now, g.core.limit+1<<30)
	op := g.submit(acquiring("token", time.Minute, "orders"))
	if len(g.asked[0]) > 0 {
		t.Errorf("store 0 is asked %s, with a number that the journal did not allow", showAsk(g.asked[0][0]))
	}
	g.rest()
	if got := g.ends(op, Changed).Leases[0].Version; got >= g.core.limit {
		t.Errorf("number %v, want one below the limit %v", got, g.core.limit)
	}
}

func TestAChangeThatWaitsForNumbersIsNotForgotten(t *testing.T) {
	g := newGroup(t, 1)
	g.core.learn(g.now, g.core.limit)
	first := g.submit(acquiring("token", time.Minute, "orders")) // it has the journal asked
	g.core.learn(g.now, g.core.limit+1<<30)                      // and meanwhile somebody is far ahead
	second := g.submit(acquiring("token", time.Minute, "parcels"))
	g.rest()
	if len(g.core.thirst) > 0 {
		t.Fatalf("%d changes wait for numbers, and nobody asks the journal for more", len(g.core.thirst))
	}
	g.ends(first, Changed)
	g.ends(second, Changed)
}

func TestANumberOfBeforeAStoreForgotIsNotTakenThere(t *testing.T) {
	g := newGroup(t, 1)
	lease := g.peerHolds("token", groupTTL/2)
	op := g.submit(seeing(extending("orders", "token", groupTTL)))
	g.land(g.send(0)) // it is shown the lease, has its number, and waits for the journal
	g.stores[0].simMemory = newMemory()
	g.sign("p1", 0)
	g.sign("p2", 0)
	g.place("orders", lease, groupTTL/2, 0)
	for range 6 {
		g.land(g.send(0))
		g.beat(0)
	}
	g.whole(0, true, "all have signed again")
	g.waits(op, "the journal is slow")
	g.sync()
	if votes := doing(g.asked[0], whyVote); len(votes) > 0 {
		t.Errorf("store 0 is asked %s, and no mark of it shows whether others have passed that number", showAsk(votes[0]))
	}
	g.rest()
	if r := g.ends(op, Failed); !errors.Is(r.Err, ErrNoQuorum) {
		t.Errorf("the change ended with %v, want that its only store does not count", r.Err)
	}
	op = g.submit(seeing(extending("orders", "token", groupTTL)))
	g.rest()
	g.ends(op, Changed)
}

// A peer's numbers went on while we were not there, and whoever could tell us which
// may be gone by now.
func TestNumbersGoOnWhileWeAreAway(t *testing.T) {
	past := groupPast()
	past.Away = time.Minute
	for _, c := range []struct {
		what string
		cfg  Config
		want uint64
	}{
		{"with peers", groupConfig(1), past.Limit.Count() + 60*numbersASecond},
		{"alone", deskConfig(1), past.Limit.Count()},
	} {
		if d := openDesk(t, c.cfg, past); d.core.count != c.want {
			t.Errorf("%s: after a minute the count is %d, want %d", c.what, d.core.count, c.want)
		}
	}
}

// What we heard of a peer's numbers is on disk before it is in a book, so that we
// know it after a crash, and nobody counts on what we might forget.
func TestWhatWasHeardOfNumbersIsKept(t *testing.T) {
	g := newGroup(t, 1)
	high := MakeNumber(g.core.limit.Count()+1<<20, 2)
	g.stores[0].book["p1"] = g.signature("p1", 0, func(s *Signature) { s.Mark = high })
	written := len(g.disk)
	f := g.send(0)
	g.land(f)
	g.desk.pass(beatEvery)
	g.land(g.send(0))
	if s := g.mine(0); s.Mark >= high {
		t.Errorf("the book has the mark %v before the journal has it", s.Mark)
	}
	g.sync()
	if limit := g.disk[len(g.disk)-1].Limit; len(g.disk) == written || limit <= high {
		t.Errorf("the journal has the limit %v, want it above %v", limit, high)
	}
	g.pass(beatEvery)
	g.turn(0)
	if s := g.mine(0); s.Mark < high {
		t.Errorf("the book has the mark %v, want %v", s.Mark, high)
	}
}

// The pace goes on while the disk syncs.
func TestASlowDiskIsAskedForMoreNumbers(t *testing.T) {
	for _, slow := range []time.Duration{100 * time.Millisecond, 2 * time.Second, 10 * time.Second} {
		g := newGroup(t, 1)
		g.desk.pass(time.Minute)
		op := g.submit(acquiring("token", time.Second, "orders"))
		syncs := 0
		for ; len(g.asked[0]) == 0 && syncs < 10; syncs++ {
			g.desk.pass(slow)
			g.sync()
		}
		if syncs > 5 {
			t.Errorf("a sync takes %v: after %d of them nothing is asked of the store", slow, syncs)
		}
		g.rest()
		g.ends(op, Changed)
	}
}

// Of what was reserved nobody else may hear: all stores forget, and we are gone.
func TestWhoeverTakesUsForDeadHasPassedWhatARestartSkipped(t *testing.T) {
	cfg := groupConfig(1)
	cfg.MaxTTL = time.Second
	g := openGroup(t, cfg, groupPast())
	if left := g.core.limit.Count() - g.core.count; left < MaxNames {
		t.Fatalf("%d numbers are reserved, want as many as one op may need", left)
	}
	back := openGroup(t, cfg, History{Birth: g.core.births, Limit: g.core.limit, Seen: g.core.seen})
	began := back.core.count
	if began == g.core.count {
		t.Fatal("the restart skips nothing")
	}
	back.pass(10 * time.Second)
	back.connect(0)
	back.rest()
	back.wait(back.core.stores[0].signed.Add(back.core.silence()))
	back.rest()
	back.whole(0, false, "the others may have to go on for so long")
	g.pass(g.core.silence())
	if g.core.count <= began {
		t.Errorf("after %v of silence the count is %d, want it above %d, where a restart began", g.core.silence(), g.core.count, began)
	}
}

// A restart takes numbers ahead by what was reserved. If all stores forgot then, and we
// were gone, a peer that had not heard of that would go on below them.
func TestAStoreWaitsUntilAPeerHasHeardOfOurNumbers(t *testing.T) {
	g := newGroup(t, 1)
	woke := g.core.woke
	g.stores[0].book["p1"] = g.signature("p1", 0, func(s *Signature) { s.Mark = MakeNumber(woke-1, 2) })
	g.turn(0)
	if g.whole(0, false, "p1 has not heard of our numbers"); g.core.stores[0].waits != "peer p1 did not hear of our numbers yet; if it is dead, its last lease ends in 1m1s" {
		t.Errorf("it waits for %q", g.core.stores[0].waits)
	}
	g.beat(0)
	g.turn(0)
	g.whole(0, true, "p1 has heard of our numbers")
}
