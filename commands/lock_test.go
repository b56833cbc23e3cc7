package commands

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestLockAnswersTokenFenceAndValidity(t *testing.T) {
	h := newHouse(t, 0)
	g := h.guest()
	got := g.ask("lock k tok px 10000")
	first, err := strconv.ParseUint(g.fence("k"), 10, 64)
	if err != nil {
		t.Fatalf("fence: %v", err)
	}
	// Drift takes 1 % of the TTL and 2 ms.
	if want := arrayOf(bulkOf("tok"), ":"+g.fence("k")+"\r\n", ":9898\r\n"); got != want {
		t.Errorf("lock = %q, want %q", got, want)
	}
	g.expect(
		[2]string{"lock k tok px 10000", noArray},
		[2]string{"lock k other px 10000", noArray},
		[2]string{"extend k other px 20000", noArray},
		[2]string{"extend none tok px 20000", noArray},
		[2]string{"extend k tok ex 20", arrayOf(bulkOf("tok"), ":"+g.fence("k")+"\r\n", ":19798\r\n")},
		[2]string{"pttl k", ":20000\r\n"},
		[2]string{"unlock k tok", yes},
		[2]string{"extend k tok px 20000", noArray}, // never creates a lease that ended
	)
	g.ask("lock k tok px 10000")
	if second, _ := strconv.ParseUint(g.fence("k"), 10, 64); second <= first {
		t.Errorf("fencing token %d after %d, want it to grow", second, first)
	}
}

func TestLockInfoTellsAllThatIsKnown(t *testing.T) {
	h := newHouse(t, 0)
	g := h.guest()
	g.ask("hello 3")
	g.ask("set k tok")
	h.clock.pass(1500 * time.Millisecond)
	got := g.ask("lockinfo k")
	for _, want := range []string{
		"%8\r\n", bulkOf("name") + bulkOf("k"), bulkOf("token") + bulkOf("tok"), bulkOf("state") + bulkOf("held"),
		bulkOf("fence") + ":" + g.fence("k") + "\r\n", bulkOf("ttl") + ":3599\r\n", bulkOf("pttl") + ":3598500\r\n", bulkOf("untimed") + "#t\r\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lockinfo = %q, which lacks %q", got, want)
		}
	}
	if got := g.ask("lockinfo none"); got != "_\r\n" {
		t.Errorf("lockinfo of a free lock = %q, want null", got)
	}
}

func TestLocksAreListedByName(t *testing.T) {
	g := newHouse(t, 0).guest()
	for _, name := range []string{"b2", "a1", "c3", "a2"} {
		g.do("set", name, "tok-"+name, "px", "10000")
	}
	listed := func(line string) (names []string) {
		for part := range strings.SplitSeq(g.ask(line), bulkOf("name")) {
			if _, rest, ok := strings.Cut(part, "\r\n"); ok && strings.HasPrefix(part, "$2") {
				names = append(names, rest[:2])
			}
		}
		return names
	}
	for line, want := range map[string]string{
		"locks": "a1 a2 b2 c3", "locks match a*": "a1 a2", `locks match ""`: "", "locks match *": "a1 a2 b2 c3", "locks count 3": "a1 a2 b2", "LOCKS COUNT 1 MATCH *2": "a2",
	} {
		if got := strings.Join(listed(line), " "); got != want {
			t.Errorf("%s lists %s, want %s", line, got, want)
		}
	}
	g.expect(
		[2]string{"locks count 0", errLine(errNotInteger)},
		[2]string{"locks count", errLine(errSyntax)},
		[2]string{"locks foo bar", errLine(errSyntax)},
	)
}

func TestDatabasesAreApart(t *testing.T) {
	h := newHouse(t, 0)
	g, other := h.guest(), h.guest()
	g.expect(
		[2]string{"set k zero nx", ok},
		[2]string{"select 3", ok},
		[2]string{"set k three nx", ok},
		[2]string{"set j three nx", ok},
		[2]string{"get k", bulkOf("three")},
		[2]string{"keys *", arrayOf(bulkOf("j"), bulkOf("k"))},
		[2]string{"keys k*", arrayOf(bulkOf("k"))},
		[2]string{"scan 0 match j", arrayOf(bulkOf("0"), arrayOf(bulkOf("j")))},
		[2]string{"dbsize", ":2\r\n"},
		[2]string{"flushdb", errLine("ERR FLUSHDB refused: 2 locks are held; DEL ends them by name")},
		[2]string{"eval \"redis.call('select',0) return redis.call('get',KEYS[1])\" 1 k", bulkOf("zero")},
		[2]string{"get k", bulkOf("three")}, // a script's SELECT ends with it
		[2]string{"select 4", ok},
		[2]string{"flushdb", ok}, // there is nothing to refuse
		[2]string{"flushall async", errLine("ERR FLUSHALL refused: 3 locks are held; DEL ends them by name")},
	)
	other.expect(
		[2]string{"get k", bulkOf("zero")},
		[2]string{"dbsize", yes},
		[2]string{"keys *", arrayOf(bulkOf("k"))},
	)
	if got := other.ask("info keyspace"); !strings.Contains(got, "db0:keys=1,expires=1\r\ndb3:keys=2,expires=2\r\n") {
		t.Errorf("info keyspace = %q", got)
	}
}

func TestScanVisitsEveryLockOnce(t *testing.T) {
	g := newHouse(t, 0).guest()
	const locks = 2500
	for i := range locks {
		g.do("set", "k"+strconv.Itoa(i), "v")
	}
	seen := map[string]int{}
	cursor, pages := "0", 0
	for {
		parts := strings.Split(g.do("scan", cursor, "count", "10"), "\r\n")
		cursor = parts[2]
		for _, part := range parts[4:] {
			if strings.HasPrefix(part, "k") {
				seen[part]++
			}
		}
		if pages++; cursor == "0" || pages > locks {
			break
		}
	}
	if len(seen) != locks || pages < 2 {
		t.Errorf("scan found %d locks in %d pages, want %d in several", len(seen), pages, locks)
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("scan found %s %d times", name, n)
		}
	}
}
