package quorum

import (
	"context"
	"time"
)

// A Verdict is how a store answered. The zero Verdict is Silent, so a vote that
// nobody filled in never counts as a grant.
type Verdict uint8

const (
	Silent  Verdict = iota // it acted or it did not, and nobody can tell
	Refused                // what was there was not what was asked for; nothing changed
	Granted                // done
)

func (v Verdict) String() string { return [...]string{"silent", "refused", "granted"}[v] }

// A Vote is what one store answered to one request.
type Vote struct {
	Verdict Verdict
	// Found is the copy that was there before the store acted, nil if none. Of a
	// Silent vote it says nothing, and of a granted swap only if it was asked
	// with OrNone.
	Found     *Copy
	FoundLeft time.Duration // of a Read: what is left of Found's TTL; 0 if it has none
	Gone      Number        // with Heed: the notice that is there, 0 if none
	Mark      Number        // Refused with Mark: the number that is not below Next's, else 0
	Book      Book          // of a ReadBook
	Clock     *ClockReading // of a ReadBook, if copies run out by a clock that can be set: what it showed
	Elapsed   time.Duration // from just before the request left to its answer
	Err       error         // why the store is Silent, else nil
	Unsent    bool          // Silent, and the request never left: the store did not act
}

// An Action is what a store is asked to do.
type Action uint8

const (
	// Swap puts Next in the place of Prev for TTL, if exactly Prev is there. A
	// nil Prev means no copy; a nil Next leaves none. One of three things happens:
	//
	//   - Granted: Next is there for TTL or longer, by the store's own clock.
	//   - Refused: what was there was not Prev, or Heed or Mark forbids it; no
	//     copy was changed.
	//   - Silent: either of the two.
	//
	// With OrNone it is granted too where there is no copy at all.
	Swap Action = iota
	// Read finds the copy under Name and what is left of its TTL: Granted if it
	// could be read, with Found nil if there is none.
	Read
	// Check is granted if exactly Prev is there, and changes nothing.
	Check
	// ReadBook reads the whole book: Granted if that could be done.
	ReadBook
	// Sign puts Line in the place of Was in the book under the id Name, in one
	// atomic step, if exactly Was stands there ("" is none), and leaves none if
	// Line is "". If Only is not nil it is refused too where the book has a line
	// under any other id, unless that line is one of a pending or forgotten
	// signature (see [Signature]: it does not begin with "signed ").
	Sign
	// Tear takes out the whole book: every signature in it is void.
	Tear
)

// A Book is what stands in a store's book: a line under the id of each proxy
// that signed it, see [Signature]. The store knows nothing of what they say.
type Book map[string]string

// A Request is one question to one store about one name.
type Request struct {
	Action     Action
	Name       string // of the lock; of the signer if it is a Sign
	Prev, Next *Copy
	OrNone     bool
	TTL        time.Duration // of Next; at least 1ms

	// Heed: a Swap is refused if there is a notice that Next's version, or a
	// later one, has ended; a Read tells of the notice too.
	Heed bool
	// Gone, unless zero, has a Swap leave a notice first that Prev's version and
	// all before it have ended, for so long, whatever then comes of the swap. A
	// notice of a later version stays as it is.
	Gone time.Duration
	// Mark: Next has a new number. The swap is refused unless that is above each
	// that the store ever took with Mark for a name of the same [Bucket].
	Mark bool

	Was, Line string   // of a Sign
	Only      []string // of a Sign
}

// A Store keeps copies of leases. One goroutine at a time calls Connect and Do;
// Facts and Close may be called by others meanwhile. Nothing is ever retried.
type Store interface {
	// Connect opens the connection that Do uses, in the place of any earlier one,
	// and returns the store's incarnation: a string that is another one once the
	// store's process was restarted or its data replaced. Where the store can do
	// it, nothing that was sent on the earlier connection is carried out any more
	// once Connect has returned.
	Connect(ctx context.Context) (incarnation string, err error)

	// Do sends the requests together, in order, and fills in votes, which is as
	// long. It returns promptly once ctx is done. Its error is non-nil if the
	// connection is of no use any more; requests without an answer are then
	// Silent, with that error.
	Do(ctx context.Context, requests []Request, votes []Vote) error

	// Facts asks the store what an operator should know, on a connection of its own.
	Facts(ctx context.Context) (Facts, error)

	// Traits says what kind of store this is. It does not ask the store.
	Traits() Traits

	// Close closes the connection. Do and Connect then fail.
	Close() error
}

// A Watcher is a store that can tell at once when a copy is gone. For others,
// and while watching fails, the copies are looked at now and then.
type Watcher interface {
	// Watch tells gone of every name whose copy, left or found there by Do, was
	// deleted, evicted, expired or overwritten by anybody else, and maybe of
	// others; and of "" when everything may have been, until ctx is done or it fails. Its first call of gone is with "", once it
	// watches. One goroutine at a time calls it, beside those of Store, and gone
	// does not block.
	Watch(ctx context.Context, gone func(name string)) error
}

// Traits are what the rules must know of a kind of store.
type Traits struct {
	// Coarse stores count TTLs in seconds, rounded up, so copies are taken out
	// when their lease ends.
	Coarse bool
	// Late stores may carry out a request of a closed connection after the next
	// one was opened, so leftovers are looked for again.
	Late bool
}

// Facts are what an operator should know of a store.
type Facts struct {
	Kind        string // "redis", "memcached"
	Version     string
	Role        string // "master", "replica"; "" where there are no roles
	RunID       string // names the server process; two stores with one RunID are one server
	Incarnation string
	Persistence string // in words
	Eviction    string // in words
	MayEvict    bool   // the store may drop live copies to make room
	Problems    []string
}
