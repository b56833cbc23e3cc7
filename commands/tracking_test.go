package commands

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func invalidated(keys ...string) (all string) {
	for _, key := range keys {
		all += ">2\r\n" + bulkOf("invalidate") + arrayOf(bulkOf(key))
	}
	return all
}

// tracks returns a guest that speaks RESP3 and tracks.
func (h *house) tracks(how ...string) *guest {
	h.t.Helper()
	g := h.guest()
	g.do("hello", "3")
	if got := g.do(append([]string{"client", "tracking", "on"}, how...)...); got != ok {
		h.t.Fatalf("client tracking on %q = %q", how, got)
	}
	return g
}

// hearsAll returns what was pushed, behind the last reply too: which may be on its
// way when that is there.
func (g *guest) hearsAll() string {
	tracker := g.session.engine.tracker
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	return g.heard()
}

// hears checks what was pushed.
func (g *guest) hears(when, want string) {
	g.t.Helper()
	if got := g.hearsAll(); got != want {
		g.t.Errorf("%s: heard %q, want %q", when, got, want)
	}
}

func TestWhoHasReadALockIsToldOnceThatItChanged(t *testing.T) {
	for _, stores := range []int{0, 3} {
		h := newHouse(t, stores)
		g, other := h.tracks(), h.guest()
		for _, c := range []struct{ before, read, change string }{
			{"", "get k", "set k a px 10000"},
			{"", "get k", "pexpire k 20000"},
			{"", "pttl k", "del k"},
			{"", "exists k j", "set k a px 10000"},
			{"", "mget j k", `eval "return redis.call('del',KEYS[1])" 1 k`},
			{"", `eval "return redis.call('get',KEYS[1])" 1 k`, "lock k a px 1000"},
			{"", "type k", "unlock k a"},
		} {
			g.hears("before "+c.read, "")
			g.ask(c.read)
			g.hears("after "+c.read, "")
			other.ask(c.change)
			g.hears("after "+c.change, invalidated("k"))
			other.ask("pexpire k 30000")
			g.hears("after another change", "")
		}
		g.ask("set k a px 10000")
		g.hears("after its own SET", "")
		g.ask("get k")
		h.clock.pass(11 * time.Second)
		other.ask("get k") // has time looked at
		g.hears("after expiry", invalidated("k"))
	}
}

func TestWhatIsTrackedInATransactionAndInADatabase(t *testing.T) {
	h := newHouse(t, 0)
	g, other := h.tracks(), h.guest()
	g.ask("select 2")
	g.ask("multi")
	g.ask("get k")
	g.ask("exec")
	other.ask("set k a px 10000")
	g.hears("after a change in another database", "")
	other.ask("select 2")
	other.ask("set k a px 10000")
	g.hears("after a change", invalidated("k"))
}

// A script waits for a worker with what it is to read, and time goes by.
func TestWhatEndsBeforeAScriptHasReadItIsToldToo(t *testing.T) {
	h := newHouse(t, 0, func(o *Options) { o.Scripts = 1 })
	g, other := h.tracks(), h.guest()
	other.expect([2]string{"set k a px 100", ok}, [2]string{"set j a px 10000", ok})
	free := make(chan struct{})
	h.engine.scripts.workers.run(&other.session.runs, func() { <-free })
	read := g.begin("eval", "for i = 1, 1 do redis.call('get', KEYS[2]) end return redis.call('get', KEYS[1])", "2", "k", "j")
	h.clock.pass(110 * time.Millisecond)
	h.await("k to end", func() bool { return h.keeper.Status().Leases == 1 })
	close(free)
	if got := g.answer(read, "eval"); got != bulkOf("a") {
		t.Errorf("the script read %q, want what it was shown", got)
	}
	g.hears("after k has ended", invalidated("k"))
}

