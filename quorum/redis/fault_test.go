package redis

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

func TestABabblerIsNoStore(t *testing.T) {
	for what, babble := range map[string]string{
		"a web server":     "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
		"a huge bulk":      "$9223372036854775807\r\n",
		"a huge array":     "*1152921504606846976\r\n",
		"endless nesting":  strings.Repeat("*1\r\n", 1<<20),
		"an endless line":  "+" + strings.Repeat("x", 1<<20),
		"zeros":            strings.Repeat("\x00", 1<<10),
		"bare line ends":   "\n\n\n\n",
		"one wrong answer": "+PONG\r\n",
	} {
		addr := serve(t, func(conn net.Conn) {
			pump(conn, func([]byte) error {
				_, err := conn.Write([]byte(babble))
				return err
			})
		})
		start := time.Now()
		_, err := mustOpen(t, "redis://"+addr).Connect(t.Context())
		if took := time.Since(start); err == nil || took > patience/2 {
			t.Errorf("connect to %s: error %v after %v, want one at once", what, err, took)
		}
	}
}

func TestABlackHoleHoldsNobodyUp(t *testing.T) {
	addr := serve(t, func(conn net.Conn) { pump(conn, func([]byte) error { return nil }) })
	for _, scheme := range []string{"redis://", "rediss://"} {
		store := mustOpen(t, scheme+addr)
		for what, ask := range map[string]func(context.Context) error{
			"connect": func(ctx context.Context) error { _, err := store.Connect(ctx); return err },
			"facts":   func(ctx context.Context) error { _, err := store.Facts(ctx); return err },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			start := time.Now()
			err := ask(ctx)
			cancel()
			if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took > 5*time.Second {
				t.Errorf("%s to %sa black hole: %v after %v, want a deadline exceeded after 50ms", what, scheme, err, took)
			}
		}
	}
}

func TestCloseFreesWhoeverWaits(t *testing.T) {
	server := storetest.StartRedis(t)
	middle := relayTo(t, server.Addr())
	store := mustOpen(t, "redis://"+middle.addr)
	mustConnect(t, store)
	sent := make(chan struct{})
	middle.onRequest(func(net.Conn, []byte) bool {
		close(sent)
		return false
	})
	done := make(chan error, 1)
	go func() {
		done <- store.Do(t.Context(), []quorum.Request{read("orders")}, make([]quorum.Vote, 1))
	}()
	<-sent
	store.Close()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a closed store answered")
		}
	case <-time.After(patience / 2):
		t.Fatalf("Do still waits %v after Close", patience/2)
	}
}

func TestAConnectionOutlivesTheTimeItWasOpenedIn(t *testing.T) {
	server := storetest.StartRedis(t)
	store := mustOpen(t, "redis://"+server.Addr())
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := store.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	do(t, store, read("orders"))
}

func TestADoneContextCostsNoConnection(t *testing.T) {
	server := storetest.StartRedis(t)
	store := mustOpen(t, "redis://"+server.Addr())
	mustConnect(t, store)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 {
		if err := store.Do(ctx, []quorum.Request{read("orders")}, make([]quorum.Vote, 1)); err != nil {
			t.Errorf("with a context that is done: %v, want the connection kept", err)
		}
	}
	do(t, store, read("orders"))
}

func TestNoBatchIsSentTwice(t *testing.T) {
	server := storetest.StartRedis(t)
	middle := relayTo(t, server.Addr())
	store := mustOpen(t, "redis://"+middle.addr)
	for _, reply := range []string{
		"-LOADING Redis is loading the dataset in memory\r\n", // go-redis would send all of it again
		"-READONLY You can't write against a read only replica.\r\n",
		"-MASTERDOWN Link with MASTER is down\r\n",
		"-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
		"-CLUSTERDOWN The cluster is down\r\n",
		"-ERR max number of clients reached\r\n",
	} {
		mustConnect(t, store)
		sent := 0
		middle.onRequest(func(net.Conn, []byte) bool { sent++; return true })
		middle.onReply(func(whole []byte) []byte { return append([]byte(reply), clockIn(whole)...) })
		votes := make([]quorum.Vote, 1)
		store.Do(t.Context(), []quorum.Request{swap("orders", nil, version(1))}, votes)
		middle.onRequest(nil)
		middle.onReply(nil)
		if sent != 1 || votes[0].Verdict != quorum.Silent || votes[0].Err == nil {
			t.Errorf("answered %q: sent %d times, vote %+v, want once, silent", reply, sent, votes[0])
		}
	}
}

func TestAHangUpBetweenBatchesIsNoticedBeforeAnythingIsSent(t *testing.T) {
	server := storetest.StartRedis(t)
	store := mustOpen(t, "redis://"+server.Addr())
	mustConnect(t, store)
	server.Kill()
	votes := make([]quorum.Vote, 2)
	err := store.Do(t.Context(), []quorum.Request{read("orders"), read("parcels")}, votes)
	if err == nil || !votes[0].Unsent || !votes[1].Unsent {
		t.Errorf("votes %+v, error %v, want unsent", votes, err)
	}
}

