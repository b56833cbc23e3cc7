package quorum

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestStoresAndJournalAreAskedAtTheSameMoment(t *testing.T) {
	d := newDesk(t, 3)
	op := d.submit(acquiring("token", 10*time.Second, "orders"))
	d.waits(op, "nothing answered")
	if len(d.written) != 1 || !d.written[0].sync || len(d.written[0].Entries) != 1 {
		t.Fatalf("the journal is asked for %+v, want one synced record of one entry", d.written)
	}
	entry := d.written[0].Entries[0]
	if !entry.Pending || entry.Name != "orders" || entry.Replaced != nil || entry.Lease.Until != Until(d.now, 10*time.Second) {
		t.Errorf("the journal is asked for %+v of %+v, want a pending lease until the cautious end", entry, entry.Lease)
	}
	for store := range 3 {
		ask := d.next(store)
		want := Request{Name: "orders", TTL: 10 * time.Second}
		if ask.Action != Swap || ask.Name != want.Name || ask.TTL != want.TTL || ask.Prev != nil || ask.OrNone {
			t.Errorf("store %d is asked %s, want a swap from nothing for the whole TTL", store, showAsk(ask))
		}
		if !ask.Next.Equal(entry.Lease.Copy()) {
			t.Errorf("store %d is given %s, want the copy of the lease in the journal", store, showCopy(ask.Next))
		}
		if ask.Deadline != d.now.Add(250*time.Millisecond) {
			t.Errorf("store %d: sent until %v, want until patience ends", store, ask.Deadline)
		}
	}
}

func TestAGrantNeedsVotesAndJournal(t *testing.T) {
	for _, c := range []struct {
		stores int
		order  string // v: the next store grants, j: the journal is synced
	}{
		{0, "j"},
		{1, "vj"}, {1, "jv"},
		{2, "vvj"}, {2, "vjv"}, {2, "jvv"},
		{3, "vvj"}, {3, "vjv"}, {3, "jvv"},
		{5, "vvvj"}, {5, "jvvv"}, {5, "vvvvvj"},
	} {
		d := newDesk(t, c.stores)
		op := d.submit(acquiring("token", 10*time.Second, "orders"))
		voted := 0
		for i, event := range c.order {
			d.waits(op, "after "+c.order[:i]+" of "+c.order)
			if event == 'v' {
				d.grant(voted)
				voted++
			} else {
				d.sync()
			}
		}
		r := d.ends(op, Changed)
		lease := r.Leases[0]
		if lease.Fence == 0 || lease.Fence != lease.Version || string(lease.Value) != "token" {
			t.Errorf("%d stores, %s: granted %+v, want the token under a number of its own", c.stores, c.order, lease)
		}
		if want := Validity(10*time.Second, 0); r.Validity != want {
			t.Errorf("%d stores, %s: validity %v, want %v", c.stores, c.order, r.Validity, want)
		}
	}
}

func TestWhatTheStoresSayIsNeverConfused(t *testing.T) {
	for _, c := range []struct {
		need  int
		votes string // by store: granted, refused, silent; _ is still out
		want  Outcome
		err   error
	}{
		{2, "gg_", Changed, nil},
		{2, "ggr", Changed, nil},
		{2, "gsg", Changed, nil},
		{2, "sgg", Changed, nil}, // one silent store stops nobody
		{2, "rgg", Changed, nil}, // nor does one that refuses
		{2, "rr_", Held, nil},
		{2, "grr", Held, nil},
		{2, "ss_", Failed, ErrNoQuorum},
		{2, "rsg", Failed, ErrNoQuorum}, // refused once, and that is not held
		{2, "rsr", Held, nil},
		{2, "gsr", Failed, ErrNoQuorum},
		{3, "r__", Held, nil},
		{3, "sgg", Failed, ErrNoQuorum},
		{3, "sr_", Held, nil},
		{3, "ggg", Changed, nil},
	} {
		cfg := deskConfig(3)
		cfg.Need = c.need
		d := openDesk(t, cfg, History{Birth: deskBirth, Limit: deskBirth})
		d.core.Reserve()
		d.sync()
		op := d.submit(acquiring("token", 10*time.Second, "orders"))
		d.sync()
		for store, vote := range c.votes {
			switch vote {
			case 'g':
				d.grant(store)
			case 'r':
				d.refuse(foreignCopy("other"), store)
			case 's':
				d.mute(store)
			}
		}
		if r := d.result(op); r.Outcome != c.want || !errors.Is(r.Err, c.err) {
			t.Errorf("need %d, votes %s: %v (%v), want %v (%v)", c.need, c.votes, r.Outcome, r.Err, c.want, c.err)
		}
	}
}

