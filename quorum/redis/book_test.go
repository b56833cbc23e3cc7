package redis

import (
	"fmt"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

func sign(id, was, line string) quorum.Request {
	return quorum.Request{Action: quorum.Sign, Name: id, Was: was, Line: line}
}

func readBook() quorum.Request { return quorum.Request{Action: quorum.ReadBook} }

func tear() quorum.Request { return quorum.Request{Action: quorum.Tear} }

func checked(name string, prev *quorum.Copy) quorum.Request {
	return quorum.Request{Action: quorum.Check, Name: name, Prev: prev}
}

// guardedSwap is a swap with all that a swap may be asked for.
func guardedSwap(name string, prev, next *quorum.Copy) quorum.Request {
	r := swap(name, prev, next)
	r.Heed, r.Mark, r.Gone = true, true, time.Minute
	return r
}

func heedingRead(name string) quorum.Request {
	return quorum.Request{Action: quorum.Read, Name: name, Heed: true}
}

func TestWhatIsKeptBesideTheCopiesCanBeReadByHand(t *testing.T) {
	forms(t, func(t *testing.T, server *storetest.Server, store *Store) {
		direct := byHand(t, server)
		long := guardedSwap("orders", version(3), nil)
		long.Gone = time.Hour
		for i, v := range do(t, store, sign("b", "", "pending {}"), sign("c", "", "signed {}"), sign("b", "pending {}", "signed {}"),
			guardedSwap("orders", nil, version(5)), long, guardedSwap("orders", version(5), version(6))) {
			if want := quorum.Granted; v.Verdict != want && i != 4 {
				t.Errorf("request %d: %+v, want %s", i, v, want)
			}
		}
		if got, want := direct.HGetAll(t.Context(), "holdfast:book").Val(), map[string]string{"b": "signed {}", "c": "signed {}"}; !maps.Equal(got, want) {
			t.Errorf("the book is %q, want %q", got, want)
		}
		if got, want := direct.Get(t.Context(), "holdfast:gone:orders").Val(), "0000000000000500"; got != want {
			t.Errorf("the notice is %q, want %q", got, want)
		}
		// The notice of version 3 was for an hour, the one of version 5 for a minute.
		if got := direct.PTTL(t.Context(), "holdfast:gone:orders").Val(); got < 59*time.Minute || got > time.Hour {
			t.Errorf("the notice stays for %v, want about an hour", got)
		}
		bucket := fmt.Sprint(quorum.Bucket("orders"))
		if got, want := direct.HGetAll(t.Context(), "holdfast:marks").Val(), map[string]string{bucket: "0000000000000600"}; !maps.Equal(got, want) {
			t.Errorf("the marks are %q, want %q", got, want)
		}
		long.Prev, long.Gone = version(4), 2*time.Hour // the later notice stays as it is
		do(t, store, long)
		if got := direct.PTTL(t.Context(), "holdfast:gone:orders").Val(); got > time.Hour {
			t.Errorf("the notice stays for %v, want about an hour", got)
		}
	})
}

// What nothing more is asked of than before must cost no more than before.
func TestAPlainBatchIsSentAsEver(t *testing.T) {
	server := storetest.StartRedis(t)
	direct := byHand(t, server)
	store := mustOpen(t, "redis://"+server.Addr())
	mustConnect(t, store)
	if err := direct.ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatalf("reset the counters: %v", err)
	}
	without := guardedSwap("orders", version(2), nil) // to take out is never forbidden
	without.Gone = 0
	unnumbered := swap("parcels", &quorum.Copy{Value: []byte("theirs")}, nil)
	unnumbered.Gone = time.Minute
	do(t, store, swap("orders", nil, version(1)), swap("orders", version(1), version(2)), read("orders"), without, unnumbered)
	calls := map[string]string{}
	for line := range strings.Lines(direct.Info(t.Context(), "commandstats").Val()) {
		if name, counts, ok := strings.Cut(strings.TrimSpace(line), ":calls="); ok {
			calls[strings.TrimPrefix(name, "cmdstat_")], _, _ = strings.Cut(counts, ",")
		}
	}
	delete(calls, "config|resetstat")
	want := map[string]string{"set": "2", "evalsha": "4", "get": "4", "pttl": "1", "del": "1", "time": "1"}
	for _, ofOurHand := range []string{"hello", "client|setinfo", "info"} {
		delete(calls, ofOurHand)
	}
	if !maps.Equal(calls, want) {
		t.Errorf("the server counts %v, want %v", calls, want)
	}
}

