package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/conf"
	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

func TestCheckTellsPeersFromStrangers(t *testing.T) {
	const print, other = "majority of x; max-ttl 1h0m0s", "majority of y; max-ttl 1h0m0s"
	line := func(phase quorum.Phase, instance, config string, peers ...string) string {
		return signature(phase, instance, config, peers...).String()
	}
	signed := quorum.Signed
	a := line(signed, "a1", print, "b", "c")
	b := line(signed, "b1", print, "a", "c")
	doubt := signature(signed, "b1", print, "a", "c")
	doubt.Owed = []int{1, 748}
	inDoubt := doubt.String()
	for _, c := range []struct {
		what    string
		id      string // --id; "" if it was not said, and then there are no peers
		book    page
		refused []string // words of each reason
		lines   []string // words of what is said of the book
	}{
		{"all is well", "a", bookOfLines("a", a, "b", b), nil, []string{"a, this proxy: signed, instance a1, beat 3 (about one a second) does not move", "b, a peer: signed"}},
		{"some locks in doubt", "a", bookOfLines("a", a, "b", inDoubt), nil, []string{"b, a peer: signed, instance b1, beat 3 (about one a second) does not move, leaves out 2 of 1024 buckets of locks"}},
		{"nobody was there", "a", bookOfLines(), nil, []string{"nobody has signed it"}},
		{"a stranger", "a", bookOfLines("z", line(signed, "z1", other)), []string{`"z" (majority of y`}, []string{"z, a stranger: signed, instance z1, beat 3 (about one a second) does not move, with majority of y"}},
		{"a stranger that is coming", "a", bookOfLines("z", line(quorum.Pending, "z1", print)), []string{"forget z"}, nil},
		{"strangers that are gone", "a", bookOfLines("z", line(quorum.Forgotten, "z1", print), "y", line(quorum.Moved, "y1", other)), nil, []string{"y, a stranger: moved", "z, a stranger: forgotten"}},
		{"another configuration", "a", bookOfLines("b", line(signed, "b1", other, "a", "c")), []string{`peer "b" has majority of y`}, []string{"with majority of y"}},
		{"another group", "a", bookOfLines("b", line(signed, "b1", print, "a")), []string{`peer "b" has the peers ["a"]`}, []string{`its peers are ["a"]`}},
		{"another group, but for who is forgotten", "a", bookOfLines("b", line(signed, "b1", print, "a"), "c", line(quorum.Forgotten, "c1", print)), nil, []string{"c, a peer: forgotten"}},
		{"a peer that moved", "a", bookOfLines("b", line(quorum.Moved, "b1", other, "a", "c")), []string{`peer "b" moved to majority of y`}, nil},
		{"a copied folder", "a", bookOfLines("a", a, "b", line(signed, "a1", print, "a", "c")), []string{"same instance a1"}, nil},
		{"our own by other flags", "a", bookOfLines("a", line(signed, "a1", other, "b")), nil, []string{`a, this proxy: signed, instance a1, beat 3 (about one a second) does not move, with majority of y; max-ttl 1h0m0s, its peers are ["b"]`}},
		{"one proxy, and no id said", "", bookOfLines("who", line(signed, "w1", print)), nil, []string{"who, taken for this proxy, as --id was not said: signed"}},
		{"two proxies, and no id said", "", bookOfLines("who", line(signed, "w1", print), "z", line(signed, "z1", print)), []string{`proxy "who"`, `proxy "z"`}, []string{"who, a stranger"}},
		{"what is no signature", "a", bookOfLines("z", "Dear diary,"), nil, []string{`z: a line in the book that is no signature: "Dear diary,"`}},
	} {
		c.book.store = "redis://x:6379"
		cfg := conf.Config{ID: c.id}
		if c.id != "" {
			cfg.Peers = []string{"b", "c"}
		}
		g := newCensus(cfg, print, []page{c.book})
		reasons := g.refuse(c.book)
		if len(reasons) != len(c.refused) {
			t.Errorf("%s: refused for %v, want %q", c.what, reasons, c.refused)
			continue
		}
		for i, word := range c.refused {
			if got := reasons[i].Error(); !strings.HasPrefix(got, "redis://x:6379: ") || !strings.Contains(got, word) {
				t.Errorf("%s: refused for %q, want the store and %q in it", c.what, got, word)
			}
		}
		said := strings.Join(g.describe(c.book), "\n")
		for _, word := range c.lines {
			if !strings.Contains(said, word) {
				t.Errorf("%s: it says %q, want %q in it", c.what, said, word)
			}
		}
	}
}

