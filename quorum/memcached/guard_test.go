package memcached

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/quorum"
)

// at returns a meddler that calls f once, at a point of a swap on its way: "ma"
// before a notice or mark is raised, "ms" or "md" before the copy is written, and
// "mg" once it is, before what is looked at behind it.
func at(s server, point string, written *quorum.Copy, f func()) meddler {
	once := func() {
		if f != nil {
			g := f
			f = nil
			g()
		}
	}
	return meddler{
		meddle: func(change string) {
			if strings.HasPrefix(change, point) {
				once()
			}
		},
		behind: func(string) {
			if point == "mg" {
				s.awaits("lock", written)
				once()
			}
		},
	}
}

// One between any two steps of the other.
func TestAnEndedLeaseIsNotPutBack(t *testing.T) {
	s := startServer(t)
	older, ended := ours("a", 4), ours("a", 5)
	release := leaving(swap("lock", ended, nil))
	putBack := heeding(swap("lock", nil, ended))
	overOlder := heeding(swap("lock", older, ended))
	for _, c := range []struct {
		what          string
		there         *quorum.Copy
		request       quorum.Request // of the store that is interrupted
		point         string
		other         quorum.Request // of the one that interrupts it
		verdict, them quorum.Verdict
	}{
		{"a release before the put-back writes", nil, putBack, "ms", release, quorum.Refused, quorum.Refused},
		{"a release once the put-back has written", nil, putBack, "mg", release, quorum.Refused, quorum.Granted},
		{"the same over an older copy", older, overOlder, "ms", release, quorum.Refused, quorum.Refused},
		{"the same over an older copy, once it is written", older, overOlder, "mg", release, quorum.Refused, quorum.Granted},
		{"a put-back before the notice", nil, release, "ma", putBack, quorum.Granted, quorum.Granted},
		{"a put-back before the copy is taken out", ended, release, "md", putBack, quorum.Refused, quorum.Refused},
		{"a put-back over an older copy before the notice", older, release, "ma", overOlder, quorum.Granted, quorum.Granted},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := server{s.Server, t}
			s.tell("flush_all\r\n", "OK\r\n")
			if c.there != nil {
				s.plant("lock", c.there.Encode(), time.Minute)
			}
			other := s.open()
			met := false
			store := through(s, at(s, c.point, ended, func() {
				met = true
				if v := do(t, other, c.other)[0]; v.Verdict != c.them {
					t.Errorf("the one between: %v, error %v, want %v", v.Verdict, v.Err, c.them)
				}
			}))
			v := do(t, store, c.request)[0]
			if c.there.Equal(ended) { // what the interrupted one found is what it takes out
				c.verdict = quorum.Granted
			}
			if v.Verdict != c.verdict || c.request.Heed && v.Gone != ended.Version || !met {
				t.Errorf("%v, notice %v, error %v, met %t, want %v, %v", v.Verdict, v.Gone, v.Err, met, c.verdict, ended.Version)
			}
			after := do(t, other, heeding(read("lock")))[0]
			if after.Gone != ended.Version || after.Found != nil {
				t.Errorf("afterwards %s is there with notice %v, want nothing with notice %v", show(after.Found), after.Gone, ended.Version)
			}
		})
	}
}

func TestALookThatFindsANoticeSavesTheWrite(t *testing.T) {
	s := startServer(t)
	do(t, s.open(), leaving(swap("lock", ours("a", 5), nil)))
	changes := 0
	store := through(s, meddler{meddle: func(string) { changes++ }, behind: nothing})
	v := do(t, store, heeding(marked(swap("lock", nil, ours("a", 5)))))[0]
	if v.Verdict != quorum.Refused || v.Gone != ours("a", 5).Version || changes != 0 {
		t.Errorf("%v, notice %v after %d writes, want it refused by %v after none", v.Verdict, v.Gone, changes, ours("a", 5).Version)
	}
}

