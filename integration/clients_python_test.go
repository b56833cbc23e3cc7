package integration

import (
	"testing"
	"time"
)

// Debian's own python3 has Debian's python3-redis; another one that comes before
// it may not.
var python = []string{"/usr/bin/python3", "-B", "testdata/python/driver.py"}

var redisPy = library{name: "redis-py", key: "NAME"}

var pythonLibraries = []library{redisPy, {name: "python-redis-lock", key: "lock:NAME"}}

func TestPythonLocksAsUsual(t *testing.T) {
	t.Parallel()
	everyLibrary(t, places(t), python, pythonLibraries, locksAsUsual)
}

func TestRedisPyTellsWhoLostItsLock(t *testing.T) {
	t.Parallel()
	everyLibrary(t, places(t), python, []library{redisPy}, func(t *testing.T, d *driver, l library, at place) {
		const name = "orders"
		d.want("yes", "acquire", "ann", name, "90000")
		d.want("yes", "extend", "ann", name, "30000")
		wantKey(t, l, at, name, 30*time.Second)
		d.want("yes", "reacquire", "ann", name)
		wantKey(t, l, at, name, 90*time.Second)
		if err := dial(t, at.addr).Del(t.Context(), name).Err(); err != nil {
			t.Fatalf("DEL %s: %v", name, err)
		}
		for _, holder := range []string{"nobody", "bob"} {
			if holder == "bob" {
				d.want("yes", "acquire", holder, name, "60000")
			}
			for _, words := range [][]string{{"extend", "ann", name, "30000"}, {"reacquire", "ann", name}} {
				d.want("no LockNotOwnedError", words...)
			}
		}
		d.want("no LockNotOwnedError", "release", "ann", name)
		wantKey(t, l, at, name, time.Minute)
	})
}