func TestAnInvalidationNeverComesBeforeTheReplyItIsAbout(t *testing.T) {
	h := newHouse(t, 3)
	g, other := h.tracks(), h.guest()
	other.ask("set k a px 100")
	other.ask("set j a px 10000")
	// EXEC reads k and is under way until the stores answer about j. Nobody can change
	// k meanwhile but time.
	pause(h.fakes)
	g.ask("multi")
	g.ask("get k")
	g.ask("set j a px 100000")
	replies := g.begin("exec")
	h.clock.pass(110 * time.Millisecond)
	h.engine.tracker.mu.Lock()
	pending := len(h.engine.tracker.readers["k"])
	h.engine.tracker.mu.Unlock()
	if pending != 1 {
		t.Fatalf("%d reads of k are under way, want 1", pending)
	}
	g.hears("before the reply", "")
	resume(h.fakes)
	reply := g.answer(replies, "exec")
	h.await("the invalidation", func() bool {
		other.ask("get k")
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.messages) > 0
	})
	if reply != arrayOf(bulkOf("a"), ok) {
		t.Errorf("EXEC = %q, want a and OK", reply)
	}
	g.hears("after the reply", invalidated("k"))
}

func TestNoLoopOptInAndOptOut(t *testing.T) {
	h := newHouse(t, 0)
	other := h.guest()
	change := func() { other.ask("set k a px 10000") }

	loops, silent := h.tracks(), h.tracks("noloop")
	for _, g := range []*guest{loops, silent} {
		g.ask("get k")
	}
	silent.ask("set k a px 10000")
	silent.hears("after its own change, with NOLOOP", "")
	loops.hears("after another's change", invalidated("k"))
	change()
	silent.hears("after its own change has ended its interest", "")
	silent.ask("get k")
	change()
	silent.hears("after another's change, with NOLOOP", invalidated("k"))
	loops.ask("get k")
	loops.ask("set k a px 10000")
	loops.hears("after its own change", invalidated("k"))

	in := h.tracks("optin")
	in.ask("get k")
	change()
	in.hears("without CACHING YES", "")
	in.ask("client caching yes")
	in.ask("get k")
	in.ask("get j")
	change()
	other.ask("set j a px 10000")
	in.hears("with CACHING YES for the next command", invalidated("k"))
	in.ask("client caching yes")
	in.ask("multi")
	in.ask("get k")
	in.ask("get j")
	in.ask("exec")
	change()
	other.ask("set j a px 10000")
	in.hears("with CACHING YES for a transaction", invalidated("k", "j"))

	out := h.tracks("optout")
	out.ask("client caching no")
	out.ask("get k")
	out.ask("get j")
	change()
	other.ask("set j a px 10000")
	out.hears("with CACHING NO for one command", invalidated("j"))
	out.ask("get k")
	out.ask("client tracking off")
	change()
	out.hears("with tracking off", "")
}

// rueidislock's scripts acquire and then read, which registers the key, and its
// waiters wait for nothing but the push.
func TestAScriptThatAcquiresAndReadsIsToldOfTheEnd(t *testing.T) {
	const acquire = `local r = redis.call("SET",KEYS[1],ARGV[1],"NX","PX",ARGV[2]);redis.call("GET",KEYS[1]);return r`
	const free = `if redis.call("GET",KEYS[1]) == ARGV[1] then return redis.call("DEL",KEYS[1]) else return 0 end`
	for _, stores := range []int{0, 3} {
		for _, how := range []string{"optout", "noloop"} {
			h := newHouse(t, stores)
			holder, waiter := h.tracks("optout", how), h.tracks("optout", how)
			if got := holder.eval(acquire, 1, "k", "a", "10000"); got != ok {
				t.Fatalf("the acquisition = %q", got)
			}
			holder.hears("after its acquisition", "")
			if got := waiter.eval(acquire, 1, "k", "b", "10000"); got != "_\r\n" {
				t.Fatalf("the other's acquisition = %q", got)
			}
			if got := holder.eval(free, 1, "k", "a"); got != yes {
				t.Errorf("the release = %q", got)
			}
			waiter.hears("after the release", invalidated("k"))
			if how == "noloop" {
				holder.hears("after its own release", "")
			} else {
				holder.hears("after its own release", invalidated("k"))
			}
			waiter.eval(acquire, 1, "k", "b", "10000")
			h.clock.pass(11 * time.Second)
			holder.ask("get k")
			waiter.hears("after its lease has ended", invalidated("k"))
		}
	}
}

