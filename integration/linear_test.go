package integration

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// A deed is what a client did to a lock, or what became of its lease.
type deed struct {
	kind        deedKind
	lock, token string
	fence       int64 // of an acquire, 0 if it was not told
}

type deedKind int

const (
	acquires deedKind = iota // and it was granted
	releases                 // and was told that it had held the lock until then
	misses                   // it was told that it holds nothing
	lapses                   // the TTL runs out, or a release is carried out that nobody heard of
)

// lockState is what a lock is at one moment.
type lockState struct {
	holder string // "" if it is free
	fence  int64  // the highest so far
}

// step is a lock with a TTL as one would write it down for a single process.
func (s lockState) step(d deed) (bool, lockState) {
	switch d.kind {
	case acquires:
		return s.holder == "" && (d.fence == 0 || d.fence > s.fence), lockState{d.token, max(s.fence, d.fence)}
	case releases:
		return s.holder == d.token, lockState{"", s.fence}
	case misses:
		return s.holder != d.token, s
	}
	if s.holder == d.token {
		s.holder = ""
	}
	return true, s
}

// lockModel is what histories are measured against: one lock, for itself.
func lockModel() porcupine.Model {
	return porcupine.Model{
		Partition: partition,
		Init:      func() any { return lockState{} },
		Step: func(state, input, _ any) (bool, any) {
			return state.(lockState).step(input.(deed))
		},
		DescribeOperation: func(input, _ any) string {
			d := input.(deed)
			verb := [...]string{"acquired", "released", "does not hold", "no longer counts on"}[d.kind]
			return fmt.Sprintf("%.6s %s %s (fence %d)", d.token, verb, d.lock, d.fence)
		},
		DescribeState: func(state any) string {
			s := state.(lockState)
			return fmt.Sprintf("%.6s (fence %d)", cmp.Or(s.holder, "free"), s.fence)
		},
	}
}

// partition parts the deeds by lock.
func partition(deeds []porcupine.Operation) (parts [][]porcupine.Operation) {
	index := map[string]int{}
	for _, one := range deeds {
		lock := one.Input.(deed).lock
		i, ok := index[lock]
		if !ok {
			i = len(parts)
			index[lock], parts = i, append(parts, nil)
		}
		parts[i] = append(parts[i], one)
	}
	return parts
}

// deeds returns what the client did for one hold. A denial promises nothing, and
// an acquire with an unknown outcome is one that may have no effect for ever, so
// neither is in it.
//
// A lapse could happen at any time from its first moment on. It is put at the
// earliest: nothing but another's acquire depends on it, and for that sooner is
// never worse. So the search stays short where a history is wrong.
func (h hold) deeds() []porcupine.Operation {
	at := func(kind deedKind, call, back time.Duration) porcupine.Operation {
		return porcupine.Operation{
			ClientId: h.client, Input: deed{kind, h.lock, h.token, h.fence}, Call: int64(call), Return: int64(back),
		}
	}
	lapse := func(first time.Duration) porcupine.Operation { return at(lapses, first, max(first, h.from)) }
	deeds := []porcupine.Operation{at(acquires, h.sent, h.from)}
	switch h.release.outcome {
	case released:
		return append(deeds, at(releases, h.release.sent, h.release.answered))
	case notHeld:
		return append(deeds, lapse(h.end), at(misses, h.release.sent, h.release.answered))
	}
	return append(deeds, lapse(min(h.end, h.release.sent)))
}

const (
	windowHolds   = 2000 // checked together: memory grows with the square of it
	windowOverlap = 200  // of them are in the next window too
)

// windows cuts the history into pieces of a bearable size. Holds taken out of a
// sound history leave a sound one, so no piece is wrong by itself.
func (h *history) windows() (windows [][]porcupine.Operation) {
	holds := slices.Concat(h.holds, h.late)
	slices.SortFunc(holds, func(a, b hold) int { return cmp.Compare(a.sent, b.sent) })
	for first := 0; first == 0 || first+windowOverlap < len(holds); first += windowHolds - windowOverlap {
		var deeds []porcupine.Operation
		for _, one := range holds[first:min(first+windowHolds, len(holds))] {
			deeds = append(deeds, one.deeds()...)
		}
		windows = append(windows, deeds)
	}
	return windows
}

