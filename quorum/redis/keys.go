package redis

import (
	"fmt"
	"strings"

	"holdfast/quorum"
)

// What we keep beside the copies. No lock is called like this, see [reserved].
const (
	ours = "holdfast:" // begins all of it

	bookKey    = ours + "book"  // a hash: a line under each signer's id
	marksKey   = ours + "marks" // a hash: the highest number under each bucket, in decimal
	goneBefore = ours + "gone:" // and the lock's name: a string, the notice's version
	probeName  = ours + "probe" // where a connection tries out what the server can do
	beatName   = ours + "beat"  // nothing is there; it may be read, to see whether anybody answers
)

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
	if strings.HasPrefix(r.Name, ours) {
		return fmt.Errorf("%.60q is no lock's name: what begins with %q is holdfast's own", r.Name, ours)
	}
	return nil
}
