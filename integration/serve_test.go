package integration

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"holdfast/quorum/storetest"
)

func TestWhoIsToldToEndAnswersWhatItOwes(t *testing.T) {
	t.Parallel()
	all := startStores(t, "redis", "redis")
	p := startHoldfast(t, flags(all, "--store-timeout", "4s")...) // a majority of two is both
	c := strict(t, p.addr)
	warmUp(t, c, all)
	all[1].Pause()
	w := dialRaw(t, p.addr)
	w.send("SET orders token NX PX 60000", "ECHO after")
	storetest.Eventually(t, "the first store has granted", func() bool { return all[0].has("orders", "token") })
	told := time.Now()
	p.signal(syscall.SIGTERM)
	storetest.Eventually(t, "it takes no connections any more", func() bool { return !listens(p.addr) })
	all[1].Resume()
	for _, want := range []string{"+OK", "after"} {
		if got := w.must(); got != want {
			t.Errorf("a reply owed at the end: %q, want %q", got, want)
		}
	}
	if status, took := p.wait(), time.Since(told); status != 0 || took > 5*time.Second {
		t.Errorf("it ended with status %d after %v, want 0 within 5s", status, took)
	}
	p.start()
	wantHolder(t, strict(t, p.addr), "orders", "token")
}

func TestIdleClientsDoNotDelayTheEnd(t *testing.T) {
	t.Parallel()
	p := startHoldfast(t)
	for range 10 {
		w := dialRaw(t, p.addr)
		w.send("PING")
		w.must()
	}
	told := time.Now()
	p.signal(os.Interrupt)
	if status, took := p.wait(), time.Since(told); status != 0 || took > 4*time.Second {
		t.Errorf("it ended with status %d after %v, want 0 at once", status, took)
	}
}

func TestOneFolderHasOneOwner(t *testing.T) {
	t.Parallel()
	p := startHoldfast(t)
	o := holdfast(t, "serve", "--listen", "127.0.0.1:0", "--data-dir", p.dir)
	if o.status != 1 || o.out != "" {
		t.Errorf("a second holdfast on one folder: status %d, says %q, want it to refuse with 1", o.status, o.out)
	}
	wantWords(t, "a second holdfast on one folder", o.err, p.dir, "another holdfast is using this folder")
	mustAcquire(t, strict(t, p.addr), "orders", time.Minute)
}

func TestWhatItDoesNotUnderstandIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "holdfast.toml")
	if err := os.WriteFile(file, []byte("listen = \"127.0.0.1:0\"\nmax_tll = \"1h\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args  []string
		words []string
	}{
		{[]string{"serve", "--max-tll", "1h"}, []string{"max-tll"}},
		{[]string{"serve", "--config", file}, []string{file, "max_tll"}},
		{[]string{"serve", "--max-ttl", "1"}, []string{"max-ttl", `"1"`}},
		{[]string{"serve", "--strategy", "plurality"}, []string{"strategy", "plurality", "majority or unanimous"}},
		{[]string{"serve", "--store", "gopher://127.0.0.1:1"}, []string{"gopher://", "redis://"}},
		{[]string{"serve", "--store", "redis://u:secret@127.0.0.1:1", "--store", "redis://u:secret@127.0.0.1:1"}, []string{"listed twice"}},
		{[]string{"serve", "now"}, []string{`unexpected argument "now"`}},
	} {
		o := holdfast(t, c.args...)
		if o.status != 1 {
			t.Errorf("holdfast %q: status %d, want 1", c.args, o.status)
		}
		wantWords(t, "holdfast", o.err, append(c.words, "holdfast: ")...)
		wantNoWord(t, "holdfast", o.out+o.err, "secret")
	}
}
