package memcached

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"holdfast/quorum"
)

const (
	maxKey   = 250         // bytes, memcached's own limit
	reserved = "holdfast:" // begins every key that is not a lock's own name
	hashed   = reserved + "h:"

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
	if fits(prefix+name) && !strings.HasPrefix(name, reserved) {
		return prefix + name
	}
	sum := sha256.Sum256([]byte(name))
	return prefix + hashed + hex.EncodeToString(sum[:])
}

// checkName refuses the names that the book and what stands beside it are kept
// under: nobody locks those.
func checkName(r *quorum.Request) error {
	if !strings.HasPrefix(r.Name, reserved) || r.Action == quorum.Read && r.Name == beatName {
		return nil
	}
	return errors.New("names that begin with " + reserved + " are kept for what is no lock")
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
