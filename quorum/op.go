package quorum

import (
	"slices"
	"time"
)

// An Op is one thing a client wants done to some locks, as the [Core] sees it:
// it waits until no other op is under way on any of its names, looks at the
// leases, decides what to change, and hears how that went.
type Op struct {
	// Names are the locks it may read or change, each once.
	Names []string

	// Decide is called when the names are ours to change, and again each time
	// what it was shown has become stale. It returns what to change, runs under
	// the core's mutex, and must not call back: it is a pure function of view.
	Decide func(view *View) Plan

	// Start, if not nil, stands in for Decide where deciding takes long: it is
	// called once the mutex is free, and whoever it hands the view to calls
	// [Keeper.Resume] with the plan, once.
	Start func(view *View)

	// By is who asks, a number that the caller knows it by; 0: that is not known.
	By uint64

	// Done hears the result, once. It must be brief, and is called without the
	// mutex.
	Done func(Result)

	view    View
	one     [1]*Lease // room for what the view found, mostly one lease
	rest    *attempt  // under way
	reads   *reading  // under way
	began   Time      // when its names were its own
	endsBy  Time      // until then it waits for who is ending what it is to take, see Core.endsNow
	splitBy Time      // until then it tries again for a rival's sake, see Core.split

	parted []*attempt // those that were refused though some store may have acted on them
	made   []*Lease   // what a quorum may have, of attempts that were lost

	// What is small comes together: an op is made for each command, and gaps would make it
	// larger.

	// Reads says that it must know of locks that somebody else holds directly in
	// the stores. Our own leases are always known; these cost a round trip to
	// the stores when the table has no lease.
	Reads bool

	state  opState
	deed   Deed
	looked bool  // it was shown what the stores have, and not just what the table has
	anew   bool  // as its plan says
	late   bool  // it looked anew for answers from before others', see beforeItEnded
	doubts bool  // with peers: it is to look there before it decides again
	gone   bool  // the client hung up
	tries  int32 // how often it was shown leases anew
	other  int32 // how many of the other possible leases it was shown, see Core.showOther
	turned int32 // how often it was shown what had turned its change down
}

// A View is what an op was shown: the leases of its names at one moment.
type View struct {
	Now   Time
	Told  uint64 // see [News]
	names []string
	found []*Lease
	// rivals are, by name, what the lease may be in the place of the one in found: a
	// crash or silent stores rule neither out. nil if there are none at all.
	rivals [][]*Lease
	first  []*Lease // what was in found before rivals were shown
	// gone is, by name, the latest notice that a store showed: what is not newer has ended.
	gone   []Number
	ending bool   // whoever ended some of it may be about to tell a store too
	used   uint64 // one bit a name that was looked at; the last is for all from the 64th on
}

// Lease returns the lease of a name, nil if it is free. It reports false for a
// name that is not among the op's: the plan must then ask for it with More.
func (v *View) Lease(name string) (*Lease, bool) {
	for i, n := range v.names {
		if n == name {
			v.used |= 1 << min(i, 63)
			return v.found[i], true
		}
	}
	return nil, false
}

// ended reports whether a copy is of what has ended, by a notice that was shown.
func (v *View) ended(name string, found *Copy) bool {
	for i, gone := range v.gone {
		if v.names[i] == name {
			return found != nil && found.Version != 0 && found.Version <= gone
		}
	}
	return false
}

// showed reports whether a copy is of a lease that was shown, in that version.
func (v *View) showed(name string, found *Copy) bool {
	i := slices.Index(v.names, name)
	if i < 0 || found == nil {
		return false
	}
	same := func(l *Lease) bool { return l != nil && l.Copy().Equal(found) }
	return same(v.found[i]) || v.first != nil && same(v.first[i]) || v.rivals != nil && slices.ContainsFunc(v.rivals[i], same)
}

// doubt notes what the lease of the i-th name may be just as well.
func (v *View) doubt(i int, rivals []*Lease) {
	if v.rivals == nil && len(rivals) > 0 {
		v.rivals = make([][]*Lease, len(v.names))
	}
	if v.rivals != nil {
		v.rivals[i] = rivals
	}
}

// A Part is what is to become of one lock: the lease that was read is replaced
// by another or by nothing, if it is still there.
type Part struct {
	Prev *Lease // as the view showed it; nil: the lock was free
	Name string

	Drop    bool          // leave nothing: a release
	Value   []byte        // of the new lease
	TTL     time.Duration // of the new lease, from now
	Untimed bool          // TTL was not asked for, see [Lease]
	Renew   bool          // the same lease goes on: it keeps its fencing token

	check bool // nothing is changed, and it must still be so
}

// A Plan is what an op decided. The zero Plan changes nothing.
type Plan struct {
	Parts []Part   // each of another name; all of them or none
	More  []string // names that must be among the op's: it starts again with these too

	// Start, if not nil, is to decide instead, as [Op.Start] does, now and from now on:
	// that takes longer than was thought. The op keeps its place.
	Start func(view *View)

	// Anew says that if enough stores have something else, the op is to be shown that and
	// decide once more, twice at most. It keeps its place.
	Anew bool

	// Denied says that it was to acquire a lock that somebody holds. It only counts.
	Denied bool
}

// A Deed is what an op was about.
type Deed uint8

const (
	Looked   Deed = iota // it changed nothing, and was not denied anything
	Acquired             // it was to make a lease
	Renewed              // it was to change one
	Released             // it was only to end leases
)

func (d Deed) String() string { return [...]string{"look", "acquire", "renew", "release"}[d] }

// deed says what parts are about, by the weightiest of them.
func deed(parts []Part) Deed {
	d := Looked
	for i := range parts {
		switch p := &parts[i]; {
		case p.Drop && d == Looked:
			d = Released
		case p.Drop:
		case p.Prev == nil:
			return Acquired
		default:
			d = Renewed
		}
	}
	return d
}

// An Outcome is how an op ended. They are never confused: an outage neither
// reads as held nor as success.
type Outcome uint8

const (
	Unchanged Outcome = iota // nothing was to be changed, or the client hung up before it was
	Changed                  // all parts are done, and on disk where that is promised
	Held                     // enough stores have a copy of somebody else's
	Failed                   // see Result.Err; nothing was changed, or what was is being undone
)

func (o Outcome) String() string { return [...]string{"unchanged", "changed", "held", "failed"}[o] }

// A Result is how an op ended.
type Result struct {
	Outcome  Outcome
	Deed     Deed          // what it was about, whatever the outcome
	Leases   []*Lease      // if Changed: what each part left, in order; nil for a release
	Validity time.Duration // if Changed: how long the shortest of them may be relied on
	Err      error         // if Failed: wraps one of the errors below
	Took     time.Duration // from its first look at the leases to the decision
}

// Limits on what a lease may be.
const (
	MaxName  = 64 << 10
	MaxValue = 64 << 10
	MinTTL   = time.Millisecond
	MaxNames = 1024 // of one op
)
