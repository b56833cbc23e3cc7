package quorum

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOpsOnOneLockGoInTheirOrder(t *testing.T) {
	d := newDesk(t, 3)
	var order []int
	note := func(i int, op *Op) *Op {
		decide := op.Decide
		op.Decide = func(v *View) Plan {
			order = append(order, i)
			return decide(v)
		}
		return op
	}
	ops := []*Op{
		note(0, acquiring("a", time.Second, "orders")),
		note(1, acquiring("b", time.Second, "orders")), // denied: a has it
		note(2, releasing("orders", "a")),
		note(3, acquiring("c", time.Second, "orders")), // granted: a let go
		note(4, acquiring("d", time.Second, "orders")),
	}
	for _, op := range ops {
		d.submit(op)
	}
	if len(order) != 1 {
		t.Errorf("%v have decided while the first is under way, want it alone", order)
	}
	d.settle()
	if want := []int{0, 1, 2, 3, 4}; !slices.Equal(order, want) {
		t.Errorf("they decided in the order %v, want %v", order, want)
	}
	for i, want := range []Outcome{Changed, Unchanged, Changed, Changed, Unchanged} {
		if got := d.result(ops[i]).Outcome; got != want {
			t.Errorf("op %d: %v, want %v", i, got, want)
		}
	}
}

func TestALockUnderWayHoldsUpNoOther(t *testing.T) {
	d := newDesk(t, 3)
	stuck := d.submit(acquiring("token", time.Second, "orders"))
	d.asked = make([][]*Ask, 3) // its requests are lost
	d.hold("parcels", "token", time.Second)
	d.waits(stuck, "nobody answered it")
}

func TestTenThousandWaitersAreAnsweredWithoutRecursion(t *testing.T) {
	const many = 10_000
	for _, first := range []Outcome{Changed, Held} {
		d := newDesk(t, 1)
		op := d.submit(acquiring("first", 10*time.Second, "orders"))
		var depths []int
		pcs := make([]uintptr, 1000)
		for range many {
			d.submit(&Op{Names: []string{"orders"}, Decide: func(*View) Plan {
				depths = append(depths, runtime.Callers(0, pcs))
				return Plan{}
			}})
		}
		d.sync()
		if first == Changed {
			d.grant(0)
		} else {
			d.refuse(foreignCopy("other"), 0)
		}
		d.ends(op, first)
		if len(depths) != many || len(d.core.finished) != many+1 {
			t.Fatalf("the first %v: %d looked and %d were answered, want %d", first, len(depths), len(d.core.finished)-1, many)
		}
		if depths[many-1] != depths[0] {
			t.Errorf("the first %v: the last is %d calls deep, the first %d, want the same", first, depths[many-1], depths[0])
		}
	}
}

// A crowd takes, renews and drops several of a few locks at once.
type crowd struct {
	d     *desk
	rng   *rand.Rand
	names []string
	ops   []*Op
	looks map[*Op]int // when it first looked
	more  map[*Op]bool
}

func (c *crowd) some() []string {
	names := slices.Clone(c.names)
	c.rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names[:1+c.rng.IntN(3)]
}

func (c *crowd) submit() {
	op := &Op{Names: c.some()}
	want := op.Names
	if c.more[op] = c.rng.IntN(4) == 0; c.more[op] {
		want = c.some()
	}
	op.Decide = func(v *View) Plan {
		if _, seen := c.looks[op]; !seen {
			c.looks[op] = len(c.looks)
		}
		var plan Plan
		for _, name := range want {
			lease, ok := v.Lease(name)
			if !ok {
				plan.More = append(plan.More, name)
			}
			plan.Parts = append(plan.Parts, Part{Prev: lease, Name: name, Value: []byte("token"), TTL: time.Second, Drop: lease != nil})
		}
		return plan
	}
	c.ops = append(c.ops, c.d.submit(op))
}

func TestOpsOnSeveralLocksNeverWaitForEachOther(t *testing.T) {
	for seed := range uint64(300) {
		c := &crowd{
			d: newDesk(t, 1), rng: rand.New(rand.NewPCG(seed, 0)), names: []string{"a", "b", "c", "d", "e"},
			looks: map[*Op]int{}, more: map[*Op]bool{},
		}
		for range 60 {
			c.submit()
			switch c.rng.IntN(4) {
			case 0:
				c.d.sync()
			case 1:
				for len(c.d.asked[0]) > 0 {
					c.d.grant(0)
				}
			}
		}
		c.d.settle()
		for i, op := range c.ops {
			if r, over := c.d.over(op); !over || r.Outcome != Changed {
				t.Fatalf("seed %d: op %d on %q is over %t: %v (%v), want it changed", seed, i, op.Names, over, r.Outcome, r.Err)
			}
		}
		c.inOrder(seed)
	}
}

