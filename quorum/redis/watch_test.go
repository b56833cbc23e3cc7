package redis

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

// A lookout is a Watch under way and what it told.
type lookout struct {
	t    *testing.T
	told chan string
	err  chan error
}

// lookOut watches until the test ends. What it tells first is taken already.
func lookOut(t *testing.T, store *Store) *lookout {
	t.Helper()
	l := startLookout(t, store)
	if first := l.next(); first != "" {
		t.Fatalf("told of %q first, want \"\"", first)
	}
	return l
}

func startLookout(t *testing.T, store *Store) *lookout {
	t.Helper()
	l := &lookout{t: t, told: make(chan string, 1<<16), err: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.err <- store.Watch(ctx, func(name string) {
			select {
			case l.told <- name:
			case <-ctx.Done(): // a test that failed takes no more
			}
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return l
}

// next returns the name that is told next.
func (l *lookout) next() string {
	l.t.Helper()
	select {
	case name := <-l.told:
		return name
	case err := <-l.err:
		l.t.Fatalf("the watch ended: %v", err)
	case <-time.After(10 * time.Second):
		l.t.Fatal("nothing is told within 10s")
	}
	return ""
}

// until returns what is told before a name.
func (l *lookout) until(name string) (before []string) {
	l.t.Helper()
	for {
		got := l.next()
		if got == name {
			return before
		}
		before = append(before, got)
	}
}

// fails wants the watch to end by itself, with an error that says why.
func (l *lookout) fails(what, want string) {
	l.t.Helper()
	select {
	case err := <-l.err:
		if err == nil || !strings.Contains(err.Error(), want) {
			l.t.Errorf("%s: the watch ended with %v, want %q in it", what, err, want)
		}
	case <-time.After(10 * time.Second):
		l.t.Fatalf("%s: the watch goes on", what)
	}
}

// quiet wants nothing to be told of what happened so far.
func (l *lookout) quiet(what string, store *Store, direct *redis.Client) {
	l.t.Helper()
	l.checked(store)
	if told := l.upTo("sentinel", store, direct); len(told) > 0 {
		l.t.Errorf("%s: told of %q, want nothing", what, told)
	}
}

// checked waits until all that Do left is looked at.
func (l *lookout) checked(store *Store) {
	l.t.Helper()
	store.mu.Lock()
	own := store.watcher.own
	store.mu.Unlock()
	storetest.Eventually(l.t, "all of our own is checked", func() bool {
		own.mu.Lock()
		defer own.mu.Unlock()
		return len(own.traces) == 0
	})
}

// upTo has a lock of ours deleted by somebody else, and returns what is told before
// that.
func (l *lookout) upTo(name string, store *Store, direct *redis.Client) (before []string) {
	l.t.Helper()
	do(l.t, store, swap(name, nil, version(99)))
	l.checked(store)
	const script = "redis.call('SELECT', ARGV[1]) return redis.call('DEL', KEYS[1])"
	if n, err := direct.Eval(l.t.Context(), script, []string{name}, store.target.db).Int(); n != 1 || err != nil {
		l.t.Fatalf("delete %s: %d deleted, %v", name, n, err)
	}
	return l.until(name)
}

// breadths has a test done with a watch of what was looked at, and with a broad one.
func breadths(t *testing.T, test func(t *testing.T, server *storetest.Server, store *Store)) {
	for _, broad := range []bool{false, true} {
		t.Run(fmt.Sprintf("broad=%t", broad), func(t *testing.T) {
			server := storetest.StartRedis(t)
			store := mustOpen(t, "redis://"+server.Addr())
			store.flooded = broad
			mustConnect(t, store)
			test(t, server, store)
		})
	}
}

func TestWhatOthersDoIsTold(t *testing.T) { breadths(t, testWhatOthersDoIsTold) }

func testWhatOthersDoIsTold(t *testing.T, server *storetest.Server, store *Store) {
	direct := byHand(t, server)
	l := lookOut(t, store)
	for _, act := range []string{
		"DEL orders",
		"UNLINK orders",
		"GETDEL orders",
		"SET orders theirs",
		"SET orders theirs PX 60000",
		"APPEND orders more",
		"RENAME orders another",
		"PEXPIRE orders 1000000",
		"PEXPIRE orders 1",
		"EVAL return(redis.call('DEL',KEYS[1])) 1 orders",
	} {
		do(t, store, swap("orders", nil, version(1)))
		l.quiet("before "+act, store, direct)
		if err := direct.Do(t.Context(), words(act)...).Err(); err != nil {
			t.Fatalf("%s: %v", act, err)
		}
		if told := l.until("orders"); len(told) > 0 && told[0] != "another" {
			t.Errorf("%s: told of %q before orders", act, told)
		}
		direct.Del(t.Context(), "orders", "another") // told of those that are still there
		l.upTo("next", store, direct)
	}
	for _, flush := range []string{"FLUSHALL", "FLUSHDB"} {
		if err := direct.Do(t.Context(), flush).Err(); err != nil {
			t.Fatalf("%s: %v", flush, err)
		}
		l.until("")
	}
}

func words(s string) []any {
	var all []any
	for _, word := range strings.Fields(s) {
		all = append(all, word)
	}
	return all
}

func TestACopyThatRunsOutIsTold(t *testing.T) {
	breadths(t, func(t *testing.T, _ *storetest.Server, store *Store) {
		l := lookOut(t, store)
		short := swap("orders", nil, version(1))
		short.TTL = 50 * time.Millisecond
		do(t, store, short)
		if told := l.next(); told != "orders" {
			t.Errorf("told of %q, want orders", told)
		}
	})
}

// What Do finds in its place is watched from then on as if it had been put there
// just now: after a watch begins, that is all that is asked for.
func TestWhatDoFindsIsWatched(t *testing.T) {
	breadths(t, func(t *testing.T, server *storetest.Server, store *Store) {
		direct := byHand(t, server)
		do(t, store, swap("orders", nil, version(1)))
		l := lookOut(t, store)
		do(t, store, swap("orders", nil, version(1)))
		l.checked(store)
		direct.Del(t.Context(), "orders")
		if told := l.next(); told != "orders" {
			t.Errorf("told of %q, want orders", told)
		}
		// Each time it is found.
		do(t, store, swap("orders", nil, version(1)))
		l.quiet("put back", store, direct)
		direct.Del(t.Context(), "orders")
		if told := l.until("orders"); len(told) > 1 {
			t.Errorf("told of %q before orders", told)
		}
	})
}

func TestAnEvictionIsTold(t *testing.T) {
	server := storetest.StartRedis(t, "--maxmemory-policy", "volatile-ttl")
	direct := byHand(t, server)
	store := mustOpen(t, "redis://"+server.Addr())
	mustConnect(t, store)
	l := lookOut(t, store)
	do(t, store, swap("orders", nil, version(1)))
	l.quiet("before the eviction", store, direct)
	if err := direct.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatalf("fill the memory: %v", err)
	}
	direct.Set(t.Context(), "parcels", "theirs", 0) // refused for want of memory, once all that may be evicted is
	if told := l.until("orders"); len(told) > 1 {
		t.Errorf("told of %q before orders", told)
	}
}

func TestOurOwnIsNotTold(t *testing.T) {
	forms(t, func(t *testing.T, server *storetest.Server, store *Store) {
		direct := byHand(t, server)
		l := lookOut(t, store)
		restored := swap("orders", version(4), &quorum.Copy{Value: []byte("theirs")})
		for round := range 50 {
			do(t, store, swap("orders", nil, version(1)), swap("parcels", nil, version(1)))
			do(t, store, swap("orders", version(1), version(2)))
			do(t, store, swap("orders", version(2), version(3)), swap("orders", version(3), version(4)),
				swap("parcels", version(2), nil), swap("parcels", version(1), nil))
			do(t, store, restored, read("orders"))
			if round%10 == 5 {
				l.quiet("half way", store, direct)
				mustConnect(t, store)
			}
			do(t, store, swap("orders", restored.Next, nil), swap("parcels", nil, nil))
		}
		l.quiet("in the end", store, direct)
	})
}

// What others do in the same moment as we is reported together with it. The relay
// slips a command in behind ours, so that both come at once.
func TestWhatOthersDoBesideUsIsTold(t *testing.T) { breadths(t, testWhatOthersDoBesideUsIsTold) }

func testWhatOthersDoBesideUsIsTold(t *testing.T, server *storetest.Server, store *Store) {
	middle := relayTo(t, server.Addr())
	store.target.addr = middle.addr
	mustConnect(t, store)
	direct := byHand(t, server)
	store.target.addr = server.Addr() // the watch goes past the relay
	l := lookOut(t, store)
	do(t, store, swap("parcels", nil, version(1)))
	l.quiet("before", store, direct)
	for _, c := range []struct {
		ours   quorum.Request
		theirs []string
		told   bool
	}{
		{swap("orders", nil, version(1)), []string{"DEL", "orders"}, true},
		{swap("orders", nil, version(1)), []string{"SET", "orders", "theirs"}, true},
		{swap("parcels", version(1), version(2)), []string{"DEL", "parcels"}, true},
		{swap("parcels", nil, version(3)), []string{"DEL", "orders"}, true}, // the one from two lines above
		{swap("parcels", version(2), nil), []string{"DEL", "parcels"}, true},
		{swap("orders", nil, version(4)), []string{"GET", "orders"}, false},
	} {
		slip := appendCommand(nil, c.theirs...)
		middle.onRequest(func(upstream net.Conn, request []byte) bool {
			upstream.Write(append(bytes.Clone(request), slip...)) // what fails is seen by the reader
			return false
		})
		middle.onReply(func(reply []byte) []byte {
			end := bytes.LastIndex(reply, []byte("*2\r\n$10\r\n"))
			clock := 0
			for range 5 { // the lines of an answer to TIME
				clock += bytes.IndexByte(reply[end+clock:], '\n') + 1
			}
			return reply[:end+clock]
		})
		do(t, store, c.ours)
		middle.onRequest(nil)
		middle.onReply(nil)
		what := fmt.Sprintf("%s beside %v", c.ours.Name, c.theirs)
		if c.told {
			if told := l.next(); told != c.theirs[1] {
				t.Errorf("%s: told of %q, want %q", what, told, c.theirs[1])
			}
		}
		l.quiet(what, store, direct)
	}
}

// TestABatchUnderWayWhenTheWatchBeginsIsOurOwn holds a batch back until the watch
// has come as far as it can.
func TestABatchUnderWayWhenTheWatchBeginsIsOurOwn(t *testing.T) {
	server := storetest.StartRedis(t)
	middle := relayTo(t, server.Addr())
	store := mustOpen(t, "redis://"+middle.addr)
	mustConnect(t, store)
	direct := byHand(t, server)
	release := make(chan func(), 1)
	middle.onRequest(func(upstream net.Conn, request []byte) bool {
		held := bytes.Clone(request)
		release <- func() { upstream.Write(held) } // what fails is seen by the reader
		return false
	})
	done := make(chan error, 1)
	go func() {
		done <- store.Do(context.Background(), []quorum.Request{swap("orders", nil, version(1))}, make([]quorum.Vote, 1))
	}()
	send := <-release
	middle.onRequest(nil)
	l := startLookout(t, store)
	storetest.Eventually(t, "the watch is connected", func() bool {
		return strings.Contains(direct.ClientList(t.Context()).Val(), "cmd=getrange")
	})
	send()
	if err := <-done; err != nil {
		t.Fatalf("do: %v", err)
	}
	if told := l.until(""); len(told) > 0 {
		t.Errorf("told of %q before anything is watched", told)
	}
	l.quiet("begun before the watch", store, direct)
}
