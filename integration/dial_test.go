package integration

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"holdfast/quorum/storetest"
)

// dial returns a client as a program would make it that knows only the address.
func dial(t testing.TB, addr string) *redis.Client {
	return connect(t, redis.Options{Addr: addr})
}

// strict returns a client that says everything once: what was lost is lost.
func strict(t testing.TB, addr string) *redis.Client {
	return connect(t, redis.Options{Addr: addr, MaxRetries: -1, DialerRetries: 1})
}

func connect(t testing.TB, o redis.Options) *redis.Client {
	c := redis.NewClient(&o)
	t.Cleanup(func() { c.Close() })
	return c
}

// newToken returns a token that nobody had before.
func newToken() string { return rand.Text() }

// compareAndDelete is how lock libraries release.
const compareAndDelete = `if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end`

// release releases a lock as libraries do, and reports whether it was held by
// token.
func release(ctx context.Context, c *redis.Client, name, token string) (bool, error) {
	n, err := redis.NewScript(compareAndDelete).Run(ctx, c, []string{name}, token).Int()
	return n == 1, err
}

// acquire asks for a lock, and reports whether it was granted.
func acquire(ctx context.Context, c *redis.Client, name, token string, ttl time.Duration) (bool, error) {
	err := c.Do(ctx, "SET", name, token, "NX", "PX", ttl.Milliseconds()).Err()
	if err == redis.Nil {
		return false, nil
	}
	return err == nil, err
}

// mustAcquire acquires a lock with a token of its own, and returns that.
func mustAcquire(t testing.TB, c *redis.Client, name string, ttl time.Duration) (token string) {
	t.Helper()
	token = newToken()
	if ok, err := acquire(t.Context(), c, name, token, ttl); !ok || err != nil {
		t.Fatalf("acquire %q: %t, %v, want it granted", name, ok, err)
	}
	return token
}

// wantHeld fails the test unless somebody else is denied the lock, by a null
// and no error.
func wantHeld(t testing.TB, c *redis.Client, name string) {
	t.Helper()
	if ok, err := acquire(t.Context(), c, name, newToken(), time.Second); ok || err != nil {
		t.Errorf("acquire %q, which somebody holds: %t, %v, want null", name, ok, err)
	}
}

// wantHolder fails the test unless token holds the lock.
func wantHolder(t testing.TB, c *redis.Client, name, token string) {
	t.Helper()
	if got, err := c.Get(t.Context(), name).Result(); got != token || err != nil {
		t.Errorf("GET %q: %q, %v, want %q", name, got, err, token)
	}
}

// wantFree waits until nobody holds the lock.
func wantFree(t testing.TB, c *redis.Client, name string) {
	t.Helper()
	storetest.Eventually(t, fmt.Sprintf("%q is free", name), func() bool {
		return c.Get(t.Context(), name).Err() == redis.Nil
	})
}

// A grant is what LOCK answers.
type grant struct {
	fence    int64
	validity time.Duration
}

// errDenied reports that somebody holds the lock.
var errDenied = errors.New("somebody holds it")

// readGrant reads the answer to LOCK or EXTEND.
func readGrant(cmd *redis.Cmd) (grant, error) {
	fields, err := cmd.Slice()
	switch {
	case err == redis.Nil:
		return grant{}, errDenied
	case err != nil:
		return grant{}, err
	case len(fields) != 3:
		return grant{}, fmt.Errorf("an answer of %d fields, want 3: %v", len(fields), fields)
	}
	fence, ok1 := fields[1].(int64)
	validity, ok2 := fields[2].(int64)
	if !ok1 || !ok2 {
		return grant{}, fmt.Errorf("an answer of %v, want [token, fence, validity]", fields)
	}
	return grant{fence, time.Duration(validity) * time.Millisecond}, nil
}

// A doer is a client, or a pipeline of one.
type doer interface {
	Do(ctx context.Context, args ...any) *redis.Cmd
}

// lock is LOCK.
func lock(ctx context.Context, c doer, name, token string, ttl time.Duration) *redis.Cmd {
	return c.Do(ctx, "LOCK", name, token, "PX", ttl.Milliseconds())
}

// A wire is a connection without a client library: what is sent and what comes
// is seen byte by byte.
type wire struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

func dialRaw(t testing.TB, addr string) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	return &wire{t, conn, bufio.NewReader(conn)}
}

// send sends commands, their words parted by blanks, all in one write.
func (w *wire) send(commands ...string) {
	w.t.Helper()
	var b bytes.Buffer
	for _, c := range commands {
		words := strings.Fields(c)
		fmt.Fprintf(&b, "*%d\r\n", len(words))
		for _, word := range words {
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
		}
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		w.t.Errorf("send %d commands: %v", len(commands), err)
	}
}

// reply reads one reply that is no array: a bulk string's text, or the line of
// any other with its first byte.
func (w *wire) reply() (string, error) {
	line, err := w.in.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if !strings.HasPrefix(line, "$") || line == "$-1" {
		return line, nil
	}
	text, err := w.in.ReadString('\n')
	return strings.TrimSuffix(text, "\r\n"), err
}

// must reads one reply, and says what came in its place if none did.
func (w *wire) must() string {
	w.t.Helper()
	reply, err := w.reply()
	if err != nil {
		w.t.Errorf("read a reply: %v", err)
		return "nothing: " + err.Error()
	}
	return reply
}

// listens reports whether somebody takes connections at addr.
func listens(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
