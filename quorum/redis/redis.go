// Package redis is the driver of stores that are Redis servers, or speak like one:
// Redis from 6.2 on, Valkey, KeyDB, Dragonfly.
//
// A copy lies under the lock's own name, with a TTL in milliseconds, and is
// compared byte for byte. A swap from none is one SET with NX and GET where the
// server takes the two together; every other swap is a small script. So each
// request is one command, atomic in the server, and a batch is one pipeline.
//
// Beside the copies lie, for whoever looks with redis-cli: the book, a hash, in
// holdfast:book; a notice of each lock that was released a while ago in
// holdfast:gone:<lock>, until the lease would have run out; and the numbers that
// were taken, a hash with a field for each bucket, in holdfast:marks; with peers
// each copy once more, in holdfast:copy:<lock>. No lock is called like that.
//
// What holds everywhere in here:
//
//   - Nothing is sent twice, and no connection is replaced in silence: go-redis is
//     handed one connection that is already open, and refused a second one. Once it
//     has logged in, batches are written and read there without it.
//   - After a transport error the connection is dead until the next Connect. An
//     answer that comes late is never taken for one to another request.
//   - Connect kills the connection before it in the server, so nothing that was
//     sent there is carried out later.
//   - Every batch ends with a look at the server's wall clock, by which it lets
//     copies expire. If that jumped, no vote of the batch counts, and the next
//     Connect returns another incarnation. It ends in /j and the jumps that this
//     Store has seen, which mean nothing to another one.
//
// A connection of its own, [Store.Watch], hears of copies that vanish.
//
// The package ignores Redis Cluster and Sentinel: one server is one store.
package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"holdfast/quorum"
)

// Store is one Redis server. It is a [quorum.Store].
type Store struct {
	target target
	pace   *pace

	// Of the goroutine that calls Connect and Do.
	scripted bool    // never SET with NX and GET, whatever the server can do
	twice    bool    // see KeepTwice
	ghost    session // whose requests may still be under way in the server

	flooded bool // of the goroutine that calls Watch: see there

	turn chan struct{} // has one in it while a batch is under way
	flow flow

	mu      sync.Mutex
	link    *link    // guarded by mu; nil while not connected
	watcher *watcher // guarded by mu; nil while nobody watches
	closed  bool     // guarded by mu; once true, always true
}

var (
	errClosed       = errors.New("the store is closed")
	errNotConnected = errors.New("not connected")
)

// New returns the store at a URL such as redis://user:password@host:6379/2. It
// does not connect. rediss:// is TLS, which insecure_skip_verify=true leaves
// unverified; the parameter name is for others to read. The error never shows a
// password.
func New(url string) (*Store, error) {
	t, err := parse(url)
	if err != nil {
		return nil, err
	}
	// What go-redis has to say it returns as an error too.
	redis.SetLogger(new(logging.VoidLogger))
	return &Store{target: t, pace: &pace{clock: quorum.BootClock{}}, turn: make(chan struct{}, 1)}, nil
}

// KeepTwice has each copy kept a second time, under a name of ours, by every
// connection made from now on: where the first one is missing the second one
// counts. Proxies that count votes together all do so or none. Who deletes the
// names of locks, one after the other, then takes no vote away; whoever holds one
// puts the first copy back as before. It costs a write more a swap, and the
// memory of a copy. It is called before Connect.
func (s *Store) KeepTwice() { s.twice = true }

// Connect fails too where the server answers but cannot vote: while it loads its
// data, as a replica, in a cluster, or if the user may not do what is needed.
func (s *Store) Connect(ctx context.Context) (string, error) {
	s.drop()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	incarnation, err := s.connect(ctx)
	if err != nil {
		s.drop()
		return "", fmt.Errorf("connect to redis %s: %w", s.target.addr, err)
	}
	return incarnation, nil
}

func (s *Store) connect(ctx context.Context) (string, error) {
	l, err := open(ctx, s.target, s.pace)
	if err != nil {
		return "", err
	}
	// From here on Close reaches the connection, however far it has come.
	if err := s.install(l); err != nil {
		return "", err
	}
	defer context.AfterFunc(ctx, l.cut)()
	now, err := l.greet(ctx)
	if err != nil {
		return "", err
	}
	if why := now.unfit(); why != "" {
		return "", errors.New(why)
	}
	clock, err := l.prepare(ctx, s.ghost.in(now))
	if err != nil {
		return "", err
	}
	if err := s.pace.meet(now, clock); err != nil {
		return "", err
	}
	if s.ghost.id != 0 && !s.ghost.isRunOf(now) {
		s.rouse() // it watches another run, or another server at the same address
	}
	// go-redis leaves the deadline of its last command behind. A batch has none: it is cut.
	if err := l.conn.SetDeadline(time.Time{}); err != nil {
		return "", err
	}
	l.direct, l.twice, l.answers = l.direct && !s.scripted, s.twice, l.guard.answers
	s.ghost = now
	return s.pace.incarnation(now), nil
}

// install makes l the connection that Do uses, unless the store is closed.
func (s *Store) install(l *link) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		l.close()
		return errClosed
	}
	s.link = l
	return nil
}

// drop closes the connection, if there is one.
func (s *Store) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != nil {
		s.link.close()
		s.link = nil
	}
}

// current returns the connection that Do may use, and whoever wants to know what
// Do writes, or nil.
func (s *Store) current() (*link, *own, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, nil, errClosed
	case s.link == nil:
		return nil, nil, errNotConnected
	case s.watcher == nil:
		return s.link, nil, nil
	}
	return s.link, s.watcher.own, nil
}

// Do writes one pipeline and reads its answers. An error reply to one request
// makes that vote Silent and costs the others nothing, unless it says that the
// server as a whole cannot vote now. If the server's clock jumped, all are Silent.
func (s *Store) Do(ctx context.Context, requests []quorum.Request, votes []quorum.Vote) error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	l, own, err := s.current()
	if err != nil {
		err = s.asking(err)
		silence(votes, err, true)
		return err
	}
	if ctx.Err() != nil {
		silence(votes, s.asking(context.Cause(ctx)), true)
		return nil // nothing was sent: the connection is as good as before
	}
	if len(requests) == 0 {
		return nil
	}
	if own != nil {
		own.begin(requests)
		defer own.end(requests, votes)
	}
	start := time.Now()
	stop := context.AfterFunc(ctx, l.cut)
	err = l.ask(ctx, requests, votes)
	if !stop() && err == nil {
		err = context.Cause(ctx) // all was answered, and then the connection was cut
	}
	return s.conclude(votes, time.Since(start), err)
}

// conclude fills in what is still missing in votes. After an error the connection
// goes.
func (s *Store) conclude(votes []quorum.Vote, elapsed time.Duration, err error) error {
	for i := range votes {
		if votes[i].Err != nil {
			votes[i].Err = s.asking(votes[i].Err)
		} else {
			votes[i].Elapsed = elapsed
		}
	}
	if err != nil {
		s.drop()
		return s.asking(err)
	}
	return nil
}

func (s *Store) asking(err error) error {
	return fmt.Errorf("ask redis %s: %w", s.target.addr, err)
}

// silence makes every vote Silent because of err.
func silence(votes []quorum.Vote, err error, unsent bool) {
	for i := range votes {
		votes[i] = quorum.Vote{Err: err, Unsent: unsent}
	}
}

// Traits returns the zero Traits: TTLs are in milliseconds, and Connect kills the
// connection before it.
func (s *Store) Traits() quorum.Traits { return quorum.Traits{} }

// Close closes the connections. What waits for one returns with an error.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.drop()
	s.rouse()
	return nil
}
