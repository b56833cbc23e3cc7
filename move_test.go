package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"holdfast/conf"
	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

// moving is b's move from the stores of a shelf to others, with peers a and c.
func moving(b *shelf, peers ...string) *move {
	return &move{
		id: "b", instance: "b1", log: quietLog(), old: b.scribes(),
		was: configuration{Stores: b.names, Strategy: "majority", MaxTTL: "1h0m0s", Peers: peers},
		now: configuration{Stores: []string{"redis://new:6379"}, Strategy: "majority", MaxTTL: "1h0m0s", Peers: peers},
	}
}

func TestAListIsLeftOnceNoQuorumOfItCanServe(t *testing.T) {
	b := newShelf(t, 3)
	m := moving(b, "a", "c")
	old, now := m.was.print(), m.now.print()
	ours := signature(quorum.Moved, "b1", now, "a", "c").String()
	line := func(phase quorum.Phase, instance, config string) string {
		return signature(phase, instance, config, "b", "c").String()
	}
	clear := quorum.Book{"b": ours}
	for _, c := range []struct {
		what     string
		strategy string
		books    []quorum.Book // nil: cannot be read
		want     []string      // words of the error; none: it may leave
	}{
		{"all are clear", "majority", []quorum.Book{clear, clear, clear}, nil},
		{"every majority has a clear one", "majority", []quorum.Book{clear, nil, clear}, nil},
		{"a majority goes without", "majority", []quorum.Book{nil, nil, clear}, []string{"2 of 3 old stores", "1 do", "redis://s1:6379 could not be read", "no route", "redis://s3:6379 is clear", "--old-store"}},
		{"all of one, under unanimous", "unanimous", []quorum.Book{nil, nil, clear}, nil},
		{"none, under unanimous", "unanimous", []quorum.Book{nil, nil, nil}, []string{"1 of 3 old stores", "0 do"}},
		{"a is still there", "majority", []quorum.Book{clear, {"b": ours, "a": line(quorum.Signed, "a1", old)}, {"b": ours, "a": line(quorum.Signed, "a1", old)}}, []string{`redis://s2:6379: proxy "a" is signed there with ` + old, "1 do"}},
		{"a is still in one that is not needed", "majority", []quorum.Book{clear, {"b": ours, "a": line(quorum.Signed, "a1", old)}, clear}, nil},
		{"a moved, c was forgotten", "majority", []quorum.Book{{"b": ours, "a": line(quorum.Moved, "a1", now), "c": line(quorum.Forgotten, "c1", old)}, clear, nil}, nil},
		{"a signed by the new list already", "majority", []quorum.Book{{"b": ours, "a": line(quorum.Signed, "a1", now)}, clear, nil}, nil},
		{"a is by neither list", "majority", []quorum.Book{{"b": ours, "a": line(quorum.Signed, "a1", "all of it")}, clear, nil}, []string{"all of it"}},
		{"a withdrew its signature, and may have leases out", "majority", []quorum.Book{{"b": ours, "a": line(quorum.Pending, "a1", old)}, clear, nil}, []string{`proxy "a" has a line there`}},
		{"our word is not there", "majority", []quorum.Book{{}, {"b": line(quorum.Signed, "b1", old)}, clear}, []string{"redis://s1:6379: there is \"\" under our id", "redis://s2:6379: there is \"signed"}},
		{"our id is somebody else's", "majority", []quorum.Book{{"b": line(quorum.Signed, "b2", old)}, {"b": line(quorum.Signed, "b2", old)}, clear}, []string{"instance b2", "under our id"}},
		{"there were no stores", "majority", nil, nil},
	} {
		m.was.Strategy = c.strategy
		var pages []page
		for i, book := range c.books {
			p := page{store: b.names[i], book: book}
			if book == nil {
				p.err = errors.New("no route")
			}
			pages = append(pages, p)
		}
		err := m.mayLeave(pages)
		if (err == nil) != (len(c.want) == 0) {
			t.Errorf("%s: %v, want words %q", c.what, err, c.want)
			continue
		}
		for _, word := range c.want {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q, want %q in it", c.what, err, word)
			}
		}
	}
}

// phases are what every book has under an id.
func (b *shelf) phases(id string) (phases []quorum.Phase) {
	for i := range b.fakes {
		phases = append(phases, phaseOf(b.book(i)[id]))
	}
	return phases
}

