package quorum

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/go-multierror"
)

var (
	// ErrNoQuorum reports that too few stores answered to decide. Some of them
	// may keep the lock until it is undone there, or its TTL runs out.
	ErrNoQuorum = errors.New("no quorum")
	// ErrTooSlow reports that enough stores agreed, but so late that no validity
	// was left. It is being undone.
	ErrTooSlow = errors.New("too slow")
	// ErrStale reports that what was read kept changing under the op; or, with peers,
	// that some stores carried it out and some refused, and what is there now does not
	// tell any more whether it ever had a quorum. A release may be done, then.
	ErrStale = errors.New("changed meanwhile")
	// ErrInvalid reports a name, value or TTL outside the limits. Nothing was asked.
	ErrInvalid = errors.New("out of range")
	// ErrJournal reports that the journal failed. Nothing is granted any more.
	ErrJournal = errors.New("journal failed")
	// ErrClosed reports that the keeper was closed. What was under way may have been granted.
	ErrClosed = errors.New("shutting down")

	// ErrStranger reports that a proxy which is not one of our peers, or has another
	// configuration, signed a store's book. Nothing is served until it is gone.
	ErrStranger = errors.New("refused to serve")

	errGone    = errors.New("somebody deleted the copy that it had granted")
	errForgot  = errors.New("it forgot what it had granted")
	errBusy    = errors.New("too many requests queued")
	errUndoing = errors.New("a change of ours is being undone there")
	errExpired = errors.New("its batch was not reached in time")
)

// quorumError says how a vote ended that silence decided, and why each silent
// store was silent.
func (c *Core) quorumError(verb, name string, count Count, why *multierror.Error) error {
	return fmt.Errorf("%s %q: %d of %d stores granted, %d refused, %d silent, need %d: %w: %w",
		verb, name, count.Granted, len(c.cfg.Stores), count.Refused, count.Silent, c.cfg.Need, ErrNoQuorum, why)
}

// oneLine prints several failures as a reply can carry them.
func oneLine(errs []error) string {
	lines := make([]string, len(errs))
	for i, err := range errs {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "; ")
}