// inOrder wants any two ops that share a lock to have looked in the order in
// which they were submitted. Those that asked for more went before others.
func (c *crowd) inOrder(seed uint64) {
	for j, later := range c.ops {
		for i, earlier := range c.ops[:j] {
			shared := slices.ContainsFunc(later.Names, func(n string) bool { return slices.Contains(earlier.Names, n) })
			if shared && !c.more[earlier] && !c.more[later] && c.looks[earlier] > c.looks[later] {
				c.d.t.Errorf("seed %d: op %d on %q looked after op %d on %q", seed, i, earlier.Names, j, later.Names)
			}
		}
	}
}

func TestAnOpThatAsksForMoreKeepsItsPlace(t *testing.T) {
	d := newDesk(t, 1)
	var order []string
	noting := func(who string, names ...string) *Op {
		return &Op{Names: names, Decide: func(v *View) Plan {
			if _, ok := v.Lease("parcels"); who == "more" && !ok {
				return Plan{More: []string{"parcels"}}
			}
			order = append(order, who)
			return Plan{}
		}}
	}
	under := d.submit(acquiring("token", time.Second, "parcels"))
	d.submit(noting("parcels", "parcels"))
	start := noting("more", "orders")
	d.submit(start)
	d.submit(noting("orders", "orders"))
	if len(order) > 0 {
		t.Errorf("%v have looked already, want all behind the one under way", order)
	}
	d.settle()
	d.ends(under, Changed)
	if len(order) != 3 || order[0] != "more" {
		t.Errorf("they looked in the order %v, want the one with more locks first", order)
	}
}

// Whoever asked for something behind it must find what it did.
func TestAnOpThatDecidesInAnotherWayKeepsItsPlace(t *testing.T) {
	d := newDesk(t, 0)
	var view *View
	op := d.submit(&Op{Names: []string{"orders"}, Decide: func(*View) Plan {
		return Plan{Start: func(v *View) { view = v }}
	}})
	behind := d.submit(acquiring("behind", time.Minute, "orders"))
	for _, started := range d.core.starts {
		started.Start(&started.view)
	}
	d.waits(op, "it is being decided")
	d.waits(behind, "it is behind that")
	lease, _ := view.Lease("orders")
	d.core.Resume(d.now, op, Plan{Parts: []Part{{Prev: lease, Name: "orders", Value: []byte("first"), TTL: time.Minute}}})
	d.sync()
	d.ends(op, Changed)
	d.ends(behind, Unchanged)
}

func TestWhatIsTurnedDownIsLookedAtAnewInItsPlace(t *testing.T) {
	for _, anew := range []bool{true, false} {
		d := newDesk(t, 3)
		var seen []string
		op := d.submit(&Op{Names: []string{"orders"}, Decide: func(v *View) Plan {
			lease, _ := v.Lease("orders")
			if lease != nil {
				seen = append(seen, string(lease.Value))
			}
			return Plan{Anew: anew, Parts: []Part{{Prev: lease, Name: "orders", Value: []byte("ours"), TTL: time.Minute}}}
		}})
		behind := d.submit(looking("orders", func(l *Lease) { seen = append(seen, string(l.Value)) }))
		d.sync()
		d.refuse(foreignCopy("theirs"), 0, 1)
		if !anew {
			d.ends(op, Held)
			continue
		}
		d.waits(op, "it was turned down once")
		d.waits(behind, "it is behind that")
		for range 2 { // the third store had done it: that is undone, behind it is the look
			if d.asked[2][0].Action != Read {
				d.grant(2)
			}
		}
		for store := range 3 {
			for len(d.asked[store]) > 0 && d.asked[store][0].Action == Read {
				d.answer(store, Vote{Verdict: Granted, Found: foreignCopy("theirs"), FoundLeft: time.Minute})
			}
		}
		d.settle()
		d.ends(op, Changed)
		d.ends(behind, Unchanged)
		if got := strings.Join(seen, " "); got != "theirs ours" {
			t.Errorf("they saw %q, want what turned it down, and then what came of it", got)
		}
	}
}

