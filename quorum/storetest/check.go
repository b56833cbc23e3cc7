package storetest

import (
	"testing"

	"holdfast/quorum"
)

func testCheck(t *testing.T, rig Rig) {
	b := connected(t, rig)
	ours, newer, theirs := mine("a", 1, 1), mine("a", 1, 2), foreign("somebody")
	b.must(quorum.Granted, check("orders", nil))
	if v := b.must(quorum.Refused, check("orders", ours)); v.Found != nil {
		t.Errorf("check of what is not there: found %s, want nothing", showCopy(v.Found))
	}
	b.must(quorum.Granted, swap("orders", nil, ours))
	b.plant("parcels", theirs)
	for _, c := range []struct {
		name    string
		prev    *quorum.Copy
		verdict quorum.Verdict
		found   *quorum.Copy
	}{
		{"orders", ours, quorum.Granted, ours},
		{"orders", nil, quorum.Refused, ours},
		{"orders", newer, quorum.Refused, ours},
		{"orders", foreign("a"), quorum.Refused, ours},
		{"orders", &quorum.Copy{Opaque: true}, quorum.Refused, ours},
		{"parcels", theirs, quorum.Granted, theirs},
		{"parcels", nil, quorum.Refused, theirs},
		{"parcels", foreign("somebody else"), quorum.Refused, theirs},
	} {
		v := b.must(c.verdict, check(c.name, c.prev))
		if v.Verdict == quorum.Refused && !v.Found.Equal(c.found) {
			t.Errorf("%s: found %s, want %s", show(check(c.name, c.prev)), showCopy(v.Found), showCopy(c.found))
		}
	}
	b.holds("orders", ours)
	b.holds("parcels", theirs)
	votes := b.do(check("orders", ours), swap("orders", ours, newer), check("orders", ours), check("orders", newer),
		swap("orders", newer, nil), check("orders", nil))
	for i, want := range []quorum.Verdict{
		quorum.Granted, quorum.Granted, quorum.Refused, quorum.Granted, quorum.Granted, quorum.Granted,
	} {
		if votes[i].Verdict != want {
			t.Errorf("step %d of checks between swaps: %s, want %s (error %v)", i, votes[i].Verdict, want, votes[i].Err)
		}
	}
}

// testReserved asks for locks that are called like what a driver may keep beside
// the copies. Nothing is sent of these, and nothing of the others is lost.
func testReserved(t *testing.T, rig Rig) {
	b := connected(t, rig)
	ours := mine("a", 1, 1)
	b.must(quorum.Granted, sign("b", "", lineOf(quorum.Signed, "1")))
	b.must(quorum.Granted, marked(swap("orders", nil, ours)))
	b.must(quorum.Granted, ending(swap("orders", ours, nil)))
	var requests []quorum.Request
	for _, name := range []string{
		"holdfast:", "holdfast:book", "holdfast:marks", "holdfast:gone:orders", "holdfast:book:b", "holdfast:beat2",
	} {
		requests = append(requests, swap(name, nil, ours), swap(name, ours, nil), orNone(swap(name, ours, nil)),
			guarded(swap(name, nil, ours)), read(name), heeding(read(name)), check(name, nil))
	}
	requests = append(requests, swap("holdfast:beat", nil, ours), check("holdfast:beat", nil))
	refused := len(requests)
	requests = append(requests, read("holdfast:beat"), heeding(read("orders")), swap("holdfast", nil, ours),
		swap("holdfast:db1:orders", nil, ours), check("holdfast:db15:holdfast:book", nil), readBook())
	votes := b.do(requests...)
	for i, v := range votes[:refused] {
		if v.Verdict != quorum.Silent || v.Err == nil || !v.Unsent {
			t.Errorf("%s: %s, unsent %t, error %v, want silent, unsent, with an error", show(requests[i]), v.Verdict, v.Unsent, v.Err)
		}
	}
	for i, v := range votes[refused:] {
		if v.Verdict != quorum.Granted || v.Found != nil {
			t.Errorf("%s: %s, found %s, error %v, want granted, nothing", show(requests[refused+i]), v.Verdict, showCopy(v.Found), v.Err)
		}
	}
	if got := votes[refused+1].Gone; got != ours.Version {
		t.Errorf("the notice of orders says %v, want %v", got, ours.Version)
	}
	if got := votes[len(votes)-1].Book; len(got) != 1 {
		t.Errorf("the book is %q, want what was signed alone", got)
	}
	b.find("holdfast:db1:orders", ours) // a lock of another database is a lock like any other
	b.must(quorum.Granted, ending(swap("holdfast:db1:orders", ours, nil)))
	b.notice("holdfast:db1:orders", ours.Version)
	if v := b.must(quorum.Refused, marked(swap("orders", nil, ours))); v.Mark != ours.Version {
		t.Errorf("refused by mark %v, want %v", v.Mark, ours.Version)
	}
}