// A number with more digits does not fit the item: the server makes a new one,
// and sets the new time on the old one.
func TestANoticeLastsAsLongAsTheLongerOfTwo(t *testing.T) {
	s := startServer(t)
	store := s.open()
	for _, c := range []struct {
		version uint64
		gone    time.Duration
		want    time.Duration
	}{
		{1, time.Second, 2 * time.Second},
		{1 << 20, time.Hour, time.Hour},
		{1<<20 + 1, time.Second, time.Hour},
		{1 << 40, time.Minute, time.Hour},
		{1 << 40, 2 * time.Hour, 2 * time.Hour},
		{1 << 39, 3 * time.Hour, 2 * time.Hour}, // a later one stays as it is
	} {
		r := leaving(swap("lock", ours("a", c.version), nil))
		r.Gone = c.gone
		must(t, "end it", do(t, store, r)[0], quorum.Refused, nil)
		_, left, ok := s.fetch(noticeKey("lock"))
		if !ok || left < c.want-5*time.Second || left > c.want+5*time.Second {
			t.Errorf("version %d gone for %v: the notice is kept for %v, want %v", c.version, c.gone, left, c.want)
		}
	}
	s.tell("set "+noticeKey("lock")+" 0 0 1\r\n5\r\n", "STORED\r\n") // for ever
	must(t, "end it", do(t, store, leaving(swap("lock", ours("a", 7), nil)))[0], quorum.Refused, nil)
	s.tell("mg "+noticeKey("lock")+" t v\r\n", "VA 4 t-1\r\n1792\r\n")
}

// taken has another store take the lock under a number, if it may, and give it
// back.
func taken(t *testing.T, s server, number uint64) {
	t.Helper()
	other, c := s.open(), ours("them", number)
	if v := do(t, other, marked(swap("lock", nil, c)))[0]; v.Verdict == quorum.Granted {
		must(t, "give it back", do(t, other, swap("lock", c, nil))[0], quorum.Granted, c)
	}
}

// raised has somebody raise the mark of "lock" without touching its copy.
func raised(s server, number uint64) {
	s.t.Helper()
	n := uint64(quorum.MakeNumber(number, 0))
	s.ask(fmt.Sprintf("set %s 0 0 %d\r\n%d\r\n", markKey("lock"), len(fmt.Sprint(n)), n))
}

