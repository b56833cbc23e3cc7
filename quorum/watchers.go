package quorum

// A Why says how a lock came to have another lease, or none.
type Why uint8

const (
	ByChange Why = iota // an op of ours was granted
	ByExpiry            // the lease was over
	ByLoss              // somebody else's took its place, or a peer says that it ended
	// ByHearsay: a store told that something happened to the copy. The lock may be
	// as it was; who must know reads it. That is how changes made through a peer are
	// heard of.
	ByHearsay
)

// News is that a lock changed.
type News struct {
	Name  string
	Prev  *Lease // what it had, nil if it was free or that is not known
	Lease *Lease // what it has now; nil if it is free, or if only hearsay
	Why   Why
	Op    *Op    // whose change it was, if ByChange
	At    uint64 // counts up; a [View] with Told not below it has shown this already
}

// Listen has f called with all news from now on, one after the other and in the
// order in which things happened: after the change is through, and before the
// Done of its op. f must be brief and not call the keeper. nil ends it; f may be
// under way then. While nobody listens, news cost nothing.
func (k *Keeper) Listen(f func(News)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.listener, k.core.curious = f, f != nil
	if f == nil {
		k.core.news = nil
	}
}

// spread tells the news. Who comes second waits for the first, so that nobody is
// answered before the news of his own change are told.
func (k *Keeper) spread() {
	k.telling.Lock()
	defer k.telling.Unlock()
	k.mu.Lock()
	news, f := k.core.news, k.listener
	k.core.news = nil
	k.mu.Unlock()
	for _, n := range news {
		if f != nil {
			f(n)
		}
	}
}

// note keeps news for whoever listens.
func (c *Core) note(n News) {
	if !c.curious {
		return
	}
	c.told++
	n.At = c.told
	c.news = append(c.news, n)
}