func TestAloneTheOldSignaturesAreStruck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newShelf(t, 4)
		m := moving(b)
		m.now.Stores = []string{b.names[0], "redis://new:6379"}
		ours := signature(quorum.Signed, "b1", m.was.print()).String()
		b.write(0, "b", ours)
		b.write(1, "b", ours)
		b.write(1, "stranger", ours)
		b.write(2, "b", signature(quorum.Signed, "b2", "another journal").String())
		b.write(3, "b", ours)
		b.fakes[3].Refuse(errors.New("no route"))
		if err := m.leave(t.Context()); err != nil {
			t.Fatalf("leave: %v, want as much as can be done", err)
		}
		b.fakes[3].Refuse(nil)
		want := []quorum.Phase{quorum.Signed, "", quorum.Signed, quorum.Signed} // kept, struck, not ours, not reached
		if got := b.phases("b"); !slices.Equal(got, want) {
			t.Errorf("the old books have %q, want %q", got, want)
		}
		if b.book(1)["stranger"] != ours {
			t.Error("a stranger's line was struck too")
		}
	})
}

func TestALivingPeerOnTheOldListIsLeftInPeace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newShelf(t, 3)
		m := moving(b, "a", "c")
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		for i := range b.fakes {
			b.write(i, "b", signature(quorum.Signed, "b1", m.was.print(), "a", "c").String())
			b.write(i, "a", signature(quorum.Signed, "a1", m.was.print(), "b", "c").String())
		}
		wg.Go(func() { b.live(ctx, "a", signature(quorum.Signed, "a1", m.was.print(), "b", "c"), 2) })
		err := m.leave(ctx)
		if err == nil || !strings.Contains(err.Error(), `"a" in the book of redis://s3:6379`) || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("leave: %v, want it refused since a lives", err)
		}
		if got, want := b.phases("b"), slices.Repeat([]quorum.Phase{quorum.Signed}, 3); !slices.Equal(got, want) {
			t.Errorf("the old books have %q under our id, want %q", got, want)
		}
	})
}

// All of a group are stopped by the old list, and started by the new one: the
// last of them gets through, and then the others.
func TestAStoppedGroupMovesOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newShelf(t, 3)
		group := map[string]*move{}
		for _, id := range []string{"a", "b", "c"} {
			m := moving(b, "others")
			m.id, m.instance = id, id+"1"
			group[id] = m
			for i := range b.fakes {
				b.write(i, id, signature(quorum.Signed, m.instance, m.was.print()).String())
			}
		}
		b.fakes[1].Refuse(errors.New("no route"))
		for _, step := range []struct {
			id   string
			want string // in the error; "" if it gets through
		}{
			{"a", `proxy "b" is signed there`}, {"b", `proxy "c" is signed there`}, {"b", `proxy "c" is signed there`},
			{"c", ""}, {"a", ""}, {"b", ""},
		} {
			err := group[step.id].leave(t.Context())
			if (err == nil) != (step.want == "") || err != nil && !strings.Contains(err.Error(), step.want) {
				t.Errorf("%s leaves: %v, want %q", step.id, err, step.want)
			}
		}
		b.fakes[1].Refuse(nil)
		for id := range group {
			if got, want := b.phases(id), []quorum.Phase{quorum.Moved, quorum.Signed, quorum.Moved}; !slices.Equal(got, want) {
				t.Errorf("the old books have %q under %s, want %q", got, id, want)
			}
		}
		s, err := quorum.ParseSignature(b.book(0)["a"])
		if err != nil || s.Config != group["a"].now.print() || s.Mark != quorum.MakeNumber(7, 1) {
			t.Errorf("the line that a left says %+v, %v, want where it went and its mark", s, err)
		}
	})
}

func TestWhoeverLeavesThePeersGoesOnFarAboveTheirNumbers(t *testing.T) {
	high, low := quorum.MakeNumber(5000, 0), quorum.MakeNumber(4000, 0)
	for _, c := range []struct {
		what        string
		was, now    []string
		limit, mark quorum.Number
		want        quorum.Number
	}{
		{"alone before and after", nil, nil, high, low, high},
		{"the old books show more", nil, nil, low, high, high},
		{"with the peers", []string{"a"}, []string{"a"}, low, high, high},
		{"peers are new", nil, []string{"a"}, high, low, high},
		{"without them", []string{"a"}, nil, high, low, quorum.Beyond(high)},
		{"without them, and the books show more", []string{"a"}, nil, low, high, quorum.Beyond(high)},
	} {
		m := move{was: configuration{Peers: c.was}, now: configuration{Peers: c.now}, mark: c.mark}
		if got := m.above(c.limit); got != c.want {
			t.Errorf("%s: numbers go on at %v, want %v", c.what, got, c.want)
		}
	}
}

