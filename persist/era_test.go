package persist

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"holdfast/quorum"
)

// What is left of a lease of 10 s whose record and whose era's last checkpoint
// were written at these readings of boot a, when it is read at that one.
func TestDeadlinesMoveLateNeverEarly(t *testing.T) {
	const ttl = 10 * time.Second
	whole := ttl + quorum.Drift(ttl)
	for name, c := range map[string]struct {
		written, checkpoint time.Duration
		boot                string
		now                 time.Duration
		loose               bool
		want                time.Duration
	}{
		"restart":                                {written: 100 * time.Second, checkpoint: 101 * time.Second, boot: "a", now: 104 * time.Second, want: whole - 4*time.Second},
		"restart at the checkpoint":              {written: 100 * time.Second, checkpoint: 101 * time.Second, boot: "a", now: 101 * time.Second, want: whole - time.Second},
		"restart when it is over":                {written: 100 * time.Second, checkpoint: 101 * time.Second, boot: "a", now: 111 * time.Second, want: whole - 11*time.Second},
		"reboot":                                 {written: 100 * time.Second, checkpoint: 103 * time.Second, boot: "b", now: 20 * time.Second, want: whole - 3*time.Second},
		"reboot, the new clock is ahead":         {written: 100 * time.Second, checkpoint: 103 * time.Second, boot: "b", now: 999 * time.Second, want: whole - 3*time.Second},
		"reboot of one that was over":            {written: 100 * time.Second, checkpoint: 115 * time.Second, boot: "b", now: 20 * time.Second, want: whole - 15*time.Second},
		"reboot, checkpoint older than record":   {written: 100 * time.Second, checkpoint: 99 * time.Second, boot: "b", now: 20 * time.Second, want: whole},
		"reboot, checkpoint much older":          {written: 100 * time.Second, checkpoint: 1 * time.Second, boot: "b", now: 20 * time.Second, want: whole},
		"reboot, boot ids unknown":               {written: 100 * time.Second, checkpoint: 103 * time.Second, boot: "", now: 104 * time.Second, want: whole - 3*time.Second},
		"clock set back below the checkpoint":    {written: 100 * time.Second, checkpoint: 103 * time.Second, boot: "a", now: 102 * time.Second, want: whole - 3*time.Second},
		"clock set back far":                     {written: 100 * time.Second, checkpoint: 103 * time.Second, boot: "a", now: 0, want: whole - 3*time.Second},
		"set back between checkpoint and record": {written: 100 * time.Second, checkpoint: 90 * time.Second, boot: "a", now: 95 * time.Second, want: whole},
		"restart of a loose one":                 {written: 150 * time.Second, checkpoint: 100 * time.Second, loose: true, boot: "a", now: 105 * time.Second, want: whole + 45*time.Second},
		"reboot of a loose one":                  {written: 150 * time.Second, checkpoint: 103 * time.Second, loose: true, boot: "b", now: 20 * time.Second, want: whole + 47*time.Second},
	} {
		boot := "a"
		if c.boot == "" {
			boot = ""
		}
		e := eras{known: map[uint64]era{1: {boot: boot, last: quorum.Time(c.checkpoint)}}}
		e.choose(c.boot, quorum.Time(c.now))
		until := e.here(1, quorum.Until(quorum.Time(c.written), ttl), ttl, c.loose)
		if got := until.Sub(quorum.Time(c.now)); got != c.want {
			t.Errorf("%s: %v are left, want %v", name, got, c.want)
		}
	}
}

func TestAnOldEraNeverComesBack(t *testing.T) {
	// The clock of boot a was set back, to 50 s, and has passed 100 s again.
	e := eras{known: map[uint64]era{
		1: {boot: "a", last: quorum.Time(100 * time.Second)},
		2: {boot: "a", last: quorum.Time(50 * time.Second)},
	}}
	if isNew := e.choose("a", quorum.Time(120*time.Second)); isNew || e.current != 2 {
		t.Fatalf("era = %d, new %v, want 2 to go on", e.current, isNew)
	}
	until := e.here(1, quorum.Time(110*time.Second), time.Minute, false)
	if got, want := until.Sub(e.begun), 10*time.Second; got != want {
		t.Errorf("%v are left of a lease of era 1, want %v: what its own checkpoint left", got, want)
	}
}

