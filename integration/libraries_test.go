package integration

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdfast/quorum/storetest"
)

// A library is a way to lock that programs use, in the words of its driver.
type library struct {
	name string
	key  string // what it makes of a lock's name, which is NAME in it

	noExtend bool // a lock is as long as it was asked for
	noTell   bool // a release says nothing of what came of it
	noOwner  bool // a release is a plain DEL, whosever the lock is by then
	noError  bool // it waits and asks again, whatever the answer was
}

// released returns the answer to a release, if it is one of a holder or not.
func (l library) released(holder bool) string {
	switch {
	case l.noTell:
		return "done"
	case holder || l.noOwner:
		return "yes"
	}
	return "no"
}

// A place is where libraries lock.
type place struct {
	name   string
	addr   string
	stores []*store
}

// places starts a holdfast on its own and one over stores. With COMPAT there is a
// Redis too: whatever is expected of us is so there.
func places(t *testing.T) []place {
	t.Helper()
	stores := startStores(t, "redis", "redis", "memcached")
	all := []place{
		{name: "embedded", addr: startHoldfast(t).addr},
		{name: "stores", addr: startHoldfast(t, flags(stores)...).addr, stores: stores},
	}
	if _, compat := os.LookupEnv(compatVariable); compat {
		all = append(all, place{name: "redis", addr: storetest.StartRedis(t).Addr()})
	}
	return all
}

// everyLibrary runs a test for each library in each place, by drivers that
// command starts.
func everyLibrary(t *testing.T, all []place, command []string, libraries []library, test func(*testing.T, *driver, library, place)) {
	t.Helper()
	for _, l := range libraries {
		for _, at := range all {
			t.Run(l.name+"/"+at.name, func(t *testing.T) {
				t.Parallel()
				test(t, startDriver(t, command, l.name, at.addr), l, at)
			})
		}
	}
}

// locksAsUsual takes a library through what its users rely on.
func locksAsUsual(t *testing.T, d *driver, l library, at place) {
	takesTurns(t, d, l, at)
	if !l.noOwner {
		losesWhatOthersTook(t, d, l, at)
	}
	waitsForTheEnd(t, d, l)
	losesNoUpdate(t, d, l)
}

// takesTurns acquires, is refused, extends, releases, and once more.
func takesTurns(t *testing.T, d *driver, l library, at place) {
	t.Helper()
	name := lockName(l, "turns")
	d.want("yes", "acquire", "ann", name, "30000")
	wantKey(t, l, at, name, 30*time.Second)
	d.want("no", "acquire", "bob", name, "30000")
	if !l.noExtend {
		d.want("yes", "extend", "ann", name, "90000")
		wantKey(t, l, at, name, 90*time.Second)
	}
	d.want(l.released(true), "release", "ann", name)
	wantNoKey(t, l, at, name)
	if !l.noOwner {
		d.want(l.released(false), "release", "ann", name)
	}
	d.want("yes", "acquire", "bob", name, "30000")
	d.want(l.released(true), "release", "bob", name)
	wantNoKey(t, l, at, name)
}

// losesWhatOthersTook finds, for a holder whose lock an operator has taken away,
// that it can't extend or release what another one has now.
func losesWhatOthersTook(t *testing.T, d *driver, l library, at place) {
	t.Helper()
	name := lockName(l, "taken")
	d.want("yes", "acquire", "ann", name, "30000")
	if n, err := dial(t, at.addr).Del(t.Context(), l.keyOf(name)).Result(); n != 1 || err != nil {
		t.Fatalf("DEL %s: %d, %v, want 1", l.keyOf(name), n, err)
	}
	d.want("yes", "acquire", "bob", name, "60000")
	if !l.noExtend {
		d.want("no", "extend", "ann", name, "90000")
	}
	d.want(l.released(false), "release", "ann", name)
	wantKey(t, l, at, name, time.Minute)
	d.want(l.released(true), "release", "bob", name)
	wantNoKey(t, l, at, name)
}

// waitsForTheEnd finds a lock that nobody releases free once its time is over,
// and not before.
func waitsForTheEnd(t *testing.T, d *driver, l library) {
	t.Helper()
	letsEnd(t, d, l, 300*time.Millisecond)()
}

// letsEnd acquires a lock for ttl, and returns what waits for the end of that.
func letsEnd(t *testing.T, d *driver, l library, ttl time.Duration) (wait func()) {
	t.Helper()
	name, sent := lockName(l, "end"), time.Now()
	d.want("yes", "acquire", "ann", name, strconv.Itoa(int(ttl.Milliseconds())))
	return func() {
		t.Helper()
		storetest.Eventually(t, name+" is over", func() bool {
			return d.ask("acquire", "bob", name, "30000") == "yes"
		})
		if held := time.Since(sent); held < ttl {
			t.Errorf("%s was given again %v after it was asked for, want %v", name, held, ttl)
		}
		d.want(l.released(true), "release", "bob", name)
	}
}

// losesNoUpdate has eight clients read a number, and write one more.
func losesNoUpdate(t *testing.T, d *driver, l library) {
	t.Helper()
	const rounds = 5 // the drivers' ROUNDS
	everyone := strings.Fields("ann bob cat dan eve fay gus hal")
	number := filepath.Join(t.TempDir(), "number")
	if err := os.WriteFile(number, []byte("0"), 0o600); err != nil {
		t.Fatalf("write %s: %v", number, err)
	}
	d.want("yes", append(append([]string{"count"}, everyone...), lockName(l, "count"), number)...)
	got, err := os.ReadFile(number)
	if want := strconv.Itoa(rounds * len(everyone)); err != nil || string(got) != want {
		t.Errorf("%d clients count to %s, %v, want %s", len(everyone), got, err, want)
	}
}

// lockName returns a name of a lock that no other library takes.
func lockName(l library, purpose string) string {
	return strings.ReplaceAll(l.name, "/", "-") + ":" + purpose
}

func (l library) keyOf(name string) string { return strings.ReplaceAll(l.key, "NAME", name) }

// wantKey fails the test unless the lock is held for about ttl, and stands in
// every store.
func wantKey(t *testing.T, l library, at place, name string, ttl time.Duration) {
	t.Helper()
	key := l.keyOf(name)
	left, err := dial(t, at.addr).PTTL(t.Context(), key).Result()
	if err != nil || left > ttl || left < ttl-10*time.Second {
		t.Errorf("%s is held for %v, %v, want about %v", key, left, err, ttl)
	}
	everywhere(t, key+" has a copy", at.stores, func(s *store) bool { return !s.empty(key) })
}

// wantNoKey fails the test unless nobody holds the lock, and no store has it.
func wantNoKey(t *testing.T, l library, at place, name string) {
	t.Helper()
	key := l.keyOf(name)
	if value, err := dial(t, at.addr).Type(t.Context(), key).Result(); value != "none" || err != nil {
		t.Errorf("after its release %s is a %s, %v, want none", key, value, err)
	}
	everywhere(t, key+" is gone", at.stores, func(s *store) bool { return s.empty(key) })
}
