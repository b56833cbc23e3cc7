package quorum

import "time"

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
}