func TestNoNumberIsGrantedAfterAGreaterOne(t *testing.T) {
	s := startServer(t)
	prev, next := ours("us", 3), ours("us", 10)
	for _, c := range []struct {
		what    string
		there   *quorum.Copy
		point   string
		meddle  func(t *testing.T, s server)
		verdict quorum.Verdict
		mark    uint64 // that it is refused by
		after   *quorum.Copy
	}{
		{"nobody comes", nil, "", nil, quorum.Granted, 0, next},
		{"a greater one before the mark", nil, "ma", func(t *testing.T, s server) { taken(t, s, 20) }, quorum.Refused, 20, nil},
		{"a smaller one before the mark", nil, "ma", func(t *testing.T, s server) { taken(t, s, 7) }, quorum.Granted, 0, next},
		{"the same before the mark", nil, "ma", func(t *testing.T, s server) { raised(s, 10) }, quorum.Refused, 10, nil},
		{"a greater one before the copy", nil, "ms", func(t *testing.T, s server) { taken(t, s, 20) }, quorum.Refused, 20, nil},
		{"a smaller one before the copy", nil, "ms", func(t *testing.T, s server) { taken(t, s, 7) }, quorum.Granted, 0, next},
		{"a greater one of the bucket behind the copy", nil, "mg", func(t *testing.T, s server) { raised(s, 20) }, quorum.Refused, 20, nil},
		{"a greater one where a copy is replaced", prev, "mg", func(t *testing.T, s server) { raised(s, 20) }, quorum.Refused, 20, prev},
		{
			"a greater one, and ours is gone already", prev, "mg",
			func(t *testing.T, s server) { raised(s, 20); s.ask("delete lock\r\n") },
			quorum.Refused, 20, nil,
		},
		{
			"a greater one, and theirs is in the place of ours", prev, "mg",
			func(t *testing.T, s server) { raised(s, 20); s.plant("lock", ours("them", 20).Encode(), time.Minute) },
			quorum.Refused, 20, ours("them", 20),
		},
		{"the mark is lost before the copy", nil, "ms", func(t *testing.T, s server) { s.ask("delete " + markKey("lock") + "\r\n") }, quorum.Silent, 0, next},
		{"the mark is lost behind the copy", nil, "mg", func(t *testing.T, s server) { s.ask("delete " + markKey("lock") + "\r\n") }, quorum.Silent, 0, next},
		{"all is flushed behind the copy", nil, "mg", func(t *testing.T, s server) { s.ask("flush_all\r\n") }, quorum.Silent, 0, nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := server{s.Server, t}
			s.tell("flush_all\r\n", "OK\r\n")
			raised(s, 5)
			if c.there != nil {
				s.plant("lock", c.there.Encode(), time.Minute)
			}
			met := c.meddle == nil
			store := through(s, at(s, c.point, next, func() {
				if met = true; c.meddle != nil {
					c.meddle(t, s)
				}
			}))
			v := do(t, store, marked(swap("lock", c.there, next)))[0]
			if v.Verdict != c.verdict || v.Mark != quorum.MakeNumber(c.mark, 0) || v.Unsent || !met {
				t.Errorf("%v, mark %v, unsent %t, error %v, met %t, want %v, %v", v.Verdict, v.Mark, v.Unsent, v.Err, met, c.verdict, quorum.MakeNumber(c.mark, 0))
			}
			s.keeps("afterwards", "lock", c.after)
			if _, left, ok := s.fetch("lock"); ok && (left <= 0 || left > 62*time.Second) {
				t.Errorf("afterwards %v is left of the copy, want about a minute", left)
			}
		})
	}
}

func TestNumbersOfOneBucketAreTakenInTheOrderOfTheBatch(t *testing.T) {
	same := sharers("lock", 4)
	request := func(i int, number uint64) quorum.Request { return marked(swap(same[i], nil, ours("us", number))) }
	s := startServer(t)
	store := s.open()
	s.plant(same[3], []byte("theirs"), time.Minute)
	votes := do(t, store, request(0, 10), request(1, 30), request(2, 20), request(3, 40))
	if got := ballot(votes); got != "ggrr" || votes[2].Mark != ours("", 30).Version || votes[3].Mark != 0 {
		t.Errorf("10, 30, 20, and 40 where there is a copy: votes %s, marks %v and %v, want ggrr, %v and none",
			got, votes[2].Mark, votes[3].Mark, ours("", 30).Version)
	}
	if v := do(t, store, request(2, 30))[0]; v.Mark != ours("", 30).Version {
		t.Errorf("30 again: %v by mark %v, want it refused by %v", v.Verdict, v.Mark, ours("", 30).Version)
	}
	if v := do(t, store, request(2, 31))[0]; v.Verdict != quorum.Granted {
		t.Errorf("31: %v by mark %v, error %v, want it granted", v.Verdict, v.Mark, v.Err)
	}
}

// sharers returns locks that share a mark, name among them.
func sharers(name string, most int) []string {
	same := []string{name}
	for i := 0; len(same) < most; i++ {
		if other := fmt.Sprint(name, i); markKey(other) == markKey(name) {
			same = append(same, other)
		}
	}
	return same
}

// One mark for two swaps, and somebody is quicker at the copy of one: it looks
// again, and the mark stands where we put it ourselves.
func TestOurOwnMarkIsNoGreaterNumber(t *testing.T) {
	s := startServer(t)
	same := sharers("lock", 2)
	prev := ours("us", 3)
	s.plant("lock", prev.Encode(), time.Minute)
	store := through(s, at(s, "ms", nil, func() { s.plant("lock", prev.Encode(), time.Minute) }))
	votes := do(t, store, marked(swap("lock", prev, ours("us", 10))), marked(swap(same[1], nil, ours("us", 20))))
	if got := ballot(votes); got != "gg" {
		t.Errorf("votes %s, marks %v and %v, want both granted", got, votes[0].Mark, votes[1].Mark)
	}
	s.keeps("the one that looked twice", "lock", ours("us", 10))
}

