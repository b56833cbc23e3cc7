package proxy

import (
	"sync"
	"testing"
	"time"
)

// counted returns what a metric counted, by the values of its labels.
func counted(t testing.TB, m *Metrics, name string) map[string]float64 {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatalf("gather: %v", err)
	}
	all := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, one := range f.Metric {
			values := ""
			for _, l := range one.Label {
				values += l.GetValue() + " "
			}
			all[values] = one.GetCounter().GetValue() + float64(one.GetHistogram().GetSampleCount())
		}
	}
	return all
}

func TestEachVoteAndChangeIsCounted(t *testing.T) {
	m := NewMetrics()
	const callers, each = 8, 100
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				m.Voted("a", "granted", true, time.Millisecond)
				m.Voted("b", "granted", true, time.Millisecond)
				m.Voted("b", "silent", false, 0)
				m.Ended("acquire", "granted", time.Millisecond)
				m.Ended("release", "granted", time.Millisecond)
				m.Ended("release", "held", time.Millisecond)
			}
		})
	}
	wg.Wait()
	for name, want := range map[string][]string{
		"holdfast_votes_total":    {"a granted ", "b granted ", "b silent "},
		"holdfast_vote_seconds":   {"a ", "b "},
		"holdfast_changes_total":  {"acquire granted ", "release granted ", "release held "},
		"holdfast_change_seconds": {"acquire granted ", "release granted ", "release held "},
	} {
		got := counted(t, m, name)
		for _, line := range want {
			if got[line] != callers*each {
				t.Errorf("%s of %q counted %g, want %d", name, line, got[line], callers*each)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %d lines", name, got, len(want))
		}
	}
}

func BenchmarkMetrics(b *testing.B) {
	m := NewMetrics()
	b.ReportAllocs()
	for b.Loop() {
		m.Voted("redis://127.0.0.1:6379", "granted", true, time.Millisecond)
		m.Ended("acquire", "granted", time.Millisecond)
	}
}
