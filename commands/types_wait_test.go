package commands

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// waiting waits until so many clients wait for lists.
func (h *house) waiting(n int) {
	h.t.Helper()
	m := h.engine.commands[waitFor].room
	h.await(strconv.Itoa(n)+" to wait", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		found := map[*waiter]bool{}
		for _, queue := range m.queues {
			for _, w := range queue {
				found[w] = !w.trying
			}
		}
		idle := 0
		for _, calm := range found {
			if calm {
				idle++
			}
		}
		return idle == n && len(found) == n
	})
}

func TestWhoWaitsForAListGetsAnElementInTurn(t *testing.T) {
	for i, push := range []string{
		"rpush list x y z", "rpush list x y z", "eval \"for i,v in ipairs(ARGV) do redis.call('rpush',KEYS[1],v) end\" 1 list x y z",
	} {
		h := newHouse(t, 3*(i%2))
		var replies []<-chan string
		for i := range 4 {
			replies = append(replies, h.guest().begin("blpop", "other", "list", "0"))
			h.waiting(i + 1)
		}
		h.guest().ask(push)
		for i, element := range []string{"x", "y", "z"} {
			if got, want := h.guest().answer(replies[i], push), arrayOf(bulkOf("list"), bulkOf(element)); got != want {
				t.Errorf("%s: waiter %d got %q, want %q", push, i, got, want)
			}
		}
		h.waiting(1)
		h.guest().expect([2]string{"exists list", no}, [2]string{"lpush other last", yes})
		if got, want := h.guest().answer(replies[3], push), arrayOf(bulkOf("other"), bulkOf("last")); got != want {
			t.Errorf("%s: the last waiter got %q, want %q", push, got, want)
		}
	}
}

// Whoever is told of an element takes no other, however often its list is looked at
// meanwhile: the second would be nobody's.
func TestWhoHasAnElementTakesNoOther(t *testing.T) {
	h := newHouse(t, 0)
	m := h.engine.commands[waitFor].room
	stop, lookers := make(chan struct{}), sync.WaitGroup{}
	for range 4 {
		lookers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				m.mu.Lock()
				for name := range m.queues {
					m.dirty[name] = true
				}
				m.mu.Unlock()
				m.serve()
			}
		})
	}
	defer lookers.Wait()
	defer close(stop)
	g, pusher := h.guest(), h.guest()
	for i := range 300 {
		element := strconv.Itoa(i)
		reply := g.begin("blpop", "list", "0")
		pusher.ask("rpush list " + element + " next")
		if got, want := g.answer(reply, "blpop"), arrayOf(bulkOf("list"), bulkOf(element)); got != want {
			t.Fatalf("blpop %d = %q, want %q", i, got, want)
		}
		if got, want := pusher.ask("lpop list"), bulkOf("next"); got != want {
			t.Fatalf("behind element %d: %q, want %q", i, got, want)
		}
	}
}

func TestWhoWaitsIsAnsweredOnceTheTimeIsOver(t *testing.T) {
	h := newHouse(t, 0)
	g := h.guest()
	g.expect([2]string{"brpop list 0.01", noArray}, [2]string{"blpop list list2 0.001", noArray})
	g.ask("hello 3")
	g.expect([2]string{"blpop list 0.01", "_\r\n"})
	h.waiting(0)
}

func TestWhoWaitsHoldsUpOnlyItsOwnConnection(t *testing.T) {
	h := newHouse(t, 0)
	g, other := h.guest(), h.guest()
	popped := g.begin("blpop", "list", "0")
	behind := g.begin("set", "k", "v")
	h.waiting(1)
	other.expect([2]string{"exists k", no}, [2]string{"rpush list a b", ":2\r\n"})
	if got, want := g.answer(popped, "blpop"), arrayOf(bulkOf("list"), bulkOf("a")); got != want {
		t.Errorf("blpop = %q, want %q", got, want)
	}
	if got := g.answer(behind, "set"); got != ok {
		t.Errorf("the command behind it = %q, want %q", got, ok)
	}
	other.expect([2]string{"lrange list 0 -1", arrayOf(bulkOf("b"))})
}

func TestWhoWaitsAndGoesTakesNothing(t *testing.T) {
	h := newHouse(t, 0)
	gone, stays := h.guest(), h.guest()
	lost := gone.begin("blpop", "list", "0")
	h.waiting(1)
	kept := stays.begin("blpop", "list", "0")
	h.waiting(2)
	gone.session.Close()
	gone.answer(lost, "blpop of a client that went")
	h.waiting(1)
	h.guest().ask("lpush list x")
	if got, want := stays.answer(kept, "blpop"), arrayOf(bulkOf("list"), bulkOf("x")); got != want {
		t.Errorf("blpop = %q, want %q", got, want)
	}
}

