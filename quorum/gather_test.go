package quorum

import (
	"testing"
	"time"
)

func TestOthersAreLetRunOnlyIfRecordsComeOfIt(t *testing.T) {
	const script = 10 * time.Millisecond // for which Go lets one run before it is another's turn
	for _, c := range []struct {
		what string
		came int
		took time.Duration
		want bool
	}{
		{"nobody else is there", 0, time.Microsecond, true},
		{"one who reads, and asks for nothing", 0, 100 * time.Microsecond, true},
		{"a crowd on one processor", 60, 2 * time.Millisecond, true},
		{"a thousand", 1000, 30 * time.Millisecond, true},
		{"a script", 0, script, false},
		{"scripts, and a few who lock", 4, 2 * script, false},
		{"a script, and a crowd", 200, script, true},
	} {
		if got := worthwhile(c.came, c.took); got != c.want {
			t.Errorf("%s: %d records in %v are worthwhile: %v, want %v", c.what, c.came, c.took, got, c.want)
		}
	}
}