// linear fails the test unless every lock of the history went by the model. With
// a folder it leaves a picture there: of what is wrong, else of the end.
func (h *history) linear(t *testing.T, folder string) (deeds int) {
	t.Helper()
	windows := h.windows()
	for i, window := range windows {
		deeds += len(window)
		result, info := porcupine.CheckOperationsVerbose(lockModel(), window, time.Minute)
		if result != porcupine.Ok {
			t.Errorf("no order of the %d deeds in window %d of the history makes sense of it: %s", len(window), i, result)
		}
		if folder == "" || result == porcupine.Ok && i < len(windows)-1 {
			continue
		}
		name := fmt.Sprintf("%s-%d.html", strings.NewReplacer("/", "-", ",", "", ":", "").Replace(t.Name()), i)
		if err := porcupine.VisualizePath(lockModel(), info, filepath.Join(folder, name)); err != nil {
			t.Errorf("draw the history: %v", err)
		}
	}
	return deeds
}

func TestADoctoredHistoryIsFoundOut(t *testing.T) {
	t.Parallel()
	// Holds of ten, one after the other, that were released; the reply takes one.
	sound := func(n int) (holds []hold) {
		for i := range time.Duration(n) {
			at := 20 * i
			holds = append(holds, hold{
				lock: fmt.Sprint("lock", i%3), token: fmt.Sprint("token", i), fence: int64(i + 1),
				sent: at, from: at + 1, to: at + 10, end: at + 100,
				release: farewell{at + 10, at + 11, released},
			})
		}
		return holds
	}
	for what, c := range map[string]struct {
		doctor func(holds []hold) []hold
		want   porcupine.CheckResult
	}{
		"nothing": {func(h []hold) []hold { return h }, porcupine.Ok},
		"a double grant": {func(h []hold) []hold {
			twice := h[50]
			twice.token, twice.fence = "other", twice.fence+1 // in the midst of it
			twice.sent, twice.from = twice.sent+3, twice.from+3
			return append(h, twice)
		}, porcupine.Illegal},
		"a grant while the TTL goes on": {func(h []hold) []hold {
			h[50].release = farewell{outcome: notHeld, sent: 1200, answered: 1201}
			h[50].end = 1100 // the next of this lock begins at 1060
			return h
		}, porcupine.Illegal},
		"a grant after the TTL": {func(h []hold) []hold {
			h[50].release = farewell{outcome: notHeld, sent: 1200, answered: 1201}
			h[50].end = 1061 // it is granted between 1060 and 1061
			return h
		}, porcupine.Ok},
		"a release that nobody heard of": {func(h []hold) []hold {
			h[50].release = farewell{outcome: unknown, sent: 1010}
			return h
		}, porcupine.Ok},
		"a holder told that it holds nothing": {func(h []hold) []hold {
			h[50].release.outcome = notHeld
			return h
		}, porcupine.Illegal},
		"a reply that came after the TTL": {func(h []hold) []hold {
			h[50].end, h[50].from = 1005, 1015
			h[50].release = farewell{outcome: notHeld, sent: 1016, answered: 1017}
			return h
		}, porcupine.Ok},
		"a fencing token that falls": {func(h []hold) []hold {
			h[50].fence = h[47].fence - 1
			return h
		}, porcupine.Illegal},
	} {
		h := &history{holds: c.doctor(sound(1000))}
		for i, window := range h.windows() {
			if got := porcupine.CheckOperationsTimeout(lockModel(), window, time.Minute); got != c.want {
				t.Errorf("doctored with %s, window %d: %s, want %s", what, i, got, c.want)
			}
		}
	}
}

func TestNoDoubleGrantHidesBetweenWindows(t *testing.T) {
	t.Parallel()
	h := &history{}
	for i := range time.Duration(3 * windowHolds) {
		h.holds = append(h.holds, hold{lock: "orders", token: fmt.Sprint(i), sent: 10 * i, from: 10*i + 1, end: 10*i + 8, release: farewell{sent: 10*i + 8}})
	}
	for _, at := range []int{windowHolds - windowOverlap, windowHolds, 2*windowHolds - windowOverlap} {
		doctored := &history{holds: slices.Clone(h.holds)}
		doctored.holds[at-1].end += 20
		doctored.holds[at-1].release.sent += 20
		found := slices.ContainsFunc(doctored.windows(), func(window []porcupine.Operation) bool {
			return !porcupine.CheckOperations(lockModel(), window)
		})
		if !found {
			t.Errorf("a double grant at hold %d of %d: found nothing", at, len(h.holds))
		}
	}
}
