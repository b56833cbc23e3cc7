package memcached

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"holdfast/quorum"
)

// A meddler is a connection on which somebody else is quicker: meddle is called
// before every write that carries a change, and behind is called once a change of
// a copy was carried out, before what is looked at behind it is sent.
type meddler struct {
	net.Conn
	meddle, behind func(change string)
}

func (m *meddler) Write(b []byte) (int, error) {
	if change := string(b); strings.Contains("ms md ma ", change[:3]) {
		m.meddle(change)
	}
	end := bytes.Index(b, []byte("\r\nmg ")) + len("\r\n")
	if !bytes.HasPrefix(b, []byte("ms ")) || end < len("\r\n") {
		return m.Conn.Write(b)
	}
	if n, err := m.Conn.Write(b[:end]); err != nil {
		return n, err
	}
	m.behind(string(b[:end]))
	n, err := m.Conn.Write(b[end:])
	return end + n, err
}

// through returns a connected store for s whose connection the meddler is in.
func through(s server, m meddler) *Store {
	s.t.Helper()
	store := s.unconnected()
	store.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		return &meddler{nc, m.meddle, m.behind}, err
	}
	mustConnect(s.t, store)
	return store
}

// meddled returns a connected store for s. The n-th change of each batch is
// preceded by the n-th of lines, which a stranger sends.
func meddled(s server, lines ...string) *Store {
	s.t.Helper()
	return through(s, meddler{behind: nothing, meddle: func(string) {
		if len(lines) > 0 {
			s.ask(lines[0])
			lines = lines[1:]
		}
	}})
}

func nothing(string) {}

func TestWhoeverComesBetweenLookAndWriteIsSeen(t *testing.T) {
	s := startServer(t)
	prev, next := ours("a", 1), ours("a", 2)
	theirs := &quorum.Copy{Value: []byte("theirs")}
	const (
		put   = "set lock 0 60 6\r\ntheirs\r\n"
		touch = "set lock 0 60 35\r\na~0000000000000100.0000000000000100\r\n" // prev, written again
		take  = "delete lock\r\n"
	)
	for _, c := range []struct {
		what    string
		request quorum.Request
		there   *quorum.Copy
		lines   []string
		verdict quorum.Verdict
		found   *quorum.Copy
		after   *quorum.Copy
	}{
		{"another took a free lock", swap("lock", nil, next), nil, []string{put}, quorum.Refused, theirs, theirs},
		{"another replaced the copy", swap("lock", prev, next), prev, []string{put}, quorum.Refused, theirs, theirs},
		{"another replaced the copy to delete", swap("lock", prev, nil), prev, []string{put}, quorum.Refused, theirs, theirs},
		{"the copy vanished", swap("lock", prev, next), prev, []string{take}, quorum.Refused, nil, nil},
		{"the copy to delete vanished", swap("lock", prev, nil), prev, []string{take}, quorum.Refused, nil, nil},
		{"the copy vanished, which will do", orNone(swap("lock", prev, next)), prev, []string{take}, quorum.Granted, nil, next},
		{"nothing to delete will do", orNone(swap("lock", prev, nil)), prev, []string{take}, quorum.Granted, nil, nil},
		{"it vanished and another took it", orNone(swap("lock", prev, next)), prev, []string{take, put}, quorum.Refused, theirs, theirs},
		{"the same copy, put there anew", swap("lock", prev, next), prev, []string{touch}, quorum.Granted, prev, next},
		{"the same copy, once too often", swap("lock", prev, next), prev, []string{touch, touch, touch}, quorum.Silent, nil, prev},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := server{s.Server, t}
			s.ask(take)
			if c.there != nil {
				s.plant("lock", c.there.Encode(), time.Minute)
			}
			v := do(t, meddled(s, c.lines...), c.request)[0]
			must(t, c.what, v, c.verdict, c.found)
			if v.Unsent != (c.verdict == quorum.Silent) {
				t.Errorf("unsent %t, want what is true of silence: nothing was changed", v.Unsent)
			}
			s.keeps("afterwards", "lock", c.after)
		})
	}
}

func TestForeignItemsAreBytes(t *testing.T) {
	s := startServer(t)
	store := s.open()
	large := strings.Repeat("x", maxData+1)
	s.tell("set flagged 4294967295 0 3\r\nabc\r\n", "STORED\r\n")
	s.tell(fmt.Sprintf("set large 0 0 %d\r\n%s\r\n", len(large), large), "STORED\r\n")
	s.ask("ms stale 3 T60\r\nabc\r\nmd stale I T30\r\n")
	flagged := &quorum.Copy{Value: []byte("abc")}
	votes := do(t, store,
		read("flagged"),
		swap("flagged", flagged, nil),
		read("large"),
		swap("large", nil, ours("a", 1)),
		swap("large", &quorum.Copy{Value: []byte{}}, ours("a", 1)),
		read("stale"),
		swap("stale", flagged, ours("a", 1)),
		read("stale"))
	must(t, "read one with flags", votes[0], quorum.Granted, flagged)
	must(t, "delete it", votes[1], quorum.Granted, flagged)
	must(t, "read one marked stale", votes[5], quorum.Granted, flagged)
	must(t, "replace it", votes[6], quorum.Granted, flagged)
	must(t, "read ours in its place", votes[7], quorum.Granted, ours("a", 1))
	for i, want := range map[int]quorum.Verdict{2: quorum.Granted, 3: quorum.Refused, 4: quorum.Refused} {
		if v := votes[i]; v.Verdict != want || v.Found == nil || !v.Found.Opaque {
			t.Errorf("request %d about a value of %d bytes: %v, found %s, error %v, want %v with something opaque",
				i, len(large), v.Verdict, show(v.Found), v.Err, want)
		}
	}
}

func TestWhatCannotBeAskedStopsNothingElse(t *testing.T) {
	store := startServer(t).open()
	month := swap("month", nil, ours("a", 1))
	month.TTL = 30 * 24 * time.Hour
	never := swap("never", nil, ours("a", 1))
	never.TTL = 0
	release := swap("release", nil, nil)
	release.TTL = 0 // of nothing
	votes := do(t, store,
		month,
		never,
		swap("big", nil, ours(strings.Repeat("x", maxData), 1)),
		swap("opaque", nil, &quorum.Copy{Opaque: true}),
		swap("orders", nil, ours("a", 1)),
		release,
		swap("orders", &quorum.Copy{Opaque: true}, nil))
	for i, want := range []string{"720h0m0s is above", "0s is below", "bytes is above the limit", "cannot be written"} {
		v := votes[i]
		if v.Verdict != quorum.Silent || !v.Unsent || v.Err == nil || !strings.Contains(v.Err.Error(), want) {
			t.Errorf("request %d: %v, unsent %t, error %v, want it unsent: %s", i, v.Verdict, v.Unsent, v.Err, want)
		}
	}
	must(t, "an ordinary one", votes[4], quorum.Granted, nil)
	must(t, "nothing for nothing", votes[5], quorum.Granted, nil)
	must(t, "what was opaque is no longer", votes[6], quorum.Refused, ours("a", 1))
}