func TestASpoiledKeyIsNamed(t *testing.T) {
	forms(t, func(t *testing.T, server *storetest.Server, store *Store) {
		direct := byHand(t, server)
		bucket := fmt.Sprint(quorum.Bucket("orders"))
		only := sign("b", "", "signed {}")
		only.Only = []string{}
		ending := swap("orders", version(1), nil)
		ending.Gone = time.Minute
		for _, c := range []struct {
			spoil   []any
			request quorum.Request
			want    string
		}{
			{[]any{"SET", bookKey, "x"}, readBook(), "holdfast:book"},
			{[]any{"SET", bookKey, "x"}, sign("b", "", "signed {}"), "holdfast:book"},
			{[]any{"SET", bookKey, "x"}, only, "holdfast:book"},
			{[]any{"SET", marksKey, "x"}, guardedSwap("orders", version(1), version(2)), `"holdfast:marks": WRONGTYPE`},
			{[]any{"HSET", marksKey, bucket, "x"}, guardedSwap("orders", version(1), version(2)), `"holdfast:marks": a number of 16`},
			{[]any{"HSET", marksKey, bucket, "00000000000000z0"}, guardedSwap("orders", version(1), version(2)), `"holdfast:marks": a number of 16`},
			{[]any{"HSET", goneBefore + "orders", "x", "x"}, guardedSwap("orders", version(1), version(2)), `"holdfast:gone:orders": WRONGTYPE`},
			{[]any{"HSET", goneBefore + "orders", "x", "x"}, ending, `"holdfast:gone:orders": WRONGTYPE`},
			{[]any{"HSET", goneBefore + "orders", "x", "x"}, heedingRead("orders"), `"holdfast:gone:orders": WRONGTYPE`},
			{[]any{"SET", goneBefore + "orders", ""}, heedingRead("orders"), `"holdfast:gone:orders": a number of 16`},
			{[]any{"SET", goneBefore + "orders", "12345"}, ending, `"holdfast:gone:orders": a number of 16`},
		} {
			direct.FlushAll(t.Context())
			do(t, store, swap("orders", nil, version(1)))
			if err := direct.Do(t.Context(), c.spoil...).Err(); err != nil {
				t.Fatalf("%v: %v", c.spoil, err)
			}
			votes := do(t, store, swap("parcels", nil, version(1)), c.request, read("orders"))
			if v := votes[1]; v.Verdict != quorum.Silent || v.Err == nil || !strings.Contains(v.Err.Error(), c.want) {
				t.Errorf("%v, then %+v: %+v, want silent, %s", c.spoil, c.request, v, c.want)
			}
			// That costs nobody else anything, and nothing was half done.
			if votes[0].Verdict != quorum.Granted || !votes[2].Found.Equal(version(1)) {
				t.Errorf("%v, then %+v: beside it %+v and %+v, want granted and version 1", c.spoil, c.request, votes[0], votes[2])
			}
			mustConnect(t, store)
			// An operator may take the spoiled book out.
			if v := do(t, store, tear(), sign("b", "", "signed {}"))[1]; v.Verdict != quorum.Granted {
				t.Errorf("%v, then torn and signed: %+v, want granted", c.spoil, v)
			}
		}
	})
}