func TestWhoSendsNoMoreTakesNothing(t *testing.T) {
	h := newHouse(t, 0)
	gone, late := h.guest(), h.guest()
	waits := gone.begin("blpop", "list", "0")
	h.waiting(1)
	gone.session.NoMore()
	late.session.NoMore()
	for what, got := range map[string]string{
		"who waits":                     gone.answer(waits, "blpop"),
		"who begins to wait after that": late.ask("blpop list 0"),
	} {
		if got != noArray {
			t.Errorf("%s, and sends no more: %q, want null", what, got)
		}
	}
	h.waiting(0)
	late.expect([2]string{"rpush list x", yes}, [2]string{"llen list", yes}, [2]string{"brpop list 0", arrayOf(bulkOf("list"), bulkOf("x"))})
}

// What is no list is nothing to who waits already, and an error to who begins to.
func TestWhatIsNoListHoldsUpNobody(t *testing.T) {
	for _, stores := range []int{0, 3} {
		h := newHouse(t, stores)
		other := h.guest()
		first := h.guest().begin("brpop", "p", "q", "0")
		h.waiting(1)
		second := h.guest().begin("blpop", "q", "0")
		h.waiting(2)
		other.expect([2]string{"set p v", ok}, [2]string{"blpop q p 0", errLine(errWrongType)}, [2]string{"rpush q x y", ":2\r\n"})
		if got := other.answer(first, "brpop p q") + other.answer(second, "blpop q"); got != arrayOf(bulkOf("q"), bulkOf("y"))+arrayOf(bulkOf("q"), bulkOf("x")) {
			t.Errorf("they got %q, want an element each, of the end that they asked for", got)
		}
		behind := h.guest().begin("blpop", "p", "list", "0.001")
		if got := other.answer(behind, "blpop p list"); got != errLine(errWrongType) {
			t.Errorf("whoever begins to wait for what is no list gets %q, want an error", got)
		}
	}
}

// The reply to who tracks is given with a mutex held that what comes behind it takes.
func TestWhoTracksMayWaitAndGoOn(t *testing.T) {
	for behind, want := range map[string]string{"get k": "_\r\n", "reset": "+RESET\r\n", "subscribe x": ">3\r\n" + bulkOf("subscribe") + bulkOf("x") + yes, "blpop list 0": arrayOf(bulkOf("list"), bulkOf("y"))} {
		h := newHouse(t, 0)
		g, other := h.tracks(), h.guest()
		reply := g.begin("blpop", "list", "0")
		h.waiting(1)
		next := g.begin(words(t, behind)...)
		other.expect([2]string{"rpush list x y", ":2\r\n"})
		if got := g.answer(reply, "blpop"); got != arrayOf(bulkOf("list"), bulkOf("x")) {
			t.Errorf("blpop = %q", got)
		}
		if got := g.answer(next, behind); got != want {
			t.Errorf("%s behind it = %q, want %q", behind, got, want)
		}
	}
}

func TestATransactionWakesWhoWaits(t *testing.T) {
	h := newHouse(t, 0)
	g, pusher := h.guest(), h.guest()
	reply := g.begin("brpop", "list", "0")
	h.waiting(1)
	for _, line := range []string{"multi", "rpush list a b", "lrem list 1 a", "exec"} {
		pusher.ask(line)
	}
	if got, want := g.answer(reply, "brpop"), arrayOf(bulkOf("list"), bulkOf("b")); got != want {
		t.Errorf("brpop = %q, want %q", got, want)
	}
	pusher.expect([2]string{"exists list", no})
}

func TestAListThatPeersMayChangeIsReadAgain(t *testing.T) {
	h := newHouse(t, 3)
	g := h.guest()
	reply := g.begin("blpop", "list", "5")
	h.waiting(1)
	h.plant(3, "list", string(encodeItems(listShape, []item{{key: []byte("theirs")}}))+"~"+strings.Repeat("0", 15)+"7."+strings.Repeat("0", 15)+"7")
	if got, want := g.answer(reply, "blpop"), arrayOf(bulkOf("list"), bulkOf("theirs")); got != want {
		t.Errorf("blpop = %q, want %q", got, want)
	}
}

func TestWhatCannotWaitSaysWhy(t *testing.T) {
	g := newHouse(t, 0).guest()
	g.ask("set text x")
	g.expect(
		[2]string{"blpop text 0", errLine(errWrongType)},
		[2]string{"blpop none text 1", errLine(errWrongType)},
		[2]string{"blpop list x", errLine("ERR timeout is not a float or out of range")},
		[2]string{"blpop list -1", errLine("ERR timeout is negative")},
		[2]string{"blpop list 1e30", errLine("ERR timeout is out of range")},
		[2]string{"blpop list", errLine("ERR wrong number of arguments for 'blpop' command")},
		[2]string{"eval \"return redis.pcall('blpop','list',0).err\" 0", bulkOf("ERR This Redis command is not allowed from script")},
	)
}

