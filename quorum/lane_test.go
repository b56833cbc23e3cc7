package quorum_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/quorum"
)

// A sham is a store that can be connected to and then fails every batch, until
// it was connected to often enough.
type sham struct {
	quorum.Store
	connects, most int
}

func (s *sham) Connect(ctx context.Context) (string, error) {
	s.connects++
	return s.Store.Connect(ctx)
}

func (s *sham) Do(ctx context.Context, requests []quorum.Request, votes []quorum.Vote) error {
	if s.connects < s.most {
		return errors.New("connection reset")
	}
	return s.Store.Do(ctx, requests, votes)
}

func TestAStoreThatFailsEveryBatchIsNotConnectedToWithoutAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *sham
		openHouse(t, 1, func(_ *house, o *quorum.Options) {
			s = &sham{Store: o.Members[0].Store, most: 500}
			o.Members[0].Store = s
		})
		pass(time.Second)
		if s.connects > 50 {
			t.Errorf("connected to %d times within a second, want a pause in between", s.connects)
		}
	})
}

func TestAQueueOfExpiredVotesHoldsUpNoUndo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 1)
		h.fakes[0].Delay(200 * time.Millisecond)
		for i := range 6000 {
			h.begin(acquiring(fmt.Sprint("lock", i), "token", time.Minute))
		}
		pass(260 * time.Millisecond) // all of them are given up
		h.fakes[0].Delay(0)
		pass(150 * time.Millisecond) // the batch that was under way is answered
		if got := h.keeper.Status().Stores[0].Queued; got > 0 {
			t.Errorf("%d requests wait for a store that answers at once, want none", got)
		}
		pass(time.Minute)
		if got := len(h.fakes[0].Copies()); got > 0 {
			t.Errorf("%d copies of attempts that failed are left, want none", got)
		}
	})
}

func TestCloseEndsThoughAStoreAnswersSlowerThanItIsAudited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 1, func(_ *house, o *quorum.Options) { o.Timeout = 5 * time.Second })
		h.fakes[0].Delay(time.Second)
		h.takes(time.Second, acquiring("orders", "token", time.Hour), quorum.Changed)
		closed := make(chan error, 1)
		go func() { closed <- h.keeper.Close() }()
		pass(time.Minute)
		if len(closed) == 0 {
			t.Error("not closed within a minute, want nothing new to be asked of the store")
		}
		h.fakes[0].Delay(0)
		<-closed
	})
}

// A full store answers every swap with an error of its own; the connection is
// as good as before. It has room again after so many batches.
type full struct {
	quorum.Store
	batches, most int
}

func (s *full) Do(ctx context.Context, requests []quorum.Request, votes []quorum.Vote) error {
	if s.batches++; s.batches > s.most {
		return s.Store.Do(ctx, requests, votes)
	}
	for i := range votes {
		votes[i] = quorum.Vote{Err: errors.New("OOM command not allowed")}
	}
	return nil
}

func TestAStoreThatAnswersWithErrorsIsNotPesteredWithUpkeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &full{most: 1000}
		h := openHouse(t, 3, func(_ *house, o *quorum.Options) {
			s.Store = o.Members[2].Store
			o.Members[2].Store = s
		})
		h.takes(0, acquiring("orders", "token", time.Hour), quorum.Changed)
		pass(time.Second)
		if s.batches > 100 {
			t.Errorf("%d batches within a second for one copy, want a pause in between", s.batches)
		}
	})
}

// A teller tells of copies that are gone.
type teller struct {
	quorum.Store
	names chan string
	fails chan error
}

func (s *teller) Watch(ctx context.Context, gone func(name string)) error {
	gone("")
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-s.fails:
			return err
		case name := <-s.names:
			gone(name)
		}
	}
}

func TestACopyThatAStoreTellsOfIsPutBackAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &teller{names: make(chan string), fails: make(chan error)}
		h := openHouse(t, 3, func(_ *house, o *quorum.Options) {
			s.Store = o.Members[2].Store
			o.Members[2].Store = s
		})
		pass(time.Second)
		h.takes(0, acquiring("orders", "token", time.Hour), quorum.Changed)
		lose := func(how string, tell func()) {
			t.Helper()
			h.fakes[2].Remove("orders")
			tell()
			pass(10 * time.Millisecond)
			if _, _, ok := h.fakes[2].Fetch("orders"); !ok {
				t.Errorf("%s: 10ms later the copy is still gone", how)
			}
		}
		lose("told of it", func() { s.names <- "orders" })
		lose("told of a flush", func() { s.names <- "" })
		lose("watching failed, and began again", func() { s.fails <- errors.New("reset"); pass(100 * time.Millisecond) })
	})
}

