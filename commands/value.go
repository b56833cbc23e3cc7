package commands

import "holdfast/quorum"

// A value is kept as bytes that the stores and the journal do not look into. A
// string is kept as it is, unless it begins with the mark; the mark introduces
// every other encoding, by a tag. The tags 'h' (hash), 'z' (sorted set), 'l'
// (list) and 'S' (set) are spoken for.
const (
	valueMark = 0x00
	tagString = 's'
)

// encode returns the bytes that keep a string.
func encode(text []byte) []byte {
	if len(text) == 0 || text[0] != valueMark {
		return text
	}
	return append([]byte{valueMark, tagString}, text...)
}

// decode returns the string that bytes keep. It reports false for a value that
// is no string.
func decode(value []byte) ([]byte, bool) {
	if len(value) == 0 || value[0] != valueMark {
		return value, true
	}
	if len(value) > 1 && value[1] == tagString {
		return value[2:], true
	}
	return nil, false
}

// textOf returns the string that a lease keeps. Who locks directly in the stores
// knows nothing of our encoding.
func textOf(l *quorum.Lease) ([]byte, bool) {
	switch {
	case l.Opaque:
		return nil, false
	case l.Foreign:
		return l.Value, true
	}
	return decode(l.Value)
}
