package quorum

import (
	"fmt"
	"time"
)

// A StoreStatus is what the keeper sees of one store.
type StoreStatus struct {
	Name        string        // its URL, without the password
	Up          bool          // connected, and the last batch was answered
	Err         error         // if not Up: why
	For         time.Duration // how long it has been so
	Incarnation string        // of the last connection
	Granted     uint64        // votes, since the start
	Refused     uint64
	Silent      uint64
	Queued      int // requests waiting to be sent
	Missing     int // live leases that it may have no copy of

	// Of the book; zero without one.
	Phase    Phase         // of our signature there, "" if there is none
	Signed   time.Duration // how long our signature has stood
	Whole    bool          // its votes count; solo they do without that too
	WaitsFor string        // if not Whole: what for; if it is, on which locks it has no word all the same

	Event     string        // the last thing that happened to it, "" if none did
	EventText string        // and why
	EventAgo  time.Duration // and how long ago
}

// A Status is what the keeper sees of everything.
type Status struct {
	Strategy  string // "majority", "unanimous"
	Need      int    // votes needed
	Tolerates int    // stores that may be silent without stopping grants
	Leases    int    // live ones
	Untimed   uint64 // leases asked for without a TTL, since the start
	Restored  int    // leases that came back from the journal
	Birth     Number // the first number of the journal
	Last      Number // the last number given out
	Unwritten int    // records waiting for the journal
	Stores    []StoreStatus

	ID      string       // "" without stores
	Peers   []PeerStatus // none: solo
	Refused string       // why nothing is served at all, "" if all is well
}

// A PeerStatus is what the keeper knows of another proxy over the same stores.
type PeerStatus struct {
	ID        string
	Known     bool          // the journal or a store has seen it
	Instance  string        // if Known
	Forgotten bool          // an operator says that it will not come back
	Moved     time.Duration // if Known: since its beat was last seen to move
}

// An Event is something that an operator should know.
type Event struct {
	Kind  string // "store.up", "store.down", "store.restarted", ...
	Store int    // -1 if it is about none
	Name  string // of the lock, or ""
	Text  string
}

func (c *Core) event(kind string, store int, name, format string, args ...any) {
	const enough = 64 // of one step; a store that forgot a million leases says so once
	if len(c.events) < enough {
		c.events = append(c.events, Event{kind, store, name, fmt.Sprintf(format, args...)})
	}
}