// A journal lives through restarts, a reboot and a clock set back. What was left
// of the lease at the last checkpoint of each era is there in the next.
func TestTimeWithoutUsDoesNotCountAcrossBoots(t *testing.T) {
	fs, clock := vfs.NewMem(), clockAt(1000*time.Second)
	opts := options(t, fs, clock)
	j, _ := mustOpen(t, "data", opts)
	l := lease("a", "t", 1, 1000*time.Second, time.Minute)
	was := lease("a", "s", 2, 995*time.Second, 80*time.Second)
	mustCommit(t, j, true, entries(pending(l, was)))
	left, leftWas := time.Minute+quorum.Drift(time.Minute), 75*time.Second+quorum.Drift(80*time.Second)

	for _, step := range []struct {
		what       string
		checkpoint time.Duration // before the crash
		boot       string
		now        time.Duration // after it
		passed     time.Duration // that counts
		away       time.Duration // since the checkpoint, if that is known
	}{
		{"restart", 1005 * time.Second, "boot-a", 1010 * time.Second, 10 * time.Second, 5 * time.Second},
		{"reboot", 1012 * time.Second, "boot-b", 3 * time.Second, 2 * time.Second, 0},
		{"restart in the new boot", 4 * time.Second, "boot-b", 8 * time.Second, 5 * time.Second, 4 * time.Second},
		{"set back", 10 * time.Second, "boot-b", 9 * time.Second, 2 * time.Second, 0},
		{"reboot without a checkpoint of its own", 0, "boot-c", 5000 * time.Second, 0, 0},
	} {
		if step.checkpoint != 0 {
			mustCommit(t, j, true, quorum.Record{Now: quorum.Time(step.checkpoint)})
		}
		mustClose(t, j)
		clock.set(step.now)
		opts.BootID = step.boot
		var got quorum.History
		j, got = mustOpen(t, "data", opts)
		if got.Away != step.away {
			t.Errorf("%s: away for %v, want %v", step.what, got.Away, step.away)
		}
		left, leftWas = left-step.passed, leftWas-step.passed
		if len(got.Entries) != 1 || got.Entries[0].Replaced == nil {
			t.Fatalf("%s: the journal holds %s, want one pending lease that replaces another", step.what, show(got))
		}
		e := got.Entries[0]
		if got, was := e.Lease.Until.Sub(clock.Now()), e.Replaced.Until.Sub(clock.Now()); got != left || was != leftWas {
			t.Errorf("%s: %v and %v are left, want %v and %v", step.what, got, was, left, leftWas)
		}
	}
	mustClose(t, j)
}

// After a crash a lease may stand in for one that ends later, so that its TTL
// is no bound. It must not be cut short by the next crash.
func TestALeaseThatOutlivesItsTTLIsNotCutShort(t *testing.T) {
	fs, clock := vfs.NewMem(), clockAt(time.Hour)
	opts := options(t, fs, clock)
	j, _ := mustOpen(t, "data", opts)
	l := lease("a", "t", 1, time.Hour, time.Second)
	l.Until = l.Until.Add(10 * time.Minute)
	mustCommit(t, j, true, quorum.Record{Now: clock.Now()}, entries(held(l)))
	want := l.Until.Sub(clock.Now())
	for _, boot := range []string{"boot-a", "boot-b", "boot-c"} {
		mustClose(t, j)
		opts.BootID = boot
		var got quorum.History
		j, got = mustOpen(t, "data", opts)
		if len(got.Entries) != 1 || got.Entries[0].Lease.Until.Sub(clock.Now()) != want {
			t.Errorf("%s: %s, want %v left", boot, show(got), want)
		}
	}
	mustClose(t, j)
}

// Whoever comes back has its numbers go on from the limit by the time that it was
// away. That is counted from when the limit was written, so that many restarts in a
// row add no more than the time that they take.
func TestALimitIsWrittenWithTheTime(t *testing.T) {
	fs, clock := vfs.NewMem(), clockAt(1000*time.Second)
	opts := options(t, fs, clock)
	j, h := mustOpen(t, "data", opts)
	for i := range 3 {
		clock.set(time.Duration(2+i) * 1000 * time.Second)
		mustCommit(t, j, true, quorum.Record{Limit: h.Limit + quorum.Number(i+1)<<20})
		mustClose(t, j)
		clock.set(time.Duration(2+i)*1000*time.Second + 5*time.Second)
		var got quorum.History
		if j, got = mustOpen(t, "data", opts); got.Away != 5*time.Second {
			t.Errorf("restart %d: away for %v, want the 5s since the limit was written", i, got.Away)
		}
	}
	mustClose(t, j)
}

// After a reboot nobody knows for how long it was. With a wall clock that is right,
// numbers are where they would be had it been here all the while.
func TestNumbersOfANewBootFollowTheWallClock(t *testing.T) {
	fs, clock := vfs.NewMem(), clockAt(time.Hour)
	opts := options(t, fs, clock)
	j, born := mustOpen(t, "data", opts)
	for _, step := range []struct {
		boot string
		wall time.Duration // since the journal was made
		want quorum.Number
	}{
		{"boot-a", time.Hour, born.Limit},
		{"boot-b", time.Hour, quorum.FirstNumber(wall().Add(time.Hour), 0)},
		{"boot-c", -time.Hour, born.Limit},
	} {
		mustClose(t, j)
		clock.set(time.Duration(clock.Now()) + time.Second)
		opts.BootID, opts.Wall = step.boot, func() time.Time { return wall().Add(step.wall) }
		var got quorum.History
		if j, got = mustOpen(t, "data", opts); got.Limit != step.want {
			t.Errorf("%s, the wall clock %v on: numbers go on from %v, want %v", step.boot, step.wall, got.Limit, step.want)
		}
	}
	mustClose(t, j)
}
