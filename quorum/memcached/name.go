package memcached

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

const (
	maxKey   = 250           // bytes, memcached's own limit
	reserved = "holdfast:h:" // begins every key that is not a lock's own name
	markKey  = reserved + "server"
)

// key returns what a lock's name is called in the server: the name itself if it
// fits, so that direct lockers meet it, else a hash of it. Two names have one
// key only if their SHA-256 sums are alike: whatever looks like a hash is hashed.
func key(name string) string {
	if fits(name) && !strings.HasPrefix(name, reserved) {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return reserved + hex.EncodeToString(sum[:])
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
