// Package proxy carries RESP over TCP: it listens, cuts what arrives into
// commands, hands them to a [Session] and writes the replies in order.
//
// What holds everywhere in here:
//
//   - Replies leave in the order in which their commands came, whatever the order
//     in which they were given. A message that answers none leaves between two.
//   - What one client may cost is bounded: the size of a command, the commands
//     under way and their bytes, the replies it has not read, the time a write
//     may take; and so is what all may cost together. Memory grows with what has
//     arrived, never with what was announced.
//   - A client that sends no more is answered what it has sent, but not waited for
//     for long: it may be gone.
//   - Nobody who gives a reply or pushes a message ever waits for a client to read.
//   - An idle connection costs one goroutine and no buffer.
//
// The parser is redcon's, which by itself bounds nothing and trusts what a header
// says; so a guard in front of it shows it one whole command within the limits at
// a time, and redcon's own server, which has neither limits nor draining, is not
// used.
//
// The package knows framing, connections and time; nothing of what a command means.
// The admin page, see [Admin], stands beside all this and shares none of it.
package proxy

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// A Handler gives each connection its meaning. Open is called once for each, from
// the connection's own goroutine, before its first command.
type Handler interface {
	Open(c Conn) Session
}

// A Conn is what a session knows of its connection. Its functions may be called
// from anywhere, at any time, and never block.
type Conn struct {
	ID            uint64 // counts up from 1; never used twice
	Remote, Local string // addresses, with ports
	Opened        time.Time

	// Kill closes the connection at once. Replies not yet written are lost.
	Kill func()

	// Push queues bytes that answer no command, a message. It goes behind the
	// replies given so far and the messages before it, and overtakes what is not
	// answered yet. So whoever answers a command, and pushes, under one mutex,
	// decides which of them the client sees first.
	//
	// It reports false if the connection is gone, or is cut off now because too
	// much waits for it already. The bytes must not be changed afterwards. If they
	// are pushed to several connections, all get the same sharers, zero at first:
	// then they count once for all connections together. It may be nil.
	Push func(b []byte, sharers *atomic.Int64) bool

	// Mute leaves out the replies to the next n commands that are not answered yet, to
	// all of them if n is negative, and to none any more if it is 0; if all are left out
	// already, only 0 changes that. Every command before the first of them must be answered, and none
	// behind it: then there is no doubt which are meant. Messages are not left out.
	Mute func(n int)

	// Keep says that the session keeps so many bytes more, or less, for as long as
	// the client stays. They count as held by the connection.
	Keep func(bytes int)
}

// A Session takes the commands of one connection. One that has a method
// Authenticated() bool and returns false has its client held to the limits that
// Redis sets before AUTH: 10 arguments of at most 16 KiB.
type Session interface {
	// Begin starts one command. Calls come one after the other, in the order
	// received, and must not block for long. There is at least one argument; the
	// bytes belong to the session.
	//
	// reply is to be called exactly once, during Begin or later, from any
	// goroutine, with the RESP bytes of the answer, which must not be changed
	// afterwards; it never blocks. With last the connection is closed once they
	// are written, and no command behind this one is answered.
	Begin(args [][]byte, reply func(b []byte, last bool))

	// NoMore says that the client sends no more, and may be gone: what it asked for is
	// answered all the same, but should not wait for what may never come. Begin may
	// still be called for what was received before. It is called once at most.
	NoMore()

	// Close says that the client is gone, or has got all that it was owed, or sends
	// no more and was waited for long enough. It is called once, after the last
	// Begin. Commands still under way may be dropped or answered: nobody hears it.
	Close()
}

// Options are what a [Server] is made of. Zero fields take the value given there;
// Handler has none.
type Options struct {
	Handler Handler

	MaxConns      int           // connections at a time; 10000
	Window        int           // commands under way on one connection; 1024
	MaxReplyBytes int           // of replies waiting on one connection; 1 MiB. See [Server]
	MaxPushBytes  int           // of messages waiting on one connection; 32 MiB, as in Redis
	MaxBytes      int           // held for all connections together; 512 MiB. See [Server]
	WriteTimeout  time.Duration // for a client to take at most 64 KiB; 10 s
	KeepAlive     time.Duration // of silence before TCP probes the client; 60 s
	IdleTimeout   time.Duration // without a byte from the client or a command under way; 0: for ever
	Limits        Limits        // of one command
	Log           *slog.Logger  // nil: nothing is logged
}

// Limits bound one command. Zero fields take the value given there.
type Limits struct {
	Args    int // arguments; 8192
	Bulk    int // bytes of one argument; 1 MiB
	Inline  int // bytes of a line: an inline command, or a header; 64 KiB, as in Redis
	Command int // bytes of a command, framing included, and of all those under way on one connection; 4 MiB
}

func (o Options) withDefaults() Options {
	def(&o.MaxConns, 10000)
	def(&o.Window, 1024)
	def(&o.MaxReplyBytes, 1<<20)
	def(&o.MaxPushBytes, 32<<20)
	def(&o.MaxBytes, 512<<20)
	def(&o.WriteTimeout, 10*time.Second)
	def(&o.KeepAlive, time.Minute)
	def(&o.Limits.Args, 8192)
	def(&o.Limits.Bulk, 1<<20)
	def(&o.Limits.Inline, 64<<10)
	def(&o.Limits.Command, 4<<20)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Stats count what a server has seen since it was made.
type Stats struct {
	Connections    int   // open now
	Held           int64 // bytes for all of them, give or take 4 KiB for each
	Accepted       uint64
	Refused        uint64 // of the accepted: there were too many
	Commands       uint64 // handed to sessions
	ProtocolErrors uint64
	CutOff         uint64 // clients that did not read, held too much, or were idle for too long
	BytesIn        uint64
	BytesOut       uint64
}