func TestWhatWasRaisedIsNotUnsent(t *testing.T) {
	hangsUp := func(string) (string, error) { return "", errHangUp }
	says := func(answer string) func(string) (string, error) {
		return func(line string) (string, error) { return strings.Replace(answer, "O#", opaqueOf(line), 1), nil }
	}
	mark := markKey("free")
	for _, c := range []struct {
		what    string
		request quorum.Request
		script  script
		ballot  string
	}{
		{"nothing is wrong", marked(swap("free", nil, ours("a", 1))), keepsNumbers("", nil), "g"},
		{"it hangs up at the first look", marked(swap("free", nil, ours("a", 1))), keepsNumbers("mg "+mark, hangsUp), "u"},
		{"it hangs up when the mark is raised", marked(swap("free", nil, ours("a", 1))), keepsNumbers("ma", hangsUp), "s"},
		{"it hangs up on the write", marked(swap("free", nil, ours("a", 1))), keepsNumbers("ms free", hangsUp), "s"},
		{"it hangs up before the last look", marked(swap("free", nil, ours("a", 1))), keepsNumbers("a~", hangsUp), "s"},
		{"it cannot raise the mark", marked(swap("free", nil, ours("a", 1))), keepsNumbers("ma", says("SERVER_ERROR out of memory\r\n")), "s"},
		{"it cannot look at the mark", marked(swap("free", nil, ours("a", 1))), keepsNumbers("mg "+mark, says("SERVER_ERROR busy\r\n")), "u"},
		{"somebody is quicker each time", marked(swap("free", nil, ours("a", 1))), keepsNumbers("ms free", says("NS O#\r\n")), "s"},
		{"it tells no CAS number", heeding(swap("free", nil, ours("a", 1))), comesLate(""), "s"},
		{"it tells one", heeding(swap("free", nil, ours("a", 1))), comesLate("c9 "), "r"},
		{"it cannot leave the notice", leaving(swap("free", ours("a", 1), nil)), keepsNumbers("ma", says("SERVER_ERROR out of memory\r\n")), "s"},
		{"it leaves the notice", leaving(swap("free", ours("a", 1), nil)), keepsNumbers("", nil), "r"},
		{"it moves the notice a dozen times", leaving(swap("free", ours("a", 1), nil)), keepsTimeAfter(12), "r"},
		{"it moves the notice each time", leaving(swap("free", ours("a", 1), nil)), keepsTimeAfter(1 << 30), "s"},
		{"there is no number", heeding(swap("free", nil, ours("a", 1))), keepsNumbers("mg holdfast:gone:free", func(line string) (string, error) {
			return "VA 3 c1 f0 t5 " + opaqueOf(line) + "\r\nabc\r\n", nil
		}), "u"},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := scripted(t, c.script)
				defer store.Close()
				mustConnect(t, store)
				votes := make([]quorum.Vote, 1)
				err := store.Do(t.Context(), []quorum.Request{c.request}, votes)
				if got := ballot(votes); got != c.ballot || (got == "s" || got == "u") != (votes[0].Err != nil) {
					t.Errorf("vote %s, %v, error %v, want %s", got, votes[0].Err, err, c.ballot)
				}
			})
		})
	}
}

