package storetest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/quorum"
)

func TestFakeKeepsTheStorePromises(t *testing.T) {
	Run(t, func(t *testing.T) Rig { return rigOf(t, NewFake("a", NewClock())) })
}

func TestLateFakeKeepsTheStorePromises(t *testing.T) {
	Run(t, func(t *testing.T) Rig { return rigOf(t, NewLateFake("a", NewClock())) })
}

func rigOf(t *testing.T, f *Fake) Rig {
	another := func() quorum.Store {
		store := f.Store()
		t.Cleanup(func() { store.Close() })
		return store
	}
	return Rig{
		Store: another(), Another: another, Restart: f.Restart, Flush: f.Flush, Pause: f.Pause, Resume: f.Resume,
		Plant: f.Plant, Fetch: f.Fetch,
	}
}

func TestFakeKeepsTTLsByItsClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := connected(t, rigOf(t, NewFake("a", NewClock())))
		c := mine("a", 1, 1)
		b.must(quorum.Granted, swap("orders", nil, c)) // for a minute
		<-time.After(time.Minute - time.Microsecond)
		if got, want := b.find("orders", c).FoundLeft, time.Microsecond; got != want {
			t.Errorf("left = %v, want %v", got, want)
		}
		<-time.After(time.Microsecond)
		b.find("orders", nil)
	})
}

func TestAPausedFakeActsOnceItIsResumed(t *testing.T) {
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := NewFake("a", NewClock())
			f.late = late
			b := connected(t, rigOf(t, f))
			f.Pause()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			votes := make([]quorum.Vote, 1)
			err := b.Store.Do(ctx, []quorum.Request{swap("orders", nil, mine("a", 1, 1))}, votes)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
				t.Errorf("gave up after %v with %v, want 1s and a deadline exceeded", time.Since(start), err)
			}
			f.Resume()
			if len(f.Copies()) != 1 {
				t.Errorf("late %t: %d copies once resumed, want the one that was sent", late, len(f.Copies()))
			}
		})
	}
}

func TestOnlyALateFakeTakesWhatComesOnAnEarlierConnection(t *testing.T) {
	for _, c := range []struct {
		late, reconnect bool
		copies          int
	}{{false, false, 1}, {true, false, 1}, {false, true, 0}, {true, true, 1}} {
		synctest.Test(t, func(t *testing.T) {
			f := NewFake("a", NewClock())
			f.late = c.late
			b := connected(t, rigOf(t, f))
			f.Hold()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			votes := make([]quorum.Vote, 1)
			if err := b.Store.Do(ctx, []quorum.Request{swap("orders", nil, mine("a", 1, 1))}, votes); err == nil {
				t.Error("an answer to a batch that was held up")
			}
			b.silent(votes)
			if c.reconnect {
				b.connect()
			}
			f.Release()
			if got := len(f.Copies()); got != c.copies {
				t.Errorf("late %t, connected again %t: %d copies, want %d", c.late, c.reconnect, got, c.copies)
			}
		})
	}
}

func TestAFakeAnswersWhenItIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFake("a", NewClock())
		b := connected(t, rigOf(t, f))
		f.Pause()
		time.AfterFunc(time.Second, f.Resume)
		v := b.must(quorum.Granted, swap("orders", nil, mine("a", 1, 1)))
		if v.Elapsed != time.Second {
			t.Errorf("elapsed = %v, want 1s", v.Elapsed)
		}
	})
}

func TestAFakeThatDiesPausedLosesWhatItWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFake("a", NewClock())
		b := connected(t, rigOf(t, f))
		f.Pause()
		time.AfterFunc(time.Second, f.Restart)
		votes := make([]quorum.Vote, 1)
		if err := b.Store.Do(t.Context(), []quorum.Request{swap("orders", nil, mine("a", 1, 1))}, votes); err == nil {
			t.Error("a dead fake answered")
		}
		b.silent(votes)
		if votes[0].Unsent {
			t.Error("a request that was sent is marked as unsent")
		}
		if len(f.Copies()) != 0 {
			t.Error("a dead fake acted")
		}
	})
}

