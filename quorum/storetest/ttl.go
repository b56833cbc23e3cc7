package storetest

import (
	"testing"
	"time"

	"holdfast/quorum"
)

// slack returns by how much a TTL may look shorter, and may be longer, than it
// was asked for. A coarse store rounds up to whole seconds, adds one for a clock
// that only ticks once a second, and rounds down when it is asked.
func (b *trial) slack() (shorter, longer time.Duration) {
	if b.Store.Traits().Coarse {
		return time.Second, 2 * time.Second
	}
	return 2 * time.Millisecond, 2 * time.Millisecond
}

func testStays(t *testing.T, rig Rig) {
	b := connected(t, rig)
	r := swap("orders", nil, mine("a", 1, 1))
	r.TTL = 120 * time.Millisecond
	if b.Store.Traits().Coarse {
		r.TTL = 1100 * time.Millisecond
	}
	start := time.Now()
	b.must(quorum.Granted, r)
	Eventually(t, "the copy vanishes", func() bool {
		return b.must(quorum.Granted, read("orders")).Found == nil
	})
	if stayed := time.Since(start); stayed < r.TTL-quorum.Drift(r.TTL) {
		t.Errorf("a copy with a TTL of %v stayed for %v", r.TTL, stayed)
	}
	b.must(quorum.Granted, swap("orders", nil, mine("b", 2, 2)))
}

func testTTL(t *testing.T, rig Rig) {
	b := connected(t, rig)
	first, second := mine("a", 1, 1), mine("a", 1, 2)
	for i, ttl := range []time.Duration{
		500 * time.Millisecond,
		1500*time.Millisecond + 1,
		30 * time.Second,
		time.Hour,
		24 * time.Hour,
	} {
		name := "ttl" + ttl.String()
		b.lives(name, ttl, swap(name, nil, first))
		// A swap sets the TTL anew, longer or shorter.
		b.lives(name, 2*ttl, swap(name, first, second))
		b.lives(name, ttl, orNone(swap(name, second, first)))
		b.must(quorum.Granted, swap(name, first, nil))
		b.lives(name, ttl, orNone(swap(name, second, first)))
		b.lives(name, 2*ttl, ending(guarded(swap(name, first, mine("a", 1, uint64(3+i))))))
	}
}

// lives sends a swap with a TTL, which must be granted, and looks what is left
// of it, past the driver and through it.
func (b *trial) lives(name string, ttl time.Duration, r quorum.Request) {
	b.t.Helper()
	shorter, longer := b.slack()
	r.TTL = ttl
	start := time.Now()
	b.must(quorum.Granted, r)
	_, left, _ := b.Fetch(name)
	if spent := time.Since(start); left < ttl-spent-shorter || left > ttl+longer {
		b.t.Errorf("%s for %v: the store keeps it for %v after %v", show(r), ttl, left, spent)
	}
	left = b.find(name, r.Next).FoundLeft
	if spent := time.Since(start); left < ttl-spent-shorter || left > ttl+longer {
		b.t.Errorf("%s for %v: read that %v is left after %v", show(r), ttl, left, spent)
	}
}

func testRead(t *testing.T, rig Rig) {
	b := connected(t, rig)
	if v := b.find("nothing", nil); v.FoundLeft != 0 {
		t.Errorf("nothing has %v left, want 0", v.FoundLeft)
	}
	ours := mine("a", 1, 2)
	for _, c := range []struct {
		name  string
		there *quorum.Copy
		ttl   time.Duration
	}{
		{"ours", ours, time.Minute},
		{"oursForEver", ours, 0},
		{"foreign", foreign("somebody"), time.Minute},
		{"foreignForEver", foreign("somebody"), 0},
		{"foreignEmpty", foreign(""), time.Minute},
	} {
		b.Plant(c.name, c.there.Encode(), c.ttl)
		shorter, longer := b.slack()
		left := b.find(c.name, c.there).FoundLeft
		if c.ttl == 0 && left != 0 || c.ttl != 0 && (left < c.ttl/2-shorter || left > c.ttl+longer) {
			t.Errorf("%s, planted for %v: %v left", c.name, c.ttl, left)
		}
		if v := b.must(quorum.Refused, swap(c.name, nil, ours)); !v.Found.Equal(c.there) {
			t.Errorf("%s: refused by %s, want %s", c.name, showCopy(v.Found), showCopy(c.there))
		}
	}
}
