package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urfave/cli/v2"
	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

const threeStores = "majority of three stores; max-ttl 10m0s"

func bookOfLines(lines ...string) page {
	p := page{book: quorum.Book{}}
	for i := 0; i < len(lines); i += 2 {
		p.book[lines[i]] = lines[i+1]
	}
	return p
}

func TestTheBooksTellWhoADeadProxyWas(t *testing.T) {
	line := func(phase quorum.Phase, instance string, mark uint64, peers ...string) string {
		s := signature(phase, instance, threeStores, peers...)
		s.Mark = quorum.Number(mark)
		return s.String()
	}
	signed, forgotten := quorum.Signed, quorum.Forgotten
	for _, c := range []struct {
		what      string
		pages     []page
		known     bool
		forgotten bool
		listedBy  []string
		instance  string // of its last journal
	}{
		{"nobody knows it", []page{bookOfLines("a", line(signed, "a1", 1)), {err: errors.New("no route")}}, false, false, nil, ""},
		{"a peer of two", []page{bookOfLines("a", line(signed, "a1", 1, "b", "c"), "b", line(signed, "b1", 4, "a", "c")),
			bookOfLines("c", line(quorum.Pending, "c1", 1, "a", "b"))}, true, false, []string{"a", "c"}, "b1"},
		{"a stranger", []page{bookOfLines("a", line(signed, "a1", 1, "c"), "b", line(signed, "b1", 4, "z"))}, true, false, nil, "b1"},
		{"on the list of one that is forgotten itself", []page{bookOfLines("a", line(forgotten, "a1", 1, "b"), "b", line(signed, "b1", 4))}, true, false, nil, "b1"},
		{"two journals: the later one counts", []page{bookOfLines("b", line(signed, "b1", 4)), bookOfLines("b", line(signed, "b2", 9)), bookOfLines("b", line(signed, "b1", 5))}, true, false, nil, "b2"},
		{"forgotten in one book", []page{bookOfLines("b", line(signed, "b1", 4)), bookOfLines("b", line(forgotten, "b1", 4))}, true, true, nil, "b1"},
		{"its journal of before is forgotten", []page{bookOfLines("b", line(forgotten, "b1", 4)), bookOfLines("b", line(signed, "b2", 9))}, true, false, nil, "b2"},
		{"forgotten, and an older journal is not", []page{bookOfLines("b", line(forgotten, "b2", 9)), bookOfLines("b", line(signed, "b1", 4))}, true, false, nil, "b2"},
		{"no signature at all", []page{bookOfLines("b", "Dear diary,")}, true, false, nil, ""},
		{"beside a line that is none", []page{bookOfLines("b", "Dear diary,"), bookOfLines("b", line(forgotten, "b1", 0))}, true, false, nil, "b1"},
	} {
		e := gather(c.pages, "b")
		if e.known != c.known || e.forgotten != c.forgotten || !slices.Equal(e.listedBy, c.listedBy) || e.last.Instance != c.instance {
			t.Errorf("%s: %+v, want known %v, forgotten %v, listed by %q, instance %q", c.what, e, c.known, c.forgotten, c.listedBy, c.instance)
		}
	}
}

func TestTheWaitIsForTheLongestLeaseOfTheDead(t *testing.T) {
	for _, c := range []struct {
		what string
		f    forgetting
		e    evidence
		want time.Duration
	}{
		{"its own configuration tells", forgetting{maxTTL: time.Hour, least: forgetWatch}, evidence{last: quorum.Signature{Config: threeStores}}, 612 * time.Second},
		{"else the flags", forgetting{maxTTL: time.Hour, least: forgetWatch}, evidence{last: quorum.Signature{Config: "something"}}, 3672 * time.Second},
		{"now", forgetting{maxTTL: time.Hour, least: forgetWatch, now: true}, evidence{}, forgetWatch},
		{"somebody has waited", forgetting{maxTTL: time.Hour, least: forgetWatch}, evidence{forgotten: true}, forgetWatch},
	} {
		if got, why := c.f.patience(c.e); got != c.want || why == "" {
			t.Errorf("%s: %v (%s), want %v", c.what, got, why, c.want)
		}
	}
}