func TestALostAnswerLeavesTheDeedDone(t *testing.T) {
	for _, c := range []struct {
		what  string
		lose  func(*Fake)
		there int
	}{
		{"reply", func(f *Fake) { f.LoseReplies(1) }, 1},
		{"request", func(f *Fake) { f.LoseRequests(1) }, 0},
	} {
		f := NewFake("a", NewClock())
		b := connected(t, rigOf(t, f))
		c.lose(f)
		votes := make([]quorum.Vote, 1)
		if err := b.Store.Do(t.Context(), []quorum.Request{swap("orders", nil, mine("a", 1, 1))}, votes); err == nil {
			t.Errorf("lost %s: no error", c.what)
		}
		b.silent(votes)
		if votes[0].Unsent {
			t.Errorf("lost %s: the vote is marked as unsent, which nobody can know", c.what)
		}
		if got := len(f.Copies()); got != c.there {
			t.Errorf("lost %s: %d copies, want %d", c.what, got, c.there)
		}
		b.connect()
		b.must(quorum.Granted, read("orders"))
	}
}

func TestAFakeRefusesConnections(t *testing.T) {
	refused := errors.New("connection refused")
	f := NewFake("a", NewClock())
	s := f.Store()
	defer s.Close()
	f.Refuse(refused)
	if _, err := s.Connect(t.Context()); !errors.Is(err, refused) {
		t.Errorf("connect: %v, want %v", err, refused)
	}
	f.Refuse(nil)
	if _, err := s.Connect(t.Context()); err != nil {
		t.Errorf("connect: %v", err)
	}
}

func TestADelayedFakeActsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFake("a", NewClock())
		b := connected(t, rigOf(t, f))
		f.Delay(time.Second)
		if v := b.must(quorum.Granted, swap("orders", nil, mine("a", 1, 1))); v.Elapsed != time.Second {
			t.Errorf("elapsed = %v, want 1s", v.Elapsed)
		}
		_, left, _ := f.Fetch("orders")
		if want := 59 * time.Second; left != want {
			t.Errorf("left = %v, want %v", left, want)
		}
	})
}

func TestStoresOfOneFakeShareItsCopies(t *testing.T) {
	f := NewFake("a", NewClock())
	one, other := connected(t, rigOf(t, f)), connected(t, rigOf(t, f))
	one.must(quorum.Granted, swap("orders", nil, mine("a", 1, 1)))
	other.must(quorum.Refused, swap("orders", nil, mine("b", 2, 2)))
	f.PlantOpaque("orders")
	if v := other.must(quorum.Refused, swap("orders", mine("a", 1, 1), nil)); v.Found == nil || !v.Found.Opaque {
		t.Errorf("found %s, want something opaque", showCopy(v.Found))
	}
	f.Remove("orders")
	one.find("orders", nil)
}

func TestAFakeWhoseClockJumpedHasForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFake("a", NewClock())
		b, other := connected(t, rigOf(t, f)), rigOf(t, f).Store
		first := b.connect()
		ours := mine("a", 1, 1)
		b.must(quorum.Granted, swap("orders", nil, ours)) // for a minute
		b.must(quorum.Granted, ending(swap("parcels", nil, ours)))
		for _, c := range []struct {
			by   time.Duration
			left time.Duration
		}{{30 * time.Second, 30 * time.Second}, {-50 * time.Second, 80 * time.Second}, {80 * time.Second, 0}} {
			f.Jump(c.by)
			votes := make([]quorum.Vote, 1)
			if err := b.Store.Do(t.Context(), []quorum.Request{read("orders")}, votes); !errors.Is(err, errJumped) {
				t.Errorf("a batch after a jump by %v: %v, want %v", c.by, err, errJumped)
			}
			b.silent(votes)
			second := b.connect()
			if second == first || second == f.Incarnation() {
				t.Errorf("after a jump by %v: incarnation %q, %q before", c.by, second, first)
			}
			if again := b.connect(); again != second {
				t.Errorf("connected again: incarnation %q, then %q, want the same", second, again)
			}
			first = second
			if got := b.must(quorum.Granted, read("orders")).FoundLeft; got != c.left {
				t.Errorf("after a jump by %v: %v left, want %v", c.by, got, c.left)
			}
		}
		// Whoever was not connected before has nothing to compare with.
		if got, err := other.Connect(t.Context()); got != f.Incarnation() || err != nil {
			t.Errorf("connected for the first time: %q, %v, want %q", got, err, f.Incarnation())
		}
		f.Jump(time.Second) // while there is no connection
		f.Restart()
		if got, want := b.connect(), f.Incarnation()+"/j3"; got != want {
			t.Errorf("after a jump and a restart: incarnation %q, want %q", got, want)
		}
		f.Jump(time.Second)
		if got, want := b.connect(), f.Incarnation()+"/j4"; got != want {
			t.Errorf("after a jump between two connections: incarnation %q, want %q", got, want)
		}
	})
}

