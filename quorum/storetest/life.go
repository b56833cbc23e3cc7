package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"holdfast/quorum"
)

func testUnconnected(t *testing.T, rig Rig) {
	b := &trial{Rig: rig, t: t}
	votes := make([]quorum.Vote, 1)
	err := b.Store.Do(t.Context(), []quorum.Request{swap("orders", nil, mine("a", 1, 1))}, votes)
	if err == nil {
		t.Error("a batch without a connection: no error")
	}
	b.silent(votes)
	if !votes[0].Unsent {
		t.Error("a batch without a connection is not marked as unsent")
	}
	b.connect()
	b.find("orders", nil)
}

// silent wants every vote to be silent, and to say why.
func (b *trial) silent(votes []quorum.Vote) {
	b.t.Helper()
	for i, v := range votes {
		if v.Verdict != quorum.Silent || v.Err == nil {
			b.t.Errorf("vote %d: %s, error %v, want silent with an error", i, v.Verdict, v.Err)
		}
	}
}

func testDeadline(t *testing.T, rig Rig) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	giveUp(t, rig, ctx, func() {})
}

func testCancel(t *testing.T, rig Rig) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	giveUp(t, rig, ctx, func() { time.AfterFunc(50*time.Millisecond, cancel) })
}

// giveUp sends a batch to a paused store, waits for ctx to end that, and finds
// the store usable again after it was resumed.
func giveUp(t *testing.T, rig Rig, ctx context.Context, asked func()) {
	b := connected(t, rig)
	b.must(quorum.Granted, swap("parcels", nil, mine("a", 1, 1)))
	b.Pause()
	votes := make([]quorum.Vote, 2)
	start := time.Now()
	asked()
	err := b.Store.Do(ctx, []quorum.Request{swap("orders", nil, mine("a", 2, 2)), read("parcels")}, votes)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("gave up after %v, want about 100ms", took)
	}
	<-ctx.Done() // a socket's deadline may be a little ahead of the context's
	if err == nil || !errors.Is(err, ctx.Err()) {
		t.Errorf("error %v, want one that is %v", err, ctx.Err())
	}
	b.silent(votes)
	// The connection is of no use any more: an answer to this batch would be
	// taken for one to the next.
	if err := b.Store.Do(t.Context(), []quorum.Request{read("orders")}, votes[:1]); err == nil {
		t.Error("the connection was used again after a batch was given up")
	}
	b.silent(votes[:1])
	if !votes[0].Unsent {
		t.Error("a batch for a dead connection is not marked as unsent")
	}
	brief, done := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer done()
	start = time.Now()
	if _, err := b.Store.Connect(brief); err == nil {
		t.Error("connected to a paused store")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("gave up connecting after %v, want about 100ms", took)
	}
	b.Resume()
	b.connect()
	b.find("parcels", mine("a", 1, 1))
}

func testDoneContext(t *testing.T, rig Rig) {
	b := connected(t, rig)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	votes := make([]quorum.Vote, 1)
	err := b.Store.Do(ctx, []quorum.Request{swap("orders", nil, mine("a", 1, 1))}, votes)
	b.silent(votes)
	if !votes[0].Unsent {
		t.Errorf("a batch whose context was done is not marked as unsent (error %v)", err)
	}
	if err != nil {
		b.connect()
	}
	b.find("orders", nil)
}

// testLate takes out what a batch that was given up put there, if it did. It must
// not come back: the earlier connection is dead when Connect returns.
func testLate(t *testing.T, rig Rig) {
	b := connected(t, rig)
	if b.Store.Traits().Late {
		return // makes no such promise
	}
	late := mine("late", 1, 1)
	for range 5 {
		b.Pause()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		votes := make([]quorum.Vote, 1)
		if err := b.Store.Do(ctx, []quorum.Request{swap("orders", nil, late)}, votes); err == nil {
			t.Error("a paused store answered")
		}
		cancel()
		b.Resume()
		b.connect()
		b.must(quorum.Granted, orNone(swap("orders", late, nil)))
		for range 50 {
			b.find("orders", nil)
		}
	}
}

func testRestart(t *testing.T, rig Rig) {
	b := &trial{Rig: rig, t: t}
	first := b.connect()
	b.must(quorum.Granted, swap("orders", nil, mine("a", 1, 1)))
	if again := b.connect(); again != first || first == "" {
		t.Errorf("connected again: incarnation %q, then %q, want the same", first, again)
	}
	b.find("orders", mine("a", 1, 1))
	b.Restart()
	votes := make([]quorum.Vote, 1)
	if err := b.Store.Do(t.Context(), []quorum.Request{read("orders")}, votes); err == nil {
		t.Error("the connection outlived the server")
	}
	b.silent(votes)
	if second := b.connect(); second == first {
		t.Errorf("restarted: incarnation %q, then the same", first)
	}
	b.find("orders", nil)
}

func testFlush(t *testing.T, rig Rig) {
	b := connected(t, rig)
	first, second := mine("a", 1, 1), mine("a", 1, 2)
	b.must(quorum.Granted, swap("orders", nil, first))
	b.must(quorum.Granted, swap("parcels", nil, first))
	b.Flush()
	b.find("orders", nil)
	if v := b.must(quorum.Refused, swap("parcels", first, second)); v.Found != nil {
		t.Errorf("refused by %s, want nothing", showCopy(v.Found))
	}
	b.must(quorum.Granted, swap("parcels", nil, second))
}

func testFacts(t *testing.T, rig Rig) {
	b := &trial{Rig: rig, t: t}
	incarnation := b.connect()
	facts, err := b.Store.Facts(t.Context())
	if err != nil {
		t.Fatalf("facts: %v", err)
	}
	for what, got := range map[string]string{
		"kind": facts.Kind, "version": facts.Version, "run id": facts.RunID,
		"persistence": facts.Persistence, "eviction": facts.Eviction,
	} {
		if got == "" {
			t.Errorf("facts: no %s", what)
		}
	}
	if facts.Incarnation != incarnation {
		t.Errorf("facts: incarnation %q, want %q as told by Connect", facts.Incarnation, incarnation)
	}
	b.must(quorum.Granted, read("orders")) // on the connection from before
	b.Restart()
	again, err := b.Store.Facts(t.Context())
	if err != nil {
		t.Fatalf("facts after a restart: %v", err)
	}
	if again.RunID == facts.RunID {
		t.Errorf("facts: run id %q before and after a restart", facts.RunID)
	}
}

func testClosed(t *testing.T, rig Rig) {
	b := connected(t, rig)
	b.must(quorum.Granted, swap("orders", nil, mine("a", 1, 1)))
	if err := b.Store.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	votes := make([]quorum.Vote, 1)
	if err := b.Store.Do(t.Context(), []quorum.Request{read("orders")}, votes); err == nil {
		t.Error("a closed store was asked")
	}
	b.silent(votes)
	if _, err := b.Store.Connect(t.Context()); err == nil {
		t.Error("a closed store was connected to")
	}
	if err := b.Store.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}
