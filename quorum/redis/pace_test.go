package redis

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

// at returns a reading of shown, known to within a span of ours.
func at(shown, before, after time.Duration) reading {
	const start = 50 * 365 * 24 * time.Hour
	return reading{ClockReading: quorum.ClockReading{Shown: start + shown, Before: quorum.Time(before), After: quorum.Time(after)}}
}

func TestAJumpIsMoreThanDriftAndRoundTripsExplain(t *testing.T) {
	const ms, us = time.Millisecond, time.Microsecond
	first := at(0, 0, 0)
	for _, c := range []struct {
		what     string
		from, to reading
		want     time.Duration
	}{
		{"nothing passed", first, first, 0},
		{"in step", first, at(10*time.Second, 10*time.Second, 10*time.Second), 0},
		{"both suspended", first, at(8*time.Hour, 8*time.Hour, 8*time.Hour), 0},
		{"fast by 1 % and 2 ms", first, at(10102*ms, 10*time.Second, 10*time.Second), 0},
		{"slow by 1 % and 2 ms", first, at(9898*ms, 10*time.Second, 10*time.Second), 0},
		{"faster than that", first, at(10102*ms+us, 10*time.Second, 10*time.Second), 102 * ms},
		{"slower than that", first, at(9898*ms-us, 10*time.Second, 10*time.Second), -102 * ms},
		{"2 ms at once", first, at(2*ms, 0, 0), 0},
		{"3 ms at once", first, at(3*ms, 0, 0), 3 * ms},
		{"3 ms back at once", first, at(-3*ms, 0, 0), -3 * ms},
		{"ahead an hour", first, at(time.Hour+time.Second, time.Second, time.Second+ms), time.Hour},
		{"back an hour", first, at(time.Second-time.Hour, time.Second, time.Second+ms), -time.Hour},
		{"ahead 5 s", first, at(6*time.Second, time.Second, time.Second), 5 * time.Second},
		{"we were stopped, it was not", first, at(time.Minute, time.Second, time.Second), 59 * time.Second},
		{"asked early, answered late", first, at(0, 0, 200*ms), 0},
		{"asked late", first, at(200*ms, 0, 200*ms), 0},
		{"later than the answer", first, at(205*ms, 0, 200*ms), 105 * ms},
		{"before the question", first, at(95*ms, 100*ms, 300*ms), -105 * ms},
		{"from a vague one", at(200*ms, 0, 200*ms), at(210*ms, 210*ms, 211*ms), 0},
		{"from a vague one, late", at(0, 0, 200*ms), at(210*ms, 210*ms, 211*ms), 0},
		{"from a vague one, too early", at(0, 0, 200*ms), at(5*ms, 210*ms, 211*ms), -105*ms - 500*us},
	} {
		if got := rounded(c.from.Jump(c.to.ClockReading)); got != c.want.Round(ms) {
			t.Errorf("%s: jumped by %v, want %v", c.what, got, c.want.Round(ms))
		}
	}
}

func TestManySmallStepsAddUp(t *testing.T) {
	const us = time.Microsecond
	for step, want := range map[time.Duration]time.Duration{ // every 20 ms; when it is noticed, 0: never
		time.Millisecond:  60 * time.Millisecond,
		-time.Millisecond: 60 * time.Millisecond,
		250 * us:          820 * time.Millisecond,
		-250 * us:         820 * time.Millisecond,
		200 * us:          0, // 1 %: drift
		-200 * us:         0,
	} {
		p := &pace{}
		if err := p.meet(session{id: 1, runID: "run"}, at(0, 0, 0)); err != nil {
			t.Fatalf("meet: %v", err)
		}
		var noticed, shown time.Duration
		for now := 20 * time.Millisecond; noticed == 0 && now < time.Minute; now += 20 * time.Millisecond {
			shown += 20*time.Millisecond + step
			if p.follow(at(shown, now, now)) != nil {
				noticed = now
			}
		}
		if noticed != want {
			t.Errorf("%v every 20ms: noticed after %v, want %v", step, noticed, want)
		}
	}
}

