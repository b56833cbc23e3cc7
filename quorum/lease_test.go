package quorum

import (
	"testing"
	"time"
)

func TestDriftIsOnePercentAndTwoMilliseconds(t *testing.T) {
	for ttl, want := range map[time.Duration]time.Duration{
		0:                2 * time.Millisecond,
		time.Millisecond: 2*time.Millisecond + 10*time.Microsecond,
		time.Second:      12 * time.Millisecond,
		10 * time.Second: 102 * time.Millisecond,
		24 * time.Hour:   864*time.Second + 2*time.Millisecond,
	} {
		if got := Drift(ttl); got != want {
			t.Errorf("Drift(%v) = %v, want %v", ttl, got, want)
		}
	}
}

func TestValidityIsWhatTheVoteAndTheDriftLeave(t *testing.T) {
	for _, c := range []struct{ ttl, elapsed, want time.Duration }{
		{10 * time.Second, 0, 9898 * time.Millisecond},
		{10 * time.Second, 3 * time.Second, 6898 * time.Millisecond},
		{time.Second, 988 * time.Millisecond, 0},
		{time.Second, 2 * time.Second, -1012 * time.Millisecond},
		{time.Millisecond, 0, -1010 * time.Microsecond}, // shorter than the drift
	} {
		if got := Validity(c.ttl, c.elapsed); got != c.want {
			t.Errorf("Validity(%v, %v) = %v, want %v", c.ttl, c.elapsed, got, c.want)
		}
	}
}

func TestTheCautiousEndIsAfterWhatAnyHolderBelieves(t *testing.T) {
	start := Time(time.Hour)
	for _, ttl := range []time.Duration{MinTTL, time.Second, 24 * time.Hour} {
		until := Until(start, ttl)
		if want := start.Add(ttl + Drift(ttl)); until != want {
			t.Errorf("Until(%v, %v) = %v, want %v", start, ttl, until, want)
		}
		// A client counts the whole TTL, by a clock that ours outruns by 1 %.
		if believed := start.Add(ttl + ttl/100); until <= believed {
			t.Errorf("a lease of %v ends at %v here, and a slow client may count until %v", ttl, until, believed)
		}
	}
}

func TestALeaseAroundItsEnd(t *testing.T) {
	start := Time(time.Hour)
	l := &Lease{Name: "orders", TTL: 10 * time.Second, Until: Until(start, 10*time.Second)}
	for _, c := range []struct {
		after time.Duration
		live  bool
		left  time.Duration
	}{
		{0, true, 10 * time.Second},
		{9 * time.Second, true, time.Second},
		{10*time.Second - time.Millisecond, true, time.Millisecond},
		{10*time.Second - 1, true, time.Millisecond},
		{10 * time.Second, true, time.Millisecond}, // the TTL is over, and it denies still
		{10*time.Second + 102*time.Millisecond - 1, true, time.Millisecond},
		{10*time.Second + 102*time.Millisecond, false, time.Millisecond},
	} {
		now := start.Add(c.after)
		if got := l.Live(now); got != c.live {
			t.Errorf("after %v: live %t, want %t", c.after, got, c.live)
		}
		if got := l.Left(now); got != c.left {
			t.Errorf("after %v: %v left, want %v", c.after, got, c.left)
		}
	}
	if got, want := l.Ends(), start.Add(10*time.Second); got != want {
		t.Errorf("ends at %v, want %v", got, want)
	}
	if (*Lease)(nil).Live(start) {
		t.Error("no lease is live, want it not to be")
	}
}

func TestNumbersKeepTheirAuthorAndTheirOrder(t *testing.T) {
	for _, c := range []struct {
		count  uint64
		author uint8
		text   string
	}{
		{0, 0, "0000000000000000"},
		{1, 0, "0000000000000100"},
		{1, 255, "00000000000001ff"},
		{0xabcdef, 7, "00000000abcdef07"},
		{1<<45 - 1, 1, "001fffffffffff01"},
	} {
		n := MakeNumber(c.count, c.author)
		if n.Count() != c.count || n.Author() != c.author || n.String() != c.text {
			t.Errorf("number %d of %d is %d of %d, %s, want %s", c.count, c.author, n.Count(), n.Author(), n, c.text)
		}
		if next := MakeNumber(c.count+1, 0); next <= n {
			t.Errorf("number %v is not above %v of the count before it", next, n)
		}
	}
}

func TestTheFirstNumberLeavesRoomBelowADouble(t *testing.T) {
	at := func(year int) time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }
	for _, year := range []int{1970, 2025, 2100, 2240} {
		first := FirstNumber(at(year), 255)
		if first == 0 || first >= 1<<53 || first.Author() != 255 {
			t.Errorf("a journal of %d starts at %v, want the author 255 and less than 2^53", year, first)
		}
	}
	if first := FirstNumber(time.Unix(-5, 0), 0); first == 0 {
		t.Error("a journal made before 1970 starts at 0, which is no number")
	}
	now, second := at(2026), time.Second
	if got := FirstNumber(now.Add(second), 0).Count() - FirstNumber(now, 0).Count(); got != 4096 {
		t.Errorf("a second later the first number is %d higher, want 4096", got)
	}
}
