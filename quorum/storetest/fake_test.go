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
