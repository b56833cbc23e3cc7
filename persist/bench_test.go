package persist

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"holdfast/quorum"
)

func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("%d records", size), func(b *testing.B) {
			j, _ := mustOpen(b, filepath.Join(b.TempDir(), "data"), Options{Clock: clockAt(time.Hour), Wall: wall})
			defer mustClose(b, j)
			records := make([]quorum.Record, size)
			n := uint64(0)
			b.ReportAllocs()
			for b.Loop() {
				for i := range records {
					n++
					l := lease(fmt.Sprintf("lock-%07d", n%100_000), "3f2a0d5e-6b7c-4c8e-9d1f-0a1b2c3d4e5f", n, time.Hour, time.Minute)
					records[i] = entries(pending(l, nil))
				}
				mustCommit(b, j, true, records...)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, count := range []int{10_000, 1_000_000} {
		for _, boot := range []string{"same boot", "reboot"} {
			b.Run(fmt.Sprintf("%d leases, %s", count, boot), func(b *testing.B) {
				dir := filepath.Join(b.TempDir(), "data")
				opts := Options{Clock: clockAt(time.Hour), Wall: wall, BootID: "boot-0"}
				j, _ := mustOpen(b, dir, opts)
				fill(b, j, count)
				mustClose(b, j)
				for i := 0; b.Loop(); i++ {
					if boot == "reboot" {
						opts.BootID = fmt.Sprint("boot-", i+1)
					}
					j, got := mustOpen(b, dir, opts)
					b.StopTimer()
					if len(got.Entries) != count {
						b.Fatalf("%d leases came back, want %d", len(got.Entries), count)
					}
					mustClose(b, j)
					b.StartTimer()
				}
			})
		}
	}
}
