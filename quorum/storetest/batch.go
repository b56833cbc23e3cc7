package storetest

import (
	"fmt"
	"testing"

	"holdfast/quorum"
)

func testOrder(t *testing.T, rig Rig) {
	b := connected(t, rig)
	first, second, third := mine("a", 1, 1), mine("a", 1, 2), mine("b", 3, 3)
	b.must(quorum.Granted, swap("orders", nil, first))
	steps := []struct {
		request quorum.Request
		verdict quorum.Verdict
		found   *quorum.Copy
	}{
		{swap("orders", first, second), quorum.Granted, nil},
		{swap("orders", first, third), quorum.Refused, second},
		{read("orders"), quorum.Granted, second},
		{swap("orders", second, first), quorum.Granted, nil},
		{read("orders"), quorum.Granted, first},
		{swap("parcels", nil, third), quorum.Granted, nil},
		{swap("orders", first, nil), quorum.Granted, nil},
		{read("orders"), quorum.Granted, nil},
		{swap("parcels", nil, second), quorum.Refused, third},
		{swap("orders", nil, third), quorum.Granted, nil},
		{orNone(swap("orders", second, first)), quorum.Refused, third},
		{orNone(swap("orders", third, first)), quorum.Granted, third},
		{read("orders"), quorum.Granted, first},
	}
	var requests []quorum.Request
	for _, s := range steps {
		requests = append(requests, s.request)
	}
	for i, v := range b.do(requests...) {
		s := steps[i]
		// What a granted swap found is only told with OrNone.
		told := v.Verdict == quorum.Refused || s.request.Action == quorum.Read || s.request.OrNone
		if v.Verdict != s.verdict || told && !v.Found.Equal(s.found) {
			t.Errorf("step %d, %s: %s, found %s, want %s, %s (error %v)",
				i, show(s.request), v.Verdict, showCopy(v.Found), s.verdict, showCopy(s.found), v.Err)
		}
	}
}

func testBigBatch(t *testing.T, rig Rig) {
	b := connected(t, rig)
	const names = 250
	var requests []quorum.Request
	for i := range names {
		name, c := fmt.Sprint("lock", i), mine(fmt.Sprint("value", i), 1, uint64(i+1))
		requests = append(requests, swap(name, nil, c), read(name))
	}
	for i, v := range b.do(requests...) {
		want := requests[i/2*2].Next
		if v.Verdict != quorum.Granted || i%2 == 1 && !v.Found.Equal(want) {
			t.Fatalf("request %d of %d, %s: %s, found %s, want granted, %s (error %v)",
				i, len(requests), show(requests[i]), v.Verdict, showCopy(v.Found), showCopy(want), v.Err)
		}
		if v.Elapsed <= 0 {
			t.Fatalf("request %d of %d: elapsed %v, want more than nothing", i, len(requests), v.Elapsed)
		}
	}
}

func testEmptyBatch(t *testing.T, rig Rig) {
	b := connected(t, rig)
	b.do()
	b.must(quorum.Granted, swap("orders", nil, mine("a", 1, 1)))
}
