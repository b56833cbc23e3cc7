package redis

import (
	"fmt"
	"time"

	"holdfast/quorum"
)

// report takes a push, of whose header rest is left: "invalidate", then the names
// that were written, or a null when everything was flushed.
func (w *watcher) report(rest []byte) error {
	if string(rest) != "2" {
		return fmt.Errorf("a push of %.60q elements, want 2", rest)
	}
	what, err := w.str()
	if err != nil {
		return err
	}
	if string(what) != "invalidate" {
		return w.in.value(maxDepth) // news of something else
	}
	kind, rest, err := w.in.header()
	if err != nil {
		return err
	}
	names := int64(-1) // a null
	if kind != '_' {
		if names, err = length(kind, rest); err != nil {
			return err
		}
	}
	if names < 0 {
		w.gone("")
		return nil
	}
	if kind != '*' {
		return fmt.Errorf("a report of %c%.60q, want names", kind, rest)
	}
	w.flood.look()
	for ; names > 0; names-- {
		if err := w.reported(); err != nil {
			return err
		}
	}
	return nil
}

// reported takes one name.
func (w *watcher) reported() error {
	name, err := w.str()
	if err != nil {
		return err
	}
	if isOurs(name) {
		return nil // ours or another proxy's: as many as there are locks taken and released
	}
	if len(name) == 0 || len(name) > maxName {
		return w.flood.add() // no lock is called that
	}
	if !w.own.reported(name) {
		return nil
	}
	if err := w.flood.add(); err != nil {
		return err
	}
	w.gone(string(name))
	return nil
}

// str reads a string, good until the next one is read. One that is longer than a
// lock's name may be is one byte too long.
func (w *watcher) str() ([]byte, error) {
	kind, rest, err := w.in.header()
	if err != nil {
		return nil, err
	}
	n, err := length(kind, rest)
	if err != nil {
		return nil, err
	}
	if kind != '$' || n < 0 {
		return nil, fmt.Errorf("%c%.60q where a string was expected", kind, rest)
	}
	return w.in.body(n, w.name[:])
}

// A flood counts what comes in within a second.
type flood struct {
	clock quorum.Clock
	since quorum.Time
	names int
}

// look at the clock, once for many names.
func (f *flood) look() {
	if now := f.clock.Now(); now.Sub(f.since) >= time.Second {
		f.since, f.names = now, 0
	}
}

var errFlood = fmt.Errorf("others write more than %d names a second", maxFlood)

// add counts a name.
func (f *flood) add() error {
	f.names++
	if f.names > maxFlood {
		return errFlood
	}
	return nil
}
