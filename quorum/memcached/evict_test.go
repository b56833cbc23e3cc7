package memcached

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

func mustCount(t testing.TB, store *Store) uint64 {
	t.Helper()
	n, err := store.Evicted(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// crowd returns a server with so little room that junk soon pushes out what is
// there.
func crowd(t testing.TB) server {
	t.Helper()
	return startServer(t, "-m", "1", "-I", "512k")
}

// ballast is the value of each lease here.
var ballast = strings.Repeat("x", 300)

// junk puts so many items there that take as much room as a copy of ballast,
// and so compete with those.
func (s server) junk(from, count int) {
	s.t.Helper()
	data := ours(ballast, 1).Encode()
	var lines strings.Builder
	for i := range count {
		fmt.Fprintf(&lines, "set junk%d 0 0 %d noreply\r\n%s\r\n", from+i, len(data), data)
	}
	s.ask(lines.String())
}

func TestEvictedCountsWhatIsDroppedToMakeRoom(t *testing.T) {
	s := crowd(t)
	store := s.unconnected()
	s.tell("set deleted 0 0 1\r\nx\r\ndelete deleted\r\nflush_all\r\n", "STORED\r\nDELETED\r\nOK\r\n")
	if n := mustCount(t, store); n != 0 {
		t.Errorf("%d evicted after a delete and a flush, want none", n)
	}
	last := uint64(0)
	for i := range 3 {
		s.junk(i*5000, 5000)
		n := mustCount(t, store)
		if n <= last || n > uint64(i+1)*5000 {
			t.Errorf("%d evicted after %d items more, was %d", n, 5000, last)
		}
		last = n
	}
	facts := mustFacts(t, store)
	if want := fmt.Sprintf("; %d items dropped so far", last); !strings.HasSuffix(facts.Eviction, want) {
		t.Errorf("eviction %q, want it to end with %q", facts.Eviction, want)
	}
	if want := fmt.Sprintf("it has dropped %d items to make room", last); !strings.Contains(strings.Join(facts.Problems, "; "), want) {
		t.Errorf("problems %q, want one that %s", facts.Problems, want)
	}
}

func TestEvictedAsksOnOneConnection(t *testing.T) {
	s := startServer(t)
	store, dialed := s.unconnected(), 0
	dial := store.dial
	store.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialed++
		return dial(ctx, network, addr)
	}
	for range 3 {
		mustCount(t, store)
	}
	if dialed != 1 {
		t.Errorf("asked three times on %d connections, want one", dialed)
	}
	s.Restart()
	if n, err := store.Evicted(t.Context()); err == nil {
		t.Errorf("after a restart: %d, want an error: that may be another server", n)
	}
	mustCount(t, store)
	mustConnect(t, store) // that one is not touched
	if mustCount(t, store); dialed != 3 {
		t.Errorf("%d connections, want one for each life of the server and one for batches", dialed)
	}
	store.Close()
	if n, err := store.Evicted(t.Context()); err == nil {
		t.Errorf("after it was closed: %d, want an error", n)
	}
}

func TestEvictedReturnsOnceItsContextIsDone(t *testing.T) {
	s := startServer(t)
	store := s.unconnected()
	mustCount(t, store)
	s.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if n, err := store.Evicted(ctx); err == nil {
		t.Errorf("of a server that stands still: %d, want an error", n)
	}
	s.Resume()
	mustCount(t, store)
}

func TestEverythingThatMadeRoomIsAddedUp(t *testing.T) {
	for stats, want := range map[string]string{
		"evictions 0": "0",
		"evictions 7": "7",
		"evictions 1\r\nSTAT slab_reassign_evictions_nomem 10\r\nSTAT slab_reassign_busy_deletes 100\r\nSTAT extstore_objects_evicted 1000": "1111",
		"evictions 1\r\nSTAT lrutail_reflocked 5\r\nSTAT expired_unfetched 6\r\nSTAT reclaimed 7\r\nSTAT evicted_unfetched 8":               "1",
		"evictions 18446744073709551615": "18446744073709551615",
		"evictions -1":                   "evictions: stats: no evictions: ",
		"evictions many":                 "evictions: stats: no evictions: ",
		"other 1":                        "evictions: stats: no evictions: ",
		"evictions 1\r\nSTAT extstore_objects_evicted ?": "evictions: stats: no extstore_objects_evicted: ",
	} {
		synctest.Test(t, func(t *testing.T) {
			store := scripted(t, func(string) (string, error) { return "STAT " + stats + "\r\nEND\r\n", nil })
			n, err := store.Evicted(t.Context())
			got := fmt.Sprint(n)
			if err != nil {
				got = err.Error()
			}
			if !strings.HasPrefix(got, want) {
				t.Errorf("%q: %s, want %s", stats, got, want)
			}
			store.Close()
		})
	}
}

func TestALookIsAUseOnlyWhereTheServerEvicts(t *testing.T) {
	for want, args := range map[string][]string{"fetch=yes": nil, "fetch=no": {"-M"}} {
		s := startServer(t, args...)
		store := s.open()
		must(t, "put it there", do(t, store, swap("orders", nil, ours("a", 1)))[0], quorum.Granted, nil)
		must(t, "look at it", do(t, store, swap("orders", nil, ours("a", 1)))[0], quorum.Refused, ours("a", 1))
		if said := s.ask("me orders\r\n"); !strings.Contains(said, want) {
			t.Errorf("started with %q: afterwards it is %q, want %s", args, said, want)
		}
	}
}

// A nowhere is a journal that keeps nothing.
type nowhere struct{}

func (nowhere) Commit([]quorum.Record, bool) error { return nil }

// A ledger is where a keeper logs.
type ledger struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (l *ledger) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *ledger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// keeping returns a keeper over the server alone, and what it logs.
func keeping(t testing.TB, s server) (*quorum.Keeper, *ledger) {
	t.Helper()
	log, first := &ledger{}, quorum.MakeNumber(1000, 0)
	k, err := quorum.Open(quorum.Options{
		Members: []quorum.Member{{Name: "cache", Store: s.unconnected()}},
		Timeout: 5 * time.Second, MaxTTL: 24 * time.Hour, Clock: quorum.BootClock{}, Journal: nowhere{},
		Past: quorum.History{Birth: first, Limit: first}, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	storetest.Eventually(t, "the server is connected to", func() bool { return k.Status().Stores[0].Up })
	return k, log
}

// hold takes so many locks, and returns their names.
func hold(t testing.TB, k *quorum.Keeper, count int) (names []string) {
	t.Helper()
	results := make(chan quorum.Result, count)
	for i := range count {
		name := fmt.Sprint("lock", i)
		names = append(names, name)
		k.Submit(&quorum.Op{
			Names: []string{name},
			Decide: func(*quorum.View) quorum.Plan {
				return quorum.Plan{Parts: []quorum.Part{{Name: name, Value: []byte(ballast), TTL: time.Hour}}}
			},
			Done: func(r quorum.Result) { results <- r },
		})
	}
	for range count {
		if r := <-results; r.Outcome != quorum.Changed {
			t.Fatalf("one of %d locks: %v (%v), want it granted", count, r.Outcome, r.Err)
		}
	}
	return names
}

// gone returns how many of the names have nothing there, and touches none.
func (s server) gone(names []string) int {
	s.t.Helper()
	return strings.Count(s.ask("mg "+strings.Join(names, " u\r\nmg ")+" u\r\n"), "EN\r\n")
}

// The leases are the oldest there is, so each copy that is put back pushes out
// another one unless those that are looked at count as used.
func TestEvictedCopiesComeBackWithinSeconds(t *testing.T) {
	s := crowd(t)
	k, log := keeping(t, s)
	names := hold(t, k, 1000)
	junk := 0
	storetest.Eventually(t, "junk pushes copies out", func() bool {
		s.junk(junk, 100)
		junk += 100
		return s.gone(names) > 0
	})
	lost, start := s.gone(names), time.Now()
	storetest.Eventually(t, "every copy is back", func() bool { return s.gone(names) == 0 })
	t.Logf("after %v all of %d copies were back, of which %d were gone", time.Since(start), len(names), lost)
	storetest.Eventually(t, "it is told", func() bool {
		s.junk(junk, 100) // the first count is only what others are compared with
		junk += 100
		return strings.Contains(log.String(), "msg=store.evicted store=cache")
	})
}
