package memcached

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

// A server is a real memcached that strangers talk to as well.
type server struct {
	*storetest.Server
	t testing.TB
}

func startServer(t testing.TB, args ...string) server {
	t.Helper()
	return server{storetest.StartMemcached(t, args...), t}
}

// unconnected returns a store for the server.
func (s server) unconnected() *Store {
	s.t.Helper()
	store, err := New("memcached://" + s.Addr())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { store.Close() })
	return store
}

func (s server) open() *Store {
	s.t.Helper()
	store := s.unconnected()
	mustConnect(s.t, store)
	return store
}

// ask sends raw lines as a stranger would and returns all that comes back.
func (s server) ask(lines string) string {
	s.t.Helper()
	nc, err := net.Dial("tcp", s.Addr())
	if err != nil {
		s.t.Fatal(err)
	}
	defer nc.Close()
	if _, err := io.WriteString(nc, lines+"quit\r\n"); err != nil {
		s.t.Fatal(err)
	}
	said, err := io.ReadAll(nc)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(said)
}

func (s server) tell(lines, want string) {
	s.t.Helper()
	if said := s.ask(lines); said != want {
		s.t.Fatalf("%.60q: %.200q, want %q", lines, said, want)
	}
}

func (s server) plant(name string, value []byte, ttl time.Duration) {
	s.t.Helper()
	seconds := int64((ttl + time.Second - 1) / time.Second)
	s.tell(fmt.Sprintf("set %s 0 %d %d\r\n%s\r\n", name, seconds, len(value), value), "STORED\r\n")
}

func (s server) fetch(name string) (value []byte, left time.Duration, ok bool) {
	s.t.Helper()
	said := s.ask("mg " + name + " t v\r\n")
	var size, seconds int
	if n, _ := fmt.Sscanf(said, "VA %d t%d\r\n", &size, &seconds); n != 2 {
		return nil, 0, false
	}
	_, data, _ := strings.Cut(said, "\r\n")
	return []byte(data[:size]), time.Duration(max(seconds, 0)) * time.Second, true
}

// awaits waits until a copy is under name.
func (s server) awaits(name string, want *quorum.Copy) {
	s.t.Helper()
	storetest.Eventually(s.t, show(want)+" is under "+name, func() bool {
		data, _, ok := s.fetch(name)
		return ok && want.Equal(quorum.DecodeCopy(data))
	})
}

// keeps wants a copy, nil for none, under name.
func (s server) keeps(what, name string, want *quorum.Copy) {
	s.t.Helper()
	var got *quorum.Copy
	if data, _, ok := s.fetch(name); ok {
		got = quorum.DecodeCopy(data)
	}
	if !got.Equal(want) {
		s.t.Errorf("%s: %s is under %s, want %s", what, show(got), name, show(want))
	}
}

func mustConnect(t testing.TB, store *Store) (incarnation string) {
	t.Helper()
	incarnation, err := store.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return incarnation
}

// do sends the requests and wants no error of the batch.
func do(t testing.TB, store *Store, requests ...quorum.Request) []quorum.Vote {
	t.Helper()
	votes := make([]quorum.Vote, len(requests))
	if err := store.Do(t.Context(), requests, votes); err != nil {
		t.Fatalf("do: %v", err)
	}
	return votes
}

func swap(name string, prev, next *quorum.Copy) quorum.Request {
	return quorum.Request{Action: quorum.Swap, Name: name, Prev: prev, Next: next, TTL: time.Minute}
}

func orNone(r quorum.Request) quorum.Request {
	r.OrNone = true
	return r
}

// marked, heeding and leaving set what peers ask for.
func marked(r quorum.Request) quorum.Request {
	r.Mark = true
	return r
}

func heeding(r quorum.Request) quorum.Request {
	r.Heed = true
	return r
}

func leaving(r quorum.Request) quorum.Request {
	r.Gone = time.Minute
	return r
}

func check(name string, prev *quorum.Copy) quorum.Request {
	return quorum.Request{Action: quorum.Check, Name: name, Prev: prev}
}

func readBook() quorum.Request { return quorum.Request{Action: quorum.ReadBook} }

func tear() quorum.Request { return quorum.Request{Action: quorum.Tear} }

func sign(id, was, line string) quorum.Request {
	return quorum.Request{Action: quorum.Sign, Name: id, Was: was, Line: line}
}

func read(name string) quorum.Request { return quorum.Request{Action: quorum.Read, Name: name} }

func ours(value string, version uint64) *quorum.Copy {
	return &quorum.Copy{Value: []byte(value), Fence: quorum.MakeNumber(1, 0), Version: quorum.MakeNumber(version, 0)}
}

// must wants the verdict, and that found was there.
func must(t testing.TB, what string, v quorum.Vote, verdict quorum.Verdict, found *quorum.Copy) {
	t.Helper()
	if v.Verdict != verdict || !v.Found.Equal(found) {
		t.Fatalf("%s: %v, found %s, error %v; want %v, found %s", what, v.Verdict, show(v.Found), v.Err, verdict, show(found))
	}
}

func show(c *quorum.Copy) string {
	switch {
	case c == nil:
		return "nothing"
	case c.Opaque:
		return "something opaque"
	}
	return fmt.Sprintf("%.60q", c.Encode())
}