func TestALongNameUnderASpoiledNoticeCostsNoConnection(t *testing.T) {
	server := storetest.StartRedis(t)
	store := mustOpen(t, "redis://"+server.Addr())
	mustConnect(t, store)
	name := strings.Repeat("\r\n+OK", 10_000)
	if err := byHand(t, server).HSet(t.Context(), goneBefore+name, "x", "x").Err(); err != nil {
		t.Fatalf("plant a hash: %v", err)
	}
	v := do(t, store, heedingRead(name))[0]
	if v.Err == nil || len(v.Err.Error()) > 1000 || !strings.Contains(v.Err.Error(), "holdfast:gone:") {
		t.Errorf("read: %s, error %.200v, want silent with a short error", v.Verdict, v.Err)
	}
}

func TestWhatIsNoStringIsToldBesideNoticeAndMark(t *testing.T) {
	server := storetest.StartRedis(t)
	store := mustOpen(t, "redis://"+server.Addr())
	mustConnect(t, store)
	do(t, store, guardedSwap("orders", nil, version(7)), guardedSwap("orders", version(7), nil))
	if err := byHand(t, server).HSet(t.Context(), "orders", "x", "x").Err(); err != nil {
		t.Fatalf("plant a hash: %v", err)
	}
	v := do(t, store, guardedSwap("orders", nil, version(7)))[0]
	if v.Verdict != quorum.Refused || v.Found == nil || !v.Found.Opaque || v.Gone != version(7).Version || v.Mark != version(7).Version {
		t.Errorf("a guarded swap onto a hash: %+v, want refused by something opaque, notice and mark 7", v)
	}
	v = do(t, store, heedingRead("orders"))[0]
	if v.Verdict != quorum.Granted || v.Found == nil || !v.Found.Opaque || v.Gone != version(7).Version || v.FoundLeft != 0 {
		t.Errorf("a read of a hash: %+v, want granted, something opaque, notice 7", v)
	}
	if v = do(t, store, checked("orders", nil))[0]; v.Verdict != quorum.Refused || v.Found == nil || !v.Found.Opaque {
		t.Errorf("a check of a hash: %+v, want refused by something opaque", v)
	}
}

// Numbers are compared beyond what Lua's doubles and any locale can do.
func TestScriptsCompareNumbers(t *testing.T) {
	server := storetest.StartRedis(t)
	direct := byHand(t, server)
	numbers := []quorum.Number{
		1, 9, 10, 0xa0, 0xff, 0x100, 0xfffffff9, 0xfffffffa, 0x1_0000_0000, 0x1_0000_0001, 0xa_0000_0000,
		1 << 53, 1<<53 + 1, 1<<53 + 2, 9 << 60, 10 << 60, 1<<64 - 2, 1<<64 - 1,
	}
	for i, a := range numbers {
		for j, b := range numbers {
			got, err := direct.Eval(t.Context(), commonText+"return less(ARGV[1], ARGV[2]) and 1 or 0", nil, a.String(), b.String()).Bool()
			if err != nil || got != (i < j) {
				t.Errorf("less(%v, %v) = %t, error %v, want %t", a, b, got, err, i < j)
			}
		}
	}
}

// Without memory to write its notice with, a release leaves the copy too: the
// notice has to be there first.
func TestNoCopyGoesWithoutItsNotice(t *testing.T) {
	server := storetest.StartRedis(t)
	direct := byHand(t, server)
	store := mustOpen(t, "redis://"+server.Addr())
	mustConnect(t, store)
	do(t, store, swap("orders", nil, version(1)))
	if err := direct.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatalf("fill the memory: %v", err)
	}
	ending := swap("orders", version(1), nil)
	ending.Gone = time.Minute
	votes := do(t, store, ending, read("orders"), readBook(), checked("orders", version(1)))
	if v := votes[0]; v.Verdict != quorum.Silent || v.Err == nil || !strings.Contains(v.Err.Error(), "OOM") {
		t.Errorf("a release with a notice, out of memory: %+v, want silent, OOM", v)
	}
	if !votes[1].Found.Equal(version(1)) || votes[2].Verdict != quorum.Granted || votes[3].Verdict != quorum.Granted {
		t.Errorf("after it: %+v, want the copy there and the book readable", votes[1:])
	}
}