func TestWhatIsTurnedDownAgainAndAgainIsHeld(t *testing.T) {
	d := newDesk(t, 3)
	tries := 0
	op := d.submit(&Op{Names: []string{"orders"}, Decide: func(v *View) Plan {
		if tries++; tries > 20 {
			t.Fatal("it is tried without an end")
		}
		lease, _ := v.Lease("orders")
		return Plan{Anew: true, Parts: []Part{{Prev: lease, Name: "orders", Value: []byte("ours"), TTL: time.Minute}}}
	}})
	for over := false; !over; _, over = d.over(op) {
		d.sync()
		for store := range 3 {
			for len(d.asked[store]) > 0 {
				switch ask := d.asked[store][0]; {
				case ask.Action == Read:
					d.answer(store, Vote{Verdict: Granted})
				case ask.why == whyVote:
					d.refuse(foreignCopy("theirs"), store)
				default:
					d.grant(store)
				}
			}
		}
	}
	if d.ends(op, Held); tries != 1+mostTurned {
		t.Errorf("it was decided %d times, want %d", tries, 1+mostTurned)
	}
}

func TestMoreOfNothingNewIsAnError(t *testing.T) {
	d := newDesk(t, 1)
	op := d.submit(&Op{Names: []string{"orders"}, Decide: func(*View) Plan { return Plan{More: []string{"orders"}} }})
	if r := d.ends(op, Failed); !errors.Is(r.Err, ErrStale) {
		t.Errorf("error %v, want that it is stale", r.Err)
	}
	many := make([]string, MaxNames)
	for i := range many {
		many[i] = fmt.Sprint("lock", i)
	}
	op = d.submit(&Op{Names: []string{"orders"}, Decide: func(*View) Plan { return Plan{More: many} }})
	if r := d.ends(op, Failed); !errors.Is(r.Err, ErrInvalid) {
		t.Errorf("error %v, want that these are too many", r.Err)
	}
	d.hold("orders", "token", time.Second)
}

// started takes the ops whose Start is due.
func (d *desk) started() []*Op {
	starts := d.core.starts
	d.core.starts = nil
	return starts
}

func TestWhatEndsWhileAnOpIsThinkingIsShownAnew(t *testing.T) {
	d := newDesk(t, 1)
	d.hold("orders", "token", time.Second)
	op := extending("orders", "token", 10*time.Second)
	op.Start = func(*View) {}
	d.submit(op)
	if got := d.started(); len(got) != 1 || got[0] != op {
		t.Fatalf("started %v, want the op", got)
	}
	plan := op.Decide(&op.view)
	if len(plan.Parts) != 1 {
		t.Fatalf("plan %+v, want an extension", plan)
	}
	behind := d.submit(acquiring("next", time.Second, "orders"))
	d.pass(2 * time.Second) // the lease ends before the plan is made known
	d.core.Resume(d.now, op, plan)
	if got := d.started(); len(got) != 1 || got[0] != op {
		t.Fatalf("started %v, want the op again", got)
	}
	if lease, ok := op.view.Lease("orders"); lease != nil || !ok {
		t.Errorf("shown %+v, %t, want the lock free", lease, ok)
	}
	d.quiet("the plan was stale")
	d.waits(behind, "the op before is thinking")
	d.core.Resume(d.now, op, op.Decide(&op.view))
	d.ends(op, Unchanged)
	d.settle()
	d.ends(behind, Changed)
}

func TestAnOpThatIsAlwaysStaleGivesUp(t *testing.T) {
	d := newDesk(t, 1)
	looked := 0
	op := d.submit(&Op{Names: []string{"orders"}, Decide: func(*View) Plan {
		looked++
		never := &Lease{Name: "orders", Until: d.now.Add(time.Hour)}
		return Plan{Parts: []Part{{Prev: never, Name: "orders", Value: []byte("token"), TTL: time.Second}}}
	}})
	if r := d.ends(op, Failed); !errors.Is(r.Err, ErrStale) || looked > 20 {
		t.Errorf("it looked %d times: %v, want it to give up as stale", looked, r.Err)
	}
	d.quiet("always stale")
	d.hold("orders", "token", time.Second)
}