// keepsNumbers answers like a server that keeps what is raised and no copies, but
// for lines with prefix, once it was connected to.
func keepsNumbers(prefix string, by func(line string) (string, error)) script {
	numbers := map[string]string{}
	return func(line string) (string, error) {
		fields := strings.Fields(line)
		switch {
		case by != nil && strings.HasPrefix(line, prefix) && !strings.Contains(line, probeKey):
			return by(line)
		case strings.HasPrefix(line, "a~"):
			return "", nil
		case fields[0] == "ma" && len(fields) > 4:
			if fields[3] != "D0" { // of what is there already
				numbers[fields[1]] = strings.TrimPrefix(fields[3], "J")
			}
		case fields[0] == "mg" && numbers[fields[1]] != "":
			n := numbers[fields[1]]
			return fmt.Sprintf("VA %d c1 f0 t61 %s\r\n%s\r\n", len(n), opaqueOf(line), n), nil
		}
		return polite(line), nil
	}
}

// keepsTimeAfter answers like a server that keeps what is raised, but says so of
// its new time n times before it is so.
func keepsTimeAfter(n int) script {
	keeps := keepsNumbers("", nil)
	return func(line string) (string, error) {
		answer, err := keeps(line)
		if strings.HasPrefix(line, "ma ") && strings.Contains(line, " T") {
			n--
		}
		if n >= 0 {
			answer = strings.Replace(answer, " t61 ", " t1 ", 1)
		}
		return answer, err
	}
}

// comesLate answers like a server where a notice is left once there is a copy,
// which it answers with flags.
func comesLate(flags string) script {
	written := false
	return func(line string) (string, error) {
		switch {
		case strings.HasPrefix(line, "ms "):
			written = true
			return "HD " + flags + opaqueOf(line) + "\r\n", nil
		case strings.HasPrefix(line, "a~"):
			return "", nil
		case strings.HasPrefix(line, "mg holdfast:gone:") && written:
			n := fmt.Sprint(uint64(ours("a", 1).Version))
			return fmt.Sprintf("VA %d c1 f0 t61 %s\r\n%s\r\n", len(n), opaqueOf(line), n), nil
		}
		return polite(line), nil
	}
}

func TestACopyThatCannotBeTakenBackIsToldOf(t *testing.T) {
	late := comesLate("c9 ")
	store := scripted(t, func(line string) (string, error) {
		if strings.HasPrefix(line, "md free C9 ") {
			return "SERVER_ERROR busy\r\n", nil
		}
		return late(line)
	})
	mustConnect(t, store)
	v := do(t, store, heeding(swap("free", nil, ours("a", 1))))[0]
	if v.Verdict != quorum.Silent || v.Unsent || !strings.Contains(fmt.Sprint(v.Err), "take the copy back") {
		t.Errorf("%v, unsent %t, error %v, want silence: the copy is there", v.Verdict, v.Unsent, v.Err)
	}
}

// fillUp fills a server that may not evict with items as long as a mark or a
// notice.
func (s server) fillUp() {
	s.t.Helper()
	for batch := range 100 {
		var lines strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&lines, "set small%d-%d 0 0 12\r\nabcdefghijkl\r\n", batch, i)
		}
		if strings.HasSuffix(s.ask(lines.String()), "SERVER_ERROR out of memory storing object\r\n") {
			return
		}
	}
	s.t.Fatal("the server does not get full of small items")
}

