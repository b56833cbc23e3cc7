package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"holdfast/conf"
	"holdfast/quorum"
)

const (
	forgetWatch   = 5 * time.Second // for a beat, which moves about once a second
	forgetPoll    = time.Second     // between two looks, at first
	forgetPollMax = 10 * time.Second
	forgetSay     = time.Minute // between two words about the wait
	forgetTries   = 5           // for one line of one book
)

const forgetHelp = `Tells the other proxies that ID will never come back: that they need neither
wait for it nor ask it. It must be dead, and is not forgotten while it is seen
to live: while its line moves in any book that can be read.

What it granted may be held until max-ttl after its end, so forget waits for so
long, and two in a hundred more, before it changes anything. With --now it only
watches for some seconds: say that when nobody holds a lock by ID any more. What
somebody does hold by it may then be granted again.

A proxy that is somebody's peer, by --peer, --id or any book, gets the word
"forgotten" in its line. That stays: it can come back with an empty data folder
only. A line of anybody else, a stranger who is dead, is struck.

Exits with 1 if a store could not be reached (run it again when that is back),
if no book knows ID or if ID lives, and with 2 if it was called wrongly. Flags
stand all before ID or all after it.`

func forgetCommand() *cli.Command {
	return &cli.Command{
		Name:        "forget",
		Usage:       "declare a dead proxy gone for good, in every store's book",
		UsageText:   "holdfast forget ID [--now] [the same flags as serve]",
		Description: forgetHelp,
		Flags:       append(conf.Flags(), &cli.BoolFlag{Name: "now", Usage: "do not wait until all that ID granted has ended"}),
		Action: func(ctx *cli.Context) error {
			f, stores, err := forgetArgs(ctx)
			if err != nil {
				return misuse{err}
			}
			return f.run(ctx.Context, stores)
		},
		OnUsageError: func(_ *cli.Context, err error, _ bool) error { return misuse{err} },
	}
}

// A misuse is an error of whoever typed the command.
type misuse struct{ error }

func (m misuse) Unwrap() error { return m.error }

// ExitCode makes it a [cli.ExitCoder].
func (m misuse) ExitCode() int { return 2 }

func forgetArgs(ctx *cli.Context) (forgetting, []quorum.Member, error) {
	var f forgetting
	if ctx.NArg() != 1 {
		return f, nil, fmt.Errorf("want the ID of one proxy, got %q; flags stand all before it or all after it", ctx.Args().Slice())
	}
	id := ctx.Args().First()
	if err := conf.CheckID(id); err != nil {
		return f, nil, fmt.Errorf("the ID: %w", err)
	}
	c, err := conf.Load(ctx)
	if err != nil {
		return f, nil, err
	}
	stores, err := members(c)
	if err == nil && len(stores) == 0 {
		err = errors.New("no stores: proxies are told to forget through their books")
	}
	return forgetting{
		id: id, listed: id == c.ID || slices.Contains(c.Peers, id), now: ctx.Bool("now"), maxTTL: c.MaxTTL,
		least: forgetWatch, out: ctx.App.Writer,
	}, stores, err
}

// idLast moves the ID of a command line `holdfast forget ID --flags` to its end,
// which is where package cli wants it.
func idLast(args []string) []string {
	if len(args) < 4 || args[1] != "forget" || strings.HasPrefix(args[2], "-") {
		return args
	}
	return slices.Concat(args[:2], args[3:], args[2:3])
}

// A forgetting is one run of forget.
type forgetting struct {
	id     string
	listed bool // it is said to be a peer
	now    bool
	maxTTL time.Duration // if its own line does not tell
	least  time.Duration // to watch a book
	out    io.Writer
}