// A twin says that it is the same server as its twins.
type twin struct{ quorum.Store }

func (twin) Facts(context.Context) (quorum.Facts, error) {
	return quorum.Facts{Kind: "fake", RunID: "the same"}, nil
}

func TestOneServerUnderTwoNamesVotesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 3, func(_ *house, o *quorum.Options) {
			for i := range 2 {
				o.Members[i].Store = twin{o.Members[i].Store}
			}
		})
		pass(time.Second)
		up, why := 0, ""
		for _, s := range h.keeper.Status().Stores[:2] {
			if s.Up {
				up++
			} else if s.Err != nil {
				why = s.Err.Error()
			}
		}
		if up != 1 || !strings.Contains(why, "the same server") {
			t.Errorf("%d of the two are up, the other because of %q; want one, and that it is the same server", up, why)
		}
	})
}

func TestAServerThatMayNotVoteIsNotAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unfit := errors.New("it drops locks")
		h := openHouse(t, 1, func(_ *house, o *quorum.Options) {
			o.Vet = func(quorum.Facts) error { return unfit }
		})
		pass(time.Second)
		if s := h.keeper.Status().Stores[0]; s.Up || !errors.Is(s.Err, unfit) {
			t.Errorf("up %t (%v), want down because %v", s.Up, s.Err, unfit)
		}
	})
}

func TestABatchIsBoundedByItsBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *tap
		h := openHouse(t, 1, func(_ *house, o *quorum.Options) {
			s = &tap{Store: o.Members[0].Store}
			o.Members[0].Store = s
		})
		h.fakes[0].Delay(10 * time.Millisecond)
		for i := range 100 {
			h.begin(acquiring(fmt.Sprint("lock", i), strings.Repeat("x", quorum.MaxValue), time.Minute))
		}
		pass(time.Second)
		if _, heaviest := s.seen(); heaviest < 1<<19 || heaviest > 3<<19+2*quorum.MaxValue {
			t.Errorf("the heaviest batch had %d bytes, want a megabyte, and half as much of upkeep", heaviest)
		}
	})
}

func TestWhatIsLetGoIsTakenOutAlongWithTheNextRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *tap
		h := openHouse(t, 1, func(_ *house, o *quorum.Options) {
			s = &tap{Store: o.Members[0].Store}
			o.Members[0].Store = s
		})
		pass(10 * time.Millisecond)
		for _, name := range []string{"first", "second", "third"} {
			h.takes(0, acquiring(name, "token", time.Minute), quorum.Changed)
			h.takes(0, releasing(name, "token"), quorum.Changed)
		}
		h.has(0, "third", "token") // nobody waits for it to go
		want := [][]string{{"first"}, {"first", "second"}, {"second", "third"}}
		if batches, _ := s.seen(); !reflect.DeepEqual(batches[:min(len(batches), len(want))], want) {
			t.Errorf("batches %q, want %q", batches, want)
		}
		pass(time.Millisecond) // and nothing else was asked for meanwhile
		h.has(0, "third", "")
	})
}

func TestWhatIsLetGoIsTakenOutAtOnceWhereNothingElseIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 1)
		h.takes(0, acquiring("orders", "token", time.Minute), quorum.Changed)
		pass(100 * time.Millisecond)
		h.takes(0, releasing("orders", "token"), quorum.Changed)
		h.has(0, "orders", "")
	})
}

func TestWhatIsLetGoIsTakenOutBeforeTheKeeperIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, 1)
		h.takes(0, acquiring("orders", "token", time.Minute), quorum.Changed)
		h.takes(0, releasing("orders", "token"), quorum.Changed)
		h.has(0, "orders", "token")
		if err := h.keeper.Close(); err != nil {
			t.Fatal(err)
		}
		h.has(0, "orders", "")
	})
}