func TestTheClockOutlivesAConnectionButNotTheServer(t *testing.T) {
	first, second := session{id: 1, runID: "first"}, session{id: 7, runID: "second"}
	p := &pace{}
	for _, c := range []struct {
		what string
		now  session
		at   reading
		want string
	}{
		{"at first", first, at(0, 0, 0), "first/"},
		{"again", first, at(time.Second, time.Second, time.Second), "first/"},
		{"after a jump", first, at(9*time.Second, 2*time.Second, 2*time.Second), "first/j1"},
		{"again after it", first, at(10*time.Second, 3*time.Second, 3*time.Second), "first/j1"},
		{"another server", second, at(0, 4*time.Second, 4*time.Second), "second/j1"},
		{"the first again, of which nothing is known now", first, at(0, 5*time.Second, 5*time.Second), "first/j1"},
		{"and back", first, at(-time.Hour, 6*time.Second, 6*time.Second), "first/j2"},
	} {
		if err := p.meet(c.now, c.at); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		got := strings.Replace(p.incarnation(c.now), "//", "/", 1) // there is no replid
		if got != c.want {
			t.Errorf("%s: incarnation %q, want %q", c.what, got, c.want)
		}
	}
}

func TestTimeIsTwoNumbers(t *testing.T) {
	for _, c := range []struct {
		reply any
		want  time.Duration // -1: none
	}{
		{[]any{"1700000000", "250"}, 1700000000*time.Second + 250*time.Microsecond},
		{[]any{"0", "0"}, 0},
		{[]any{"1700000000", "1000000"}, -1},
		{[]any{"-1", "0"}, -1},
		{[]any{"99999999999", "0"}, -1},
		{[]any{"1700000000"}, -1},
		{[]any{"1700000000", int64(5)}, -1},
		{[]any{"now", "0"}, -1},
		{"1700000000", -1},
		{nil, -1},
	} {
		got, err := sinceEpoch(c.reply, nil)
		if (err != nil) != (c.want < 0) || err == nil && got != c.want {
			t.Errorf("%v means %v (%v), want %v", c.reply, got, err, c.want)
		}
	}
}

func TestAStoreIsTimedByAClockThatCountsSuspend(t *testing.T) {
	store := mustOpen(t, "redis://127.0.0.1")
	if _, ok := store.pace.clock.(quorum.BootClock); !ok {
		t.Errorf("its clock is a %T: after a suspend every store would seem to have jumped", store.pace.clock)
	}
}

// jumps are what a clock may do, and what is said about it.
func jumps(t *testing.T, test func(t *testing.T, by time.Duration, server *storetest.Server, shift func(time.Duration))) {
	for _, by := range []time.Duration{time.Hour, -time.Hour, 5 * time.Second, -5 * time.Second} {
		t.Run(fmt.Sprint(by), func(t *testing.T) {
			server, shift := storetest.StartShiftedRedis(t)
			test(t, by, server, shift)
		})
	}
}

// tellsOf reports whether err says which way and about how far a clock jumped.
func tellsOf(err error, by time.Duration) bool {
	if err == nil {
		return false
	}
	_, told, ok := strings.Cut(err.Error(), "its clock jumped by ")
	d, bad := time.ParseDuration(told)
	return ok && bad == nil && strings.HasPrefix(told, "+") == (by > 0) && (d-by).Abs() <= time.Second
}

func TestAJumpVoidsTheBatchAndIsAnotherIncarnation(t *testing.T) {
	jumps(t, func(t *testing.T, by time.Duration, server *storetest.Server, shift func(time.Duration)) {
		store := mustOpen(t, "redis://"+server.Addr())
		first := mustConnect(t, store)
		do(t, store, swap("orders", nil, version(1)))
		shift(by)
		votes := make([]quorum.Vote, 3)
		err := store.Do(t.Context(), []quorum.Request{
			read("orders"), swap("parcels", nil, version(1)), swap("parcels", nil, version(2)),
		}, votes)
		if !tellsOf(err, by) {
			t.Errorf("error %v, want that its clock jumped by %v", err, by)
		}
		for i, v := range votes {
			if v.Verdict != quorum.Silent || v.Found != nil || v.Unsent || !tellsOf(v.Err, by) {
				t.Errorf("vote %d: %+v, want silent, because its clock jumped by %v", i, v, by)
			}
		}
		if err := store.Do(t.Context(), []quorum.Request{read("orders")}, votes[:1]); err == nil {
			t.Error("it was asked again before it was connected to again")
		}
		second := mustConnect(t, store)
		if second != first+"/j1" {
			t.Errorf("incarnation %q, then %q, want /j1 behind it", first, second)
		}
		do(t, store, read("orders"))
		if again := mustConnect(t, store); again != second {
			t.Errorf("connected again: incarnation %q, want %q", again, second)
		}
		if facts, err := store.Facts(t.Context()); err != nil || facts.Incarnation != second {
			t.Errorf("facts: incarnation %q, error %v, want %q", facts.Incarnation, err, second)
		}
	})
}

