package quorum

// Rule 11: with peers, another list of stores is taken up only once enough of the
// old stores, all but a quorum plus one, show no other proxy that is still signed
// there by the old list, and our own word that we moved. So no quorum of the old
// stores is left to those who missed the change: each contains a store in whose
// book they find that word, and refuse.

// Left reports whether a store's book shows that whoever signed moved has left:
// its word stands there, and nobody has a line of another configuration. One that
// withdrew its signature because of that word may have leases out: it counts until
// it has moved too, or was declared forgotten.
func Left(book Book, id string, moved Signature) bool {
	if s, err := ParseSignature(book[id]); err != nil || s.Phase != Moved || s.Instance != moved.Instance || s.Config != moved.Config {
		return false
	}
	for other, line := range book {
		if s, err := ParseSignature(line); other != id && err == nil && (s.Phase == Signed || s.Phase == Pending) && s.Config != moved.Config {
			return false
		}
	}
	return true
}

// MayMove reports whether so many stores, of a list of which need are a quorum,
// are enough to have left.
func MayMove(left, stores, need int) bool { return stores == 0 || left > stores-need }