func TestAnswersThatCameCountAndNothingIsSentTwice(t *testing.T) {
	for _, scripted := range []bool{false, true} {
		server := storetest.StartRedis(t)
		middle := relayTo(t, server.Addr())
		store := mustOpen(t, "redis://"+middle.addr)
		store.scripted = scripted
		mustConnect(t, store)
		direct := byHand(t, server)
		direct.ConfigResetStat(t.Context())
		// One whole answer comes through, and a piece of the next.
		middle.onReply(func(reply []byte) []byte { return reply[:bytes.IndexByte(reply, '\n')+3] })
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		votes := make([]quorum.Vote, 3)
		err := store.Do(ctx, []quorum.Request{
			swap("orders", nil, version(1)), swap("parcels", nil, version(1)), read("orders"),
		}, votes)
		cancel()
		if err == nil || votes[0].Verdict != quorum.Granted {
			t.Errorf("scripted %t: first vote %+v, error %v, want granted and an error", scripted, votes[0], err)
		}
		for _, v := range votes[1:] {
			if v.Verdict != quorum.Silent || v.Err == nil || v.Unsent {
				t.Errorf("scripted %t: vote %+v, want silent with an error, and not unsent", scripted, v)
			}
		}
		sent := direct.Info(t.Context(), "commandstats").Val()
		set, evalsha := "cmdstat_set:calls=2,", "cmdstat_evalsha:calls=1,"
		if scripted {
			evalsha = "cmdstat_evalsha:calls=3,"
		}
		if !strings.Contains(sent, set) || !strings.Contains(sent, evalsha) {
			t.Errorf("scripted %t: the server counts\n%s, want %s and %s", scripted, sent, set, evalsha)
		}
	}
}

func TestGarbageEndsTheConnection(t *testing.T) {
	server := storetest.StartRedis(t)
	middle := relayTo(t, server.Addr())
	store := mustOpen(t, "redis://"+middle.addr)
	for _, garbage := range []string{
		"garbage\r\n", "+OK\r\n", ":1\r\n", "*3\r\n:1\r\n:2\r\n:3\r\n", "*2\r\n:1\r\n:2\r\n",
		"$-1\r\n$-1\r\n", "$-1\r\n:", "$-1\r\n$5\r\nab", "*-1\r\n*2\r\n:1\r\n",
	} {
		mustConnect(t, store)
		middle.onReply(func(reply []byte) []byte { return append([]byte(garbage), clockIn(reply)...) })
		votes := make([]quorum.Vote, 1)
		err := store.Do(t.Context(), []quorum.Request{read("orders")}, votes)
		if err == nil || votes[0].Verdict != quorum.Silent || votes[0].Err == nil {
			t.Errorf("%q for an answer to a read: %s, found %v, errors %v and %v, want silent and dead",
				garbage, votes[0].Verdict, votes[0].Found, votes[0].Err, err)
		}
		middle.onReply(nil)
	}
}

// TestALateRequestIsNotCarriedOut holds a swap back on its way, as a network may,
// and lets it go once the next connection is there.
func TestALateRequestIsNotCarriedOut(t *testing.T) {
	server := storetest.StartRedis(t)
	middle := relayTo(t, server.Addr())
	store := mustOpen(t, "redis://"+middle.addr)
	mustConnect(t, store)
	release := make(chan func(), 1)
	middle.onRequest(func(upstream net.Conn, request []byte) bool {
		held := bytes.Clone(request)
		// A connection of its own, so that the relay's closing does not end it.
		file, err := upstream.(*net.TCPConn).File()
		if err != nil {
			t.Errorf("hold a connection: %v", err)
			return true
		}
		release <- func() {
			file.Write(held) // fails if the server has hung up, as it should have
			file.Close()
		}
		return false
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	votes := make([]quorum.Vote, 1)
	if err := store.Do(ctx, []quorum.Request{swap("orders", nil, version(1))}, votes); err == nil {
		t.Fatal("an answer to a request that never arrived")
	}
	middle.onRequest(nil)
	mustConnect(t, store)
	(<-release)()
	for range 100 {
		err := store.Do(t.Context(), []quorum.Request{read("orders")}, votes)
		if err != nil || votes[0].Found != nil {
			t.Fatalf("found %+v, error %v, want nothing: the request was carried out late", votes[0].Found, err)
		}
	}
}

func TestOnlyTheSameRunsConnectionIsKilled(t *testing.T) {
	for _, c := range []struct {
		what       string
		ghost, now session
		want       int64
	}{
		{"the first connection", session{}, session{id: 5, runID: "a"}, nobody},
		{"the same run", session{id: 5, runID: "a", replID: "x"}, session{id: 9, runID: "a", replID: "y"}, 5},
		{"another run", session{id: 5, runID: "a", replID: "x"}, session{id: 9, runID: "b", replID: "x"}, nobody},
		{"no run ids", session{id: 5, replID: "x"}, session{id: 9, replID: "x"}, 5},
		{"no run ids, other data", session{id: 5, replID: "x"}, session{id: 9, replID: "y"}, nobody},
	} {
		if got := c.ghost.in(c.now); got != c.want {
			t.Errorf("%s: kill %d, want %d", c.what, got, c.want)
		}
	}
}
