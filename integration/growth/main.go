// Command growth draws what BenchmarkGrowth measured: how pairs a second and the
// wait for a lock change with connections, stores and live leases. It reads
// growth.json in the folder it is given, and writes a picture for each of the
// three, and growth.md with the numbers, beside it.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// A growth is what was measured.
type growth struct {
	CPUs   int     `json:"cpus"`
	Go     string  `json:"go"`
	Redis  string  `json:"redis"`
	Time   string  `json:"time"` // of each point
	Points []point `json:"points"`
}

// A point is what one way to lock did with so many of something.
type point struct {
	Of       string  `json:"of"` // "connections", "stores" or "leases"
	Way      string  `json:"way"`
	Count    int     `json:"count"`
	PairRate float64 `json:"pairs_per_s"`
	LockP50  float64 `json:"lock_p50_us"`
	LockP99  float64 `json:"lock_p99_us"`
}

// A subject is what grows.
type subject struct {
	of, title, axis string
	logarithmic     bool
}

var subjects = []subject{
	{"connections", "Over three Redis, or none; each connection with one request under way", "connections", true},
	{"stores", "64 connections over one to seven Redis", "stores", false},
	{"leases", "64 connections while so many other locks are held; over three Redis, or none", "live leases", true},
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: growth FOLDER, the one with growth.json")
		os.Exit(2)
	}
	if err := drawAll(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "growth:", err)
		os.Exit(1)
	}
}

func drawAll(folder string) error {
	text, err := os.ReadFile(filepath.Join(folder, "growth.json"))
	if err != nil {
		return err
	}
	var g growth
	if err := json.Unmarshal(text, &g); err != nil {
		return fmt.Errorf("growth.json: %w", err)
	}
	for _, s := range subjects {
		points := g.about(s.of)
		if len(points) == 0 {
			return fmt.Errorf("growth.json: nothing about %s", s.of)
		}
		if err := s.draw(points, filepath.Join(folder, s.of+".svg")); err != nil {
			return fmt.Errorf("draw %s: %w", s.of, err)
		}
	}
	return os.WriteFile(filepath.Join(folder, "growth.md"), []byte(g.tables()), 0o644)
}

func (g growth) about(of string) (points []point) {
	for _, p := range g.Points {
		if p.Of == of {
			points = append(points, p)
		}
	}
	return points
}

// waysOf returns the ways to lock, in the order they were measured in.
func waysOf(points []point) (ways []string) {
	for _, p := range points {
		if !slices.Contains(ways, p.Way) {
			ways = append(ways, p.Way)
		}
	}
	return ways
}

// countsOf returns how many there were, in ascending order.
func countsOf(points []point) (counts []int) {
	for _, p := range points {
		counts = append(counts, p.Count)
	}
	slices.Sort(counts)
	return slices.Compact(counts)
}
