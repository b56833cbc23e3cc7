package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"holdfast/conf"
	"holdfast/persist"
	"holdfast/quorum"
)

// beatPatience is how long a living proxy may take to be seen alive: it renews
// its line in each book about once a second.
const beatPatience = 3500 * time.Millisecond

// A move goes from the last configuration to another one. It is that of rule 11:
// stores that are new get every lease before they count, that is the keeper's;
// here the old ones are left.
type move struct {
	id, instance string // of this proxy; the id is needed without stores too
	was, now     configuration
	old          []*scribe // of the stores of was, in that order
	log          *slog.Logger
	mark         quorum.Number // the highest that any old book shows
}

// takeUp makes the configuration the one that the journal's leases are granted by
// from now on, after leaving the stores of the last one as that is due.
//
// Numbers go on above all that the old stores' books show: the new ones know of none.
func takeUp(ctx context.Context, journal *persist.Journal, c conf.Config, stores []quorum.Member, now configuration, log *slog.Logger, past *quorum.History) error {
	was, known, err := lastConfiguration(journal)
	if err != nil || known && was.equal(now) {
		return err
	}
	if known {
		log.Warn("configuration.changed", "was", was.print(), "peers_were", was.Peers, "now", now.print(), "peers", now.Peers)
		m := move{id: journal.Label(), instance: journal.Instance(), was: was, now: now, log: log}
		left, err := m.reach(c, stores)
		if err == nil {
			err = m.leave(ctx)
		}
		for _, s := range left {
			err = errors.Join(err, s.Close())
		}
		if err != nil {
			return err
		}
		if next := m.above(past.Limit); next > past.Limit {
			past.Limit = next
			if err := journal.Commit([]quorum.Record{{Limit: next}}, true); err != nil {
				return err
			}
		}
	}
	text, err := now.encode()
	if err != nil {
		return err
	}
	return journal.SetConfiguration(text)
}

// reach finds a way to every old store: as the new list has it, as --old-store
// says, or by its name alone. It returns those that it opened itself.
func (m *move) reach(c conf.Config, stores []quorum.Member) (opened []quorum.Store, err error) {
	urls := map[string]string{}
	for _, raw := range c.OldStores {
		u, err := url.Parse(raw)
		if err != nil {
			return nil, errors.New("old-store: not a URL") // conf has looked
		}
		urls[storeName(u)] = raw
	}
	for _, name := range m.was.Stores {
		if i := slices.IndexFunc(stores, func(s quorum.Member) bool { return s.Name == name }); i >= 0 {
			m.old = append(m.old, scribes(stores[i:i+1], visitPatience)...)
			continue
		}
		if urls[name] == "" {
			urls[name] = name
		}
		member, err := openStore(urls[name])
		if err != nil {
			return opened, fmt.Errorf("a store of the last configuration: %w", err)
		}
		opened = append(opened, member.Store)
		m.old = append(m.old, scribes([]quorum.Member{member}, visitPatience)...)
	}
	return opened, nil
}

// leave leaves the old stores. Alone, it strikes what it signed in those that are
// not listed any more, as well as that can be done: nobody else counts on it.
// With peers, now or before, it makes sure that nobody goes on by the old list.
func (m *move) leave(ctx context.Context) error {
	switch {
	case m.was.list() == m.now.list():
		return nil
	case len(m.was.Peers)+len(m.now.Peers) > 0:
		return m.leavePeers(ctx)
	}
	m.old = slices.DeleteFunc(m.old, func(s *scribe) bool { return slices.Contains(m.now.Stores, s.Name) })
	for _, p := range m.replace(ctx, readAll(ctx, m.old), "") {
		if p.err != nil {
			m.log.Warn("store.left", "store", p.store, "but", "our signature in its book could not be struck: to whoever uses it next we are a stranger, until `holdfast forget` strikes it", "why", p.err)
			continue
		}
		m.log.Info("store.left", "store", p.store)
	}
	return nil
}

// leavePeers puts our word into the old stores that we have moved, so that a
// proxy that comes back by the old list finds it in every quorum of them, and
// fails unless nobody else is still signed there by that list.
//
// The order matters twice. First it looks whether anybody lives by the old list,
// and then touches nothing: that word would stop them all, and this proxy may be
// the one that was told the wrong list. Then it puts its word before it looks
// again: with the others' signatures looked at first, two proxies that were
// stopped by the old list would wait for each other for ever.
func (m *move) leavePeers(ctx context.Context) error {
	before := readAll(ctx, m.old)
	if slices.ContainsFunc(before, func(p page) bool { return len(m.others(p)) > 0 }) {
		if err := pause(ctx, beatPatience); err != nil {
			return err
		}
		after := readAll(ctx, m.old)
		if err := m.mayTouch(before, after); err != nil {
			return fmt.Errorf("refused to leave the old stores, nothing was changed: %w", err)
		}
		before = after
	}
	m.learn(before)
	moved := quorum.Signature{Phase: quorum.Moved, Instance: m.instance, Peers: m.now.Peers, Config: m.now.print()}
	for _, p := range before {
		if s, err := quorum.ParseSignature(p.book[m.id]); err == nil && s.Instance == m.instance {
			moved.Mark = max(moved.Mark, s.Mark)
		}
	}
	after := m.replace(ctx, before, moved.String())
	m.learn(after)
	if err := m.mayLeave(after); err != nil {
		return fmt.Errorf("refused to leave the old stores: %w", err)
	}
	if len(m.old) == 0 {
		return nil
	}
	// A store that has just forgotten its book shows nobody, for as long as it takes
	// those who live to sign again: our word must have stood there for that time.
	if err := pause(ctx, beatPatience); err != nil {
		return err
	}
	after = readAll(ctx, m.old)
	m.learn(after)
	if err := m.mayLeave(after); err != nil {
		return fmt.Errorf("refused to leave the old stores: %w", err)
	}
	return nil
}

