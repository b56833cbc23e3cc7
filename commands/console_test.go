package commands

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestFlushEndsEveryLeaseWhereItIsAllowed(t *testing.T) {
	events := &counted{kinds: map[string]int{}}
	h := newHouse(t, 3, func(o *Options) { o.AllowFlush, o.Happened = true, events.happened })
	g, looker := h.guest(), h.guest()
	looker.ask("subscribe holdfast:events")
	looker.heard()
	for i := range 600 {
		g.do("set", fmt.Sprint("k", i), "a", "px", "100000")
	}
	g.expect([2]string{"select 1", ok}, [2]string{"set other a px 100000", ok}, [2]string{"select 0", ok})
	flushed, size := g.begin("flushdb"), g.begin("dbsize")
	if got := g.answer(flushed, "flushdb") + g.answer(size, "dbsize"); got != ok+no {
		t.Errorf("flushdb, dbsize = %q", got)
	}
	g.expect([2]string{"select 1", ok}, [2]string{"get other", bulkOf("a")}, [2]string{"flushall async", ok}, [2]string{"dbsize", no}, [2]string{"flushall", ok})
	heard := ""
	h.await("the events", func() bool {
		heard += looker.heard()
		return strings.Contains(heard, "FLUSHDB by connection 1 from 10.0.0.1:50001 ends 600 leases") && strings.Contains(heard, "FLUSHALL by connection 1 from 10.0.0.1:50001 ends 1 leases")
	})
	if n := events.of(flushedKind); n != 2 {
		t.Errorf("%d events, want 2: where there was nothing nothing happened", n)
	}
	for _, f := range h.fakes {
		h.await("empty stores", func() bool { return len(f.Copies()) == 0 })
	}
}

func TestFlushLeavesWhatIsAcquiredMeanwhile(t *testing.T) {
	h := newHouse(t, 0, func(o *Options) { o.AllowFlush, o.Scripts = true, 1 })
	g, other, busy := h.guest(), h.guest(), h.guest()
	const last = "n99" // of all, in order
	for i := range flushShare + 1 {
		other.expect([2]string{fmt.Sprintf("set n%d a px 100000", i), ok})
	}
	free := make(chan struct{})
	h.engine.scripts.workers.run(&other.session.runs, func() { <-free })
	script := busy.begin("eval", "for i = 1, 1 do end return redis.call('get', KEYS[1])", "1", "n0")
	flushed := g.begin("flushdb") // which waits for n0
	other.expect([2]string{"unlock " + last + " a", yes}, [2]string{"set " + last + " b nx px 100000", ok}, [2]string{"dbsize", fmt.Sprintf(":%d\r\n", flushShare+1)})
	close(free)
	busy.answer(script, "eval")
	if got := g.answer(flushed, "flushdb"); got != ok {
		t.Errorf("flushdb = %q", got)
	}
	other.expect([2]string{"get " + last, bulkOf("b")}, [2]string{"dbsize", yes})
}

func TestMonitorShowsWhatIsSentButNoPassword(t *testing.T) {
	h := newHouse(t, 0)
	looker, g := h.guest(), h.guest()
	g.ask("set before 1 px 1000")
	if got := looker.ask("monitor"); got != ok {
		t.Fatalf("monitor = %q", got)
	}
	g.ask("set k \"a\\\"b\\n\\x01\" px 1000")
	g.ask("auth secret1")
	g.ask("hello 2 auth default secret2")
	g.ask("multi")
	g.ask("get k")
	g.ask("exec")
	got := looker.heard()
	at := fmt.Sprintf("+1700000000.000000 [0 10.0.0.1:%d] ", 50002)
	want := at + `"set" "k" "a\"b\n\x01" "px" "1000"` + "\r\n" + at + `"hello" "2" "auth" "(redacted)" "(redacted)"` + "\r\n" +
		at + `"multi"` + "\r\n" + at + `"exec"` + "\r\n" + at + `"get" "k"` + "\r\n"
	if got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
	looker.ask("reset")
	looker.heard() // its own
	g.ask("get k")
	looker.hears("after RESET", "")
}

func TestSlowCommandsAreKept(t *testing.T) {
	h := newHouse(t, 3)
	g := h.guest()
	g.ask("config set slowlog-max-len 2")
	for _, name := range []string{"a", "b", "c"} {
		pause(h.fakes)
		acquired := g.begin("set", name, strings.Repeat("x", 200), "nx", "px", "100000")
		h.clock.pass(20 * time.Millisecond)
		resume(h.fakes)
		if got := g.answer(acquired, "the acquisition"); got != ok {
			t.Fatalf("the acquisition = %q", got)
		}
	}
	g.ask("get a")
	entry := func(number int, name string) string {
		args := arrayOf(bulkOf("set"), bulkOf(name), bulkOf(strings.Repeat("x", 128)+"... (72 more bytes)"), bulkOf("nx"), bulkOf("px"), bulkOf("100000"))
		return arrayOf(fmt.Sprintf(":%d\r\n", number), ":1700000000\r\n", ":20000\r\n", args, bulkOf("10.0.0.1:50001"), bulkOf(""))
	}
	g.expect([2]string{"slowlog len", ":2\r\n"}, [2]string{"slowlog get", arrayOf(entry(2, "c"), entry(1, "b"))},
		[2]string{"slowlog get 1", arrayOf(entry(2, "c"))}, [2]string{"slowlog reset", ok}, [2]string{"slowlog len", no})
}

func TestDebugSleepKeepsOnlyItsConnectionWaiting(t *testing.T) {
	h := newHouse(t, 0)
	g, other := h.guest(), h.guest()
	asleep, behind := g.begin("debug", "sleep", "3600"), g.begin("ping")
	other.expect([2]string{"ping", "+PONG\r\n"})
	if len(asleep)+len(behind) > 0 {
		t.Error("something was answered an hour early")
	}
	g.session.Close()
	if got := g.answer(asleep, "debug sleep"); got != ok {
		t.Errorf("debug sleep = %q", got)
	}
	if got := g.answer(behind, "ping"); got != errLine(errHungUp) {
		t.Errorf("ping behind it = %q", got)
	}
	other.expect([2]string{"debug sleep 0.001", ok}, [2]string{"debug sleep -1", "-ERR DEBUG SLEEP takes 0 to 3600 seconds\r\n"})
}

func TestATTLForEverIsTheLongestThereIs(t *testing.T) {
	g := newHouse(t, 0).guest()
	g.expect([2]string{"set a b px 31557600000000", ok}, [2]string{"pttl a", fmt.Sprintf(":%d\r\n", testMaxTTL.Milliseconds())},
		[2]string{"set b b nx px 900719925474099", ok}, [2]string{"expire a 31536000", yes}, [2]string{"ttl a", fmt.Sprintf(":%d\r\n", int(testMaxTTL.Seconds()))})
	if got := g.ask("set c b px 31535999999"); !strings.Contains(got, "more than max-ttl") {
		t.Errorf("a TTL of nearly a year = %q, want a refusal", got)
	}
}
