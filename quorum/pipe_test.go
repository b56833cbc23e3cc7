package quorum_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/quorum"
)

// A tube is a pipe that counts what is sent, and answers when somebody receives.
type tube struct {
	quorum.Store
	sent       atomic.Int64
	batches    chan func() error
	interrupts chan struct{}
	hangUp     chan error
	atHangUp   func()      // called when somebody has been told, but has not returned
	lost       atomic.Bool // it was connected to anew with a batch under way
}

func (p *tube) Connect(ctx context.Context) (string, error) {
	if len(p.batches) > 0 {
		p.lost.Store(true)
	}
	return p.Store.Connect(ctx)
}

func newTube(s quorum.Store) *tube {
	return &tube{Store: s, batches: make(chan func() error, 1), interrupts: make(chan struct{}, 1), hangUp: make(chan error), atHangUp: func() {}}
}

func (p *tube) Send(requests []quorum.Request, votes []quorum.Vote, patience time.Duration) {
	p.sent.Add(1)
	p.batches <- func() error { // full if one is under way: then this hangs, and the test fails
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return p.Store.Do(ctx, requests, votes)
	}
}

func (p *tube) Receive(until time.Time) (answered bool, err error) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case do := <-p.batches:
		return true, do()
	case err := <-p.hangUp:
		p.atHangUp()
		return false, err
	case <-p.interrupts:
	case <-timer.C:
	}
	return false, nil
}

func (p *tube) Interrupt() {
	select {
	case p.interrupts <- struct{}{}:
	default:
	}
}

func TestWhoAsksSendsTheBatchHimself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tubes []*tube
		h := openHouse(t, 3, func(_ *house, o *quorum.Options) {
			for i := range o.Members {
				tubes = append(tubes, newTube(o.Members[i].Store))
				o.Members[i].Store = tubes[i]
			}
		})
		pass(10 * time.Millisecond)
		for i, p := range tubes {
			p.sent.Store(0)
			h.fakes[i].Delay(5 * time.Millisecond)
		}
		first := h.begin(acquiring("orders", "token", time.Minute))
		for i, p := range tubes {
			if got := p.sent.Load(); got != 1 {
				t.Errorf("store %d was sent %d batches by the time that the op was submitted, want it", i, got)
			}
		}
		second := h.begin(acquiring("parcels", "token", time.Minute)) // waits for the first batch
		if got := tubes[0].sent.Load(); got != 1 {
			t.Errorf("%d batches are under way, want one", got)
		}
		for what, done := range map[string]<-chan quorum.Result{"first": first, "second": second} {
			if r := <-done; r.Outcome != quorum.Changed {
				t.Errorf("the %s ended as %v (%v)", what, r.Outcome, r.Err)
			}
		}
		if got := tubes[0].sent.Load(); got != 2 {
			t.Errorf("%d batches for two ops, want two", got)
		}
		for i := range tubes {
			h.fakes[i].Delay(0)
		}
		pass(time.Second)
	})
}

func TestAStoreThatHangsUpWhileNothingIsAskedIsConnectedToAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p *tube
		h := openHouse(t, 1, func(_ *house, o *quorum.Options) {
			p = newTube(o.Members[0].Store)
			o.Members[0].Store = p
		})
		h.takes(0, acquiring("orders", "token", time.Minute), quorum.Changed)
		pass(100 * time.Millisecond)
		h.fakes[0].Restart()
		p.hangUp <- errors.New("the server hung up")
		pass(100 * time.Millisecond)
		h.has(0, "orders", "token") // it is back, and the copy too
		h.takes(0, acquiring("parcels", "token", time.Minute), quorum.Changed)
	})
}

func TestABatchThatIsSentWhileTheConnectionGoesIsEndedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p *tube
		h := openHouse(t, 1, func(_ *house, o *quorum.Options) {
			p = newTube(o.Members[0].Store)
			o.Members[0].Store = p
		})
		pass(100 * time.Millisecond)
		var done <-chan quorum.Result
		p.atHangUp = func() { done = h.begin(acquiring("orders", "token", time.Minute)) }
		p.hangUp <- errors.New("the server hung up")
		pass(100 * time.Millisecond)
		if r := <-done; r.Outcome != quorum.Changed || p.lost.Load() {
			t.Errorf("it ended as %v (%v), left behind %t, want what the store said", r.Outcome, r.Err, p.lost.Load())
		}
		h.takes(0, acquiring("parcels", "token", time.Minute), quorum.Changed)
	})
}