// learn notes the highest number that books show.
func (m *move) learn(pages []page) {
	for _, p := range pages {
		for _, line := range p.book {
			if s, err := quorum.ParseSignature(line); err == nil {
				m.mark = max(m.mark, quorum.Above(s.Mark))
			}
		}
	}
}

// above returns where numbers go on that went as far as limit.
func (m *move) above(limit quorum.Number) quorum.Number {
	limit = max(limit, m.mark)
	if len(m.was.Peers) > 0 && len(m.now.Peers) == 0 {
		return quorum.Beyond(limit)
	}
	return limit
}

// replace puts line in the place of our own in every book that could be read, and
// returns what they say then. A line that another instance put under our id stays.
func (m *move) replace(ctx context.Context, pages []page, line string) []page {
	return allPages(m.old, func(i int, s *scribe) page {
		was := pages[i].book[m.id]
		if sig, err := quorum.ParseSignature(was); pages[i].err != nil || was == line || was != "" && err == nil && sig.Instance != m.instance {
			return pages[i]
		}
		p := s.sign(ctx, m.id, was, line)
		if p.err == nil && p.book[m.id] != line {
			p.err = fmt.Errorf("somebody changes our line in its book: %.100q", p.book[m.id])
		}
		return p
	})
}

// others are the proxies, in words, that a book shows as signed by another
// configuration than that which we go to.
func (m *move) others(p page) (signed []string) {
	for _, id := range signers([]page{p}) {
		s, err := quorum.ParseSignature(p.book[id])
		if err != nil || s.Config == m.now.print() || s.Phase != quorum.Signed && s.Phase != quorum.Pending {
			continue // one that withdrew its signature because of our word may have leases out
		}
		switch {
		case id != m.id:
			signed = append(signed, fmt.Sprintf("proxy %q %s there with %s", id, stands(s.Phase), s.Config))
		case s.Instance != m.instance:
			signed = append(signed, fmt.Sprintf("another proxy, instance %s, %s there under our id %q with %s", s.Instance, stands(s.Phase), id, s.Config))
		}
	}
	return signed
}

// stands says what a proxy does in a book.
func stands(phase quorum.Phase) string {
	if phase == quorum.Signed {
		return "is signed"
	}
	return "has a line" // a signature withdrawn, or not there yet
}

// mayTouch reports who lives by the old list, from two readings of every book
// long enough apart.
func (m *move) mayTouch(before, after []page) error {
	var alive []string
	for i, p := range after {
		for id, line := range p.book {
			s, _ := quorum.ParseSignature(line)
			foreign := id != m.id || s.Instance != m.instance
			if foreign && s.Config != m.now.print() && before[i].err == nil && stirred(before[i].book[id], line) {
				alive = append(alive, fmt.Sprintf("proxy %q in the book of %s", id, p.store))
			}
		}
	}
	if len(alive) == 0 {
		return nil
	}
	slices.Sort(alive)
	return fmt.Errorf("from %s to %s: still alive by another list: %s; stop them all, then start each with the new list",
		m.was.list(), m.now.list(), strings.Join(alive, ", "))
}

// mayLeave is rule 11: so many old stores that no quorum of them goes without one
// must show our word that we moved, and no other proxy that is signed by another
// list. Its error names each old store and what it shows.
func (m *move) mayLeave(pages []page) error {
	strategy, err := quorum.ParseStrategy(m.was.Strategy)
	if err != nil {
		return err
	}
	clear, shown := 0, make([]string, len(pages))
	advice := ""
	for i, p := range pages {
		others := m.others(p)
		switch {
		case p.err != nil:
			shown[i] = fmt.Sprintf("%s could not be read or written: %v", p.store, p.err)
			if !slices.Contains(m.now.Stores, p.store) {
				advice = "; a store that wants a password and is not listed any more is given with --old-store URL"
			}
		case len(others) > 0:
			shown[i] = fmt.Sprintf("%s: %s", p.store, strings.Join(others, ", "))
		case !quorum.Left(p.book, m.id, quorum.Signature{Instance: m.instance, Config: m.now.print()}):
			shown[i] = fmt.Sprintf("%s: there is %.100q under our id", p.store, p.book[m.id])
		default:
			clear++
			shown[i] = p.store + " is clear"
		}
	}
	need := len(pages) - strategy.Need(len(pages)) + 1
	if quorum.MayMove(clear, len(pages), strategy.Need(len(pages))) {
		return nil
	}
	return fmt.Errorf("from %s to %s: %d of %d old stores must show nobody by another list, and %d do: %s; start every other proxy with the new list, forget those that are dead, then start this one again%s",
		m.was.list(), m.now.list(), need, len(pages), clear, strings.Join(shown, "; "), advice)
}
