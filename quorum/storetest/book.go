package storetest

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"holdfast/quorum"
)

// book wants the store's book to be so.
func (b *trial) book(what string, want quorum.Book) {
	b.t.Helper()
	if v := b.must(quorum.Granted, readBook()); !maps.Equal(v.Book, want) {
		b.t.Fatalf("%s: the book is %q, want %q", what, v.Book, want)
	}
}

func testSign(t *testing.T, rig Rig) {
	b := connected(t, rig)
	pending, signed, other := lineOf(quorum.Pending, "1"), lineOf(quorum.Signed, "1"), lineOf(quorum.Signed, "2")
	b.book("at first", quorum.Book{})
	for _, step := range []struct {
		id, was, line string
		verdict       quorum.Verdict
		stands        string // what is under the id then
	}{
		{"b", pending, signed, quorum.Refused, ""},
		{"b", signed, "", quorum.Refused, ""},
		{"b", "", "", quorum.Granted, ""},
		{"b", "", pending, quorum.Granted, pending},
		{"b", "", signed, quorum.Refused, pending},
		{"b", "", pending, quorum.Refused, pending},
		{"b", signed, other, quorum.Refused, pending},
		{"b", "", "", quorum.Refused, pending},
		{"b", pending, signed, quorum.Granted, signed},
		{"b", pending, signed, quorum.Refused, signed},
		{"b", signed, signed, quorum.Granted, signed},
		{"b", signed[:len(signed)-1], other, quorum.Refused, signed},
		{"b", signed, other, quorum.Granted, other},
		{"b", signed, "", quorum.Refused, other},
		{"b", other, "", quorum.Granted, ""},
		{"B", "", strings.Repeat("signed ~\"{}é日 ", 300), quorum.Granted, strings.Repeat("signed ~\"{}é日 ", 300)},
		{"proxy-1.example_2", "", other, quorum.Granted, other},
	} {
		b.must(step.verdict, sign(step.id, step.was, step.line))
		if got := b.must(quorum.Granted, readBook()).Book[step.id]; got != step.stands {
			t.Fatalf("sign %q with %.60q for %.60q: %.60q stands, want %.60q", step.id, step.line, step.was, got, step.stands)
		}
	}
	b.book("in the end", quorum.Book{"B": strings.Repeat("signed ~\"{}é日 ", 300), "proxy-1.example_2": other})
}

func testOnly(t *testing.T, rig Rig) {
	b := connected(t, rig)
	line := lineOf(quorum.Signed, "1")
	for _, c := range []struct {
		there   quorum.Book
		only    []string
		verdict quorum.Verdict
	}{
		{quorum.Book{}, []string{}, quorum.Granted},
		{quorum.Book{"c": line}, nil, quorum.Granted},
		{quorum.Book{"c": line}, []string{}, quorum.Refused},
		{quorum.Book{"c": line}, []string{"c"}, quorum.Granted},
		{quorum.Book{"c": line}, []string{"d", "C", "c "}, quorum.Refused},
		{quorum.Book{"c": line}, []string{"d", "c", "e"}, quorum.Granted},
		{quorum.Book{"c": line, "d": line}, []string{"c", "d"}, quorum.Granted},
		{quorum.Book{"c": line, "d": line}, []string{"c"}, quorum.Refused},
		{quorum.Book{"c": lineOf(quorum.Pending, "1")}, []string{}, quorum.Granted},
		{quorum.Book{"c": lineOf(quorum.Forgotten, "")}, []string{}, quorum.Granted},
		{quorum.Book{"c": lineOf(quorum.Forgotten, ""), "d": line}, []string{}, quorum.Refused},
		{quorum.Book{"b": line}, []string{}, quorum.Granted},
		{quorum.Book{"b": line, "c": line}, []string{"b"}, quorum.Refused},
	} {
		b.must(quorum.Granted, quorum.Request{Action: quorum.Tear})
		for id, there := range c.there {
			b.must(quorum.Granted, sign(id, "", there))
		}
		r := sign("b", c.there["b"], lineOf(quorum.Signed, "2"), c.only...)
		if c.only != nil {
			r.Only = c.only
		}
		want := maps.Clone(c.there)
		if c.verdict == quorum.Granted {
			want["b"] = r.Line
		}
		b.must(c.verdict, r)
		b.book(show(r), want)
	}
}

// testSignRace has two stores of one server sign at once: under one id, and under
// two that keep each other out.
func testSignRace(t *testing.T, rig Rig) {
	one, two := pair(t, rig)
	was := ""
	for round := range 25 {
		requests := [2]quorum.Request{
			sign("b", was, lineOf(quorum.Signed, fmt.Sprint("one", round))),
			sign("b", was, lineOf(quorum.Pending, fmt.Sprint("two", round))),
		}
		won := race(t, one, two, requests)
		was = requests[won].Line
		one.book("after a race for one line", quorum.Book{"b": was})
	}
	for range 25 {
		one.must(quorum.Granted, quorum.Request{Action: quorum.Tear})
		requests := [2]quorum.Request{sign("b", "", lineOf(quorum.Signed, "1")), sign("c", "", lineOf(quorum.Signed, "2"))}
		requests[0].Only, requests[1].Only = []string{}, []string{}
		won := requests[race(t, one, two, requests)]
		two.book("after a race of strangers", quorum.Book{won.Name: won.Line})
	}
}

