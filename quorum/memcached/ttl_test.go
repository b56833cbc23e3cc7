package memcached

import (
	"math"
	"testing"
	"time"
)

func TestTTLIsNeverShorterThanAskedAndNeverADate(t *testing.T) {
	const no = 0
	for ttl, want := range map[time.Duration]int64{
		math.MinInt64:                     no,
		-time.Second:                      no,
		0:                                 no,
		time.Millisecond - 1:              no,
		time.Millisecond:                  2,
		time.Second - 1:                   2,
		time.Second:                       2,
		time.Second + 1:                   3,
		1500 * time.Millisecond:           3,
		10 * time.Second:                  11,
		24 * time.Hour:                    86401,
		30*24*time.Hour - time.Second:     2592000,
		30*24*time.Hour - time.Second + 1: no,
		30 * 24 * time.Hour:               no,
		31 * 24 * time.Hour:               no,
		math.MaxInt64:                     no,
	} {
		got, err := seconds(ttl)
		if got != want || (err != nil) != (want == no) {
			t.Errorf("seconds(%v) = %d, %v, want %d", ttl, got, err, want)
		}
	}
}

func TestLeftTellsNoTTLFromNoneLeft(t *testing.T) {
	for seconds, want := range map[int64]time.Duration{-1: 0, 0: time.Second, 1: time.Second, 60: time.Minute} {
		if got := (&item{seconds: seconds}).left(); got != want {
			t.Errorf("t%d: left %v, want %v", seconds, got, want)
		}
	}
}
