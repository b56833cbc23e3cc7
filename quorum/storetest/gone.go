package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/quorum"
)

// notice wants a notice of a name, 0 for none, that a reading tells of.
func (b *trial) notice(name string, want quorum.Number) {
	b.t.Helper()
	if v := b.must(quorum.Granted, heeding(read(name))); v.Gone != want {
		b.t.Errorf("the notice of %.40q says %v, want %v", name, v.Gone, want)
	}
}

func testHeed(t *testing.T, rig Rig) {
	b := connected(t, rig)
	older, ended, newer := mine("a", 1, 4), mine("a", 1, 5), mine("a", 1, 6)
	b.notice("orders", 0)
	b.must(quorum.Granted, heeding(swap("orders", nil, ended)))
	// What a late put-back must not do: the lease ends, then its copy comes.
	b.must(quorum.Granted, ending(swap("orders", ended, nil)))
	for _, late := range []*quorum.Copy{ended, older} {
		for _, r := range []quorum.Request{swap("orders", nil, late), orNone(swap("orders", older, late))} {
			if v := b.must(quorum.Refused, heeding(r)); v.Gone != ended.Version || v.Found != nil {
				t.Errorf("%s: refused by notice %v and %s, want %v and nothing",
					show(r), v.Gone, showCopy(v.Found), ended.Version)
			}
		}
	}
	b.find("orders", nil)
	b.must(quorum.Granted, heeding(swap("orders", nil, newer)))
	// The copy that is there is told too.
	if v := b.must(quorum.Refused, heeding(swap("orders", nil, older))); v.Gone != ended.Version || !v.Found.Equal(newer) {
		t.Errorf("refused by notice %v and %s, want %v and %s", v.Gone, showCopy(v.Found), ended.Version, showCopy(newer))
	}
	if v := b.must(quorum.Granted, heeding(read("orders"))); v.Gone != ended.Version || !v.Found.Equal(newer) || v.FoundLeft <= 0 {
		t.Errorf("read notice %v, %s for %v, want %v, %s with a TTL",
			v.Gone, showCopy(v.Found), v.FoundLeft, ended.Version, showCopy(newer))
	}
	// Nobody is held up who does not ask for it, and nothing that only takes out.
	b.must(quorum.Granted, swap("orders", newer, ended))
	if v := b.must(quorum.Granted, read("orders")); v.Gone != 0 {
		t.Errorf("read notice %v without asking for it, want none", v.Gone)
	}
	b.must(quorum.Granted, heeding(swap("orders", ended, nil)))
}

func testNotice(t *testing.T, rig Rig) {
	b := connected(t, rig)
	first, second, theirs := mine("a", 1, 5), mine("a", 1, 6), foreign("somebody")
	b.must(quorum.Refused, ending(swap("nothing", first, nil)))
	b.notice("nothing", first.Version)
	b.must(quorum.Granted, orNone(ending(swap("nothing", second, nil))))
	b.notice("nothing", second.Version)

	b.must(quorum.Granted, swap("another", nil, second))
	if v := b.must(quorum.Refused, ending(swap("another", first, nil))); !v.Found.Equal(second) {
		t.Errorf("refused by %s, want %s", showCopy(v.Found), showCopy(second))
	}
	b.notice("another", first.Version)
	b.holds("another", second)

	b.must(quorum.Granted, swap("changed", nil, first))
	b.must(quorum.Granted, heeding(ending(swap("changed", first, second))))
	b.notice("changed", first.Version)
	b.holds("changed", second)

	// A copy without a number is of no lease of ours, and nothing can be said of it.
	b.plant("foreign", theirs)
	b.must(quorum.Granted, ending(swap("foreign", theirs, nil)))
	b.notice("foreign", 0)
	b.must(quorum.Granted, ending(swap("foreign", nil, nil)))
	b.notice("foreign", 0)
	b.notice("orders", 0)
}

// testLaterNotice has releases come out of order, as they may from two proxies.
func testLaterNotice(t *testing.T, rig Rig) {
	b := connected(t, rig)
	gone := func(version uint64, stays time.Duration) quorum.Request {
		r := ending(swap("orders", mine("a", 1, version), nil))
		r.Gone = stays
		return r
	}
	for _, step := range []struct{ version, want uint64 }{{5, 5}, {3, 5}, {5, 5}, {7, 7}, {6, 7}, {0x123456789abc, 0x123456789abc}, {7, 0x123456789abc}} {
		b.must(quorum.Refused, gone(step.version, time.Minute))
		b.notice("orders", quorum.MakeNumber(step.want, 7))
	}
	// As it is: the time of the earlier one is not added to it.
	brief, long := gone(5, 1100*time.Millisecond), gone(3, time.Hour)
	brief.Name, long.Name = "parcels", "parcels"
	b.do(brief, long)
	Eventually(t, "the later notice is gone", func() bool {
		return b.must(quorum.Granted, heeding(read("parcels"))).Gone == 0
	})
}

func testNoticeTTL(t *testing.T, rig Rig) {
	b := connected(t, rig)
	ended, later := mine("a", 1, 5), mine("a", 1, 6)
	long := ending(swap("parcels", ended, nil))
	brief := long
	brief.Prev, brief.Gone = later, time.Millisecond
	b.do(long, brief)
	r := ending(swap("orders", ended, nil))
	r.Gone = 120 * time.Millisecond
	if b.Store.Traits().Coarse {
		r.Gone = 1100 * time.Millisecond
	}
	start := time.Now()
	b.must(quorum.Refused, r)
	Eventually(t, "the notice is gone", func() bool {
		return b.must(quorum.Granted, heeding(read("orders"))).Gone == 0
	})
	if stayed := time.Since(start); stayed < r.Gone-quorum.Drift(r.Gone) {
		t.Errorf("a notice for %v stayed for %v", r.Gone, stayed)
	}
	b.must(quorum.Granted, heeding(swap("orders", nil, ended)))
	// A brief notice does not end a long one.
	if v := b.must(quorum.Refused, heeding(swap("parcels", nil, ended))); v.Gone < ended.Version {
		t.Errorf("a notice for a minute, then one for 1ms: it says %v, want at least %v", v.Gone, ended.Version)
	}
}

// testNoticeNames gives every name a notice of its own in one batch.
func testNoticeNames(t *testing.T, rig Rig) {
	b := connected(t, rig)
	long := strings.Repeat("n", 64<<10)
	names := []string{
		"a", "A", "a b", "a:b", "b", ":", "gone:a", "book", "marks", "\r\n", "\x00", "é", "日本語", "\xff",
		long[:230], long[:237], long[:250], long[:251], long, long[:len(long)-1] + " ",
	}
	var ends, reads []quorum.Request
	for i, name := range names {
		ends = append(ends, ending(swap(name, mine(fmt.Sprint("value", i), 1, uint64(i+1)), nil)))
		reads = append(reads, heeding(read(name)))
	}
	b.do(ends...)
	for i, v := range b.do(reads...) {
		if want := ends[i].Prev.Version; v.Gone != want {
			t.Errorf("the notice of %.40q says %v, want %v (error %v)", names[i], v.Gone, want, v.Err)
		}
	}
	b.notice("c", 0)
}

func heeding(r quorum.Request) quorum.Request {
	r.Heed = true
	return r
}

func ending(r quorum.Request) quorum.Request {
	r.Gone = time.Minute
	return r
}
