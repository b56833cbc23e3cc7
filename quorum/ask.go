package quorum

// An Ask is one request under way to one store.
type Ask struct {
	Store int
	Request
	Deadline Time // after which it need not be sent any more; 0: none

	why     purpose
	attempt *attempt // whyVote
	reading *reading // whyRead
	part    int      // of attempt or reading
	again   bool     // asked a second time: a leftover of ours was in the way
	until   Time     // when the lease of the copy that it takes out is over
	tries   int      // how often a leftover was looked for
	foreign *Lease   // somebody else's, to be put in its place
	epoch   uint     // of the store, when this was asked
	lapses  uint     // leaf.unwholes, then
}

// size is about how many bytes the ask is on the wire.
func (a *Ask) size() int {
	n := 64 + len(a.Name)
	if a.Prev != nil {
		n += len(a.Prev.Value)
	}
	if a.Next != nil {
		n += len(a.Next.Value)
	}
	return n + len(a.Line) + len(a.Was)
}

// ask has a request sent. What it is answered counts only in the epoch of now.
func (c *Core) ask(a *Ask) {
	a.epoch, a.lapses = c.stores[a.Store].epoch, c.stores[a.Store].unwholes
	c.out.Ask(a)
}

type purpose uint8

const (
	whyVote    purpose = iota // a part of a change
	whyRead                   // a look for other people's copies
	whyTakeOut                // a copy that must not stay: undo, release, leftover
	whyPutBack                // a copy of a live lease that may be missing
	whyAudit                  // the same, of a copy that should be there
	whyRestore                // the same, of a copy that is said to be gone
	whyBeat                   // is anybody there?
	whyBook                   // our line in its book
	whySure                   // whether a copy that was voted for is still there
)
