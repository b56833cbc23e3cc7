package redis

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

func TestTheWatchFailsWithItsConnection(t *testing.T) {
	for what, end := range map[string]func(t *testing.T, server *storetest.Server, store *Store){
		"killed": func(t *testing.T, server *storetest.Server, _ *Store) {
			direct := byHand(t, server)
			for line := range strings.Lines(direct.ClientList(t.Context()).Val()) {
				_, flags, _ := strings.Cut(line, " flags=")
				flags, _, _ = strings.Cut(flags, " ")
				if !strings.Contains(flags, "t") { // it tracks
					continue
				}
				id, _, _ := strings.Cut(strings.TrimPrefix(line, "id="), " ")
				if n, err := direct.ClientKillByFilter(t.Context(), "ID", id).Result(); err != nil || n != 1 {
					t.Fatalf("kill connection %s: %d killed, %v", id, n, err)
				}
			}
		},
		"restarted": func(_ *testing.T, server *storetest.Server, _ *Store) { server.Restart() },
		"closed":    func(_ *testing.T, _ *storetest.Server, store *Store) { store.Close() },
	} {
		server := storetest.StartRedis(t)
		store := mustOpen(t, "redis://"+server.Addr())
		mustConnect(t, store)
		l := lookOut(t, store)
		end(t, server, store)
		l.fails(what, "watch redis "+server.Addr())
		if what == "closed" {
			startLookout(t, store).fails("closed before", "closed")
			continue
		}
		mustConnect(t, store)
		again := lookOut(t, store) // which tells that something may have been missed
		if told := again.upTo("orders", store, byHand(t, server)); len(told) > 0 {
			t.Errorf("watched again after it was %s: told of %q before orders", what, told)
		}
	}
}

func TestTheWatchEndsWithItsContext(t *testing.T) {
	server := storetest.StartRedis(t)
	store := mustOpen(t, "redis://"+server.Addr())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- store.Watch(ctx, func(string) { cancel() })
	}()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "canceled") {
			t.Errorf("ended with %v, want canceled", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the watch goes on after its context was done")
	}
}

func TestAnotherRunAtTheAddressEndsTheWatch(t *testing.T) {
	first, second := storetest.StartRedis(t), storetest.StartRedis(t)
	store := mustOpen(t, "redis://"+first.Addr())
	mustConnect(t, store)
	l := lookOut(t, store)
	mustConnect(t, store)
	l.quiet("connected again", store, byHand(t, first))
	store.target.addr = second.Addr()
	mustConnect(t, store)
	l.fails("another server", "connection lost")
}

// A server that forgets what was looked at, for want of room, tells of it as if
// it had changed: then it is to report everything.
func TestAfterAFloodTheWatchIsBroad(t *testing.T) {
	server := storetest.StartRedis(t)
	store := mustOpen(t, "redis://"+server.Addr())
	mustConnect(t, store)
	direct := byHand(t, server)
	l := lookOut(t, store)
	var requests []quorum.Request
	for i := range maxFlood + 1 {
		requests = append(requests, swap(fmt.Sprint("lock", i), nil, version(1)))
	}
	for some := range slices.Chunk(requests, 1000) {
		do(t, store, some...)
	}
	l.checked(store)
	direct.Set(t.Context(), "a stranger's", "theirs", 0)
	if told := l.upTo("orders", store, direct); len(told) > 0 {
		t.Errorf("told of %q, want nothing before orders", told)
	}
	var names []string
	for _, r := range requests {
		names = append(names, r.Name)
	}
	if n, err := direct.Unlink(t.Context(), names...).Result(); err != nil || int(n) != len(names) {
		t.Fatalf("unlink: %d of %d, %v", n, len(names), err)
	}
	l.fails("a flood", "more than 10000 names a second")
	again := lookOut(t, store)
	direct.Set(t.Context(), "a stranger's", "theirs", 0)
	if told := again.next(); told != "a stranger's" {
		t.Errorf("told of %q, want what a stranger wrote", told)
	}
}

func TestAFloodEndsTheWatch(t *testing.T) {
	server := storetest.StartRedis(t)
	store := mustOpen(t, "redis://"+server.Addr())
	store.flooded = true
	mustConnect(t, store)
	direct := byHand(t, server)
	write := func(names int) {
		t.Helper()
		pairs := make([]any, 0, 2*names)
		for i := range names {
			pairs = append(pairs, fmt.Sprint("lock", i), "theirs")
		}
		if err := direct.MSet(t.Context(), pairs...).Err(); err != nil {
			t.Fatalf("write %d names: %v", names, err)
		}
	}
	l := lookOut(t, store)
	write(maxFlood - 1)
	direct.Set(t.Context(), "orders", "theirs", 0)
	if told := l.until("orders"); len(told) != maxFlood-1 {
		t.Errorf("told of %d names, want %d", len(told), maxFlood-1)
	}
	write(maxFlood + 1)
	l.fails("a flood", "more than 10000 names a second")
}

func TestOurOwnIsNoFlood(t *testing.T) {
	server := storetest.StartRedis(t)
	store := mustOpen(t, "redis://"+server.Addr())
	mustConnect(t, store)
	l := lookOut(t, store)
	requests := make([]quorum.Request, 0, 1000)
	for i := range 500 {
		name := fmt.Sprint("lock", i)
		requests = append(requests, swap(name, nil, version(1)), swap(name, version(1), nil))
	}
	for range 60 {
		do(t, store, requests...)
	}
	l.quiet("30,000 locks taken and released", store, byHand(t, server))
}