func TestEveryBookGetsTheSameWord(t *testing.T) {
	last := signature(quorum.Signed, "b2", threeStores, "a")
	forgotten := quorum.Signature{Phase: quorum.Forgotten, Instance: "b2", Config: threeStores, Mark: last.Mark}.String()
	for _, c := range []struct {
		what, line string
		strike     bool
		want       string
		due        bool
	}{
		{"its signature", last.String(), false, forgotten, true},
		{"that of an earlier journal", signature(quorum.Signed, "b1", threeStores).String(), false, forgotten, true},
		{"none", "", false, forgotten, true},
		{"what is no signature", "Dear diary,", false, forgotten, true},
		{"done before", forgotten, false, forgotten, false},
		{"an earlier journal was forgotten", signature(quorum.Forgotten, "b1", threeStores).String(), false, forgotten, true},
		{"a stranger's", last.String(), true, "", true},
		{"none of a stranger's", "", true, "", false},
		{"a stranger's that is no signature", "Dear diary,", true, "", true},
	} {
		if got, due := parting(c.line, c.strike, last); got != c.want || due != c.due {
			t.Errorf("%s: %q, due %v, want %q, %v", c.what, got, due, c.want, c.due)
		}
	}
}

// forgets runs forget over the books of a shelf, and returns what it says.
func (b *shelf) forgets(ctx context.Context, f forgetting) (string, error) {
	var said strings.Builder
	f.out, f.least = &said, forgetWatch
	if f.maxTTL == 0 {
		f.maxTTL = time.Hour
	}
	err := f.run(ctx, b.members())
	return said.String(), err
}

// group signs every book as a and b, peers of each other.
func (b *shelf) group() {
	for i := range b.fakes {
		b.write(i, "a", signature(quorum.Signed, "a1", threeStores, "b").String())
		b.write(i, "b", signature(quorum.Signed, "b1", threeStores, "a").String())
	}
}

func (b *shelf) wantPhases(id string, want ...quorum.Phase) {
	b.t.Helper()
	if got := b.phases(id); !slices.Equal(got, want) {
		b.t.Errorf("the books have %q under %s, want %q", got, id, want)
	}
}

func wantAll(t *testing.T, said string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(said, word) {
			t.Errorf("it says %q, want %q in it", said, word)
		}
	}
}

func TestADeadPeerIsForgottenAfterItsLastLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newShelf(t, 3)
		b.group()
		b.write(1, "b", "") // that store forgot, and b did not live to see it
		start := time.Now()
		said, err := b.forgets(t.Context(), forgetting{id: "b"})
		if err != nil {
			t.Errorf("forget: %v", err)
		}
		if took := time.Since(start); took < 612*time.Second || took > 630*time.Second {
			t.Errorf("it took %v, want 10m and 2%%", took)
		}
		b.wantPhases("b", quorum.Forgotten, quorum.Forgotten, quorum.Forgotten)
		b.wantPhases("a", quorum.Signed, quorum.Signed, quorum.Signed)
		for i := range b.fakes {
			if s, err := quorum.ParseSignature(b.book(i)["b"]); err != nil || s.Instance != "b1" || s.Config != threeStores || s.Mark != quorum.MakeNumber(7, 1) {
				t.Errorf("book %d says %+v, %v, want instance, configuration and mark kept", i, s, err)
			}
		}
		wantAll(t, said, "redis://s1:6379: b is signed, instance b1", "redis://s2:6379: does not know b", "b is a peer of a",
			"waiting 10m12s, until ", "9m11s left, until ", "1m1s left, until ", "redis://s2:6379: says that b is forgotten")

		start = time.Now()
		said, err = b.forgets(t.Context(), forgetting{id: "b"})
		if took := time.Since(start); err != nil || took > 2*forgetWatch {
			t.Errorf("again: %v after %v, want nothing left to wait for: %s", err, took, said)
		}
	})
}

func TestWhoLivesIsNotForgotten(t *testing.T) {
	for _, now := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := newShelf(t, 3)
			b.group()
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			defer wg.Wait()
			defer cancel()
			wg.Go(func() { b.live(ctx, "b", signature(quorum.Signed, "b1", threeStores, "a"), 2) })
			_, err := b.forgets(ctx, forgetting{id: "b", now: now})
			if !errors.Is(err, errAlive) || !strings.Contains(err.Error(), "redis://s3:6379") || !strings.Contains(err.Error(), "no book was changed") {
				t.Errorf("forget, now=%v: %v, want that it is alive, and where", now, err)
			}
			b.wantPhases("b", quorum.Signed, quorum.Signed, quorum.Signed)
		})
	}
}

func TestWhoComesBackDuringTheWaitIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newShelf(t, 3)
		b.group()
		b.fakes[0].Flush() // its line there is gone, and then comes back
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			if pause(t.Context(), 8*time.Minute) == nil {
				b.write(0, "b", signature(quorum.Pending, "b1", threeStores, "a").String())
			}
		})
		if _, err := b.forgets(t.Context(), forgetting{id: "b"}); !errors.Is(err, errAlive) {
			t.Errorf("forget: %v, want that it is alive", err)
		}
		b.wantPhases("b", quorum.Pending, quorum.Signed, quorum.Signed)
	})
}

// A store that comes back at the end of the wait is watched for a while.
func TestABookThatComesBackIsWatchedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newShelf(t, 3)
		b.group()
		b.fakes[2].Refuse(errors.New("no route"))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		wg.Go(func() {
			if pause(ctx, 611*time.Second) == nil {
				b.fakes[2].Refuse(nil)
				b.live(ctx, "b", signature(quorum.Signed, "b1", threeStores, "a"), 2)
			}
		})
		if said, err := b.forgets(ctx, forgetting{id: "b"}); !errors.Is(err, errAlive) {
			t.Errorf("forget: %v, want that it is alive: %s", err, said)
		}
		b.wantPhases("b", quorum.Signed, quorum.Signed, quorum.Signed)
	})
}

func TestAStrangerIsStruck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newShelf(t, 2)
		b.group()
		b.write(1, "z", signature(quorum.Signed, "z1", "unanimous of others; max-ttl 1m0s", "y").String())
		start := time.Now()
		said, err := b.forgets(t.Context(), forgetting{id: "z"})
		if took := time.Since(start); err != nil || took < 61200*time.Millisecond || took > 65*time.Second {
			t.Errorf("forget: %v after %v, want what its own max-ttl says", err, took)
		}
		b.wantPhases("z", "", "")
		wantAll(t, said, "z is nobody's peer", "struck", "redis://s2:6379: knows nothing of z")
	})
}

func TestAPeerOfTheFlagsIsForgottenAndNotStruck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newShelf(t, 2)
		b.write(1, "z", signature(quorum.Signed, "z1", threeStores).String())
		if _, err := b.forgets(t.Context(), forgetting{id: "z", listed: true, now: true}); err != nil {
			t.Errorf("forget: %v", err)
		}
		b.wantPhases("z", quorum.Forgotten, quorum.Forgotten)
	})
}

func TestWhatCannotBeReachedIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newShelf(t, 3)
		b.group()
		b.fakes[1].Refuse(errors.New("no route"))
		said, err := b.forgets(t.Context(), forgetting{id: "b", now: true})
		if err == nil || !strings.Contains(err.Error(), "not done in 1 of 3 stores") {
			t.Errorf("forget with a store down: %v", err)
		}
		wantAll(t, said, "redis://s2:6379: NOT REACHED: connect", "redis://s2:6379: NOT DONE: connect", "redis://s3:6379: says that b is forgotten")
		b.fakes[1].Refuse(nil)
		b.wantPhases("b", quorum.Forgotten, quorum.Signed, quorum.Forgotten)

		start := time.Now()
		if _, err := b.forgets(t.Context(), forgetting{id: "b"}); err != nil || time.Since(start) > 2*forgetWatch {
			t.Errorf("forget once it is back: %v after %v, want it done at once", err, time.Since(start))
		}
		b.wantPhases("b", quorum.Forgotten, quorum.Forgotten, quorum.Forgotten)

		b.fakes[0].Refuse(errors.New("no route"))
		if _, err := b.forgets(t.Context(), forgetting{id: "q"}); err == nil || !strings.Contains(err.Error(), "no book that could be read knows it, and 1 of 3 could not be") {
			t.Errorf("forget who is in no book: %v", err)
		}
	})
}

// A lost answer leaves open whether the line stands, and reading tells.
func TestALostAnswerIsFollowedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newShelf(t, 1)
		b.group()
		f := forgetting{id: "b", out: io.Discard}
		s := b.scribes()[0]
		p := s.read(t.Context())
		last := gather([]page{p}, "b").last
		b.fakes[0].LoseReplies(1)
		if p = f.put(t.Context(), s, p, false, last); p.err != nil {
			t.Errorf("put with a lost reply: %v", p.err)
		}
		b.wantPhases("b", quorum.Forgotten)
		b.group()
		p = s.read(t.Context())
		b.fakes[0].LoseRequests(1)
		if p = f.put(t.Context(), s, p, false, last); p.err != nil {
			t.Errorf("put with a lost request: %v", p.err)
		}
		b.wantPhases("b", quorum.Forgotten)
	})
}

func TestWhoSignsInTheLastMomentIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newShelf(t, 1)
		b.group()
		f := forgetting{id: "b", out: io.Discard}
		s := b.scribes()[0]
		p := s.read(t.Context())
		beat := signature(quorum.Signed, "b1", threeStores, "a")
		beat.Beat++
		b.write(0, "b", beat.String())
		if p = f.put(t.Context(), s, p, false, beat); !errors.Is(p.err, errAlive) {
			t.Errorf("put over a line that moved: %v, want that it is alive", p.err)
		}
		if b.book(0)["b"] != beat.String() {
			t.Errorf("the book says %q, want it as it was", b.book(0))
		}
	})
}

func TestAnInterruptedForgetChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newShelf(t, 1)
		b.group()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := b.forgets(ctx, forgetting{id: "b"}); err == nil || !strings.Contains(err.Error(), "no book was changed") {
			t.Errorf("forget, interrupted: %v", err)
		}
		b.wantPhases("b", quorum.Signed)
	})
}

func TestForgetIsCalledInEitherOrder(t *testing.T) {
	for line, want := range map[string]string{
		"holdfast forget b":                    "holdfast forget b",
		"holdfast forget b --now":              "holdfast forget --now b",
		"holdfast forget b --store redis://x":  "holdfast forget --store redis://x b",
		"holdfast forget --store redis://x b":  "holdfast forget --store redis://x b",
		"holdfast serve b --store redis://x":   "holdfast serve b --store redis://x",
		"holdfast forget b c --now":            "holdfast forget c --now b",
		"holdfast":                             "holdfast",
		"holdfast forget --help --now --peers": "holdfast forget --help --now --peers",
	} {
		if got := strings.Join(idLast(strings.Fields(line)), " "); got != want {
			t.Errorf("%s becomes %s, want %s", line, got, want)
		}
	}
}

// holdfast runs a command line as main does, but for what it says.
func holdfast(t *testing.T, line string) error {
	t.Helper()
	a := app()
	a.Writer, a.ErrWriter = io.Discard, io.Discard
	return a.RunContext(t.Context(), idLast(strings.Fields(line)))
}

func TestAWrongForgetIsAMisuse(t *testing.T) {
	for line, want := range map[string]string{
		"holdfast forget":                                        "want the ID of one proxy",
		"holdfast forget --now":                                  "want the ID of one proxy",
		"holdfast forget b c --now":                              "want the ID of one proxy",
		"holdfast forget b":                                      "no stores",
		"holdfast forget a/b --store redis://127.0.0.1:1":        `"a/b"`,
		"holdfast forget b --store gopher://127.0.0.1:1":         "no driver",
		"holdfast forget b --stores redis://127.0.0.1:1":         "stores",
		"holdfast forget b --store redis://127.0.0.1:1 --peer q": "needs id",
		"holdfast forget b --store redis://127.0.0.1:1 --now=no": "now",
	} {
		err := holdfast(t, line)
		var coder cli.ExitCoder
		if !errors.As(err, &coder) || coder.ExitCode() != 2 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a misuse and %q", line, err, want)
		}
	}
}

func TestForgetOverARealServer(t *testing.T) {
	server := storetest.StartRedis(t, "--requirepass", "secret")
	url := "redis://:secret@" + server.Addr()
	members := mustMembers(t, url)
	s := scribes(members, 10*time.Second)[0]
	for id, peers := range map[string][]string{"a": {"b"}, "b": {"a"}, "z": nil} {
		line := signature(quorum.Signed, id+"1", threeStores, peers...).String()
		if p := s.sign(t.Context(), id, "", line); p.err != nil || p.book[id] != line {
			t.Fatalf("sign as %s: %v, the book says %q", id, p.err, p.book)
		}
	}
	for _, id := range []string{"b", "z"} {
		f := forgetting{id: id, now: true, least: 10 * time.Millisecond, out: io.Discard}
		if err := f.run(t.Context(), mustMembers(t, url)); err != nil {
			t.Errorf("forget %s: %v", id, err)
		}
	}
	book := s.read(t.Context()).book
	if phaseOf(book["a"]) != quorum.Signed || phaseOf(book["b"]) != quorum.Forgotten || book["z"] != "" {
		t.Errorf("the book says %q, want a signed, b forgotten, z struck", book)
	}
	err := holdfast(t, "holdfast forget q --now --store "+url)
	var coder cli.ExitCoder
	if err == nil || errors.As(err, &coder) || !strings.Contains(err.Error(), "knows it") || strings.Contains(err.Error(), "secret") {
		t.Errorf("forget who is in no book: %v, want an error that is no misuse", err)
	}
}
