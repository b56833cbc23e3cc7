package quorum

import (
	"bytes"
	"time"
)

// A Lease is a lock held until a deadline. It is never altered once it is in
// the table: an extension is another Lease under the same name.
type Lease struct {
	Name    string // of ours, the very bytes that the table has
	Value   []byte // opaque here; for most clients their token
	Fence   Number // the change that made the lease: its fencing token
	Version Number // the last change to it
	TTL     time.Duration
	Until   Time   // the cautious end, see [Until]
	Untimed bool   // asked for without a TTL, and given the longest there is
	By      uint64 // who asked for it, see [Op]; 0 after a restart, and of a peer's
	Foreign bool   // seen in the stores, not in our table: somebody else's
	Opaque  bool   // Foreign, and not readable as a value
	long    bool   // stores were asked to keep its copy for longer than TTL
	last    Time   // Foreign: when the last copy that was seen is over for sure
	agreed  bool   // Foreign: enough stores had this very version
}

// latest returns when every copy of the lease is over for sure.
func (l *Lease) latest() Time { return max(l.Until, l.last) }

// adopted returns a peer's lease as one that we look after too: a change of ours
// was to replace it, and may have done so in some stores. nil stays nil.
func (l *Lease) adopted() *Lease {
	if l == nil || !l.Foreign || l.Version == 0 {
		return l.own()
	}
	m := *l
	m.Foreign, m.TTL, m.Until = false, m.TTL+max(m.latest().Sub(m.Until), 0), m.latest()
	return &m
}

// own returns l, nil if it is not ours.
func (l *Lease) own() *Lease {
	if l != nil && l.Foreign {
		return nil
	}
	return l
}

// Live reports whether the lease denies others at now.
func (l *Lease) Live(now Time) bool { return l != nil && now < l.Until }

// Ends returns when the lease ends by its TTL, drift left out: what is told to
// clients, and what stores are asked to keep it for.
func (l *Lease) Ends() Time { return l.Until.Add(-Drift(l.TTL)) }

// Left returns what is left of the TTL at now, at least 1ms while the lease is
// live: it then still denies, whatever rounding says.
func (l *Lease) Left(now Time) time.Duration { return max(l.Ends().Sub(now), time.Millisecond) }

// Copy returns what a store keeps of the lease.
func (l *Lease) Copy() *Copy {
	return &Copy{Value: l.Value, Fence: l.Fence, Version: l.Version, Opaque: l.Opaque}
}

// A Copy is what one store keeps of a lease. Copies with a Version are written
// by a proxy; one without was put there by somebody who locks directly, and
// its Value is their token.
type Copy struct {
	Value          []byte
	Fence, Version Number
	Opaque         bool // there is something, of a kind that is no copy; never written
}

// Equal reports whether both are the same copy: of the same change, or of no
// change and with the same value. An opaque copy equals nothing.
func (c *Copy) Equal(d *Copy) bool {
	if c == nil || d == nil {
		return c == d
	}
	return !c.Opaque && !d.Opaque && c.Fence == d.Fence && c.Version == d.Version && bytes.Equal(c.Value, d.Value)
}

// suffixLen is the length of "~<fence>.<version>".
const suffixLen = 1 + 16 + 1 + 16

// Encode returns the bytes that a store keeps: the value, then for a copy of
// ours "~<fence>.<version>", 16 hex digits each.
func (c *Copy) Encode() []byte {
	if c.Version == 0 {
		return c.Value
	}
	return c.AppendTo(make([]byte, 0, c.Len()))
}

// Len returns how many bytes Encode returns.
func (c *Copy) Len() int {
	if c.Version == 0 {
		return len(c.Value)
	}
	return len(c.Value) + suffixLen
}

// AppendTo appends what Encode returns.
func (c *Copy) AppendTo(b []byte) []byte {
	b = append(b, c.Value...)
	if c.Version == 0 {
		return b
	}
	b = append(b, '~')
	b = appendHex(b, uint64(c.Fence))
	b = append(b, '.')
	return appendHex(b, uint64(c.Version))
}

// DecodeCopy returns the copy that a store keeps as b, which it keeps too.
// Bytes without our suffix are somebody else's value.
func DecodeCopy(b []byte) *Copy {
	at := len(b) - suffixLen
	if at < 0 || b[at] != '~' || b[at+17] != '.' {
		return &Copy{Value: b}
	}
	fence, ok1 := parseHex(b[at+1 : at+17])
	version, ok2 := parseHex(b[at+18:])
	if !ok1 || !ok2 || version == 0 {
		return &Copy{Value: b}
	}
	return &Copy{Value: b[:at:at], Fence: Number(fence), Version: Number(version)}
}

func appendHex(b []byte, n uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[n>>shift&15])
	}
	return b
}

func parseHex(b []byte) (n uint64, ok bool) {
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | uint64(c-'0')
		case 'a' <= c && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}
