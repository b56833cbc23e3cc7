package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"holdfast/quorum"
)

// patience is how long a store that runs may take to answer on a busy machine.
const patience = 20 * time.Second

// A trial is a connected store with a test around it.
type trial struct {
	Rig
	t *testing.T
}

func connected(t *testing.T, rig Rig) *trial {
	t.Helper()
	b := &trial{Rig: rig, t: t}
	b.connect()
	return b
}

// connect returns the incarnation.
func (b *trial) connect() string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	incarnation, err := b.Store.Connect(ctx)
	if err != nil {
		b.t.Fatalf("connect: %v", err)
	}
	return incarnation
}

// do sends the requests in one batch and returns the votes.
func (b *trial) do(requests ...quorum.Request) []quorum.Vote {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	votes := make([]quorum.Vote, len(requests))
	if err := b.Store.Do(ctx, requests, votes); err != nil {
		b.t.Fatalf("do %d requests: %v", len(requests), err)
	}
	return votes
}

// must sends one request and wants its verdict.
func (b *trial) must(want quorum.Verdict, r quorum.Request) quorum.Vote {
	b.t.Helper()
	v := b.do(r)[0]
	if v.Verdict != want {
		b.t.Fatalf("%s: %s, want %s (found %s, error %v)", show(r), v.Verdict, want, showCopy(v.Found), v.Err)
	}
	return v
}

// find wants a copy, nil for none, under name.
func (b *trial) find(name string, want *quorum.Copy) quorum.Vote {
	b.t.Helper()
	v := b.must(quorum.Granted, read(name))
	if !v.Found.Equal(want) {
		b.t.Fatalf("read %.40q: found %s, want %s", name, showCopy(v.Found), showCopy(want))
	}
	return v
}

func swap(name string, prev, next *quorum.Copy) quorum.Request {
	return quorum.Request{Action: quorum.Swap, Name: name, Prev: prev, Next: next, TTL: time.Minute}
}

func orNone(r quorum.Request) quorum.Request {
	r.OrNone = true
	return r
}

func read(name string) quorum.Request { return quorum.Request{Action: quorum.Read, Name: name} }

func check(name string, prev *quorum.Copy) quorum.Request {
	return quorum.Request{Action: quorum.Check, Name: name, Prev: prev}
}

// mine returns a copy made by change fence and last changed by version.
func mine(value string, fence, version uint64) *quorum.Copy {
	return &quorum.Copy{
		Value:   []byte(value),
		Fence:   quorum.MakeNumber(fence, 7),
		Version: quorum.MakeNumber(version, 7),
	}
}

func foreign(value string) *quorum.Copy { return &quorum.Copy{Value: []byte(value)} }

func show(r quorum.Request) string {
	switch r.Action {
	case quorum.Read:
		return fmt.Sprintf("read %.40q, heed %t", r.Name, r.Heed)
	case quorum.Check:
		return fmt.Sprintf("check %.40q for %s", r.Name, showCopy(r.Prev))
	case quorum.ReadBook:
		return "read the book"
	case quorum.Sign:
		return fmt.Sprintf("sign %q with %.60q for %.60q, only %q", r.Name, r.Line, r.Was, r.Only)
	case quorum.Tear:
		return "tear the book"
	}
	return fmt.Sprintf("swap %.40q from %s to %s, or none %t, heed %t, gone %v, mark %t",
		r.Name, showCopy(r.Prev), showCopy(r.Next), r.OrNone, r.Heed, r.Gone, r.Mark)
}

func showCopy(c *quorum.Copy) string {
	switch {
	case c == nil:
		return "nothing"
	case c.Opaque:
		return "something opaque"
	}
	return fmt.Sprintf("%.60q", c.Encode())
}