func TestCheckSeesWhoLives(t *testing.T) {
	before := bookOfLines("a", signature(quorum.Signed, "a1", "x").String(), "b", signature(quorum.Signed, "b1", "x").String())
	beat := signature(quorum.Signed, "b1", "x")
	beat.Beat++
	after := bookOfLines("a", before.book["a"], "b", beat.String())
	g := newCensus(conf.Config{ID: "a"}, "x", []page{before})
	g.watch([]page{before}, []page{after})
	if g.alive["a"] || !g.alive["b"] {
		t.Errorf("alive: %v, want b only", g.alive)
	}
	if lines := g.describe(after); len(lines) != 2 || !strings.Contains(lines[0], "does not move") || !strings.Contains(lines[1], "beat 4 (about one a second) moves") {
		t.Errorf("it says %q", lines)
	}
}

func TestCheckWatchesWhoSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newShelf(t, 2)
		c := conf.Config{ID: "a", Peers: []string{"b"}, Strategy: "majority", MaxTTL: time.Hour}
		print := newConfiguration(c, b.members()).print()
		b.write(0, "b", signature(quorum.Signed, "b1", print, "a").String())
		b.write(1, "z", signature(quorum.Signed, "z1", print).String())
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		wg.Go(func() { b.live(ctx, "b", signature(quorum.Signed, "b1", print, "a"), 0) })
		g, pages, err := inspect(ctx, c, b.members(), time.Second)
		if err != nil || len(pages) != 2 || !g.alive["b"] || g.alive["z"] {
			t.Errorf("inspect: %+v, %v, %v, want b alive and z not", g, pages, err)
		}
		if got := len(g.refuse(pages[0])) + 10*len(g.refuse(pages[1])); got != 10 {
			t.Errorf("refused for %v and %v, want z alone", g.refuse(pages[0]), g.refuse(pages[1]))
		}
	})
}

func TestCheckReadsTheBooks(t *testing.T) {
	server := storetest.StartRedis(t)
	url := "redis://" + server.Addr()
	c := conf.Config{Stores: storesOf(url), Strategy: "majority", MaxTTL: time.Hour, StoreTimeout: 10 * time.Second, ID: "a"}
	var said strings.Builder
	if err := check(t.Context(), c, &said); err != nil {
		t.Errorf("check of a blank book: %v\n%s", err, &said)
	}
	wantAll(t, said.String(), url+"\n  redis 7", "  book         nobody has signed it\n", "All is well")
	s := scribes(mustMembers(t, url), 10*time.Second)[0]
	line := signature(quorum.Forgotten, "a1", "x").String()
	if p := s.sign(t.Context(), "a", "", line); p.err != nil || p.book["a"] != line {
		t.Fatalf("sign: %+v", p)
	}
	said.Reset()
	if err := check(t.Context(), c, &said); err != nil {
		t.Errorf("check of a book with nobody in it who lives: %v\n%s", err, &said)
	}
	wantAll(t, said.String(), "  book         a, this proxy: forgotten, instance a1, with x\n")
}

func TestAStoreThatMayEvictIsTakenIfItsLineSaysSo(t *testing.T) {
	server := storetest.StartRedis(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	url := "redis://" + server.Addr()
	for _, c := range []struct {
		what    string
		c       conf.Config
		refused int
		watches bool
	}{
		{"not said", conf.Config{Stores: []conf.Store{{URL: url}}}, 1, true},
		{"said of all", conf.Config{Stores: []conf.Store{{URL: url}}, AllowEviction: true}, 0, true},
		{"said of this one", conf.Config{Stores: []conf.Store{{URL: url, AllowEviction: true}}}, 0, true},
		{"said of one that never watches", conf.Config{Stores: []conf.Store{{URL: "memcached://127.0.0.1:1", AllowEviction: true}}}, 0, false},
	} {
		all, err := members(c.c)
		if err != nil {
			t.Fatal(err)
		}
		visits := visitAll(t.Context(), all, 10*time.Second)
		if got := refusals(visits, c.c); len(got) != c.refused {
			t.Errorf("%s: refused for %v, want %d reasons", c.what, got, c.refused)
		}
		if _, watches := all[0].Store.(quorum.Watcher); watches != c.watches {
			t.Errorf("%s: it can tell of copies that vanish: %v, want %v", c.what, watches, c.watches)
		}
		told := slices.ContainsFunc(visits[0].facts.Problems, func(p string) bool { return strings.Contains(p, "allow_eviction takes") })
		if want := c.c.Stores[0].AllowEviction && c.watches; told != want {
			t.Errorf("%s: an operator is told %q, of that it may evict: %v, want %v", c.what, visits[0].facts.Problems, told, want)
		}
		for _, m := range all {
			m.Store.Close()
		}
	}
}
