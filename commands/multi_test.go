package commands

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

const queuedReply = "+QUEUED\r\n"

// steps are what Drupal's lock backend sends: acquire, and then for its own lock
// renew and release, each guarded by what it has read.
var (
	renewal = []string{"watch k", "get k", "multi", "psetex k 30000 ME", "exec"}
	release = []string{"watch k", "get k", "multi", "del k", "exec"}
	acquire = []string{"set k ME nx px 30000"}
)

// TestDrupalsSequencesExcludeEachOther has one client hold the lock and go through a
// sequence, while another takes the lock over, or has it end, between any two of
// its steps.
func TestDrupalsSequencesExcludeEachOther(t *testing.T) {
	intruders := map[string]func(h *house, g *guest){
		"del and acquire":  func(_ *house, g *guest) { g.ask("del k"); g.ask("set k OTHER nx px 30000") },
		"a renewal by two": func(_ *house, g *guest) { g.ask("set k ME px 40000") },
		"expiry":           func(h *house, _ *guest) { h.clock.pass(31 * time.Second) },
		"expiry, and the same token again": func(h *house, g *guest) {
			h.clock.pass(31 * time.Second)
			g.ask("set k ME nx px 30000")
		},
		"a script": func(_ *house, g *guest) { g.eval(`return redis.call('pexpire',KEYS[1],20000)`, 1, "k") },
	}
	for name, intrude := range intruders {
		for _, steps := range [][]string{renewal, release} {
			for at := 0; at <= len(steps); at++ {
				for _, stores := range []int{0, 3} {
					h := newHouse(t, stores)
					g, other := h.guest(), h.guest()
					g.ask(strings.ReplaceAll(acquire[0], "nx ", ""))
					last := ""
					for i, step := range steps {
						if i == at {
							intrude(h, other)
						}
						last = g.ask(step)
					}
					if at == len(steps) {
						intrude(h, other)
					}
					// Before WATCH, and after EXEC, is not meanwhile.
					if lost := at > 0 && at < len(steps); lost != (last == noArray) {
						t.Errorf("%s at step %d of %q over %d stores: EXEC = %q", name, at, steps[3], stores, last)
					}
				}
			}
		}
	}
}

func TestWatchSeesALockThatWasTakenAndFreed(t *testing.T) {
	h := newHouse(t, 3)
	g, other := h.guest(), h.guest()
	g.expect([2]string{"watch k j", ok}, [2]string{"get k", null2})
	other.ask("set k x nx px 1000")
	other.ask("del k")
	g.expect([2]string{"multi", ok}, [2]string{"set k a nx px 1000", queuedReply}, [2]string{"exec", noArray}, [2]string{"exists k", no})

	// What was over before WATCH is no change.
	other.ask("set k x nx px 1000")
	other.ask("del k")
	g.expect([2]string{"watch k", ok}, [2]string{"multi", ok}, [2]string{"set k a nx px 1000", queuedReply}, [2]string{"exec", arrayOf(ok)})
	// One's own change is a change.
	g.expect([2]string{"watch k", ok}, [2]string{"pexpire k 5000", yes}, [2]string{"multi", ok}, [2]string{"get k", queuedReply}, [2]string{"exec", noArray})
	if n := len(h.engine.tracker.watchers); n != 0 || h.engine.tracker.listening.who != 0 {
		t.Errorf("%d locks are watched and %d listen, want none", n, h.engine.tracker.listening.who)
	}
}

func TestExecIsOneChange(t *testing.T) {
	h := newHouse(t, 3)
	g := h.guest()
	g.ask("set held x px 10000")
	for _, f := range h.fakes {
		f.LoseRequests(100)
	}
	g.expect([2]string{"multi", ok}, [2]string{"set a 1 px 1000", queuedReply}, [2]string{"del held", queuedReply}, [2]string{"set b 1 px 1000", queuedReply})
	if got := g.ask("exec"); !strings.HasPrefix(got, "-NOQUORUM ") {
		t.Errorf("EXEC without a quorum = %q, want an error", got)
	}
	for _, f := range h.fakes {
		f.LoseRequests(0)
	}
	g.expect([2]string{"mget held", arrayOf(bulkOf("x"))})
	for _, name := range []string{"a", "b"} {
		h.await("no trace of "+name, func() bool { return g.ask("exists "+name) == no })
	}
}

func TestExecOfLocksHeldDirectlyInTheStores(t *testing.T) {
	h := newHouse(t, 3)
	g := h.guest()
	h.plant(3, "k", "them")
	g.expect([2]string{"multi", ok}, [2]string{"set k a nx px 1000", queuedReply}, [2]string{"get k", queuedReply}, [2]string{"exec", arrayOf(null2, bulkOf("them"))},
		[2]string{"watch k", ok}, [2]string{"multi", ok}, [2]string{"pexpire k 5000", queuedReply}, [2]string{"exec", arrayOf(yes)},
		[2]string{"get k", bulkOf("them")})
}