func TestABookIsReadAfterWhatIsAskedAgain(t *testing.T) {
	server := storetest.StartRedis(t)
	middle := relayTo(t, server.Addr())
	store := mustOpen(t, "redis://"+middle.addr)
	mustConnect(t, store)
	direct := byHand(t, server)
	forget := func() {
		t.Helper()
		if err := direct.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatalf("flush the scripts: %v", err)
		}
	}
	do(t, store, swap("orders", nil, version(1)))
	forget()
	votes := do(t, store, swap("orders", version(1), version(2)), sign("b", "", "signed {}"), checked("orders", version(2)), readBook())
	for i, v := range votes {
		if v.Verdict != quorum.Granted {
			t.Errorf("vote %d after a script flush: %+v, want granted", i, v)
		}
	}
	if got := votes[3].Book["b"]; got != "signed {}" {
		t.Errorf("the book read behind a signature that was asked for again: %q, want it in there", votes[3].Book)
	}
	// The store forgets between the first time and the second: the book as it was
	// the first time would vouch for a copy that is put there the second time.
	forget()
	sent := 0
	middle.onRequest(func(net.Conn, []byte) bool {
		if sent++; sent == 2 {
			if err := direct.FlushAll(t.Context()).Err(); err != nil {
				t.Errorf("flush: %v", err)
			}
		}
		return true
	})
	votes = do(t, store, guardedSwap("parcels", nil, version(3)), readBook())
	middle.onRequest(nil)
	if votes[0].Verdict != quorum.Granted || votes[1].Verdict != quorum.Granted || len(votes[1].Book) != 0 {
		t.Errorf("flushed before it was asked again: %+v, want both granted and the book empty", votes)
	}
	if sent != 2 {
		t.Errorf("sent %d times, want twice", sent)
	}
}

func TestAForgottenScriptKeepsTheOrderOfTheBook(t *testing.T) {
	server := storetest.StartRedis(t)
	store := mustOpen(t, "redis://"+server.Addr())
	mustConnect(t, store)
	direct := byHand(t, server)
	for _, c := range []struct {
		what     string
		requests []quorum.Request
		want     string // g: granted; u: silent and unsent
		book     quorum.Book
	}{
		{"a signature, then torn", []quorum.Request{sign("b", "", "signed {}"), tear(), readBook()}, "ugg", quorum.Book{}},
		{"torn, then signed", []quorum.Request{tear(), sign("b", "", "signed {}"), readBook()}, "ggg", quorum.Book{"b": "signed {}"}},
		{"read, then torn", []quorum.Request{guardedSwap("parcels", nil, version(1)), readBook(), tear()}, "gug", quorum.Book{}},
		{"a lock called like a signer",
			[]quorum.Request{sign("orders", "", "signed {}"), swap("orders", nil, version(1)), readBook()}, "ggg", quorum.Book{"orders": "signed {}"}},
		{"checked, then put there", []quorum.Request{
			swap("orders", version(1), nil), checked("orders", nil), swap("orders", nil, version(1))}, "ugg", quorum.Book{}},
		{"a name of ours", []quorum.Request{swap(bookKey, version(1), nil), heedingRead("orders"), readBook()}, "ugg", quorum.Book{}},
	} {
		direct.FlushAll(t.Context())
		if err := direct.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatalf("flush the scripts: %v", err)
		}
		for i, v := range do(t, store, c.requests...) {
			unsent := v.Verdict == quorum.Silent && v.Unsent && v.Err != nil
			if c.want[i] == 'u' != unsent || c.want[i] == 'g' != (v.Verdict == quorum.Granted) {
				t.Errorf("%s: vote %d is %+v, want %c", c.what, i, v, c.want[i])
			}
			if c.requests[i].Action == quorum.ReadBook && v.Verdict == quorum.Granted && !maps.Equal(v.Book, c.book) {
				t.Errorf("%s: read %q, want %q", c.what, v.Book, c.book)
			}
		}
		if got := do(t, store, readBook())[0].Book; !maps.Equal(got, c.book) {
			t.Errorf("%s: the book is %q in the end, want %q", c.what, got, c.book)
		}
	}
}

