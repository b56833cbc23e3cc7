package memcached

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"holdfast/quorum"
)

const (
	maxKey    = 250             // bytes, memcached's own limit
	reserved  = "holdfast:"     // begins every key that is not a lock's own name,
	databases = reserved + "db" // and the names of locks in databases other than 0
	hashed    = reserved + "h:"

	bookKey    = reserved + "book"
	roomPrefix = reserved + "room:"
	beatName   = reserved + "beat"  // of no lock: it is read to see whether the server answers
	tagKey     = hashed + "server"  // see [Store.Facts]
	probeKey   = reserved + "probe" // of nothing: a command is tried on it
)

// key returns what a lock's name is called in the server: the name itself if it
// fits, so that direct lockers meet it, else a hash of it. Two names have one
// key only if their SHA-256 sums are alike: what looks like a key of ours is
// hashed.
func key(name string) string { return keyUnder("", name) }

// noticeKey returns under which key the notice for a lock stands.
func noticeKey(name string) string { return keyUnder(reserved+"gone:", name) }

// markKey returns under which key the mark for a lock stands, together with
// that for many others.
func markKey(name string) string { return reserved + "mark:" + strconv.Itoa(quorum.Bucket(name)) }

func keyUnder(prefix, name string) string {
	if fits(prefix+name) && !isOurs(name) {
		return prefix + name
	}
	sum := sha256.Sum256([]byte(name))
	return prefix + hashed + hex.EncodeToString(sum[:])
}

// isOurs reports whether name looks like what stands beside the locks.
func isOurs(name string) bool {
	return strings.HasPrefix(name, reserved) && !strings.HasPrefix(name, databases)
}

// checkName refuses what is no lock's name.
func checkName(r *quorum.Request) error {
	if !isOurs(r.Name) || r.Action == quorum.Read && r.Name == beatName {
		return nil
	}
	return fmt.Errorf("%.60q is no lock's name: what begins with %q is kept for ourselves", r.Name, reserved)
}

// fits reports whether the server takes name as a key in a command line. The
// server itself minds only blank, line feed and NUL; the protocol forbids all
// control characters. Bytes above ASCII are ordinary to both.
func fits(name string) bool {
	if len(name) < 1 || len(name) > maxKey {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}
