package redis

import (
	"fmt"

	"holdfast/quorum"
)

// What we keep beside the copies. No lock is called like this, see [reserved].
const (
	ours      = "holdfast:"   // begins all of it,
	databases = "holdfast:db" // and the names of locks in databases other than 0

	bookKey    = ours + "book"  // a hash: a line under each signer's id
	marksKey   = ours + "marks" // a hash: the highest number under each bucket, in decimal
	goneBefore = ours + "gone:" // and the lock's name: a string, the notice's version
	copyBefore = ours + "copy:" // and the lock's name: its copy once more, see [Store.KeepTwice]
	probeName  = ours + "probe" // where a connection tries out what the server can do
	beatName   = ours + "beat"  // nothing is there; it may be read, to see whether anybody answers
)

// isOurs reports whether a key is kept for what is no lock.
func isOurs[K string | []byte](key K) bool { return begins(key, ours) && !begins(key, databases) }

func begins[K string | []byte](key K, with string) bool {
	return len(key) >= len(with) && string(key[:len(with)]) == with
}

// reserved says why a request is not sent, nil if it is: a copy in the place of
// one of our own keys would be taken for what belongs there.
func reserved(r *quorum.Request) error {
	switch r.Action {
	case quorum.ReadBook, quorum.Sign, quorum.Tear:
		return nil // the name is a signer's, if it is any
	case quorum.Read:
		if r.Name == beatName {
			return nil
		}
	}
	if isOurs(r.Name) {
		return fmt.Errorf("%.60q is no lock's name: what begins with %q is holdfast's own", r.Name, ours)
	}
	return nil
}
