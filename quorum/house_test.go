package quorum_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

// A house is a keeper with fake stores and a journal of paper, in a bubble.
type house struct {
	t       *testing.T
	keeper  *quorum.Keeper
	fakes   []*storetest.Fake
	journal *paper
	log     *ledger
}

// openHouse returns a house whose stores are connected, as alter made it. It is
// closed when the test ends.
func openHouse(t *testing.T, stores int, alter ...func(h *house, o *quorum.Options)) *house {
	h := &house{t: t, journal: &paper{}, log: &ledger{}}
	clock := storetest.NewClock()
	first := quorum.MakeNumber(1000, 0)
	o := quorum.Options{
		Timeout: 250 * time.Millisecond, MaxTTL: 24 * time.Hour, Clock: clock,
		Journal: h.journal, Past: quorum.History{Birth: first, Limit: first},
		Log: slog.New(slog.NewTextHandler(h.log, nil)),
	}
	for i := range stores {
		name := fmt.Sprintf("s%d", i)
		h.fakes = append(h.fakes, storetest.NewFake(name, clock))
		o.Members = append(o.Members, quorum.Member{Name: name, Store: h.fakes[i].Store()})
	}
	for _, f := range alter {
		f(h, &o)
	}
	keeper, err := quorum.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := keeper.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	h.keeper = keeper
	synctest.Wait()
	return h
}

// pass lets time go by, and everything come to rest.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// takes wants op to end with an outcome after exactly so long, and lets
// everything come to rest.
func (h *house) takes(took time.Duration, op *quorum.Op, want quorum.Outcome) quorum.Result {
	h.t.Helper()
	start := time.Now()
	r := h.keeper.Do(op)
	if got := time.Since(start); got != took {
		h.t.Errorf("the op on %q took %v, want %v", op.Names, got, took)
	}
	synctest.Wait() // for the votes that did not matter any more
	if r.Outcome != want {
		h.t.Fatalf("the op on %q ended as %v (%v), want %v", op.Names, r.Outcome, r.Err, want)
	}
	return r
}

// begin submits op, and puts its result on the channel.
func (h *house) begin(op *quorum.Op) <-chan quorum.Result {
	done := make(chan quorum.Result, 1)
	op.Done = func(r quorum.Result) { done <- r }
	h.keeper.Submit(op)
	return done
}

// has wants that a store keeps a copy of a lock with this value, or none for "".
func (h *house) has(store int, name, want string) {
	h.t.Helper()
	got := ""
	if c := h.fakes[store].Copies()[name]; c != nil {
		got = string(c.Value)
	}
	if got != want {
		h.t.Errorf("store %d keeps %q under %q, want %q", store, got, name, want)
	}
}

func acquiring(name, token string, ttl time.Duration) *quorum.Op {
	return &quorum.Op{Names: []string{name}, Decide: func(v *quorum.View) quorum.Plan {
		if lease, _ := v.Lease(name); lease != nil {
			return quorum.Plan{}
		}
		return quorum.Plan{Parts: []quorum.Part{{Name: name, Value: []byte(token), TTL: ttl}}}
	}}
}

func releasing(name, token string) *quorum.Op {
	return &quorum.Op{Names: []string{name}, Decide: func(v *quorum.View) quorum.Plan {
		lease, _ := v.Lease(name)
		if lease == nil || string(lease.Value) != token {
			return quorum.Plan{}
		}
		return quorum.Plan{Parts: []quorum.Part{{Prev: lease, Name: name, Drop: true}}}
	}}
}

// A paper is a journal in memory that takes its time, and may fail.
type paper struct {
	mu      sync.Mutex
	delay   time.Duration           // guarded by mu; of each synced write
	failure error                   // guarded by mu
	entries map[string]quorum.Entry // guarded by mu
	limit   quorum.Number           // guarded by mu
}

func (p *paper) Commit(records []quorum.Record, sync bool) error {
	p.mu.Lock()
	delay, failure := p.delay, p.failure
	p.mu.Unlock()
	if sync && delay > 0 {
		<-time.After(delay)
	}
	if failure != nil {
		return failure
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.entries == nil {
		p.entries = map[string]quorum.Entry{}
	}
	for _, r := range records {
		p.limit = max(p.limit, r.Limit)
		for _, e := range r.Entries {
			if p.entries[e.Name] = e; e.Lease == nil {
				delete(p.entries, e.Name)
			}
		}
	}
	return nil
}

func (p *paper) slow(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}

func (p *paper) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failure = err
}

// history returns what a keeper opened on this journal would be given.
func (p *paper) history() quorum.History {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := quorum.History{Birth: quorum.MakeNumber(1000, 0), Limit: p.limit}
	for _, e := range p.entries {
		h.Entries = append(h.Entries, e)
	}
	return h
}

// A ledger is where a house logs.
type ledger struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (l *ledger) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *ledger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

var errRefused = errors.New("connection refused")