// pair returns two stores of one server, connected.
func pair(t *testing.T, rig Rig) (one, two *trial) {
	t.Helper()
	if rig.Another == nil {
		t.Fatal("the rig has no way to make another store of the same server: set Rig.Another")
	}
	one = connected(t, rig)
	rig.Store = rig.Another()
	return one, connected(t, rig)
}

// race sends one request from each store at once and returns which was granted.
// The other one must be refused.
func race(t *testing.T, one, two *trial, requests [2]quorum.Request) (won int) {
	t.Helper()
	votes := [2][]quorum.Vote{make([]quorum.Vote, 1), make([]quorum.Vote, 1)}
	var errs [2]error
	var wg sync.WaitGroup
	for i, b := range []*trial{one, two} {
		wg.Go(func() { errs[i] = b.Store.Do(t.Context(), requests[i:i+1], votes[i]) })
	}
	wg.Wait()
	if votes[1][0].Verdict == quorum.Granted {
		won = 1
	}
	if votes[won][0].Verdict != quorum.Granted || votes[1-won][0].Verdict != quorum.Refused {
		t.Fatalf("%s, %s: %+v and %+v, errors %v, want one granted and one refused",
			show(requests[0]), show(requests[1]), votes[0][0], votes[1][0], errs)
	}
	return won
}

func testVoided(t *testing.T, rig Rig) {
	b := connected(t, rig)
	pending, signed := lineOf(quorum.Pending, "1"), lineOf(quorum.Signed, "1")
	b.must(quorum.Granted, sign("b", "", pending))
	b.Flush()
	b.must(quorum.Refused, sign("b", pending, signed))
	b.book("after a flush", quorum.Book{})
	b.must(quorum.Granted, sign("b", "", pending))
	b.must(quorum.Granted, sign("b", pending, signed))
}

func testReadBookLast(t *testing.T, rig Rig) {
	b := connected(t, rig)
	first, second := lineOf(quorum.Signed, "1"), lineOf(quorum.Signed, "2")
	b.must(quorum.Granted, sign("c", "", first))
	votes := b.do(swap("orders", nil, mine("a", 1, 1)), readBook(), sign("b", "", first), readBook(), sign("b", first, second), readBook(),
		sign("c", first, ""), readBook(), quorum.Request{Action: quorum.Tear}, readBook(), sign("b", "", first), readBook())
	for i, want := range map[int]quorum.Book{
		1: {"c": first}, 3: {"b": first, "c": first}, 5: {"b": second, "c": first}, 7: {"b": second}, 9: {}, 11: {"b": first},
	} {
		if v := votes[i]; v.Verdict != quorum.Granted || !maps.Equal(v.Book, want) {
			t.Errorf("read at place %d of a batch: %s, %q, want granted, %q (error %v)", i, v.Verdict, v.Book, want, v.Err)
		}
	}
	for i, v := range votes {
		if v.Verdict != quorum.Granted || v.Elapsed <= 0 {
			t.Errorf("place %d of a batch with the book: %s after %v, want granted (error %v)", i, v.Verdict, v.Elapsed, v.Err)
		}
	}
}

func testTear(t *testing.T, rig Rig) {
	b := connected(t, rig)
	ours := mine("a", 1, 1)
	tear := quorum.Request{Action: quorum.Tear}
	b.must(quorum.Granted, tear)
	signed := lineOf(quorum.Signed, "1")
	b.must(quorum.Granted, sign("b", "", signed))
	b.must(quorum.Granted, sign("c", "", lineOf(quorum.Pending, "2")))
	b.must(quorum.Granted, marked(swap("orders", nil, ours)))
	b.must(quorum.Granted, ending(swap("parcels", nil, ours)))
	b.must(quorum.Granted, ending(swap("parcels", ours, nil)))
	b.must(quorum.Granted, tear)
	b.book("torn", quorum.Book{})
	b.must(quorum.Refused, sign("b", signed, signed))
	// The book alone goes.
	b.holds("orders", ours)
	b.notice("parcels", ours.Version)
	b.must(quorum.Refused, marked(swap("orders", ours, ours)))
}

func testForgets(t *testing.T, rig Rig) {
	b := connected(t, rig)
	ours, older := mine("a", 2, 2), mine("a", 1, 1)
	for what, forget := range map[string]func(){"flush": b.Flush, "restart": func() { b.Restart(); b.connect() }} {
		b.must(quorum.Granted, sign("b", "", lineOf(quorum.Signed, "1")))
		b.must(quorum.Granted, marked(swap("orders", nil, ours)))
		b.must(quorum.Granted, ending(swap("orders", ours, nil)))
		forget()
		b.book("after a "+what, quorum.Book{})
		b.notice("orders", 0)
		b.must(quorum.Granted, guarded(swap("orders", nil, older)))
		b.must(quorum.Granted, swap("orders", older, nil))
		b.Flush()
	}
}

func readBook() quorum.Request { return quorum.Request{Action: quorum.ReadBook} }

func sign(id, was, line string, only ...string) quorum.Request {
	return quorum.Request{Action: quorum.Sign, Name: id, Was: was, Line: line, Only: only}
}

func lineOf(phase quorum.Phase, nonce string) string {
	return quorum.Signature{Phase: phase, Nonce: nonce, Instance: "i" + nonce, Peers: []string{"c"}, Config: "three stores"}.String()
}
