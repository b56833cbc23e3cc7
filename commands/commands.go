// Package commands says what every command means, and words every reply.
//
// A client sees a Redis server whose keys are locks. What holds everywhere in
// here:
//
//   - A key is a lease; a key that exists is a lock that is held.
//   - A command on locks is written once, as a pure function of a [Tx]: what it
//     was shown, overlaid by what it changed. Sent on its own or called by a
//     script, it is the same function, and what is left in the overlay at the
//     end becomes one change, all or nothing.
//   - Every lease has a TTL. Who asks for none gets the longest there is.
//   - Nothing takes a held lock from its holder by accident: a plain SET that
//     would is an error unless that is allowed, and what is left to overwrite says
//     so by its name (SET with IFEQ, DEL) or is a script.
//   - A message goes out once what its sender did before it is done, the script that
//     sends it included, to those who ask for it then. It is a hint, and never kept.
//   - Every command is answered exactly once, with Redis's own words where it
//     has any, and an outage never reads as "held" or as success.
//
// The package knows RESP and Redis's habits; nothing of sockets, disks, stores
// or votes. Pipelining, and writing replies in order, is its caller's.
package commands

import (
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/quorum"
)

// A Keeper keeps the leases. It is called from any goroutine.
type Keeper interface {
	// Submit queues op on its names, in the order of the calls. op.Done hears
	// the result exactly once, possibly before Submit returns.
	Submit(op *quorum.Op)
	// Resume answers op.Start with what it decided.
	Resume(op *quorum.Op, plan quorum.Plan)
	// Cancel says that nobody waits for op any more.
	Cancel(op *quorum.Op)
	Now() quorum.Time
	// Leases returns the live leases whose name matches, sorted by name: the first
	// max of them, or all if max is 0.
	Leases(match func(name string) bool, max int) []*quorum.Lease
	Status() quorum.Status
	// Listen has f called with all that happens to locks; nil ends it.
	Listen(f func(quorum.News))
}

// Options say how an [Engine] behaves. Only Keeper and MaxTTL must be given.
type Options struct {
	Keeper Keeper
	MaxTTL time.Duration // the longest TTL there is, and of those who ask for none

	// Password, unless empty, must be given by every client (AUTH, HELLO).
	Password string
	// RedisVersion is what clients are told. Some choose by it: from 8.4 on
	// StackExchange.Redis compares and sets by IFEQ and DELEX, and before that by
	// WATCH and MULTI. The default is 8.4.0, the first that knows what we know.
	RedisVersion string
	Wall         func() time.Time  // for absolute deadlines of clients, and TIME; default time.Now
	Log          *slog.Logger      // default: none
	Happened     func(kind string) // counts an event of ours; may be nil
	Library      Library           // keeps scripts over restarts; may be nil
	Scripts      int               // run at a time, each in 16 MiB; default twice the processors
	AllowFlush   bool              // FLUSHDB and FLUSHALL end the leases that there are
	Overwrite    bool              // a plain SET takes a lock that another token holds, as in Redis
}

// A Conn is what a session must know of its connection. The functions may be
// called from any goroutine, and do not block.
type Conn struct {
	ID            uint64
	Remote, Local string
	Opened        time.Time
	Kill          func() // closes the connection

	// Push sends b, a message, behind the replies given so far and before those to
	// come; false if it is not taken. Connections that get the same bytes get the
	// same sharers, zero at first.
	Push func(b []byte, sharers *atomic.Int64) bool
	// Mute leaves out the replies to the next n commands that are not answered yet, to
	// all of them if n is negative, and to none any more if it is 0. Every command before
	// the first of them must be answered, and none behind it.
	Mute func(n int)
	// Keep says that the session keeps so many bytes more, or less.
	Keep func(bytes int)
}

// An Engine gives commands their meaning. All sessions share one.
type Engine struct {
	keeper   Keeper
	maxTTL   time.Duration
	password string
	version  string
	wall     func() time.Time
	log      *slog.Logger
	runID    string
	started  time.Time
	commands map[string]*command // by name in lower case; never altered
	scripts  *scripts
	hub      *hub
	tracker  *tracker
	monitors monitors
	slow     *slowlog
	mayFlush bool
	maySteal bool
	happened func(kind string)
	seizures seizures
	served   atomic.Uint64 // commands begun
	opened   atomic.Uint64 // sessions

	mu       sync.Mutex
	sessions map[uint64]*Session // guarded by mu; by Conn.ID
}

// New returns an Engine. Its Close must be called.
func New(o Options) *Engine {
	if o.Wall == nil {
		o.Wall = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Happened == nil {
		o.Happened = func(string) {}
	}
	if o.RedisVersion == "" {
		o.RedisVersion = "8.4.0"
	}
	if o.Scripts == 0 {
		o.Scripts = 2 * runtime.GOMAXPROCS(0)
	}
	id := make([]byte, 20)
	_, _ = rand.Read(id) // never fails, see crypto/rand
	e := &Engine{
		keeper:   o.Keeper,
		maxTTL:   o.MaxTTL,
		password: o.Password,
		version:  o.RedisVersion,
		wall:     o.Wall,
		log:      o.Log,
		runID:    hex.EncodeToString(id),
		started:  o.Wall(),
		commands: index(append(table(), sessionCommands()...)),
		scripts:  newScripts(o.Scripts, o.Library, o.Log),
		hub:      newHub(o.Log),
		slow:     newSlowlog(),
		mayFlush: o.AllowFlush,
		maySteal: o.Overwrite,
		happened: o.Happened,
		sessions: map[uint64]*Session{},
	}
	e.tracker = newTracker(e)
	return e
}

// Open returns the session of a new connection. Its Close must be called.
func (e *Engine) Open(c Conn) *Session {
	s := &Session{engine: e, conn: c, proto: 2, authenticated: e.password == "", active: c.Opened}
	e.opened.Add(1)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sessions[c.ID] = s
	return s
}

// Close stops the scripts under way and waits for them, which takes some ms. The
// sessions must be closed, and the keeper still open.
func (e *Engine) Close() {
	e.tracker.close()
	e.scripts.close()
	e.hub.close()
}

func (e *Engine) forget(s *Session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sessions[s.conn.ID] == s {
		delete(e.sessions, s.conn.ID)
	}
}
