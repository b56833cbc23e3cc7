package quorum

import (
	"testing"
	"time"
)

// clocks are those of a machine.
type clocks struct {
	boot, mono, slow time.Duration // slow is how long it takes to read them
	reads            int
}

func (c *clocks) read() (boot, before, after time.Duration) {
	c.reads++
	boot, before = c.boot, c.mono
	c.pass(c.slow)
	return boot, before, c.mono
}

func (c *clocks) pass(d time.Duration) { c.boot, c.mono = c.boot+d, c.mono+d }

func TestTheTimeCountsSuspends(t *testing.T) {
	c := &clocks{boot: time.Hour, mono: time.Second}
	b := newBootOffset(c.read)
	reads := c.reads
	for range 10_000 {
		c.pass(time.Microsecond)
		if got := b.now(c.mono); got != Time(c.boot) {
			t.Fatalf("the time is %v, want %v", time.Duration(got), c.boot)
		}
	}
	if n := c.reads - reads; n < 10 || n > 12 {
		t.Errorf("in 10 ms CLOCK_BOOTTIME was read %d times, want about 10", n)
	}
	c.boot += time.Minute // the machine is suspended
	c.pass(awakeEvery)
	if got := b.now(c.mono); got != Time(c.boot) {
		t.Errorf("after a suspend the time is %v, want %v", time.Duration(got), c.boot)
	}
}

// Whoever is preempted between two clocks has read two moments.
func TestAnInterruptedReadingOfTheClocks(t *testing.T) {
	for _, slow := range []time.Duration{bootReadMost / 2, 10 * time.Millisecond} {
		c := &clocks{boot: time.Hour, mono: time.Second}
		b := newBootOffset(c.read)
		b.now(c.mono)
		c.pass(awakeEvery)
		c.slow = slow
		if got := b.now(c.mono); got != Time(c.boot) {
			t.Errorf("read within %v the time is %v, want %v as before", slow, time.Duration(got), c.boot)
		}
		c.pass(awakeEvery)
		c.boot += time.Minute // the machine is suspended
		if got := b.now(c.mono); got != Time(c.boot-slow) {
			t.Errorf("read within %v the time is %v after a suspend, want what is certain, %v", slow, time.Duration(got), c.boot-slow)
		}
		c.pass(awakeEvery)
		c.slow = 0
		if got, within := b.now(c.mono), Time(c.boot-suspendLeast); got < within || got > Time(c.boot) {
			t.Errorf("once they can be read the time is %v, want %v to a millisecond", time.Duration(got), c.boot)
		}
	}
}

func TestTheTimeIsThatSinceTheBoot(t *testing.T) {
	last := Time(0)
	for range 100_000 {
		before, _, _ := readBoot()
		now := BootClock{}.Now()
		after, _, _ := readBoot()
		if now < last || now < Time(before-time.Millisecond) || now > Time(after+time.Millisecond) {
			t.Fatalf("the time is %v after %v, want one between %v and %v", now, last, before, after)
		}
		last = now
	}
}