func TestATimeoutIsRead(t *testing.T) {
	for text, want := range map[string]time.Duration{"1": time.Second, "0.0001": time.Millisecond, "1.5": 1500 * time.Millisecond, "1e10": 1<<63 - 1, "0": 1<<63 - 1} {
		if got, wrong := parseTimeout([]byte(text)); got != want || wrong != "" {
			t.Errorf("parseTimeout(%s) = %v, %q, want %v", text, got, wrong, want)
		}
	}
}

func TestAWaitIsEndedByAnotherConnection(t *testing.T) {
	for _, c := range []struct{ how, want string }{{"", noArray}, {" timeout", noArray}, {" ERROR", errLine(errUnblocked)}} {
		h := newHouse(t, 0)
		sleeper, other := h.guest(), h.guest()
		other.expect([2]string{"client unblock 1" + c.how, no})
		reply := sleeper.begin("blpop", "list", "0")
		h.waiting(1)
		if info, list := other.ask("info clients"), other.ask("client list id 1"); !strings.Contains(info, "blocked_clients:1\r\n") || !strings.Contains(list, " flags=b ") {
			t.Errorf("while one waits: %q, %q", info, list)
		}
		other.expect([2]string{"client unblock 1" + c.how, yes})
		if got := sleeper.answer(reply, "blpop"); got != c.want {
			t.Errorf("client unblock%s: blpop = %q, want %q", c.how, got, c.want)
		}
		other.expect([2]string{"rpush list x", yes}, [2]string{"llen list", yes})
		if info := other.ask("info clients"); !strings.Contains(info, "blocked_clients:0\r\n") {
			t.Errorf("when nobody waits: %q", info)
		}
	}
}

func TestAnAlarmRingsOnceAndAsSoonAsItMay(t *testing.T) {
	for _, c := range []struct {
		what  string
		do    func(a *alarm) (stopped bool)
		stops bool
		rings int32
	}{
		{"its time is over", func(a *alarm) bool { a.set(0); return false }, false, 1},
		{"stopped", func(a *alarm) bool { a.set(time.Hour); return a.stop(nil) }, true, 1},
		{"stopped before it is set", func(a *alarm) bool { defer a.set(time.Hour); return a.stop(nil) }, true, 1},
		{"stopped twice", func(a *alarm) bool { a.set(time.Hour); a.stop(nil); return a.stop(nil) }, false, 1},
		{"stopped twice before it is set", func(a *alarm) bool {
			defer a.set(time.Hour)
			a.stop(nil)
			return a.stop(nil)
		}, false, 1},
		{"cancelled", func(a *alarm) bool { a.set(time.Hour); a.cancel(); return a.stop(nil) }, false, 0},
		{"cancelled before it is set", func(a *alarm) bool { a.cancel(); a.set(0); return a.stop(nil) }, false, 0},
		{"stopped and cancelled before it is set", func(a *alarm) bool {
			defer a.set(0)
			defer a.cancel()
			return a.stop(nil)
		}, true, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			var rung atomic.Int32
			a := &alarm{ring: func() { rung.Add(1) }}
			stopped := c.do(a)
			<-time.After(2 * time.Hour) // of the bubble's time
			if n := rung.Load(); n != c.rings || stopped != c.stops {
				t.Errorf("%s: rung %d times, want %d; the last stop says %t, want %t", c.what, n, c.rings, stopped, c.stops)
			}
		})
	}
}

// What is there when it is asked for is got, however short the time is.
func TestWhoWaitsAMomentGetsWhatIsThere(t *testing.T) {
	h := newHouse(t, 3)
	g, other := h.guest(), h.guest()
	for range 200 {
		other.ask("rpush list x")
		g.expect([2]string{"blpop list 0.001", arrayOf(bulkOf("list"), bulkOf("x"))})
	}
}

// CLIENT UNBLOCK sees a client as waiting from its very beginning, and until its end.
func TestWhoIsSaidToBeUnblockedIs(t *testing.T) {
	h := newHouse(t, 0)
	g, other := h.guest(), h.guest()
	for range 2000 {
		var both sync.WaitGroup
		both.Go(func() {
			for other.do("client", "unblock", "1") == no {
			}
		})
		if got := g.do("blpop", "list", "0"); got != noArray {
			t.Fatalf("blpop = %q, want that it is unblocked", got)
		}
		both.Wait()
	}
}