func TestNamesOfAnyKindAreTold(t *testing.T) {
	server := storetest.StartRedis(t)
	store := mustOpen(t, "redis://"+server.Addr())
	store.flooded = true
	mustConnect(t, store)
	direct := byHand(t, server)
	l := lookOut(t, store)
	names := []string{"a b", "\r\n", "\x00", "$5\r\n", ">2", strings.Repeat("n", maxName)}
	for _, name := range append(names, probeName, strings.Repeat("n", maxName+1), strings.Repeat("m", 1<<20), "last") {
		if err := direct.Set(t.Context(), name, "theirs", 0).Err(); err != nil {
			t.Fatalf("set %.20q: %v", name, err)
		}
	}
	if told := l.until("last"); !slices.Equal(told, names) {
		t.Errorf("told of %.200q, want %.200q", told, names)
	}
}

func TestTheWatchLogsInAsTheStoreDoes(t *testing.T) {
	server := storetest.StartRedis(t)
	direct := byHand(t, server)
	certificate := selfSigned(t)
	encrypted := forwardTLS(t, server.Addr(), certificate)
	for _, command := range [][]any{
		{"ACL", "SETUSER", "locker", "on", ">p@ss", "~*", "&*", "+@all"},
		{"ACL", "SETUSER", "blind", "on", ">p@ss", "~*", "&*", "+@all", "-client|tracking"},
		{"ACL", "SETUSER", "mute", "on", ">p@ss", "~*", "&*", "+@all", "-getrange"},
		{"CONFIG", "SET", "requirepass", "se/cret"},
	} {
		if err := direct.Do(t.Context(), command...).Err(); err != nil {
			t.Fatalf("%v: %v", command, err)
		}
	}
	for _, url := range []string{
		"redis://:se%2Fcret@" + server.Addr(),
		"redis://locker:p%40ss@" + server.Addr() + "/2",
		"rediss://locker:p%40ss@" + encrypted + "/3",
	} {
		store := mustOpen(t, url)
		if store.target.tls != nil {
			store.target.tls.RootCAs = x509.NewCertPool()
			store.target.tls.RootCAs.AddCert(certificate.Leaf)
		}
		mustConnect(t, store)
		l := lookOut(t, store)
		do(t, store, swap("orders", nil, version(1)))
		l.quiet("logged in as "+store.target.user, store, direct)
	}
	for url, want := range map[string]string{
		"redis://" + server.Addr():                        "NOAUTH",
		"redis://:wrongword@" + server.Addr():             "WRONGPASS",
		"redis://blind:p%40ss@" + server.Addr():           "CLIENT TRACKING: NOPERM",
		"redis://mute:p%40ss@" + server.Addr():            "GETRANGE: NOPERM",
		"redis://locker:p%40ss@" + server.Addr() + "/999": "out of range",
	} {
		startLookout(t, mustOpen(t, url)).fails(url, want)
	}
}

func TestAServerThatRepeatsAPasswordIsNotQuoted(t *testing.T) {
	addr := serve(t, func(conn net.Conn) {
		pump(conn, func([]byte) error {
			_, err := conn.Write([]byte("-ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' 'secret' \r\n"))
			return err
		})
	})
	err := mustOpen(t, "redis://:secret@"+addr).Watch(t.Context(), func(string) {})
	if err == nil || !strings.Contains(err.Error(), "unknown command 'HELLO'") || strings.Contains(err.Error(), "secret") {
		t.Errorf("watch a server without HELLO: %v, want that without the password", err)
	}
}

func TestAWatchOfABabblerEnds(t *testing.T) {
	for what, babble := range map[string]string{
		"a web server":       "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
		"an old server":      "-ERR unknown command 'HELLO'\r\n",
		"endless nesting":    strings.Repeat("*1\r\n", 1<<16),
		"an endless line":    "+" + strings.Repeat("x", 1<<20),
		"zeros":              strings.Repeat("\x00", 1<<18),
		"bare line ends":     "\n\n\n\n",
		"no number":          "*x\r\n",
		"a string cut short": "$3\r\nabcdef",
	} {
		addr := serve(t, func(conn net.Conn) {
			pump(conn, func([]byte) error {
				_, err := conn.Write([]byte(babble))
				return err
			})
		})
		startLookout(t, mustOpen(t, "redis://"+addr)).fails(what, "watch redis")
	}
	for what, babble := range map[string]string{ // to one who is logged in
		"an answer to nothing":    "+PONG\r\n",
		"a look that none took":   "$1\r\na\r\n",
		"a huge string":           "$9223372036854775807\r\n",
		"a number":                ":1\r\n",
		"an error":                "-LOADING it does\r\n",
		"a push of much":          ">9223372036854775807\r\n",
		"a push of a number":      ">2\r\n:1\r\n:2\r\n",
		"a report of a number":    ">2\r\n$10\r\ninvalidate\r\n:2\r\n",
		"a report of a number in": ">2\r\n$10\r\ninvalidate\r\n*1\r\n:2\r\n",
		"endless names":           ">2\r\n$10\r\ninvalidate\r\n*9223372036854775805\r\n" + strings.Repeat("$1\r\na\r\n", 20000),
	} {
		addr := serve(t, func(conn net.Conn) {
			asked := 0
			pump(conn, func([]byte) error {
				answer := "+OK\r\n"
				if asked++; asked == 3 { // HELLO, GETRANGE, CLIENT
					answer += ">2\r\n$4\r\nnews\r\n%1\r\n$1\r\na\r\n*2\r\n:1\r\n_\r\n" + babble
				}
				_, err := conn.Write([]byte(answer))
				return err
			})
		})
		startLookout(t, mustOpen(t, "redis://"+addr)).fails(what, "watch redis")
	}
}