func (f forgetting) run(ctx context.Context, stores []quorum.Member) (err error) {
	all := scribes(stores, visitPatience)
	defer func() {
		for _, s := range all {
			err = errors.Join(err, s.Store.Close())
		}
	}()
	pages := readAll(ctx, all)
	e := gather(pages, f.id)
	f.show(pages)
	if !e.known {
		return fmt.Errorf("forget %s: no book that could be read knows it%s", f.id, missed(pages))
	}
	strike := !f.listed && len(e.listedBy) == 0
	if !strike && e.last.Instance == "" {
		return fmt.Errorf("forget %s: no line of it in any book is a signature, so nobody can tell which proxy that was", f.id)
	}
	wait, why := f.patience(e)
	f.say("%s; %s", f.verdict(strike, e), why)
	if pages, err = f.watch(ctx, all, pages, wait); err != nil {
		return fmt.Errorf("forget %s: %w; no book was changed", f.id, err)
	}
	pages = allPages(all, func(i int, s *scribe) page { return f.put(ctx, s, pages[i], strike, e.last) })
	return f.conclude(pages)
}

// An evidence is what all books together say of one proxy.
type evidence struct {
	known     bool
	forgotten bool             // somebody has waited for its end before
	listedBy  []string         // the proxies whose peer it is, sorted
	last      quorum.Signature // its line with the highest mark: that of its last journal
}

func gather(pages []page, id string) evidence {
	var e evidence
	for _, line := range linesOf(pages, id) {
		e.known = true
		if s, err := quorum.ParseSignature(line); err == nil && (e.last.Instance == "" || s.Mark > e.last.Mark) {
			e.last = s
		}
	}
	// What was waited for is the end of one journal's leases. Lines of another one
	// need a wait of their own.
	others := false
	for _, line := range linesOf(pages, id) {
		s, err := quorum.ParseSignature(line)
		e.forgotten = e.forgotten || s.Phase == quorum.Forgotten && s.Instance == e.last.Instance
		others = others || err != nil || s.Instance != e.last.Instance
	}
	e.forgotten = e.forgotten && !others
	for _, other := range signers(pages) {
		if slices.ContainsFunc(linesOf(pages, other), func(line string) bool {
			s, err := quorum.ParseSignature(line)
			return err == nil && s.Phase != quorum.Forgotten && slices.Contains(s.Peers, id)
		}) {
			e.listedBy = append(e.listedBy, other)
		}
	}
	return e
}

// verdict says what will be done, and by what right.
func (f forgetting) verdict(strike bool, e evidence) string {
	switch {
	case strike:
		return fmt.Sprintf("%s is nobody's peer: its lines will be struck", f.id)
	case len(e.listedBy) > 0:
		return fmt.Sprintf("%s is a peer of %s: its lines will say that it is forgotten", f.id, strings.Join(e.listedBy, ", "))
	}
	return fmt.Sprintf("%s is a peer by this command's flags: its lines will say that it is forgotten", f.id)
}

// patience returns how long to watch, and why.
func (f forgetting) patience(e evidence) (time.Duration, string) {
	ttl, of := printedTTL(e.last.Config), "its configuration"
	if ttl == 0 {
		ttl, of = f.maxTTL, "this command's max-ttl"
	}
	switch {
	case f.now:
		return f.least, fmt.Sprintf("watching for %v (--now: whoever holds a lock by it may lose it)", f.least)
	case e.forgotten:
		return f.least, fmt.Sprintf("watching for %v, since a book says already that it is forgotten", f.least)
	}
	wait := ttl + ttl/50
	return wait, fmt.Sprintf("waiting %v, until %s, for the end of all that it granted (%v by %s, and 2%% for clocks)",
		wait, time.Now().Add(wait).Format(time.DateTime), ttl, of)
}

