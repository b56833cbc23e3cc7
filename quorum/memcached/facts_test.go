package memcached

import (
	"strings"
	"testing"

	"holdfast/quorum"
)

func mustFacts(t *testing.T, store *Store) quorum.Facts {
	t.Helper()
	facts, err := store.Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return facts
}

func TestFactsTellWhatAnOperatorShouldKnow(t *testing.T) {
	for _, c := range []struct {
		args     []string
		mayEvict bool
		eviction string
	}{
		{nil, true, "on: the least recently used goes when 67108864 bytes are full"},
		{[]string{"-M", "-m", "8"}, false, "off: writes fail when 8388608 bytes are full"},
	} {
		facts := mustFacts(t, startServer(t, c.args...).unconnected())
		if facts.MayEvict != c.mayEvict || !strings.HasPrefix(facts.Eviction, c.eviction) {
			t.Errorf("%v: may evict %t, %q, want %t, %q", c.args, facts.MayEvict, facts.Eviction, c.mayEvict, c.eviction)
		}
		if facts.Kind != "memcached" || !strings.HasPrefix(facts.Version, "1.") || facts.Persistence != "none (memory only)" {
			t.Errorf("%v: %+v, want a memcached 1.x without persistence", c.args, facts)
		}
		if len(facts.Problems) != 0 {
			t.Errorf("%v: problems %q, want none", c.args, facts.Problems)
		}
	}
}

func TestRunIDNamesOneServerHoweverItIsReached(t *testing.T) {
	s, other := startServer(t), startServer(t)
	first, again := mustFacts(t, s.unconnected()), mustFacts(t, s.unconnected())
	if first.RunID != again.RunID {
		t.Errorf("run ids of one server: %q, then %q", first.RunID, again.RunID)
	}
	// Two containers that were started together have one process id and one start
	// time: the tag alone tells them apart.
	tag := func(f quorum.Facts) string { return strings.TrimPrefix(f.RunID, f.Incarnation+"/") }
	if a, b := tag(first), tag(mustFacts(t, other.unconnected())); a == b || len(a) < 20 {
		t.Errorf("tags of two servers: %q and %q, want two random words", a, b)
	}
}

func TestAFullServerStillHasFacts(t *testing.T) {
	_, store := full(t, ours("a", 1))
	facts := mustFacts(t, store)
	if got := strings.Join(facts.Problems, "; "); got != "its memory is full" || facts.RunID != facts.Incarnation+"/" {
		t.Errorf("run id %q, problems %q, want no tag for want of memory", facts.RunID, got)
	}
}

func TestIncarnationOutlivesConnectionsAndNotTheServer(t *testing.T) {
	s := startServer(t)
	store := s.open()
	first := mustConnect(t, store)
	s.tell("flush_all\r\n", "OK\r\n") // the same life, without its memory
	if again := mustConnect(t, store); again != first {
		t.Errorf("incarnation %q, after a flush %q", first, again)
	}
	s.Restart()
	if after := mustConnect(t, store); after == first {
		t.Errorf("incarnation %q before and after a restart", first)
	}
}
