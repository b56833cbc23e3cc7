package commands

import (
	"crypto/sha1"
	"log/slog"
	"sync"
)

// A Library keeps scripts for the next start. Clients that load a script once, or
// sent it once, go on calling it by its digest alone: to them a restart should look
// like nothing at all.
type Library interface {
	// Scripts returns the texts that are kept.
	Scripts() [][]byte
	// SetScripts keeps texts, and drops others. Calls do not overlap.
	SetScripts(keep [][]byte, drop []digest) error
}

// restore takes up what was kept, as far as there is room. What can't be compiled
// any more is dropped.
func (s *scripts) restore(texts [][]byte) {
	for _, text := range texts {
		d := sha1.Sum(text)
		made, err := newScript(d, text)
		if err != nil || len(s.kept) >= maxScripts || s.text+len(text) > maxScriptText {
			s.saving.drop(d)
			continue
		}
		made.saved = true
		s.keep(made)
	}
}

// save has a script kept for the next start: one that was loaded, or is called by
// its digest. Others are sent anew each time.
func (s *scripts) save(kept *script) {
	if kept == nil || s.saving == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.kept[kept.digest]; e != nil && !kept.saved && e.Value == kept {
		kept.saved = true
		s.saving.keep(kept)
	}
}

// A saving hands scripts to a library, behind the backs of those who wait for
// replies: that they are kept is no promise. nil does nothing.
type saving struct {
	library Library
	log     *slog.Logger
	work    chan struct{} // there is something in due, or it is over
	running sync.WaitGroup

	mu   sync.Mutex
	due  map[digest][]byte // guarded by mu; texts to keep, nil to drop
	over bool              // guarded by mu
}

// newSaving returns a saving, which must be closed.
func newSaving(l Library, log *slog.Logger) *saving {
	v := &saving{library: l, log: log, work: make(chan struct{}, 1), due: map[digest][]byte{}}
	v.running.Go(v.run)
	return v
}

// maxDue is how many scripts wait. Of more than are kept, one that is not dropped
// is in nobody's way until the next start.
const maxDue = 4 * maxScripts

func (v *saving) keep(s *script) { v.put(s.digest, s.text) }
func (v *saving) drop(d digest)  { v.put(d, nil) }

func (v *saving) put(d digest, text []byte) {
	if v == nil {
		return
	}
	v.mu.Lock()
	if _, waits := v.due[d]; waits || len(v.due) < maxDue {
		v.due[d] = text
	}
	v.mu.Unlock()
	v.rouse()
}

func (v *saving) rouse() {
	select {
	case v.work <- struct{}{}:
	default: // it will look anyway
	}
}

// close waits until all that is due is saved.
func (v *saving) close() {
	if v == nil {
		return
	}
	v.mu.Lock()
	v.over = true
	v.mu.Unlock()
	v.rouse()
	v.running.Wait()
}

func (v *saving) run() {
	for range v.work {
		keep, drop, over := v.take()
		if len(keep)+len(drop) > 0 {
			if err := v.library.SetScripts(keep, drop); err != nil {
				v.log.Warn("scripts.not_kept", "why", err)
			}
		}
		if over {
			return
		}
	}
}

// take returns all that is due. After close there is nothing behind it.
func (v *saving) take() (keep [][]byte, drop []digest, over bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for d, text := range v.due {
		if text == nil {
			drop = append(drop, d)
		} else {
			keep = append(keep, text)
		}
	}
	clear(v.due)
	return keep, drop, v.over
}
