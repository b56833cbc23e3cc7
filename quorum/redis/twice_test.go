package redis

import (
	"testing"
	"time"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

// twice returns a store that keeps copies twice, and the hands of a stranger, who
// deletes what is under the lock's name.
func twice(t *testing.T) (store *Store, stranger func(args ...any)) {
	t.Helper()
	server := storetest.StartRedis(t)
	direct := byHand(t, server)
	store = mustOpen(t, "redis://"+server.Addr())
	store.KeepTwice()
	mustConnect(t, store)
	return store, func(args ...any) {
		t.Helper()
		if err := direct.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
}

func TestWhoDeletesTheNameOfALockTakesNoVoteAway(t *testing.T) {
	store, stranger := twice(t)
	first, next := version(1), version(2)
	do(t, store, guardedSwap("orders", nil, first))
	stranger("DEL", "orders")
	votes := do(t, store,
		guardedSwap("orders", nil, version(9)), swap("orders", nil, version(9)),
		heedingRead("orders"), read("orders"), checked("orders", first), checked("orders", nil), swap("orders", first, next))
	for i, want := range []quorum.Verdict{quorum.Refused, quorum.Refused, quorum.Granted, quorum.Granted, quorum.Granted, quorum.Refused, quorum.Granted} {
		if votes[i].Verdict != want || i < 4 && !votes[i].Found.Equal(first) {
			t.Errorf("request %d: %v, found %v, want %v, and the first version found", i, votes[i].Verdict, votes[i].Found, want)
		}
	}
	for i := 2; i < 4; i++ {
		if left := votes[i].FoundLeft; left <= 59*time.Second || left > time.Minute {
			t.Errorf("request %d: %v left, want about a minute", i, left)
		}
	}
	stranger("DEL", "orders")
	// To put it back is granted as it always was: there was none.
	back := swap("orders", nil, next)
	back.Heed = true
	if v := do(t, store, back)[0]; v.Verdict != quorum.Granted || v.Found != nil {
		t.Errorf("put back: %+v, want it granted", v)
	}
	if v := do(t, store, checked("orders", next))[0]; v.Verdict != quorum.Granted {
		t.Errorf("after it was put back: %+v, want it there", v)
	}
}

func TestASecondCopyGoesWithTheFirst(t *testing.T) {
	ending := swap("orders", version(1), nil)
	ending.OrNone, ending.Gone = true, time.Minute
	for what, c := range map[string]struct {
		meanwhile, after []any
		last             quorum.Request
	}{
		"released":                             {nil, nil, ending},
		"released when the first was deleted":  {[]any{"DEL", "orders"}, nil, ending},
		"released while a stranger has it":     {[]any{"SET", "orders", "theirs"}, []any{"DEL", "orders"}, ending},
		"taken out while a stranger has it":    {[]any{"SET", "orders", "theirs"}, []any{"DEL", "orders"}, swap("orders", version(1), nil)},
		"swapped back to what a stranger had":  {nil, []any{"DEL", "orders"}, swap("orders", version(1), &quorum.Copy{Value: []byte("theirs")})},
		"released beside what a stranger made": {[]any{"HSET", "holdfast:copy:orders", "a", "b"}, nil, ending},
	} {
		store, stranger := twice(t)
		do(t, store, guardedSwap("orders", nil, version(1)))
		if what == "released beside what a stranger made" {
			stranger("DEL", "holdfast:copy:orders")
		}
		if c.meanwhile != nil {
			stranger(c.meanwhile...)
		}
		do(t, store, c.last)
		if c.after != nil {
			stranger(c.after...)
		}
		if v := do(t, store, read("orders"))[0]; v.Verdict != quorum.Granted || v.Found != nil {
			t.Errorf("%s: %v, found %v, want nothing there", what, v.Verdict, v.Found)
		}
	}
}

func TestASecondCopyEndsWithTheFirst(t *testing.T) {
	store, _ := twice(t)
	short := guardedSwap("orders", nil, version(1))
	short.TTL = 20 * time.Millisecond
	do(t, store, short)
	storetest.Eventually(t, "it ends", func() bool {
		return do(t, store, read("orders"))[0].Found == nil
	})
	if v := do(t, store, guardedSwap("orders", nil, version(2)))[0]; v.Verdict != quorum.Granted {
		t.Errorf("take what has ended: %+v, want it granted", v)
	}
}