func TestAJumpWhileDisconnectedIsSeenAtConnect(t *testing.T) {
	jumps(t, func(t *testing.T, by time.Duration, server *storetest.Server, shift func(time.Duration)) {
		middle := relayTo(t, server.Addr())
		store := mustOpen(t, "redis://"+middle.addr)
		first := mustConnect(t, store)
		middle.onReply(func([]byte) []byte { return []byte("garbage\r\n") })
		if err := store.Do(t.Context(), []quorum.Request{read("orders")}, make([]quorum.Vote, 1)); err == nil {
			t.Fatal("the connection is in order")
		}
		shift(by)
		middle.onReply(nil)
		for range 2 {
			if second := mustConnect(t, store); second != first+"/j1" {
				t.Errorf("incarnation %q, then %q, want /j1 behind it", first, second)
			}
			do(t, store, read("orders"))
		}
	})
}

func TestAClockThatIsPutRightWithARestartIsNoJump(t *testing.T) {
	server, shift := storetest.StartShiftedRedis(t)
	store := mustOpen(t, "redis://"+server.Addr())
	mustConnect(t, store)
	server.Kill()
	shift(time.Hour)
	server.Start()
	if incarnation := mustConnect(t, store); strings.Contains(incarnation, "/j") {
		t.Errorf("incarnation %q of a process that never saw the clock jump", incarnation)
	}
	do(t, store, read("orders"))
}

func TestASlowBatchIsNoJump(t *testing.T) {
	server := storetest.StartRedis(t)
	middle := relayTo(t, server.Addr())
	wait := func() { <-time.After(200 * time.Millisecond) }
	there := func(net.Conn, []byte) bool { wait(); return true }
	back := func(reply []byte) []byte { wait(); return reply }
	prompt := func() { middle.onRequest(nil); middle.onReply(nil) }
	slow := map[string]func(){
		"neither":  prompt,
		"requests": func() { prompt(); middle.onRequest(there) },
		"replies":  func() { prompt(); middle.onReply(back) },
		"both":     func() { middle.onRequest(there); middle.onReply(back) },
	}
	for first, atFirst := range slow {
		store := mustOpen(t, "redis://"+middle.addr)
		atFirst()
		incarnation := mustConnect(t, store)
		for second, then := range slow {
			then()
			votes := make([]quorum.Vote, 1)
			if err := store.Do(t.Context(), []quorum.Request{read("orders")}, votes); err != nil {
				t.Errorf("slow were %s, then %s: %v", first, second, err)
			}
		}
		prompt()
		if again := mustConnect(t, store); again != incarnation {
			t.Errorf("slow were %s: incarnation %q, then %q", first, incarnation, again)
		}
	}
}

func TestAStoreWhoseClockCannotBeReadCannotVote(t *testing.T) {
	server := storetest.StartRedis(t)
	direct := byHand(t, server)
	if err := direct.Do(t.Context(), "ACL", "SETUSER", "locker", "on", ">secret", "~*", "+@all").Err(); err != nil {
		t.Fatalf("make a user: %v", err)
	}
	store := mustOpen(t, "redis://locker:secret@"+server.Addr())
	mustConnect(t, store)
	if err := direct.Do(t.Context(), "ACL", "SETUSER", "locker", "-time").Err(); err != nil {
		t.Fatalf("forbid TIME: %v", err)
	}
	votes := make([]quorum.Vote, 1)
	err := store.Do(t.Context(), []quorum.Request{swap("orders", nil, version(1))}, votes)
	if err == nil || !strings.Contains(err.Error(), "read its clock: NOPERM") || votes[0].Verdict != quorum.Silent {
		t.Errorf("asked without its time: %+v, error %v, want silent, NOPERM", votes[0], err)
	}
	if _, err := store.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "read its clock: NOPERM") {
		t.Errorf("connect without its time: %v, want NOPERM", err)
	}
}

// A proxy that was away when the clock jumped finds it out by what it read before.
func TestAJumpThatNobodySawShowsWithTheBook(t *testing.T) {
	jumps(t, func(t *testing.T, by time.Duration, server *storetest.Server, shift func(time.Duration)) {
		look := func() quorum.ClockReading {
			store := mustOpen(t, "redis://"+server.Addr())
			defer store.Close()
			mustConnect(t, store)
			clock := do(t, store, readBook())[0].Clock
			if clock == nil || clock.After < clock.Before {
				t.Fatalf("a reading of the book came with the reading %v of the clock", clock)
			}
			return *clock
		}
		first, second := look(), look()
		shift(by)
		third := look()
		if got := first.Jump(second); got != 0 {
			t.Errorf("jumped by %v, want 0", got)
		}
		if got := first.Jump(third); (got - by).Abs() > time.Second {
			t.Errorf("jumped by %v, want %v", got, by)
		}
	})
}
