package quorum_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

// An address is a store whose server may become another one.
type address struct {
	quorum.Store               // of the connection
	gate         chan struct{} // the facts are told once it is closed, if there is one
	leads        atomic.Pointer[storetest.Fake]
	lost         atomic.Bool   // the connection is
	tag          func() string // what the server keeps for us to be told by; nil: it needs none
}

func addressOf(f *storetest.Fake) *address {
	a := &address{Store: f.Store()}
	a.leads.Store(f)
	return a
}

// move has it lead to another server, or to none, and breaks the connection.
func (a *address) move(to *storetest.Fake) {
	a.leads.Store(to)
	a.lost.Store(true)
}

func (a *address) Connect(ctx context.Context) (string, error) {
	f := a.leads.Load()
	if f == nil {
		return "", errRefused
	}
	a.lost.Store(false)
	a.Store = f.Store()
	return a.Store.Connect(ctx)
}

func (a *address) Facts(ctx context.Context) (quorum.Facts, error) {
	if a.gate != nil {
		<-a.gate
	}
	f := a.leads.Load()
	if f == nil {
		return quorum.Facts{}, errRefused
	}
	facts, err := f.Store().Facts(ctx)
	if a.tag != nil {
		facts.RunID += a.tag()
	}
	return facts, err
}

func (a *address) Do(ctx context.Context, requests []quorum.Request, votes []quorum.Vote) error {
	if a.lost.Load() {
		return errors.New("connection reset")
	}
	return a.Store.Do(ctx, requests, votes)
}

// openAddresses returns a house with so many stores, and their addresses.
func openAddresses(t *testing.T, stores int, alter func(h *house, all []*address)) (*house, []*address) {
	var all []*address
	return openHouse(t, stores, func(h *house, o *quorum.Options) {
		for i := range o.Members {
			all = append(all, addressOf(h.fakes[i]))
			o.Members[i].Store = all[i]
		}
		alter(h, all)
	}), all
}

// areUp wants just these stores to be up.
func (h *house) areUp(when string, want ...bool) {
	h.t.Helper()
	for i, s := range h.keeper.Status().Stores {
		if s.Up != want[i] {
			h.t.Errorf("%s: %s is up: %t (%v), want %t", when, s.Name, s.Up, s.Err, want[i])
		}
	}
}

func TestOfStoresThatComeUpAtOnceOneServerIsOne(t *testing.T) {
	for range 10 { // in each it went wrong every second time
		synctest.Test(t, func(t *testing.T) {
			gate := make(chan struct{})
			h, _ := openAddresses(t, 32, func(h *house, all []*address) {
				for _, a := range all {
					a.gate = gate
					a.leads.Store(h.fakes[0])
				}
			})
			// All are connected and about to be looked at, and none is up yet. Others are
			// busy with the keeper, so that each waits for its turn at every step.
			var wg sync.WaitGroup
			open := sync.OnceFunc(func() { close(gate) })
			for range 8 {
				wg.Go(func() {
					for i := range 1000 {
						if i == 100 {
							open()
						}
						h.keeper.Status()
					}
				})
			}
			wg.Wait()
			pass(time.Second)
			up := 0
			for _, s := range h.keeper.Status().Stores {
				if s.Up {
					up++
				}
			}
			if up != 1 {
				t.Errorf("%d stores are up with one server, want 1", up)
			}
		})
	}
}

func TestAServerThatComesBackIsNoSecondStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, all := openAddresses(t, 3, func(*house, []*address) {})
		pass(3 * time.Second)
		all[0].move(nil)
		pass(3 * time.Second)
		all[1].move(h.fakes[0]) // while that is cut off from its own name
		pass(3 * time.Second)
		h.areUp("its name has gone to another one", false, true, true)
		told := len(h.log.String())
		all[0].leads.Store(h.fakes[0]) // in the same incarnation
		pass(3 * time.Second)
		h.areUp("it is back", false, true, true)
		const why = "it is the same server as s1 (run id s0/1), and would vote twice: it is not asked while s1 is up"
		if got := h.keeper.Status().Stores[0].Err; got == nil || got.Error() != why {
			t.Errorf("s0 is down: %v, want %s", got, why)
		}
		if got := h.log.String()[told:]; strings.Count(got, why) != 1 || !strings.Contains(got, "store=s0") {
			t.Errorf("the log says\n%s\nwant once that %s", got, why)
		}
		all[1].move(h.fakes[1])
		pass(3 * time.Second)
		h.areUp("the other one has gone", true, true, true)
	})
}

func TestTwoStoresMayExchangeTheirServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, all := openAddresses(t, 2, func(*house, []*address) {})
		pass(3 * time.Second)
		all[0].move(h.fakes[1])
		all[1].move(h.fakes[0])
		pass(3 * time.Second)
		h.areUp("exchanged", true, true)
	})
}

// What is asked of a server on another connection may be answered by another one.
func TestAServerIsNotTakenForWhatItsAddressLeadsToNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		h, all := openAddresses(t, 2, func(h *house, all []*address) {
			all[1].leads.Store(h.fakes[0])
			all[1].gate = gate
		})
		all[1].leads.Store(h.fakes[1]) // it is connected to the other one, and now asked who it is
		close(gate)
		pass(time.Second)
		h.areUp("connected to the one that says what it is", true, true)
		if got, want := h.keeper.Status().Stores[1].Incarnation, h.fakes[1].Incarnation(); got != want {
			t.Errorf("s1 is up in incarnation %s, want %s, which said what it is", got, want)
		}
	})
}

// A run id may rest on what a server keeps for us, which it can lose while it lives.
func TestOneServerIsOneStoreThoughItLostWhatItIsToldBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tag atomic.Pointer[string]
		leave := func(s string) { tag.Store(&s) }
		leave("first")
		h, all := openAddresses(t, 3, func(h *house, all []*address) {
			for _, a := range all {
				a.tag = func() string { return *tag.Load() }
			}
		})
		pass(time.Second)
		h.areUp("at first", true, true, true)
		leave("second")
		all[1].move(h.fakes[0])
		pass(3 * time.Second)
		h.areUp("when one leads to the server of another", true, false, true)
		all[1].move(h.fakes[1])
		pass(3 * time.Second)
		h.areUp("when it leads to its own again", true, true, true)
	})
}
