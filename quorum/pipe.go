package quorum

import (
	"context"
	"time"
)

// A Pipe is a store where one goroutine sends a batch and another waits for the
// answers, in turns: nobody has to be woken to send, and whoever waits is woken by
// the answers.
type Pipe interface {
	Store
	// Send begins a batch, which is Receive's to end. It does not wait, and is not
	// called again before that. The requests and votes are the store's until then.
	Send(requests []Request, votes []Vote, patience time.Duration)
	// Receive waits for the answers to a batch that is sent before until, for its
	// patience at most, and ends it as Do does. If there was none it reports false,
	// and an error only if the connection is of no use any more.
	Receive(until time.Time) (answered bool, err error)
	// Interrupt has Receive return, now or when it is next called, unless a batch is
	// under way.
	Interrupt()
}

// asPipe returns a store as a pipe: whoever receives is woken to do it all.
func asPipe(s Store) Pipe {
	if p, ok := s.(Pipe); ok {
		return p
	}
	return &turns{Store: s, batches: make(chan batch, 1), interrupts: make(chan struct{}, 1)}
}

// turns is a pipe made of a store that is none.
type turns struct {
	Store
	batches    chan batch
	interrupts chan struct{}
	timer      *time.Timer
}

type batch struct {
	requests []Request
	votes    []Vote
	patience time.Duration
}

func (t *turns) Send(requests []Request, votes []Vote, patience time.Duration) {
	t.batches <- batch{requests, votes, patience}
}

func (t *turns) Receive(until time.Time) (answered bool, err error) {
	if t.timer == nil {
		t.timer = time.NewTimer(time.Until(until))
	} else {
		t.timer.Reset(time.Until(until))
	}
	defer t.timer.Stop()
	select {
	case b := <-t.batches:
		return true, t.do(b)
	default:
	}
	select {
	case b := <-t.batches:
		return true, t.do(b)
	case <-t.interrupts:
	case <-t.timer.C:
	}
	return false, nil
}

func (t *turns) do(b batch) error {
	ctx, cancel := context.WithTimeout(context.Background(), b.patience)
	defer cancel()
	return t.Store.Do(ctx, b.requests, b.votes)
}

func (t *turns) Interrupt() { wake(t.interrupts) }
