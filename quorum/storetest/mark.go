package storetest

import (
	"fmt"
	"testing"

	"holdfast/quorum"
)

// namesOf returns locks that share a mark, and one that does not.
func namesOf() (same []string, other string) {
	bucket := quorum.Bucket("lock0")
	for i := 0; len(same) < 8 || other == ""; i++ {
		name := fmt.Sprint("lock", i)
		if quorum.Bucket(name) == bucket {
			same = append(same, name)
		} else {
			other = name
		}
	}
	return same, other
}

func testMark(t *testing.T, rig Rig) {
	b := connected(t, rig)
	lower, equal, higher := mine("a", 5, 8), mine("b", 9, 9), mine("c", 5, 0x123456789)
	first := mine("a", 9, 9)
	b.must(quorum.Granted, marked(swap("orders", nil, first)))
	// The mark stays when the copy goes.
	b.must(quorum.Granted, swap("orders", first, nil))
	for _, c := range []*quorum.Copy{lower, equal} {
		for _, r := range []quorum.Request{swap("orders", nil, c), orNone(swap("orders", higher, c))} {
			if v := b.must(quorum.Refused, marked(r)); v.Mark != first.Version || v.Found != nil {
				t.Errorf("%s: refused by mark %v and %s, want %v and nothing", show(r), v.Mark, showCopy(v.Found), first.Version)
			}
		}
	}
	b.find("orders", nil)
	b.must(quorum.Granted, marked(swap("orders", nil, higher)))
	if v := b.must(quorum.Refused, marked(swap("orders", higher, mine("d", 1, 0x123456788)))); v.Mark != higher.Version || !v.Found.Equal(higher) {
		t.Errorf("refused by mark %v and %s, want %v and %s", v.Mark, showCopy(v.Found), higher.Version, showCopy(higher))
	}
	b.holds("orders", higher)
	// Who does not ask is not held up, and leaves no mark.
	b.must(quorum.Granted, swap("orders", higher, lower))
	b.must(quorum.Granted, swap("parcels", nil, mine("e", 1, 0x200000000)))
	b.must(quorum.Granted, marked(swap("parcels", mine("e", 1, 0x200000000), lower)))
}

func testRefusedMark(t *testing.T, rig Rig) {
	b := connected(t, rig)
	same, _ := namesOf()
	there := mine("a", 3, 3)
	b.must(quorum.Granted, swap(same[0], nil, there))
	// Not taken for want of its copy, so it leaves no mark.
	if v := b.must(quorum.Refused, marked(swap(same[0], nil, mine("b", 9, 9)))); v.Mark != 0 || !v.Found.Equal(there) {
		t.Errorf("refused by mark %v and %s, want none and %s", v.Mark, showCopy(v.Found), showCopy(there))
	}
	b.must(quorum.Granted, ending(swap(same[1], nil, mine("c", 4, 4))))
	b.must(quorum.Granted, ending(swap(same[1], mine("c", 4, 4), nil)))
	if v := b.must(quorum.Refused, guarded(swap(same[1], nil, mine("c", 4, 4)))); v.Mark != 0 || v.Gone != mine("", 1, 4).Version {
		t.Errorf("refused by mark %v and notice %v, want none and %v", v.Mark, v.Gone, mine("", 1, 4).Version)
	}
	b.must(quorum.Granted, marked(swap(same[2], nil, mine("d", 5, 5))))
	// All three at once, and all three are told.
	b.must(quorum.Refused, ending(swap(same[0], mine("a", 3, 4), nil)))
	v := b.must(quorum.Refused, guarded(swap(same[0], nil, mine("e", 4, 4))))
	if v.Mark != mine("", 1, 5).Version || v.Gone != mine("", 1, 4).Version || !v.Found.Equal(there) {
		t.Errorf("refused by mark %v, notice %v and %s, want %v, %v and %s",
			v.Mark, v.Gone, showCopy(v.Found), mine("", 1, 5).Version, mine("", 1, 4).Version, showCopy(there))
	}
}

func testBuckets(t *testing.T, rig Rig) {
	b := connected(t, rig)
	same, other := namesOf()
	// In one batch too, each number is above the one before it.
	var requests []quorum.Request
	for i, name := range same {
		requests = append(requests, marked(swap(name, nil, mine("a", 1, uint64(i+1)))))
	}
	for i, v := range b.do(requests...) {
		if v.Verdict != quorum.Granted {
			t.Errorf("%s: %s by mark %v, want granted (error %v)", show(requests[i]), v.Verdict, v.Mark, v.Err)
		}
	}
	last := mine("", 1, uint64(len(same))).Version
	for _, name := range same {
		if v := b.must(quorum.Refused, marked(orNone(swap(name, nil, mine("b", 1, 1))))); v.Mark != last {
			t.Errorf("%q: refused by mark %v, want %v", name, v.Mark, last)
		}
	}
	b.must(quorum.Granted, marked(swap(other, nil, mine("b", 1, 1))))
}

func marked(r quorum.Request) quorum.Request {
	r.Mark = true
	return r
}

func guarded(r quorum.Request) quorum.Request { return marked(heeding(r)) }