func TestLockCommandsInATransaction(t *testing.T) {
	g := newHouse(t, 0).guest()
	g.expect([2]string{"multi", ok}, [2]string{"lock a tok px 10000", queuedReply}, [2]string{"unlock none tok", queuedReply})
	if got := g.ask("exec"); !strings.HasPrefix(got, "*2\r\n*3\r\n$3\r\ntok\r\n:") || strings.Contains(got, ":0\r\n:") || !strings.HasSuffix(got, no) {
		t.Errorf("EXEC = %q, want the grant with its numbers, and 0", got)
	}
}

func TestAScriptThatFailsInATransactionChangesNothing(t *testing.T) {
	g := newHouse(t, 3).guest()
	g.ask("multi")
	g.ask("set a 1 px 10000")
	g.do("eval", `redis.call('set',KEYS[1],'2') redis.call('set','b','2') redis.call('publish','c','x') error('boom')`, "1", "a")
	g.ask("append a x")
	got := g.ask("exec")
	if !strings.HasPrefix(got, "*3\r\n"+ok+"-ERR user_script:1: boom") || !strings.HasSuffix(got, ":2\r\n") {
		t.Errorf("EXEC = %q, want OK, the error, 2", got)
	}
	g.expect([2]string{"get a", bulkOf("1x")}, [2]string{"exists b", no})
}

func TestTransactionsAreBounded(t *testing.T) {
	h := newHouse(t, 0)
	g := h.guest()
	g.ask("multi")
	long := strings.Repeat("x", 60_000)
	for range maxQueuedBytes/60_000 - 1 {
		if got := g.do("echo", long); got != queuedReply {
			t.Fatalf("queueing = %q", got)
		}
	}
	if kept := g.kept.Load(); kept < maxQueuedBytes/2 {
		t.Errorf("%d bytes are accounted for", kept)
	}
	g.do("echo", long)
	g.expect([2]string{"echo " + long, errLine(errQueue)}, [2]string{"exec", errLine(errAborted)})
	if kept := g.kept.Load(); kept != 0 {
		t.Errorf("%d bytes are still accounted for, want 0", kept)
	}
}

func TestACloseDiscardsAndUnwatches(t *testing.T) {
	h := newHouse(t, 0)
	g := h.guest()
	g.ask("watch a b")
	g.ask("multi")
	g.ask("set k a px 1000")
	g.session.Close()
	if n := len(h.engine.tracker.watchers); n != 0 || h.engine.tracker.listening.who != 0 {
		t.Errorf("%d locks are watched and %d listen, want none", n, h.engine.tracker.listening.who)
	}
	h.guest().expect([2]string{"exists k", no})
}

func TestWhatIsPipelinedBehindExecKeepsItsPlace(t *testing.T) {
	h := newHouse(t, 3)
	g := h.guest()
	pause(h.fakes)
	lines := []string{"watch k", "multi", "set k a px 10000", "select 2", "set k b px 10000", "dbsize", "exec", "get k", "select 0", "get k"}
	var replies []<-chan string
	for _, line := range lines {
		replies = append(replies, g.begin(words(t, line)...))
	}
	resume(h.fakes)
	want := []string{ok, ok, queuedReply, queuedReply, queuedReply, queuedReply, arrayOf(ok, ok, ok, yes), bulkOf("b"), ok, bulkOf("a")}
	for i, line := range lines {
		if got := g.answer(replies[i], line); got != want[i] {
			t.Errorf("%s = %q, want %q", line, got, want[i])
		}
	}
}

// TestTransactionsLoseNoUpdate has several clients count by WATCH, GET, MULTI, SET,
// EXEC, each until it has counted.
func TestTransactionsLoseNoUpdate(t *testing.T) {
	h := newHouse(t, 3)
	const clients, each = 4, 15
	var wg sync.WaitGroup
	for range clients {
		g := h.guest()
		wg.Go(func() {
			for n := 0; n < each; {
				g.do("watch", "n")
				at := 0
				fmt.Sscanf(g.do("get", "n"), "$%d\r\n%d", new(int), &at)
				g.do("multi")
				g.do("set", "n", fmt.Sprint(at+1), "px", "100000")
				if g.do("exec") == arrayOf(ok) {
					n++
				}
			}
		})
	}
	wg.Wait()
	if got, want := h.guest().ask("get n"), bulkOf(fmt.Sprint(clients*each)); got != want {
		t.Errorf("counted %q, want %q", got, want)
	}
}
