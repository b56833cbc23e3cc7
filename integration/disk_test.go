package integration

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// longestSync syncs a few bytes to disk again and again until ctx is done, and
// returns how long it took at the most. No lock is granted while the disk stands
// still, whatever the stores do; redsync does not notice.
func longestSync(ctx context.Context, t *testing.T) (most time.Duration) {
	f, err := os.Create(filepath.Join(t.TempDir(), "sync"))
	if err != nil {
		t.Errorf("watch the disk: %v", err)
		return 0
	}
	defer f.Close()
	for pause(ctx, 20*time.Millisecond) {
		start := time.Now()
		if _, err := f.WriteAt([]byte(start.String()), 0); err != nil {
			t.Errorf("watch the disk: %v", err)
		}
		if err := f.Sync(); err != nil {
			t.Errorf("watch the disk: %v", err)
		}
		most = max(most, time.Since(start))
	}
	return most
}