func TestPatienceEndsInSilence(t *testing.T) {
	for votes, want := range map[string]Outcome{
		"___": Failed,
		"g__": Failed,
		"gr_": Failed,
		"r__": Failed,
	} {
		d := newDesk(t, 3)
		op := d.submit(acquiring("token", 10*time.Second, "orders"))
		d.sync()
		for store, vote := range votes {
			switch vote {
			case 'g':
				d.grant(store)
			case 'r':
				d.refuse(foreignCopy("other"), store)
			}
		}
		d.pass(250*time.Millisecond - 1)
		d.waits(op, votes+" just before patience ends")
		d.pass(1)
		r := d.ends(op, want)
		if !errors.Is(r.Err, ErrNoQuorum) || r.Took != 250*time.Millisecond {
			t.Errorf("%s: %v after %v, want no quorum after 250ms", votes, r.Err, r.Took)
		}
	}
}

func TestNoQuorumNamesEachSilentStoreAndWhyOnOneLine(t *testing.T) {
	d := newDesk(t, 5)
	op := d.submit(acquiring("token", 10*time.Second, "orders"))
	d.grant(0, 1)
	d.refuse(foreignCopy("other"), 2)
	d.answer(3, Vote{Err: errors.New("it is down: connection refused"), Unsent: true})
	d.pass(250 * time.Millisecond)
	got := d.ends(op, Failed).Err.Error()
	want := `change "orders": 2 of 5 stores granted, 1 refused, 2 silent, need 3: no quorum: ` +
		`s3: it is down: connection refused; s4: no answer within 250ms`
	if got != want {
		t.Errorf("error\n got %s\nwant %s", got, want)
	}
	if strings.Contains(got, "\n") {
		t.Errorf("error %q, want one line", got)
	}
}

func TestTooSlowIsNoGrant(t *testing.T) {
	for _, c := range []struct {
		elapsed time.Duration
		want    Outcome
	}{
		{0, Changed},
		{988*time.Millisecond - 1, Changed},
		{988 * time.Millisecond, Failed}, // a second, less the drift of 12ms
		{3 * time.Second, Failed},
	} {
		d := newDesk(t, 3)
		op := d.submit(acquiring("token", time.Second, "orders"))
		d.grant(0, 1)
		d.pass(c.elapsed)
		d.sync()
		r := d.ends(op, c.want)
		if c.want == Changed {
			if want := 988*time.Millisecond - c.elapsed; r.Validity != want {
				t.Errorf("after %v: validity %v, want %v", c.elapsed, r.Validity, want)
			}
			continue
		}
		if !errors.Is(r.Err, ErrTooSlow) {
			t.Errorf("after %v: %v, want too slow", c.elapsed, r.Err)
		}
		for store := range 2 {
			if ask := d.next(store); ask.Next != nil || ask.Prev == nil {
				t.Errorf("after %v, store %d is asked %s, want the copy taken out", c.elapsed, store, showAsk(ask))
			}
		}
		d.asked[2] = nil
		if d.hold("orders", "next", time.Second); d.onDisk("orders").Lease.Fence == 0 {
			t.Errorf("after %v the lock can't be had", c.elapsed)
		}
	}
}

func TestValidityCountsFromBeforeTheFirstRequest(t *testing.T) {
	d := newDesk(t, 3)
	first := d.submit(acquiring("one", 10*time.Second, "orders"))
	second := d.submit(handingOver("orders", "one", "two", 10*time.Second))
	d.pass(100 * time.Millisecond)
	d.settle()
	r1, r2 := d.ends(first, Changed), d.ends(second, Changed)
	if want := Validity(10*time.Second, 100*time.Millisecond); r1.Validity != want {
		t.Errorf("first: validity %v, want %v", r1.Validity, want)
	}
	// The second waited behind the first, and then asked at once.
	if want := Validity(10*time.Second, 0); r2.Validity != want {
		t.Errorf("second: validity %v, want %v", r2.Validity, want)
	}
}

func TestALockOfOursIsDeniedWithoutAskingAnybody(t *testing.T) {
	d := newDesk(t, 3)
	d.hold("orders", "one", 10*time.Second)
	op := d.submit(acquiring("two", 10*time.Second, "orders"))
	d.ends(op, Unchanged)
	d.quiet("denied by the table")
	d.pass(10*time.Second + Drift(10*time.Second) - 1)
	d.ends(d.submit(acquiring("two", 10*time.Second, "orders")), Unchanged)
	d.pass(1)
	d.waits(d.submit(acquiring("two", 10*time.Second, "orders")), "the lease is over")
}

