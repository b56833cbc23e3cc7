package commands

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"holdfast/quorum"
)

// A value is kept as bytes that the stores and the journal do not look into. A
// string is kept as it is, unless it begins with the mark; the mark introduces
// every other encoding, by a tag.
//
// A collection is its tag and then its items, one behind the other: a string as
// its length (a varint as short as can be) and its bytes, a score as the eight
// bytes of a double, the highest first. One value has one encoding:
//
//	s  a string that begins with the mark: all the rest
//	h  a hash: field, value, in the order in which the fields came
//	z  a sorted set: score, member, by score and then by the member's bytes
//	l  a list: its elements, from left to right
//	S  a set: its members, by their bytes
const (
	valueMark = 0x00
	tagString = 's'
)

// A shape is a type of value. The zero shape is of what we cannot read.
type shape uint8

const (
	opaqueShape shape = iota
	textShape
	hashShape
	zsetShape
	listShape
	setShape
)

// shapes are the tags of the shapes, their names as TYPE tells them, and the classes of
// the notifications about them.
var shapes = [...]struct {
	tag   byte
	name  string
	class byte
}{
	opaqueShape: {0, "opaque", 0},
	textShape:   {tagString, "string", '$'},
	hashShape:   {'h', "hash", 'h'},
	zsetShape:   {'z', "zset", 'z'},
	listShape:   {'l', "list", 'l'},
	setShape:    {'S', "set", 's'},
}

// An item is one of a collection: a hash's field with its value, a sorted set's
// member with its score, a list's element, a set's member. Its bytes may be the
// lease's own, and are never altered.
type item struct {
	key   []byte
	value []byte  // of a hash
	score float64 // of a sorted set; never NaN
}

// itemBytes is about what an item takes in memory beside its bytes.
const itemBytes = 56

// shapeOf returns what bytes keep, by how they begin.
func shapeOf(value []byte) shape {
	if len(value) == 0 || value[0] != valueMark {
		return textShape
	}
	if len(value) > 1 {
		for s := textShape; int(s) < len(shapes); s++ {
			if shapes[s].tag == value[1] {
				return s
			}
		}
	}
	return opaqueShape
}

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

// leaseShape returns the shape of what a lease keeps. Who locks directly in the
// stores knows nothing of our encoding; a peer does.
func leaseShape(l *quorum.Lease) shape {
	switch {
	case l.Opaque:
		return opaqueShape
	case l.Foreign && l.Version == 0:
		return textShape
	}
	return shapeOf(l.Value)
}

// textOf returns the string that a lease keeps.
func textOf(l *quorum.Lease) ([]byte, bool) {
	switch {
	case leaseShape(l) != textShape:
		return nil, false
	case l.Foreign && l.Version == 0:
		return l.Value, true
	}
	return decode(l.Value)
}

// encodeItems returns the bytes that keep a collection, whose items are in the
// order of its shape.
func encodeItems(s shape, items []item) []byte {
	b := make([]byte, 0, sizeOf(s, items))
	b = append(b, valueMark, shapes[s].tag)
	for i := range items {
		if s == zsetShape {
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(items[i].score))
		}
		b = appendString(b, items[i].key)
		if s == hashShape {
			b = appendString(b, items[i].value)
		}
	}
	return b
}

func appendString(b, s []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// sizeOf is how many bytes encodeItems returns.
func sizeOf(s shape, items []item) int {
	n := 2
	for i := range items {
		n += stringSize(items[i].key)
		switch s {
		case hashShape:
			n += stringSize(items[i].value)
		case zsetShape:
			n += 8
		}
	}
	return n
}

func stringSize(s []byte) int {
	n := len(s) + 1
	for rest := len(s) >> 7; rest > 0; rest >>= 7 {
		n++
	}
	return n
}

// decodeItems returns the items of a collection, which keep value. It reports
// false for bytes that encodeItems does not return for any.
func decodeItems(s shape, value []byte) (items []item, ok bool) {
	if s < hashShape || shapeOf(value) != s {
		return nil, false
	}
	n := 0
	for rest := value[2:]; len(rest) > 0; n++ {
		if _, rest, ok = cutItem(s, rest); !ok {
			return nil, false
		}
	}
	items = make([]item, n)
	rest := value[2:]
	for i := range items {
		items[i], rest, _ = cutItem(s, rest)
		if i > 0 && !follows(s, &items[i-1], &items[i]) {
			return nil, false
		}
	}
	return items, n > 0
}

// cutItem takes an item off the front of b.
func cutItem(s shape, b []byte) (it item, rest []byte, ok bool) {
	if s == zsetShape {
		if len(b) < 8 {
			return it, nil, false
		}
		it.score = math.Float64frombits(binary.BigEndian.Uint64(b))
		b = b[8:]
	}
	if it.key, b, ok = cutString(b); ok && s == hashShape {
		it.value, b, ok = cutString(b)
	}
	return it, b, ok && !math.IsNaN(it.score)
}

// cutString takes a string off the front of b.
func cutString(b []byte) (s, rest []byte, ok bool) {
	n, width := binary.Uvarint(b)
	if width <= 0 || n > uint64(len(b)-width) {
		return nil, nil, false
	}
	end := width + int(n)
	s = b[width:end:end]
	return s, b[end:], stringSize(s) == end // else the length could be shorter
}

// follows reports whether b may stand behind a.
func follows(s shape, a, b *item) bool {
	switch s {
	case zsetShape:
		return byScore(*a, *b) < 0
	case setShape:
		return byKey(*a, *b) < 0
	}
	return true
}

func byKey(a, b item) int { return bytes.Compare(a.key, b.key) }

func byScore(a, b item) int {
	if c := cmp.Compare(a.score, b.score); c != 0 {
		return c
	}
	return byKey(a, b)
}

// A finder finds the items of a collection by their keys.
type finder struct {
	items []item
	at    map[string]int // nil if they are too few, or looked for too seldom
}

// find returns a finder for about so many searches.
func find(items []item, searches int) *finder {
	f := &finder{items: items}
	if searches > 8 && len(items)+searches > 32 {
		f.at = make(map[string]int, len(items)+searches)
		for i := range items {
			f.at[string(items[i].key)] = i
		}
	}
	return f
}

// of returns where the item of a key is, -1 if there is none.
func (f *finder) of(key []byte) int {
	if f.at != nil {
		if i, ok := f.at[string(key)]; ok {
			return i
		}
		return -1
	}
	return slices.IndexFunc(f.items, func(it item) bool { return bytes.Equal(it.key, key) })
}

func (f *finder) add(it item) {
	if f.at != nil {
		f.at[string(it.key)] = len(f.items)
	}
	f.items = append(f.items, it)
}

// without returns items but for those of some keys, and how many those were.
func without(items []item, keys [][]byte) (left []item, removed int) {
	unwanted := make(map[string]bool, len(keys))
	for _, key := range keys {
		unwanted[string(key)] = true
	}
	left = make([]item, 0, len(items))
	for _, it := range items {
		if !unwanted[string(it.key)] {
			left = append(left, it)
		}
	}
	return left, len(items) - len(left)
}