func TestAFullServerKeepsItsMarksAndNotices(t *testing.T) {
	there := ours("x", 1)
	marks := []quorum.Request{
		marked(swap("lock", nil, ours("x", 100))), orNone(leaving(swap("lock", ours("x", 100), nil))),
	}
	s, store := full(t, there, marks[0], read("orders"))
	must(t, "make room for the notice", do(t, store, marks[1])[0], quorum.Granted, ours("x", 100))
	s.fillUp()
	for i := 0; do(t, store, swap(fmt.Sprint("more", i), nil, there))[0].Verdict == quorum.Granted; i++ {
		if i > 1000 {
			t.Fatal("the server does not get full of copies again")
		}
	}
	for number := uint64(101); number < 110; number++ {
		// There is no room for the copy, and the mark is raised in its place.
		v := do(t, store, marked(swap("lock", nil, ours("x", number))))[0]
		if v.Verdict != quorum.Silent || v.Unsent {
			t.Fatalf("a copy without room: %v, unsent %t, error %v, want silence", v.Verdict, v.Unsent, v.Err)
		}
		if v := do(t, store, leaving(swap("lock", ours("x", number), nil)))[0]; v.Verdict != quorum.Refused {
			t.Fatalf("a notice where there is one: %v, error %v, want the swap refused for want of a copy", v.Verdict, v.Err)
		}
		v = do(t, store, heeding(marked(swap("lock", nil, ours("x", number)))))[0]
		if want := ours("x", number).Version; v.Mark != want || v.Gone != want {
			t.Fatalf("refused by mark %v and notice %v, want %v twice", v.Mark, v.Gone, want)
		}
	}
	for _, r := range []quorum.Request{marked(swap("parcels", nil, there)), leaving(swap("parcels", there, nil))} {
		if v := do(t, store, r)[0]; v.Verdict != quorum.Silent || v.Unsent || !strings.Contains(fmt.Sprint(v.Err), "emory") {
			t.Errorf("a first mark or notice without room: %v, unsent %t, error %v, want silence for want of memory", v.Verdict, v.Unsent, v.Err)
		}
	}
	s.keeps("all along", "orders", there)
}

// A counter counts the exchanges on a connection.
type counter struct {
	net.Conn
	exchanges *int
}

func (c counter) Write(b []byte) (int, error) {
	*c.exchanges++
	return c.Conn.Write(b)
}

func TestRoundTripsAreFew(t *testing.T) {
	s := startServer(t)
	exchanges := 0
	store := s.unconnected()
	store.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		return counter{nc, &exchanges}, err
	}
	mustConnect(t, store)
	many := func(r func(quorum.Request) quorum.Request) []quorum.Request {
		var requests []quorum.Request
		for i := range 64 {
			requests = append(requests, r(orNone(swap(fmt.Sprint("l", i), nil, ours("a", uint64(i+1))))))
		}
		return requests
	}
	plain := func(r quorum.Request) quorum.Request { return r }
	for _, c := range []struct {
		what     string
		requests []quorum.Request
		want     int
	}{
		{"64 swaps", many(plain), 2},
		{"64 swaps that are refused", many(plain), 1},
		{"64 reads that heed notices", []quorum.Request{heeding(read("l0")), heeding(read("l1"))}, 1},
		{"a swap with all that there is", []quorum.Request{heeding(marked(leaving(swap("l1", ours("a", 2), ours("a", 99)))))}, 3},
		{"a release", []quorum.Request{leaving(swap("l2", ours("a", 3), nil))}, 3},
		{"another of the same", []quorum.Request{leaving(swap("l2", ours("a", 3), nil))}, 1},
		{"a put-back", []quorum.Request{heeding(swap("l2", nil, ours("a", 100)))}, 2},
		{"checks", []quorum.Request{check("l3", nil), check("l4", nil)}, 1},
		{"a signature", []quorum.Request{sign("a", "", "signed 1")}, 3},
		{"a beat and a reading", []quorum.Request{sign("a", "signed 1", "signed 2"), readBook()}, 4},
		{"a line struck", []quorum.Request{sign("a", "signed 2", "")}, 2},
		{"a book torn", []quorum.Request{tear()}, 1},
	} {
		exchanges = 0
		if err := store.Do(t.Context(), c.requests, make([]quorum.Vote, len(c.requests))); err != nil || exchanges != c.want {
			t.Errorf("%s: %d round trips, error %v, want %d", c.what, exchanges, err, c.want)
		}
	}
	s.tell("flush_all\r\n", "OK\r\n")
	exchanges = 0
	votes := do(t, store, append(many(marked), readBook())...)
	if exchanges != 4 || ballot(votes) != strings.Repeat("g", 65) {
		t.Errorf("64 swaps with marks, and the book: %d round trips, votes %s, want 4 and all granted", exchanges, ballot(votes))
	}
}