// watch looks at the books for so long, and fails if a line of the proxy stirs.
// It returns what they said last.
func (f forgetting) watch(ctx context.Context, all []*scribe, pages []page, wait time.Duration) ([]page, error) {
	said, end := time.Now(), time.Now().Add(wait)
	known := slices.Clone(pages) // each as it last could be read
	for {
		left := time.Until(end)
		if left <= 0 {
			return pages, nil
		}
		if time.Since(said) >= forgetSay {
			said = time.Now()
			f.say("%v left, until %s; %s has not stirred", left.Round(time.Second), end.Format(time.DateTime), f.id)
		}
		if err := pause(ctx, min(left, max(forgetPoll, min(wait/100, forgetPollMax)))); err != nil {
			return nil, err
		}
		pages = readAll(ctx, all)
		for i, p := range pages {
			switch {
			case p.err != nil:
				continue
			case known[i].err != nil: // it is back, and has not been watched for long enough
				end = later(end, time.Now().Add(f.least))
			case stirred(known[i].book[f.id], p.book[f.id]):
				return nil, f.alive(p)
			}
			known[i] = p
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

var errAlive = errors.New("it is alive")

func (f forgetting) alive(p page) error {
	return fmt.Errorf("its line moves in the book of %s: %w; stop it first", p.store, errAlive)
}

// put writes what is due into one book, from what that said last.
func (f forgetting) put(ctx context.Context, s *scribe, p page, strike bool, last quorum.Signature) page {
	for range forgetTries {
		if p.err != nil {
			p = s.read(ctx)
			if p.err != nil {
				return p
			}
		}
		was := p.book[f.id]
		line, due := parting(was, strike, last)
		if !due {
			return p
		}
		if p = s.sign(ctx, f.id, was, line); p.err == nil && stirred(was, p.book[f.id]) {
			p.err = f.alive(p)
			return p
		}
	}
	if p.err == nil {
		p.err = fmt.Errorf("its book did not take the line in %d tries", forgetTries)
	}
	return p
}

// parting returns what is to stand in the place of a dead proxy's line; false if
// nothing need be done. All books get one line: proxies that read two instances
// of one id forgotten would not know which it is.
func parting(line string, strike bool, last quorum.Signature) (next string, due bool) {
	if strike {
		return "", line != ""
	}
	if s, err := quorum.ParseSignature(line); err == nil && s.Phase == quorum.Forgotten && s.Instance == last.Instance {
		return line, false
	}
	return quorum.Signature{Phase: quorum.Forgotten, Instance: last.Instance, Config: last.Config, Mark: last.Mark}.String(), true
}

// show says what every book has under the id.
func (f forgetting) show(pages []page) {
	for _, p := range pages {
		line := p.book[f.id]
		s, err := quorum.ParseSignature(line)
		switch {
		case p.err != nil:
			f.say("%s: NOT REACHED: %v", p.store, p.err)
		case line == "":
			f.say("%s: does not know %s", p.store, f.id)
		case err != nil:
			f.say("%s: %v", p.store, err)
		default:
			f.say("%s: %s is %s, instance %s, with %s", p.store, f.id, s.Phase, s.Instance, s.Config)
		}
	}
}

// conclude says what was done in each book. Its error is that it was not done in all.
func (f forgetting) conclude(pages []page) error {
	var failed []error
	for _, p := range pages {
		line := p.book[f.id]
		switch {
		case p.err != nil:
			f.say("%s: NOT DONE: %v", p.store, p.err)
			failed = append(failed, p.err)
		case line == "":
			f.say("%s: knows nothing of %s", p.store, f.id)
		default:
			f.say("%s: says that %s is forgotten", p.store, f.id)
		}
	}
	switch {
	case len(failed) == 0:
		return nil
	case errors.Is(errors.Join(failed...), errAlive):
		return fmt.Errorf("forget %s: it came back meanwhile, and %d of %d books were changed", f.id, len(pages)-len(failed), len(pages))
	}
	return fmt.Errorf("forget %s: not done in %d of %d stores; run it again when they are back", f.id, len(failed), len(pages))
}

// missed tells of the books that could not be read, "" if there are none.
func missed(pages []page) string {
	n := 0
	for _, p := range pages {
		if p.err != nil {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", and %d of %d could not be", n, len(pages))
}

func (f forgetting) say(format string, args ...any) {
	fmt.Fprintf(f.out, format+"\n", args...)
}