func TestAFakeComesBackAsItWas(t *testing.T) {
	f := NewFake("a", NewClock())
	b := connected(t, rigOf(t, f))
	ours, line := mine("a", 1, 1), lineOf(quorum.Signed, "1")
	b.must(quorum.Granted, marked(swap("orders", nil, ours)))
	b.must(quorum.Granted, orNone(ending(swap("parcels", ours, nil))))
	b.must(quorum.Granted, sign("b", "", line))
	then := f.Snapshot()
	for range 2 { // a snapshot may be restored more than once
		b.must(quorum.Granted, orNone(swap("orders", ours, nil)))
		b.must(quorum.Granted, marked(swap("letters", nil, mine("b", 2, 2))))
		f.Write("b", "")
		f.Write("c", line)
		f.Restart()
		b.connect()
		f.Restore(then)
		b.find("orders", ours)
		b.find("letters", nil)
		b.book("restored", quorum.Book{"b": line})
		b.notice("parcels", ours.Version)
		b.must(quorum.Refused, marked(swap("orders", ours, ours)))
	}
	if got := f.Mark(quorum.Bucket("orders")); got != ours.Version {
		t.Errorf("mark %v, want %v", got, ours.Version)
	}
	if got := f.Book(); len(got) != 1 || got["b"] != line {
		t.Errorf("the book is %q, want what was signed", got)
	}
}

func TestOfTwoNoticesTheLongerTimeCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFake("a", NewClock())
		b := connected(t, rigOf(t, f))
		for _, c := range []struct {
			version uint64
			stays   time.Duration
			want    uint64
			left    time.Duration
		}{
			{5, time.Minute, 5, time.Minute},
			{5, time.Second, 5, 59 * time.Second},
			{7, time.Second, 7, 58 * time.Second},
			{6, time.Hour, 7, 57 * time.Second},
			{8, 2 * time.Minute, 8, 2 * time.Minute},
		} {
			r := ending(swap("orders", mine("a", 1, c.version), nil))
			r.Gone = c.stays
			b.must(quorum.Refused, r)
			if got, left := f.Notice("orders"); got != quorum.MakeNumber(c.want, 7) || left != c.left {
				t.Errorf("version %d for %v: notice %v for %v, want %d for %v", c.version, c.stays, got, left, c.want, c.left)
			}
			<-time.After(time.Second)
		}
		<-time.After(2*time.Minute - time.Second)
		if got, left := f.Notice("orders"); got != 0 || left != 0 {
			t.Errorf("notice %v for %v, want none", got, left)
		}
	})
}

func TestServersStartAndStop(t *testing.T) {
	for name, start := range map[string]func(testing.TB, ...string) *Server{
		"redis": StartRedis, "memcached": StartMemcached,
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			addr := s.Addr()
			first := s.process.Pid
			s.Pause()
			s.Restart()
			if s.Addr() != addr || s.process.Pid == first || !s.answers() {
				t.Errorf("restarted at %s as process %d, want another process than %d at %s", s.Addr(), s.process.Pid, first, addr)
			}
			s.Kill()
			if s.answers() {
				t.Error("a killed server answers")
			}
		})
	}
}