func TestBroadcastsGoToWhoWantsThePrefix(t *testing.T) {
	h := newHouse(t, 0)
	all, some, other := h.tracks("bcast"), h.tracks("bcast", "prefix", "lock:", "prefix", "x", "noloop"), h.guest()
	other.ask("set lock:a t px 10000")
	other.ask("set other t px 10000")
	other.ask("del lock:a")
	other.ask("del nothing-there")
	all.hears("all", invalidated("lock:a", "other", "lock:a"))
	some.hears("some", invalidated("lock:a", "lock:a"))
	some.ask("set x t px 10000")
	some.hears("after its own change, with NOLOOP", "")
	all.hears("all", invalidated("x"))
	all.ask("client tracking off")
	other.ask("del x")
	all.hears("with tracking off", "")
	some.hears("some", invalidated("x"))
	some.session.Close()
	if tr := h.engine.tracker; len(tr.prefixes) != 0 || tr.listening.who != 0 {
		t.Errorf("%d prefixes are left and %d listen, want none", len(tr.prefixes), tr.listening.who)
	}
}

func TestAClientOfRESP2HasAnotherConnectionTold(t *testing.T) {
	h := newHouse(t, 0)
	ear, g, other := h.guest(), h.guest(), h.guest()
	ear.ask("subscribe __redis__:invalidate")
	id := strconv.FormatUint(ear.session.conn.ID, 10)
	g.expect([2]string{"client tracking on redirect " + id, ok}, [2]string{"client getredir", ":" + id + "\r\n"}, [2]string{"get k", null2})
	other.ask("set k a px 10000")
	g.hears("who tracks", "")
	ear.hears("whom it redirects to", arrayOf(bulkOf("message"), bulkOf("__redis__:invalidate"), arrayOf(bulkOf("k"))))
	g.ask("get k")
	ear.session.Close()
	other.ask("pexpire k 5000")
	if got := g.ask("client trackinginfo"); !strings.Contains(got, "broken_redirect") {
		t.Errorf("trackinginfo = %q, want that the other is gone", got)
	}
}

func TestInterestsAreBoundedAndNeverForgottenSilently(t *testing.T) {
	h := newHouse(t, 0)
	g := h.tracks()
	long := strings.Repeat("x", 60_000)
	told := 0
	for i := range 200 {
		g.do("get", fmt.Sprint(long, i))
		told += strings.Count(g.hearsAll(), "invalidate")
	}
	told += strings.Count(g.hearsAll(), "invalidate")
	h.engine.tracker.mu.Lock()
	kept := len(g.session.read)
	h.engine.tracker.mu.Unlock()
	if kept+told != 200 || kept < 60 {
		t.Errorf("%d are kept and %d told of, want 200 together and at least 60 kept", kept, told)
	}
	if bytes := g.kept.Load(); bytes > maxInterests || bytes < maxInterests/2 {
		t.Errorf("%d bytes are accounted for, want at most %d", bytes, maxInterests)
	}
	g.session.Close()
	if bytes := g.kept.Load(); bytes != 0 || len(h.engine.tracker.readers) != 0 {
		t.Errorf("%d bytes and %d locks are left, want none", bytes, len(h.engine.tracker.readers))
	}
}

