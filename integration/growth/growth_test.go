package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func measured() growth {
	g := growth{CPUs: 2, Go: "go1", Redis: "7", Time: "5s"}
	for _, of := range []string{"connections", "stores", "leases"} {
		for i, count := range []int{1, 4, 100_000} {
			g.Points = append(g.Points, point{of, "holdfast", count, 1000 * float64(i+1), 500, 1500}, point{of, "redsync", count, 900, 600, 12345})
		}
	}
	return g
}

func TestEachSubjectIsDrawnAndTold(t *testing.T) {
	folder := t.TempDir()
	text, err := json.Marshal(measured())
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "growth.json"), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := drawAll(folder); err != nil {
		t.Fatalf("drawAll: %v", err)
	}
	for name, words := range map[string][]string{
		"connections.svg": {">connections<", ">holdfast<", ">redsync<", "pairs/s", "p99, ms", ">100k<", ">2000<"},
		"stores.svg":      {">stores<", ">holdfast<", ">redsync<"},
		"leases.svg":      {">live leases<", ">holdfast<", ">redsync<"},
		"growth.md":       {"2 processors", "| connections | holdfast | | redsync | |", "| 4 | 2000 | 1.5 ms | 900 | 12.3 ms |", "| 100k | 3000 |"},
	} {
		b, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if i := slices.IndexFunc(words, func(w string) bool { return !strings.Contains(string(b), w) }); i >= 0 {
			t.Errorf("%s: want %q in it", name, words[i])
		}
	}
}

func TestWhatWasNotMeasuredIsNotDrawn(t *testing.T) {
	folder := t.TempDir()
	if err := drawAll(folder); err == nil {
		t.Error("drew without growth.json")
	}
	if err := os.WriteFile(filepath.Join(folder, "growth.json"), []byte(`{"points": []}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := drawAll(folder); err == nil || !strings.Contains(err.Error(), "nothing about connections") {
		t.Errorf("nothing was measured: %v, want to be told what is missing", err)
	}
}

func TestTicksAreRoundNumbers(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      []float64
	}{
		{0.3, 3, []float64{0.5, 1, 2}},
		{900, 12_000, []float64{1000, 2000, 5000, 10_000}},
		{5, 5, []float64{5}},
	} {
		if got := steps(c.low, c.high); !slices.Equal(got, c.want) {
			t.Errorf("steps(%v, %v) = %v, want %v", c.low, c.high, got, c.want)
		}
	}
	for n, want := range map[float64]string{0.5: "0.5", 2000: "2000", 20_000: "20k", 1e6: "1M", 1024: "1024"} {
		if got := short(n); got != want {
			t.Errorf("short(%v) = %q, want %q", n, got, want)
		}
	}
}