func TestRepliesOfNoMeaning(t *testing.T) {
	number, swapping := "0000000000000100", guardedSwap("orders", version(1), version(2))
	for what, c := range map[string]struct {
		judge   func(*quorum.Request, any) (quorum.Vote, bool)
		replies []any
	}{
		"a guarded swap": {guardedVote, []any{
			nil, "x", int64(2), int64(-1), []any{}, []any{nil, "", "", int64(0), ""}, []any{nil, "", "", int64(2)}, []any{"x", "", "", int64(1)},
			[]any{nil, nil, "", int64(0)}, []any{nil, "", int64(1), int64(0)}, []any{nil, "x", "", int64(0)}, []any{int64(1), "", "", int64(0)},
		}},
		"a swap":           {swapVote, []any{int64(2), int64(-1), []any{}}},
		"a SET":            {directVote, []any{int64(0), int64(1), []any{}}},
		"a read":           {readVote, []any{"x", int64(1), []any{}, []any{"x"}, []any{"x", "1"}, []any{nil, int64(1)}}},
		"a heeding read":   {heedingVote, []any{nil, "x", []any{}, []any{"x", "1", "", int64(0)}, []any{"x", int64(1), nil, int64(0)}, []any{nil, int64(-1), number}}},
		"a check":          {checkVote, []any{int64(1), []any{}}},
		"a book":           {bookVote, []any{nil, "x", int64(1), []any{"b"}, []any{"b", nil}, []any{int64(1), "x"}, []any{[]any{}, "x"}}},
		"a signature":      {signVote, []any{nil, "x", int64(2), int64(-1), []any{}}},
		"a book torn down": {tearVote, []any{nil, "x", int64(2), int64(-1), []any{}}},
	} {
		for _, reply := range c.replies {
			if v, ok := c.judge(&swapping, reply); ok {
				t.Errorf("%#v for an answer to %s means %+v, want nothing", reply, what, v)
			}
		}
	}
}

func TestTheWatchIgnoresWhatIsKeptBesideTheCopies(t *testing.T) {
	server := storetest.StartRedis(t)
	direct := byHand(t, server)
	store := mustOpen(t, "redis://"+server.Addr())
	mustConnect(t, store)
	l := lookOut(t, store)
	brief := guardedSwap("orders", version(1), version(2))
	brief.Gone = time.Millisecond // its notice runs out, which is reported too
	do(t, store, guardedSwap("orders", nil, version(1)), brief, sign("b", "", "signed {}"), sign("parcels", "", "signed {}"),
		checked("orders", version(2)), heedingRead("orders"), readBook(), swap(bookKey, nil, version(1)))
	do(t, store, guardedSwap("orders", version(2), version(2)), tear())
	l.quiet("our own", store, direct)
	// Other proxies' notices are as many as the locks that they release.
	pipe := direct.Pipeline()
	for i := range maxFlood + 100 {
		pipe.Set(t.Context(), fmt.Sprint(goneBefore, "lock", i), version(1).Version.String(), time.Minute)
	}
	pipe.HSet(t.Context(), bookKey, "c", "signed {}")
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatalf("write notices: %v", err)
	}
	l.quiet("those of others", store, direct)
	// A lock of another database is a lock like any other.
	for _, name := range []string{"orders", "holdfast:db1:orders"} {
		do(t, store, swap(name, nil, version(9)))
		l.quiet("before "+name+" goes", store, direct)
		if err := direct.Del(t.Context(), name).Err(); err != nil {
			t.Fatalf("delete a copy: %v", err)
		}
		if told := l.next(); told != name {
			t.Errorf("told of %q, want %q", told, name)
		}
	}
}