func TestChangesMadeDirectlyInTheStoresAreFoundOut(t *testing.T) {
	h := newHouse(t, 3)
	g := h.tracks()
	h.plant(3, "k", "them")
	if got := g.ask("get k"); got != bulkOf("them") {
		t.Fatalf("get k = %q", got)
	}
	g.ask("get free")
	hears := func(want string) {
		t.Helper()
		got := ""
		h.await(want, func() bool { got += g.heard(); return got != "" })
		if got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
	for _, f := range h.fakes {
		f.Remove("k")
	}
	hears(invalidated("k"))
	h.plant(3, "free", "them")
	hears(invalidated("free"))
}

func TestKeyspaceNotificationsAreRedisOwn(t *testing.T) {
	h := newHouse(t, 0)
	ear, g := h.guest(), h.guest()
	ear.ask("psubscribe __key*")
	g.ask("config set notify-keyspace-events AKE")
	told := func(line string, events ...string) {
		t.Helper()
		g.ask(line)
		want := ""
		for _, e := range events {
			want += arrayOf(bulkOf("pmessage"), bulkOf("__key*"), bulkOf("__keyspace@0__:k"), bulkOf(e)) +
				arrayOf(bulkOf("pmessage"), bulkOf("__key*"), bulkOf("__keyevent@0__:"+e), bulkOf("k"))
		}
		got := ""
		g.ask("publish __key_end x") // behind whatever was posted before
		end := arrayOf(bulkOf("pmessage"), bulkOf("__key*"), bulkOf("__key_end"), bulkOf("x"))
		h.await("the end", func() bool { got += ear.heard(); return strings.HasSuffix(got, end) })
		if got = strings.TrimSuffix(got, end); got != want {
			t.Errorf("%s: heard %q, want %q", line, got, want)
		}
	}
	told("set k a", "set")
	told("expire k 10", "expire")
	told("persist k", "persist")
	told("get k")
	told("set k b ifeq a px 10000", "set", "expire")
	told("del k", "del")
	told("del k")
	told("set k a nx px 10000", "set", "expire")
	told("set k a nx px 10000")
	h.clock.pass(11 * time.Second)
	told("get k", "expired")
	told("hset k f v", "hset")
	told("unlink k", "del")
	told("incr k", "incrby")
	told("incr k", "incrby")
	told("del k", "del")
	told("lock k t px 10000", "set", "expire")
	told("lock k t px 10000")
	told("extend k t px 20000", "expire")
	told("delifeq k x")
	told("unlock k t", "del")
	told("set k a", "set")
	told("pexpire k 1", "expire", "expired")
	told("set k a", "set")
	told("set k a px 1", "set", "expire", "expired")
	told("set k a px 1")
	told("incr k", "incrby")
	told(`eval "for i=1,2000 do redis.call('incr',KEYS[1]) end" 1 k`, "incrby")
	told("del k", "del")
	g.ask("multi")
	g.ask("incr k")
	g.ask(`eval "redis.call('append',KEYS[1],'x') redis.call('incr',KEYS[1])" 1 k`) // raises an error
	told("exec", "incrby")
	g.ask("config set notify-keyspace-events Ex")
	told("del k")
	g.ask(`config set notify-keyspace-events ""`)
	if who := h.engine.tracker.listening.who; who != 0 {
		t.Errorf("%d listen, want nobody", who)
	}
}

// What a client gets is a sequence: after the reply that says so, nothing may come in
// another protocol, or for what it does not subscribe to any more. It would take that for
// the reply to its next command, and each reply from then on for the one before.
func TestNoInvalidationComesBehindTheReplyThatEndsIt(t *testing.T) {
	for _, c := range []struct {
		how      []string
		on, off  string
		starting string // what the client may get only while it is on
	}{
		{[]string{"bcast"}, "hello 3", "hello 2", ">"},
		{[]string{"bcast", "redirect"}, "subscribe __redis__:invalidate", "unsubscribe", "*3\r\n$7\r\nmessage"},
	} {
		h := newHouse(t, 0)
		var mu sync.Mutex
		var got []string // guarded by mu
		note := func(b []byte) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, string(b))
		}
		to := h.engine.Open(Conn{
			ID: 1000, Opened: h.engine.wall(), Keep: func(int) {},
			Push: func(b []byte, _ *atomic.Int64) bool { note(b); return true },
		})
		t.Cleanup(to.Close)
		tell := func(line string) {
			done := make(chan struct{})
			var args [][]byte
			for _, word := range words(t, line) {
				args = append(args, []byte(word))
			}
			to.Begin(args, func(b []byte, _ bool) {
				note([]byte(line))
				close(done)
			})
			<-done
		}
		how := strings.Join(c.how, " ")
		if c.how[len(c.how)-1] == "redirect" {
			h.guest().ask("client tracking on " + how + " 1000")
		} else {
			tell("hello 3")
			tell("client tracking on " + how)
		}
		stop := make(chan struct{})
		var others sync.WaitGroup
		for i := range 2 {
			others.Go(func() {
				for g := h.guest(); ; g.ask(fmt.Sprintf("set k%d a px 10000", i)) {
					select {
					case <-stop:
						return
					default:
					}
				}
			})
		}
		for range 3000 {
			tell(c.on)
			tell(c.off)
		}
		tell(c.on)
		h.await("something to be heard", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return got[len(got)-1] != c.on
		})
		close(stop)
		others.Wait()
		on := true
		for _, b := range got {
			switch {
			case b == c.on, b == c.off:
				on = b == c.on
			case strings.HasPrefix(b, "client"):
			case !on, !strings.HasPrefix(b, c.starting):
				t.Fatalf("%s: heard %q while %q was in force: %t", how, b, c.on, on)
			}
		}
	}
}
