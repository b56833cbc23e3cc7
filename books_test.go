package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

// A shelf is the books of some fake stores, and the hands of whoever signs them.
type shelf struct {
	t     *testing.T
	fakes []*storetest.Fake
	names []string
}

func newShelf(t *testing.T, stores int) *shelf {
	b := &shelf{t: t}
	for i := range stores {
		name := fmt.Sprintf("redis://s%d:6379", i+1)
		b.names = append(b.names, name)
		b.fakes = append(b.fakes, storetest.NewFake(name, storetest.NewClock()))
	}
	return b
}

// members are new clients of the stores.
func (b *shelf) members() []quorum.Member {
	var all []quorum.Member
	for i, f := range b.fakes {
		all = append(all, quorum.Member{Name: b.names[i], Store: f.Store()})
	}
	return all
}

func (b *shelf) scribes() []*scribe { return scribes(b.members(), 2*time.Second) }

// write puts a line into the i-th book, whatever was there.
func (b *shelf) write(i int, id, line string) {
	b.t.Helper()
	s := scribes(b.members()[i:i+1], 2*time.Second)[0]
	defer s.Store.Close()
	if p := s.sign(b.t.Context(), id, s.read(b.t.Context()).book[id], line); p.err != nil || p.book[id] != line {
		b.t.Fatalf("write into book %d: %v, it says %q", i, p.err, p.book[id])
	}
}

// book is what the i-th book says.
func (b *shelf) book(i int) quorum.Book {
	b.t.Helper()
	s := scribes(b.members()[i:i+1], 2*time.Second)[0]
	defer s.Store.Close()
	p := s.read(b.t.Context())
	if p.err != nil {
		b.t.Fatalf("read book %d: %v", i, p.err)
	}
	return p.book
}

// live renews the lines of a signer every second, in so many books, until ctx is
// done.
func (b *shelf) live(ctx context.Context, id string, s quorum.Signature, books ...int) {
	for pause(ctx, time.Second) == nil {
		s.Beat++
		for _, i := range books {
			b.write(i, id, s.String())
		}
	}
}

// signature is one as a proxy puts it into a book.
func signature(phase quorum.Phase, instance, config string, peers ...string) quorum.Signature {
	return quorum.Signature{
		Phase: phase, Nonce: "n-" + instance, Instance: instance, Incarnation: "life 1", Peers: peers, Config: config,
		Mark: quorum.MakeNumber(7, 1), Beat: 3,
	}
}

func quietLog() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func TestOnlyALivingSignerStirs(t *testing.T) {
	line := signature(quorum.Signed, "b1", "three stores").String()
	next := signature(quorum.Signed, "b1", "three stores")
	next.Beat++
	forgotten := signature(quorum.Forgotten, "b1", "three stores").String()
	for _, c := range []struct {
		what, before, after string
		want                bool
	}{
		{"the same line", line, line, false},
		{"a beat", line, next.String(), true},
		{"a line that was not there", "", line, true},
		{"a line that is gone: the store may have forgotten", line, "", false},
		{"an operator's word", line, forgotten, false},
		{"a signature over an operator's word", forgotten, line, true},
		{"nothing", "", "", false},
	} {
		if got := stirred(c.before, c.after); got != c.want {
			t.Errorf("%s: stirred = %v, want %v", c.what, got, c.want)
		}
	}
}
