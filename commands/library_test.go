package commands

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"testing"
)

// A shelf is a library in memory.
type shelf struct {
	mu    sync.Mutex
	texts map[digest]string // guarded by mu
}

func (s *shelf) Scripts() (texts [][]byte) {
	for _, text := range s.texts {
		texts = append(texts, []byte(text))
	}
	return texts
}

func (s *shelf) SetScripts(keep [][]byte, drop []digest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range keep {
		s.texts[sha1.Sum(text)] = string(text)
	}
	for _, d := range drop {
		delete(s.texts, d)
	}
	return nil
}

func (s *shelf) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.texts)
}

func shaOf(text string) string {
	d := sha1.Sum([]byte(text))
	return hex.EncodeToString(d[:])
}

func TestScriptsInUseAreThereAfterARestart(t *testing.T) {
	kept := &shelf{texts: map[digest]string{}}
	live := func() *house { return newHouse(t, 0, func(o *Options) { o.Library = kept }) }
	h := live()
	g := h.guest()
	g.ask("script load \"return 1\"") // as who loads once
	g.ask("eval \"return 2\" 0")
	g.ask("evalsha " + shaOf("return 2") + " 0") // as who sends EVAL once
	g.ask("eval \"return 3\" 0")                 // as who always sends the text
	g.ask("script load \"return nonsense(\"")
	h.engine.Close()
	again := live()
	another := again.guest() // the cache is one for all connections
	for text, want := range map[string]string{"return 1": yes, "return 2": ":2\r\n", "return 3": errLine(errNoScript)} {
		if got := another.ask("evalsha " + shaOf(text) + " 0"); got != want {
			t.Errorf("after a restart %q = %q, want %q", text, got, want)
		}
	}
	another.ask("script flush")
	again.engine.Close()
	if n := kept.size(); n != 0 {
		t.Errorf("after SCRIPT FLUSH %d scripts are kept", n)
	}
}

func TestNoMoreScriptsAreKeptThanThereAre(t *testing.T) {
	kept := &shelf{texts: map[digest]string{sha1.Sum([]byte("of another version (")): "of another version ("}}
	h := newHouse(t, 0, func(o *Options) { o.Library = kept })
	g := h.guest()
	for i := range maxScripts + 100 {
		g.ask(fmt.Sprintf("script load \"return %d\"", i))
	}
	h.engine.Close()
	if n := kept.size(); n != maxScripts {
		t.Errorf("%d scripts are kept, want %d", n, maxScripts)
	}
	if slices.Contains(mapped(kept), "return 0") {
		t.Error("the oldest is still kept")
	}
}

func mapped(s *shelf) (texts []string) {
	for _, text := range s.texts {
		texts = append(texts, text)
	}
	return texts
}
