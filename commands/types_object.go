package commands

import "slices"

// Above these, Redis keeps collections in tables.
const (
	maxListpack   = 128 // items
	maxListpacked = 64  // bytes of one
	maxEmbedded   = 44  // bytes of a string
	maxInteger    = 20  // digits and sign of a string that may be a number
)

func objectEncoding(tx *Tx, args [][]byte) Reply {
	s := tx.at(args[2])
	if !s.held {
		return Reply{}
	}
	if text, ok := s.get(); ok {
		return sayText(textEncoding(text))
	}
	items, ok := tx.open(s, s.shape)
	if !ok {
		return sayText(shapes[opaqueShape].name)
	}
	return sayText(encodingOf(s.shape, items))
}

func textEncoding(text []byte) string {
	switch {
	case len(text) <= maxInteger && isInteger(text):
		return "int"
	case len(text) <= maxEmbedded:
		return "embstr"
	}
	return "raw"
}

func isInteger(text []byte) bool {
	_, ok := parseInt(text)
	return ok
}

// encodingOf says what Redis makes of such a collection, were it made at once.
func encodingOf(of shape, items []item) string {
	small := len(items) <= maxListpack && !slices.ContainsFunc(items, func(it item) bool {
		return len(it.key) > maxListpacked || len(it.value) > maxListpacked
	})
	switch {
	case of == setShape && areIntegers(items):
		return "intset"
	case of == listShape && sizeOf(of, items) > 8<<10:
		return "quicklist"
	case of == listShape, small:
		return "listpack"
	case of == zsetShape:
		return "skiplist"
	}
	return "hashtable"
}

func objectRefcount(tx *Tx, args [][]byte) Reply {
	if !tx.at(args[2]).held {
		return Reply{}
	}
	return sayInt(1)
}