func TestTheConfigurationIsKeptAndItsStoresFound(t *testing.T) {
	j := openMemory(t, vfs.NewMem())
	if err := j.SetLabel("b"); err != nil {
		t.Fatal(err)
	}
	c := conf.Config{Strategy: "majority", MaxTTL: time.Hour}
	take := func(urls ...string) error {
		stores := mustMembers(t, urls...)
		return takeUp(t.Context(), j, c, stores, newConfiguration(c, stores), quietLog(), new(quorum.History))
	}
	if err := take("redis://127.0.0.1:1"); err != nil { // nothing listens there
		t.Fatalf("the first configuration: %v", err)
	}
	if err := take("redis://127.0.0.1:2"); err != nil {
		t.Errorf("alone, with the old store down: %v, want that no reason to stop", err)
	}
	c.Peers, c.ID = []string{"a"}, "b"
	c.OldStores = []string{"redis://:secret@127.0.0.1:2"}
	err := take("redis://127.0.0.1:3")
	if err == nil || !strings.Contains(err.Error(), "redis://127.0.0.1:2 could not be read") || strings.Contains(err.Error(), "secret") {
		t.Errorf("with peers, and the old store down: %v, want it refused", err)
	}
	if was, known, err := lastConfiguration(j); err != nil || !known || was.print() != "majority of redis://127.0.0.1:2; max-ttl 1h0m0s" {
		t.Errorf("after a refusal the configuration is %+v, %v, %v, want the last that was taken up", was, known, err)
	}
	if err := take("redis://127.0.0.1:2"); err != nil {
		t.Errorf("back to the old list, with peers: %v", err)
	}
}

func TestAConfigurationOfAnEarlierVersionIsRead(t *testing.T) {
	j := openMemory(t, vfs.NewMem())
	if err := j.SetConfiguration([]byte(`{"max_ttl":"24h0m0s","stores":["redis://b","memcached://a"],"strategy":"majority"}`)); err != nil {
		t.Fatal(err)
	}
	got, known, err := lastConfiguration(j)
	if want := "majority of memcached://a:11211, redis://b:6379; max-ttl 24h0m0s"; err != nil || !known || got.print() != want {
		t.Errorf("read as %q, %v, %v, want %q", got.print(), known, err, want)
	}
}

func TestWhatIsOldIsReachedByTheBestURL(t *testing.T) {
	stores := mustMembers(t, "redis://kept:6379")
	m := move{was: configuration{Stores: []string{"memcached://bare:11211", "redis://kept:6379", "redis://secret:6379"}}}
	opened, err := m.reach(conf.Config{OldStores: []string{"redis://:secret@secret"}}, stores)
	for _, s := range opened {
		defer s.Close()
	}
	if err != nil || len(opened) != 2 || len(m.old) != 3 || m.old[1].Store != stores[0].Store || m.old[1].Name != "redis://kept:6379" ||
		m.old[0].Name != "memcached://bare:11211" || m.old[2].Name != "redis://secret:6379" {
		t.Errorf("reach: %d opened, %+v, %v", len(opened), m.old, err)
	}
	m = move{was: configuration{Stores: []string{"gopher://old:70"}}}
	if _, err := m.reach(conf.Config{}, stores); err == nil || !strings.Contains(err.Error(), "gopher") {
		t.Errorf("a kind of store that is not known: %v", err)
	}
}

// A store that wants a password is left with the URL of --old-store.
func TestAnOldStoreIsLeftByItsPassword(t *testing.T) {
	server := storetest.StartRedis(t, "--requirepass", "secret")
	name, url := "redis://"+server.Addr(), "redis://:secret@"+server.Addr()
	j := openMemory(t, vfs.NewMem())
	if err := j.SetLabel("b"); err != nil {
		t.Fatal(err)
	}
	c := conf.Config{Strategy: "majority", MaxTTL: time.Hour, Peers: []string{"a"}}
	old := mustMembers(t, url)
	if err := takeUp(t.Context(), j, c, old, newConfiguration(c, old), quietLog(), new(quorum.History)); err != nil {
		t.Fatal(err)
	}
	stores := mustMembers(t, "redis://127.0.0.1:1")
	now := newConfiguration(c, stores)
	err := takeUp(t.Context(), j, c, stores, now, quietLog(), new(quorum.History))
	if err == nil || !strings.Contains(err.Error(), "NOAUTH") || !strings.Contains(err.Error(), "--old-store") {
		t.Errorf("without the password: %v, want how to give it", err)
	}
	c.OldStores = []string{url}
	if err := takeUp(t.Context(), j, c, stores, now, quietLog(), new(quorum.History)); err != nil {
		t.Errorf("with the password: %v", err)
	}
	book := scribes(old, 10*time.Second)[0].read(t.Context()).book
	if s, err := quorum.ParseSignature(book["b"]); err != nil || s.Phase != quorum.Moved || s.Config != now.print() || s.Instance != j.Instance() {
		t.Errorf("the book of %s says %q, want that b moved", name, book)
	}
}
