package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"holdfast/quorum"
)

// A scribe reads one store's book, and writes in it, for an operator or before
// the keeper does. One goroutine at a time uses it.
type scribe struct {
	quorum.Member
	patience  time.Duration // for one visit
	connected bool
}

func scribes(stores []quorum.Member, patience time.Duration) []*scribe {
	all := make([]*scribe, len(stores))
	for i, m := range stores {
		all[i] = &scribe{Member: m, patience: patience}
	}
	return all
}

// A page is what a store's book said, or why it could not be read.
type page struct {
	store string // its name
	book  quorum.Book
	err   error
}

// read returns what the book says now.
func (s *scribe) read(ctx context.Context) page {
	p := page{store: s.Name}
	var votes []quorum.Vote
	if votes, p.err = s.do(ctx, quorum.Request{Action: quorum.ReadBook}); p.err == nil {
		p.book = votes[0].Book
	}
	return p
}

// sign puts line in the place of was under id, if that still stands there, and
// returns what the book says then. Whether it did is to be told by that alone: an
// answer may be lost.
func (s *scribe) sign(ctx context.Context, id, was, line string) page {
	p := page{store: s.Name}
	var votes []quorum.Vote
	votes, p.err = s.do(ctx,
		quorum.Request{Action: quorum.Sign, Name: id, Was: was, Line: line},
		quorum.Request{Action: quorum.ReadBook})
	if p.err == nil {
		p.book = votes[1].Book
	}
	return p
}

// do asks the store; its error is that some request got no answer.
func (s *scribe) do(ctx context.Context, requests ...quorum.Request) ([]quorum.Vote, error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	if !s.connected {
		if _, err := s.Store.Connect(ctx); err != nil {
			return nil, err
		}
	}
	votes := make([]quorum.Vote, len(requests))
	err := s.Store.Do(ctx, requests, votes)
	s.connected = err == nil
	for _, v := range votes {
		if err == nil && v.Verdict == quorum.Silent {
			err = v.Err
		}
	}
	if last := votes[len(votes)-1]; err == nil && last.Verdict != quorum.Granted {
		err = fmt.Errorf("its book: %s", last.Verdict)
	}
	return votes, err
}

// allPages has every scribe do something, all at once.
func allPages(scribes []*scribe, do func(i int, s *scribe) page) []page {
	pages := make([]page, len(scribes))
	var wg sync.WaitGroup
	for i, s := range scribes {
		wg.Go(func() { pages[i] = do(i, s) })
	}
	wg.Wait()
	return pages
}

// readAll reads every book.
func readAll(ctx context.Context, all []*scribe) []page {
	return allPages(all, func(_ int, s *scribe) page { return s.read(ctx) })
}

// stirred reports whether a line of a book went on from one that was there
// before, as only a living signer makes it. One that is gone says nothing: the
// store may have forgotten it. Nor does what an operator put there.
func stirred(before, after string) bool {
	return after != before && after != "" && phaseOf(after) != quorum.Forgotten
}

// phaseOf is how a line of a book begins.
func phaseOf(line string) quorum.Phase {
	phase, _, _ := strings.Cut(line, " ")
	return quorum.Phase(phase)
}

// linesOf returns what the books have under an id, where they have something.
func linesOf(pages []page, id string) (lines []string) {
	for _, p := range pages {
		if line := p.book[id]; line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// signers are the ids in any of the books, sorted.
func signers(pages []page) []string {
	var ids []string
	for _, p := range pages {
		for id := range p.book {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// pause waits, and reports whether that was long enough, or ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