func TestAnExtensionKeepsTheFenceAndGetsANewVersion(t *testing.T) {
	d := newDesk(t, 3)
	before := d.hold("orders", "token", 10*time.Second)
	d.pass(4 * time.Second)
	op := d.submit(extending("orders", "token", 20*time.Second))
	if ask := d.asked[0][0]; !ask.Prev.Equal(before.Copy()) || !ask.OrNone || ask.TTL != 20*time.Second {
		t.Errorf("store 0 is asked %s, want the old copy or none replaced for the new TTL", showAsk(ask))
	}
	d.settle()
	after := d.ends(op, Changed).Leases[0]
	if after.Fence != before.Fence {
		t.Errorf("fence %v, want %v as before", after.Fence, before.Fence)
	}
	if after.Version <= before.Version {
		t.Errorf("version %v, want one above %v", after.Version, before.Version)
	}
	if want := Until(d.now, 20*time.Second); after.Until != want {
		t.Errorf("until %v, want %v", after.Until, want)
	}
}

func TestAHandOverGetsANewFence(t *testing.T) {
	d := newDesk(t, 3)
	before := d.hold("orders", "one", 10*time.Second)
	op := d.submit(handingOver("orders", "one", "two", 10*time.Second))
	d.settle()
	after := d.ends(op, Changed).Leases[0]
	if after.Fence <= before.Fence || after.Fence != after.Version {
		t.Errorf("fence %v, version %v, want a new number above %v for both", after.Fence, after.Version, before.Fence)
	}
	if e := d.onDisk("orders"); e.Pending || string(e.Lease.Value) != "two" {
		t.Errorf("the journal has %q, pending %t, want the new holder for sure", e.Lease.Value, e.Pending)
	}
	d.ends(d.submit(releasing("orders", "one")), Unchanged)
	d.ends(d.submit(releasing("orders", "two")), Changed)
}

func TestAReleaseNeedsNoVotes(t *testing.T) {
	d := newDesk(t, 3)
	lease := d.hold("orders", "token", 10*time.Second)
	op := d.submit(releasing("orders", "token"))
	if r := d.ends(op, Changed); len(r.Leases) != 1 || r.Leases[0] != nil {
		t.Errorf("a release leaves %v, want one lock without a lease", r.Leases)
	}
	if len(d.written) != 1 || d.written[0].sync || d.written[0].want != nil {
		t.Errorf("the journal is asked for %+v, want one record that nobody waits for", d.written)
	}
	d.sync()
	if e := d.onDisk("orders"); e.Lease != nil {
		t.Errorf("the journal has %+v, want the lock free", e.Lease)
	}
	for store := range 3 {
		if ask := d.next(store); !ask.Prev.Equal(lease.Copy()) || ask.Next != nil || ask.OrNone {
			t.Errorf("store %d is asked %s, want this very copy taken out", store, showAsk(ask))
		}
	}
	d.hold("orders", "next", 10*time.Second)
}

func TestSeveralLocksAllOrNone(t *testing.T) {
	for _, c := range []struct {
		orders, parcels string // votes
		want            Outcome
	}{
		{"gg_", "gg_", Changed},
		{"gsg", "sgg", Changed}, // counted by name, not by store
		{"gg_", "rr_", Held},
		{"rr_", "gg_", Held},
		{"ggg", "ss_", Failed},
	} {
		d := newDesk(t, 3)
		op := d.submit(acquiring("token", 10*time.Second, "orders", "parcels"))
		d.sync()
		for store := range 3 {
			for _, votes := range []string{c.orders, c.parcels} {
				switch votes[store] {
				case 'g':
					d.grant(store)
				case 'r':
					d.refuse(foreignCopy("other"), store)
				case 's':
					d.mute(store)
				case '_':
					d.next(store)
				}
			}
		}
		r := d.ends(op, c.want)
		d.sync()
		for _, name := range []string{"orders", "parcels"} {
			held := d.core.slots[name] != nil && d.core.slots[name].lease != nil
			if kept := d.onDisk(name).Lease != nil; held != (c.want == Changed) || kept != held {
				t.Errorf("votes %s and %s: %s is held %t, by the journal %t", c.orders, c.parcels, name, held, kept)
			}
		}
		if c.want == Changed && r.Leases[0].Version >= r.Leases[1].Version {
			t.Errorf("the parts of a change have versions %v and %v, want them to grow: a store refuses what does not", r.Leases[0].Version, r.Leases[1].Version)
		}
	}
}

