package main

import (
	"fmt"
	"strings"
)

// tables is what was measured in Markdown.
func (g growth) tables() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured with %d processors, %s, Redis %s; clients, holdfast and stores on the one machine, %s a point.\n", g.CPUs, g.Go, g.Redis, g.Time)
	for _, s := range subjects {
		points := g.about(s.of)
		ways := waysOf(points)
		fmt.Fprintf(&b, "\n%s: pairs/s, and p99 of a lock\n\n| %s |", s.title, s.axis)
		for _, way := range ways {
			fmt.Fprintf(&b, " %s | |", way)
		}
		b.WriteString("\n|--:|" + strings.Repeat("--:|--:|", len(ways)) + "\n")
		for _, count := range countsOf(points) {
			fmt.Fprintf(&b, "| %s |", short(float64(count)))
			for _, way := range ways {
				b.WriteString(cells(points, way, count))
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

func cells(points []point, way string, count int) string {
	for _, p := range points {
		if p.Way == way && p.Count == count {
			return fmt.Sprintf(" %.0f | %.3g ms |", p.PairRate, p.LockP99/1000)
		}
	}
	return " | |"
}

// short writes a number with k for thousands and M for millions.
func short(n float64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.4gM", n/1e6)
	case n >= 1e4:
		return fmt.Sprintf("%.4gk", n/1e3)
	}
	return fmt.Sprintf("%.4g", n)
}
