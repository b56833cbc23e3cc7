package redis

import (
	"fmt"
	"strings"
	"testing"

	"holdfast/quorum"
)

func TestOwnIsToldFromOthers(t *testing.T) {
	for steps, want := range map[string]int{ // how often others are told of
		"report":     1,
		"del report": 0,

		"put granted report look same":                       0,
		"put report granted look same":                       0,
		"put granted look report same":                       0,
		"put granted look same report":                       1, // ours had come before the answer
		"put granted report look differs":                    1,
		"put granted look differs":                           1, // its report is on its way
		"put granted look differs report":                    2, // and here it is
		"del granted report look pong":                       0,
		"del report granted look pong":                       0,
		"del granted look pong report":                       1,
		"put refused look pong":                              0,
		"put refused report look pong":                       1, // we wrote nothing
		"put report refused look pong":                       1,
		"put unsent report look pong":                        1,
		"put silent report look pong":                        1, // ours or not, the vote is lost anyway
		"put silent look pong":                               0,
		"put found look same":                                0, // what it would have put was there
		"put found look differs":                             1,
		"put found report look same":                         0,
		"put granted put refused look same":                  0,
		"put granted put refused look differs":               1,
		"put granted del unsent look same":                   0,
		"put granted report del granted report look pong":    0,
		"put granted look put same granted report look same": 0,
		"put granted look put differs granted look same":     0, // what was looked at was overwritten
		"put granted look put differs refused look differs":  1,
		"put granted look put granted differs look same":     0,
		"put granted del look granted look pong":             0, // not while it is under way
		"put granted look same put granted look differs":     1,
	} {
		if got := replay(t, strings.Fields(steps)); got != want {
			t.Errorf("%s: told %d times, want %d", steps, got, want)
		}
	}
}

// replay has a name written, reported and looked at, and counts what is told.
func replay(t *testing.T, steps []string) (told int) {
	o := newOwn(func() { t.Errorf("%v: an overflow", steps) })
	count := func(others bool) {
		if others {
			told++
		}
	}
	var requests []quorum.Request
	var checks []check
	verdicts := map[string]quorum.Vote{
		"granted": {Verdict: quorum.Granted}, "refused": {Verdict: quorum.Refused},
		"found":  {Verdict: quorum.Refused, Found: version(2)},
		"silent": {Err: errLost}, "unsent": {Err: errLost, Unsent: true},
	}
	for _, step := range steps {
		switch step {
		case "put", "del":
			requests = []quorum.Request{swap("orders", version(1), nil), read("parcels")}
			if step == "put" {
				requests[0].Next = version(2)
			}
			o.begin(requests)
		case "granted", "refused", "found", "silent", "unsent":
			o.end(requests, []quorum.Vote{verdicts[step], {Verdict: quorum.Granted}})
		case "report":
			count(o.reported([]byte("orders")))
		case "look":
			checks, _ = o.take(nil)
		case "same", "differs", "pong":
			for _, c := range checks {
				if (c.copy == nil) != (step == "pong") {
					t.Errorf("%v: what should be there is %v at %s", steps, c.copy, step)
				}
				count(o.checked(c, step == "same"))
			}
			checks = nil
		}
	}
	return told
}

// What writes nothing under a lock's name leaves no trace: a report of it is of
// somebody else, even if a signer is called like the lock.
func TestOnlySwapsAreRemembered(t *testing.T) {
	o := newOwn(func() { t.Error("an overflow") })
	requests := []quorum.Request{
		read("orders"), heedingRead("orders"), checked("orders", version(1)), sign("orders", "", "signed {}"),
		{Action: quorum.ReadBook, Name: "orders"}, {Action: quorum.Tear, Name: "orders"},
	}
	o.begin(requests)
	if !o.reported([]byte("orders")) {
		t.Error("a report of orders is taken for our own, while it is read and checked")
	}
	o.end(requests, make([]quorum.Vote, len(requests)))
	if checks, _ := o.take(nil); len(checks) > 0 || len(o.traces) > 0 {
		t.Errorf("%d names to look at and %d traces, want none", len(checks), len(o.traces))
	}
}

func TestWhatIsRememberedOfOursIsBounded(t *testing.T) {
	overflows := 0
	o := newOwn(func() { overflows++ })
	fill := func(from, to int) {
		var requests []quorum.Request
		for i := from; i < to; i++ {
			requests = append(requests, swap(fmt.Sprint("lock", i), nil, version(1)))
		}
		o.begin(requests)
		votes := make([]quorum.Vote, len(requests))
		o.end(requests, votes)
	}
	fill(0, maxTraces)
	if overflows != 0 || o.overflowed() {
		t.Errorf("%d overflows by %d names, want none", overflows, maxTraces)
	}
	fill(0, maxTraces)
	fill(maxTraces-1, maxTraces+1)
	if overflows != 1 || !o.overflowed() || len(o.traces) != maxTraces {
		t.Errorf("%d overflows, %d names, want 1, %d", overflows, len(o.traces), maxTraces)
	}
	names := 0
	for more := true; more; {
		var checks []check
		checks, more = o.take(nil)
		if len(checks) > maxChecks {
			t.Errorf("%d checks at once, want %d at most", len(checks), maxChecks)
		}
		for _, c := range checks {
			o.checked(c, true)
			names++
		}
	}
	if names != maxTraces || len(o.traces) != 0 {
		t.Errorf("%d names checked, %d left, want all of %d", names, len(o.traces), maxTraces)
	}
}
