package storetest

import (
	"bytes"
	"testing"
	"time"

	"holdfast/quorum"
)

// testStrict tries every kind of prev on every kind of thing that may be there.
// A swap that is refused must name what is there, and leave it.
func testStrict(t *testing.T, rig Rig) {
	testStrictly(t, rig, func(r quorum.Request) quorum.Request { return r })
}

// testGuarded does the same with swaps that nothing but prev can refuse, though
// they leave notices, heed them, and mark numbers that rise.
func testGuarded(t *testing.T, rig Rig) {
	version := uint64(20)
	testStrictly(t, rig, func(r quorum.Request) quorum.Request {
		version++
		r.Next = mine("next", 20, version)
		return ending(guarded(r))
	})
}

func testStrictly(t *testing.T, rig Rig, as func(quorum.Request) quorum.Request) {
	b := connected(t, rig)
	kinds := map[string]*quorum.Copy{
		"none":            nil,
		"ours":            mine("a", 5, 9),
		"older":           mine("a", 5, 8),
		"newer":           mine("a", 5, 10),
		"anotherFence":    mine("a", 4, 9),
		"anotherValue":    mine("b", 5, 9),
		"emptyValue":      mine("", 5, 9),
		"foreign":         foreign("a"),
		"foreignToo":      foreign("b"),
		"foreignEmpty":    foreign(""),
		"foreignPrefixed": foreign("a~0000000000000507.000000000000090"),
	}
	next := mine("next", 20, 20)
	for there, present := range kinds {
		for asked, prev := range kinds {
			for _, or := range []bool{false, true} {
				name := there + asked
				b.clear(name)
				b.plant(name, present)
				granted := there == asked || or && present == nil
				r := as(swap(name, prev, next))
				r.OrNone = or
				if granted {
					b.must(quorum.Granted, r)
					b.find(name, r.Next)
					continue
				}
				if v := b.must(quorum.Refused, r); !v.Found.Equal(present) {
					t.Errorf("%s: refused, found %s, want %s", show(r), showCopy(v.Found), showCopy(present))
				}
				b.find(name, present)
			}
		}
		opaque := &quorum.Copy{Opaque: true}
		b.clear("opaque" + there)
		b.plant("opaque"+there, present)
		b.must(quorum.Refused, as(swap("opaque"+there, opaque, next)))
		b.find("opaque"+there, present)
	}
}

// clear takes out whatever is under name.
func (b *trial) clear(name string) {
	b.t.Helper()
	if v := b.must(quorum.Granted, read(name)); v.Found != nil {
		b.must(quorum.Granted, swap(name, v.Found, nil))
	}
}

// plant puts c under name past the driver, if it is not nil.
func (b *trial) plant(name string, c *quorum.Copy) {
	if c != nil {
		b.Plant(name, c.Encode(), time.Minute)
	}
}

func testSwap(t *testing.T, rig Rig) {
	b := connected(t, rig)
	first, second := mine("token", 1, 1), mine("token", 1, 2)
	v := b.must(quorum.Granted, swap("orders", nil, first))
	if v.Elapsed <= 0 || v.Elapsed > patience {
		t.Errorf("a granted vote took %v, want more than nothing", v.Elapsed)
	}
	b.holds("orders", first)
	if v := b.must(quorum.Refused, swap("orders", nil, second)); !v.Found.Equal(first) {
		t.Errorf("refused by %s, want %s", showCopy(v.Found), showCopy(first))
	}
	b.holds("orders", first)
	b.must(quorum.Granted, swap("orders", first, second))
	b.holds("orders", second)
	// The same swap again: a version that has been replaced is not there any more.
	if v := b.must(quorum.Refused, swap("orders", first, second)); !v.Found.Equal(second) {
		t.Errorf("refused by %s, want %s", showCopy(v.Found), showCopy(second))
	}
}

// holds wants exactly the bytes of c in the store, with a TTL.
func (b *trial) holds(name string, c *quorum.Copy) {
	b.t.Helper()
	value, left, ok := b.Fetch(name)
	if !ok || !bytes.Equal(value, c.Encode()) || left <= 0 {
		b.t.Fatalf("%q: the store has %.60q (%t) for %v, want %s with a TTL", name, value, ok, left, showCopy(c))
	}
}

func testOrNone(t *testing.T, rig Rig) {
	b := connected(t, rig)
	prev, next, other := mine("a", 1, 1), mine("a", 1, 2), mine("b", 3, 3)
	put := orNone(swap("orders", prev, next))
	if v := b.must(quorum.Granted, put); v.Found != nil {
		t.Errorf("granted on none, found %s, want nothing", showCopy(v.Found))
	}
	b.holds("orders", next)
	b.must(quorum.Granted, swap("orders", next, prev))
	if v := b.must(quorum.Granted, put); !v.Found.Equal(prev) {
		t.Errorf("granted on prev, found %s, want %s", showCopy(v.Found), showCopy(prev))
	}
	b.holds("orders", next)
	b.must(quorum.Granted, swap("orders", next, other))
	if v := b.must(quorum.Refused, put); !v.Found.Equal(other) {
		t.Errorf("refused, found %s, want %s", showCopy(v.Found), showCopy(other))
	}
	b.holds("orders", other)
	// Without a prev it is a plain swap from none.
	b.must(quorum.Refused, orNone(swap("orders", nil, next)))
	if v := b.must(quorum.Granted, orNone(swap("parcels", nil, next))); v.Found != nil {
		t.Errorf("granted on none, found %s, want nothing", showCopy(v.Found))
	}
}

func testDelete(t *testing.T, rig Rig) {
	b := connected(t, rig)
	ours, other := mine("a", 1, 1), mine("a", 1, 2)
	b.must(quorum.Granted, swap("orders", nil, ours))
	b.must(quorum.Refused, swap("orders", other, nil))
	b.must(quorum.Refused, swap("orders", nil, nil))
	b.holds("orders", ours)
	b.must(quorum.Granted, swap("orders", ours, nil))
	if value, _, ok := b.Fetch("orders"); ok {
		t.Errorf("the store has %q after it was deleted, want nothing", value)
	}
	if v := b.must(quorum.Refused, swap("orders", ours, nil)); v.Found != nil {
		t.Errorf("deleted twice: found %s, want nothing", showCopy(v.Found))
	}
	if v := b.must(quorum.Granted, orNone(swap("orders", ours, nil))); v.Found != nil {
		t.Errorf("deleted, or none: found %s, want nothing", showCopy(v.Found))
	}
	b.must(quorum.Granted, swap("orders", nil, nil))
	b.find("orders", nil)
}
