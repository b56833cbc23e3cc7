package persist

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"holdfast/quorum"
)

const (
	flagPending  = 1 << 0
	flagReplaces = 1 << 1

	flagUntimed = 1 << 0
	flagForeign = 1 << 1
	flagOpaque  = 1 << 2
	flagLoose   = 1 << 3
)

// Deadlines and TTLs have bounds, so that sums of them need no care. They are
// checked on both ways: what would not be read is not written.
const (
	maxTime = quorum.Time(1 << 61)
	maxTTL  = time.Duration(1 << 60)
)

// A record is the lease of one lock as it is on disk.
type record struct {
	entry quorum.Entry // its Lease is never nil
	era   uint64       // that the deadlines count in

	// The TTL does not bound the deadline: of the lease, of the one it replaces.
	loose, replacedLoose bool
}

// newRecord returns the record of an entry that is written at now.
func newRecord(e quorum.Entry, era uint64, now quorum.Time) record {
	loose := func(l *quorum.Lease) bool { return l != nil && l.Until > quorum.Until(now, l.TTL) }
	return record{entry: e, era: era, loose: loose(e.Lease), replacedLoose: loose(e.Replaced)}
}

// appendRecord returns the sealed value of r under key, in the place of what b held.
func appendRecord(b, key []byte, r record) ([]byte, error) {
	var flags byte
	if r.entry.Pending {
		flags |= flagPending
	}
	if r.entry.Replaced != nil {
		flags |= flagReplaces
	}
	b = binary.AppendUvarint(append(startValue(b), flags), r.era)
	if err := writable(r.entry.Name, r.entry.Lease); err != nil {
		return nil, err
	}
	b = appendLease(b, r.entry.Lease, r.loose)
	if r.entry.Replaced != nil {
		if err := writable(r.entry.Name, r.entry.Replaced); err != nil {
			return nil, err
		}
		b = appendLease(b, r.entry.Replaced, r.replacedLoose)
	}
	return seal(key, b), nil
}

// decodeRecord returns the record of a lock. It keeps nothing of payload.
func decodeRecord(name string, payload []byte) (record, error) {
	f := fields{rest: payload}
	flags := f.byte()
	if flags&^(flagPending|flagReplaces) != 0 {
		return record{}, fmt.Errorf("flags %#x: %w", flags, errShape)
	}
	r := record{era: f.uint(), entry: quorum.Entry{Name: name, Pending: flags&flagPending != 0}}
	var err error
	if r.entry.Lease, r.loose, err = f.lease(name); err != nil {
		return record{}, err
	}
	if flags&flagReplaces != 0 {
		if r.entry.Replaced, r.replacedLoose, err = f.lease(name); err != nil {
			return record{}, err
		}
	}
	return r, f.end()
}

// until returns when nothing of the record denies any more.
func (r *record) until() quorum.Time {
	if r.entry.Replaced == nil {
		return r.entry.Lease.Until
	}
	return max(r.entry.Lease.Until, r.entry.Replaced.Until)
}

func appendLease(b []byte, l *quorum.Lease, loose bool) []byte {
	var flags byte
	if l.Untimed {
		flags |= flagUntimed
	}
	if l.Foreign {
		flags |= flagForeign
	}
	if l.Opaque {
		flags |= flagOpaque
	}
	if loose {
		flags |= flagLoose
	}
	b = append(b, flags)
	b = binary.AppendVarint(b, int64(l.Until))
	b = binary.AppendVarint(b, int64(l.TTL))
	b = binary.AppendUvarint(b, uint64(l.Fence))
	b = binary.AppendUvarint(b, uint64(l.Version))
	return appendBytes(b, l.Value)
}

func (f *fields) lease(name string) (l *quorum.Lease, loose bool, err error) {
	flags := f.byte()
	if flags&^(flagUntimed|flagForeign|flagOpaque|flagLoose) != 0 {
		return nil, false, fmt.Errorf("lease flags %#x: %w", flags, errShape)
	}
	l = &quorum.Lease{
		Name:    name,
		Until:   quorum.Time(f.int()),
		TTL:     time.Duration(f.int()),
		Fence:   quorum.Number(f.uint()),
		Version: quorum.Number(f.uint()),
		Value:   bytes.Clone(f.bytes()),
		Untimed: flags&flagUntimed != 0,
		Foreign: flags&flagForeign != 0,
		Opaque:  flags&flagOpaque != 0,
	}
	if f.bad {
		return nil, false, errShape
	}
	return l, flags&flagLoose != 0, writable(name, l)
}

// writable reports why a lease cannot stand in the record of a lock.
func writable(name string, l *quorum.Lease) error {
	switch {
	case l.Name != name:
		return fmt.Errorf("lease of %.100q: its name is %.100q", name, l.Name)
	case l.TTL < 0 || l.TTL > maxTTL:
		return fmt.Errorf("lease of %.100q: TTL %v is out of range", name, l.TTL)
	case l.Until < -maxTime || l.Until > maxTime:
		return fmt.Errorf("lease of %.100q: deadline %d is out of range", name, l.Until)
	}
	return nil
}