func TestAClientThatHungUpIsGivenNothing(t *testing.T) {
	for what, hangUp := range map[string]func(d *desk, op *Op){
		"while it waits": func(d *desk, op *Op) {
			before := d.submit(&Op{Names: []string{"orders"}, Start: func(*View) {}})
			d.submit(op)
			d.core.Cancel(op)
			d.core.Resume(d.now, before, Plan{})
		},
		"before the votes": func(d *desk, op *Op) {
			d.submit(op)
			d.core.Cancel(op)
		},
		"between votes and journal": func(d *desk, op *Op) {
			d.submit(op)
			d.grant(0, 1)
			d.core.Cancel(op)
		},
	} {
		d := newDesk(t, 3)
		op := acquiring("token", 10*time.Second, "orders")
		hangUp(d, op)
		d.settle()
		d.ends(op, Unchanged)
		if e := d.onDisk("orders"); len(d.core.leases) > 0 || e.Lease != nil {
			t.Errorf("%s: the lock is held, the journal has %+v, want it free", what, e.Lease)
		}
		d.hold("orders", "next", time.Second)
	}
}

func TestAnUnwantedGrantIsTakenOutOfTheStores(t *testing.T) {
	d := newDesk(t, 3)
	op := d.submit(acquiring("token", 10*time.Second, "orders"))
	d.grant(0, 1)
	d.core.Cancel(op)
	d.sync()
	d.ends(op, Unchanged)
	d.next(2)
	for store := range 3 {
		if ask := d.next(store); ask.Next != nil || string(ask.Prev.Value) != "token" {
			t.Errorf("store %d is asked %s, want the copy taken out", store, showAsk(ask))
		}
	}
}

func TestAClientThatHungUpStillReleases(t *testing.T) {
	d := newDesk(t, 3)
	d.hold("orders", "token", 10*time.Second)
	extension := d.submit(extending("orders", "token", 20*time.Second))
	release := d.submit(releasing("orders", "token"))
	d.core.Cancel(extension) // under way, and takes nothing from anybody
	d.core.Cancel(release)   // waits behind it
	d.settle()
	d.ends(extension, Changed)
	d.ends(release, Changed)
	if len(d.core.leases) > 0 {
		t.Error("the lock is still held, want it released")
	}
}

func TestNoNumberIsGivenOutBeforeTheJournalAllowsIt(t *testing.T) {
	d := openDesk(t, deskConfig(1), History{Birth: deskBirth, Limit: deskBirth})
	one := d.submit(acquiring("token", time.Second, "orders"))
	two := d.submit(acquiring("token", time.Second, "parcels"))
	behind := d.submit(acquiring("token", time.Second, "orders"))
	d.quiet("no number to be had")
	if len(d.written) != 1 || !d.written[0].sync || d.written[0].Limit <= deskBirth {
		t.Fatalf("the journal is asked for %+v, want one synced record with a higher limit", d.written)
	}
	d.sync()
	if len(d.asked[0]) != 2 {
		t.Errorf("store 0 is asked %d times, want for both locks", len(d.asked[0]))
	}
	d.settle()
	d.ends(one, Changed)
	d.ends(two, Changed)
	d.ends(behind, Unchanged)
}

func TestNumbersStayBelowTheLimitOnDiskAndNeverRepeat(t *testing.T) {
	d := newDesk(t, 0)
	limit, last := d.core.limit, Number(0)
	for i := range 3 * reserveAlone {
		op := &Op{Names: []string{"orders"}, Decide: func(v *View) Plan {
			prev, _ := v.Lease("orders")
			return Plan{Parts: []Part{{Prev: prev, Name: "orders", TTL: time.Second}}}
		}}
		d.submit(op)
		for _, r := range d.written {
			limit = max(limit, r.Limit) // the record that carries it is synced before the change's
		}
		d.sync()
		lease := d.ends(op, Changed).Leases[0]
		if lease.Version <= last || lease.Version >= limit {
			t.Fatalf("change %d has version %v, want one above %v and below %v", i, lease.Version, last, limit)
		}
		last = lease.Version
		d.core.finished, d.disk = d.core.finished[:0], d.disk[:0]
	}
}

func TestARestartSkipsTheNumbersThatMayHaveBeenUsed(t *testing.T) {
	d := newDesk(t, 0)
	before := d.hold("orders", "token", time.Second)
	limit := d.core.limit
	again := openDesk(t, deskConfig(0), History{Birth: deskBirth, Limit: limit})
	after := again.hold("parcels", "token", time.Second)
	if after.Version < limit || after.Version <= before.Version {
		t.Errorf("the first number after a restart is %v, want one from %v on", after.Version, limit)
	}
}