func TestWhatCannotBeALeaseIsRefusedBeforeAnybodyIsAsked(t *testing.T) {
	long := strings.Repeat("n", MaxName+1)
	many := make([]string, MaxNames+1)
	for i := range many {
		many[i] = strings.Repeat("x", i+1)
	}
	part := func(p Part) *Op {
		p.Name = "orders"
		return &Op{Names: []string{"orders"}, Decide: func(*View) Plan { return Plan{Parts: []Part{p}} }}
	}
	for what, op := range map[string]*Op{
		"an empty name":       acquiring("token", time.Second, ""),
		"a long name":         acquiring("token", time.Second, long),
		"one name twice":      acquiring("token", time.Second, "orders", "parcels", "orders"),
		"too many names":      acquiring("token", time.Second, many...),
		"a TTL of nothing":    part(Part{}),
		"a TTL below 1ms":     part(Part{TTL: MinTTL - 1}),
		"a negative TTL":      part(Part{TTL: -time.Second}),
		"a TTL above the max": part(Part{TTL: 24*time.Hour + 1}),
		"a big value":         part(Part{TTL: time.Second, Value: make([]byte, MaxValue+1)}),
		"a name not asked for": {Names: []string{"orders"}, Decide: func(*View) Plan {
			return Plan{Parts: []Part{{Name: "parcels", TTL: time.Second}}}
		}},
	} {
		d := newDesk(t, 3)
		if r := d.result(d.submit(op)); r.Outcome != Failed || !errors.Is(r.Err, ErrInvalid) {
			t.Errorf("%s: %v (%v), want it refused", what, r.Outcome, r.Err)
		}
		d.quiet(what)
		if len(d.written) > 0 || len(d.core.slots) > 0 {
			t.Errorf("%s: %d records and %d names are left, want none", what, len(d.written), len(d.core.slots))
		}
	}
}

func TestTheLargestLeaseThereMayBe(t *testing.T) {
	d := newDesk(t, 3)
	lease := d.hold(strings.Repeat("n", MaxName), strings.Repeat("v", MaxValue), 24*time.Hour)
	if len(lease.Value) != MaxValue {
		t.Errorf("a value of %d bytes, want %d", len(lease.Value), MaxValue)
	}
	names := make([]string, MaxNames)
	for i := range names {
		names[i] = strings.Repeat("x", i+1)
	}
	op := d.submit(acquiring("token", time.Second, names...))
	d.settle()
	d.ends(op, Changed)
}

func TestALeaseAskedForWithoutTTLIsCountedOnce(t *testing.T) {
	d := newDesk(t, 0)
	untimed := Part{Name: "orders", Value: []byte("token"), TTL: 24 * time.Hour, Untimed: true}
	op := d.submit(&Op{Names: []string{"orders"}, Decide: func(*View) Plan { return Plan{Parts: []Part{untimed}} }})
	d.settle()
	if lease := d.ends(op, Changed).Leases[0]; !lease.Untimed || d.core.untimed != 1 {
		t.Errorf("untimed %t, counted %d, want it marked and counted once", lease.Untimed, d.core.untimed)
	}
	again := d.submit(asHolder("orders", "token", Part{Value: []byte("token"), TTL: 24 * time.Hour, Untimed: true, Renew: true}))
	d.settle()
	if d.ends(again, Changed); d.core.untimed != 1 {
		t.Errorf("an extension made it %d, want 1", d.core.untimed)
	}
}

func TestADenialByTheTableCountsAsOne(t *testing.T) {
	d := newDesk(t, 0)
	d.hold("orders", "token", time.Minute)
	for _, c := range []struct {
		plan Plan
		want Deed
	}{
		{Plan{Denied: true}, Acquired},
		{Plan{}, Looked},
	} {
		op := d.submit(&Op{Names: []string{"orders"}, Decide: func(*View) Plan { return c.plan }})
		if r := d.ends(op, Unchanged); r.Deed != c.want {
			t.Errorf("plan %+v was about %v, want %v", c.plan, r.Deed, c.want)
		}
	}
}

func TestADeedIsTheWeightiestOfItsParts(t *testing.T) {
	held := leaseFor("token", 1500, time.Second)
	drop, renew, take := Part{Prev: held, Drop: true}, Part{Prev: held}, Part{}
	for _, c := range []struct {
		parts []Part
		want  Deed
	}{
		{nil, Looked}, {[]Part{drop}, Released}, {[]Part{drop, renew, drop}, Renewed}, {[]Part{renew, take}, Acquired}, {[]Part{drop, take}, Acquired},
	} {
		if got := deed(c.parts); got != c.want {
			t.Errorf("deed of %d parts = %v, want %v", len(c.parts), got, c.want)
		}
	}
}
