package commands

import (
	"slices"
	"strings"

	"holdfast/quorum"
)

// Flags of commands that have to do with transactions.
const (
	unqueued flag = 1 << (15 - iota) // done at once between MULTI and EXEC too
	executes                         // EXEC
	watches                          // WATCH
)

// Limits on what one connection may queue. It is kept until EXEC.
const (
	maxQueued      = 16 << 10 // commands
	maxQueuedBytes = 4 << 20
	queuedCost     = 128 // bytes of a queued command beside its arguments
)

const (
	errNotInMulti = "ERR Command not allowed inside a transaction"
	errAborted    = "EXECABORT Transaction discarded because of previous errors."
	errQueue      = "ERR a transaction may have 16384 commands, and 4 MiB, each its arguments and 128 bytes"
	errContended  = "ERR somebody who locks directly in the stores was faster, each time; nothing was changed"
)

// A transaction is what was queued since MULTI.
type transaction struct {
	open     bool
	spoiled  bool // a command could not be queued: EXEC will refuse
	queue    []queued
	queuedBy int       // bytes that the queue counts for
	serves   bool      // some of it is about the session, and not about locks
	watching *watching // nil: nothing
}

// A queued command is one that EXEC will run.
type queued struct {
	cmd  *command
	args [][]byte
	job  job   // of a script
	bad  Reply // why the script can't be run
}

// waits reports whether a command must wait for those that are under way. It notes in r
// which script that calls.
func (s *Session) waits(c *command, r *request) bool {
	switch {
	case s.open && c.flags&unqueued == 0:
		return false // it is only queued
	case c.flags&executes != 0:
		return s.open && (s.serves || s.watching != nil || slices.ContainsFunc(s.queue, func(q queued) bool {
			return q.cmd.script != nil && s.scriptOf(q.cmd, q.args).mayStray()
		}))
	case c.script != nil:
		r.script = s.scriptOf(c, r.args)
		return r.script.mayStray()
	}
	return c.flags&barrier != 0
}

// spoil has EXEC refuse, since it would leave out a command.
func (s *Session) spoil() {
	if s.open {
		s.change(func() { s.spoiled = true })
	}
}

// abort is for a command that can't be begun. If it is EXEC, that ends the
// transaction.
func (s *Session) abort(c *command, why Reply) Reply {
	if c == nil || c.flags&executes == 0 {
		s.spoil()
		return why
	}
	if s.open {
		s.engine.tracker.unwatch(s.endTransaction().watching)
	}
	return sayFailure("EXECABORT Transaction discarded because of: " + strings.TrimPrefix(why.text, "ERR "))
}

// enqueue keeps a command for EXEC. One that changes which messages come, or that
// answers in its own time, cannot be part of one reply.
func (s *Session) enqueue(c *command, args [][]byte) Reply {
	if c.flags&settles != 0 || c.start != nil && c.run == nil && c.serve == nil {
		s.spoil()
		return sayFailure(errNotInMulti)
	}
	cost := queuedCost
	for _, arg := range args {
		cost += len(arg)
	}
	if len(s.queue) >= maxQueued || s.queuedBy+cost > maxQueuedBytes {
		s.spoil()
		return sayFailure(errQueue)
	}
	s.conn.Keep(cost)
	s.change(func() {
		s.queue = append(s.queue, queued{cmd: c, args: args})
		s.queuedBy += cost
		s.serves = s.serves || c.serve != nil && (c.run == nil || c.name == "select")
	})
	return sayStatus("QUEUED")
}

func multi(s *Session, _ [][]byte) Reply {
	if s.open {
		return sayFailure("ERR MULTI calls can not be nested")
	}
	s.change(func() { s.open = true })
	return sayOK()
}

// endTransaction returns what was queued and watched, and leaves nothing.
func (s *Session) endTransaction() transaction {
	t := s.transaction
	s.conn.Keep(-t.queuedBy)
	s.change(func() { s.transaction = transaction{} })
	return t
}

func discard(s *Session, _ [][]byte) Reply {
	if !s.open {
		return sayFailure("ERR DISCARD without MULTI")
	}
	s.engine.tracker.unwatch(s.endTransaction().watching)
	return sayOK()
}

func unwatch(s *Session, _ [][]byte) Reply {
	s.engine.tracker.unwatch(s.watching)
	s.change(func() { s.watching = nil })
	return sayOK()
}

// unwatchLater is UNWATCH in a transaction, at the end of which nothing is
// watched any more anyway.
func unwatchLater(*Tx, [][]byte) Reply { return sayOK() }

// startWatch is WATCH: a look at the locks, of which EXEC remembers the versions.
func startWatch(s *Session, c *command, r request) {
	if s.open {
		r.answer(sayFailure("ERR WATCH inside MULTI is not allowed"), s.protocol())
		return
	}
	s.submit(c, r, s.proto, s.db)
}

func watchLocks(*Tx, [][]byte) Reply { return sayOK() }

// exec is EXEC.
func exec(s *Session, c *command, r request) {
	open := s.open
	t := s.transaction
	if open {
		t = s.endTransaction()
	}
	switch {
	case !open:
		r.answer(sayFailure("ERR EXEC without MULTI"), s.protocol())
	case t.spoiled:
		s.engine.tracker.unwatch(t.watching)
		r.answer(sayFailure(errAborted), s.protocol())
	default:
		s.submitBatch(c, r, t)
	}
}

// submitBatch starts what was queued, as one change.
func (s *Session) submitBatch(c *command, r request, t transaction) {
	strays := false
	for i := range t.queue {
		q := &t.queue[i]
		s.engine.monitors.show(s, s.db, q.cmd, request{args: q.args})
		switch {
		case q.cmd.script != nil:
			q.job, q.bad = q.cmd.script(s, q.cmd, request{args: q.args})
			strays = strays || q.bad.kind != failure && q.job.script.mayStray()
		case q.cmd.name == "script|load":
			_, _ = s.engine.scripts.load(q.args[2]) // for the EVALSHA behind it; what is wrong is said in its place
		}
	}
	under := &call{session: s, cmd: c, request: r, proto: s.proto, db: s.db, batch: &batch{t}, holds: t.serves || strays}
	under.tx.engine = s.engine
	under.follow()
	names, err := under.names()
	if err != nil {
		s.engine.tracker.unwatch(t.watching)
		r.answer(sayFailure(errorLine(err)), s.proto)
		return
	}
	s.add(under)
	if len(names) == 0 && !under.batch.slow() {
		under.decideBatch(&quorum.View{})
		under.done(quorum.Result{})
		return
	}
	under.try(names)
}

// A batch is a transaction that is being carried out: one change, of everything
// that its commands do to locks, on the condition that what is watched is as it
// was. What they ask of the session or the server is done when that is through.
type batch struct{ transaction }

// slowBatch is how many commands are too many to be run while others wait.
const slowBatch = 64

// slow reports whether the batch is to be run by a worker, as scripts are: so is
// what waits for the hub, which the keeper cannot.
func (b *batch) slow() bool {
	return len(b.queue) > slowBatch || slices.ContainsFunc(b.queue, func(q queued) bool {
		return q.cmd.script != nil || q.cmd.flags&pubsub != 0
	})
}

// names returns the locks that the batch says it will use, each once.
func (b *batch) names(t *tracker, db int) (names []string, err error) {
	names = t.watchedNames(b.watching)
	var few [4][]byte
	for i := range b.queue {
		q := &b.queue[i]
		if q.cmd.name == "select" {
			if n, bad := parseDB(q.args[1]); bad == nil {
				db = n
			}
		}
		for _, key := range q.cmd.lockArgs(few[:0], q.args) {
			if name, err := lockName(db, key); err == nil { // else the command says so
				names = append(names, name)
			}
		}
	}
	return once(&command{name: "exec"}, names)
}

// looks is what it is for one command: what is watched was looked at too.
func (b *batch) looks() bool {
	return b.watching != nil || slices.ContainsFunc(b.queue, func(q queued) bool { return q.cmd.mustLook(q.args) })
}

// decideBatch runs the commands of a batch on what the keeper shows.
func (c *call) decideBatch(view *quorum.View) quorum.Plan {
	tx := &c.tx
	tx.reset(c.cmd, c.db, view)
	c.reads.again(tx)
	tx.script = true // what it read guards it
	if !c.session.engine.tracker.asWatched(c.batch.watching, view) {
		return c.conclude(Reply{kind: nullArray}, false)
	}
	replies := make([]Reply, len(c.batch.queue))
	size := 0
	for i := range c.batch.queue {
		replies[i] = c.runQueued(&c.batch.queue[i])
		if size += replies[i].size(); size > maxReply {
			break // conclude refuses all of it
		}
	}
	tx.refused, tx.final = sayFailure(errContended), false
	return c.conclude(sayArray(replies...), false)
}

// runQueued runs one command of a batch. One that fails has changed nothing, and
// the others go on.
func (c *call) runQueued(q *queued) Reply {
	tx := &c.tx
	switch {
	case q.cmd.script != nil && q.bad.kind == failure:
		return q.bad
	case q.cmd.script != nil:
		return c.runQueuedScript(q)
	case q.cmd.run != nil:
		if bad := tx.use(q.cmd, q.args); bad != "" {
			return sayFailure(bad)
		}
		return q.cmd.run(tx, q.args).bounded()
	}
	return Reply{} // see through
}

func (c *call) runQueuedScript(q *queued) Reply {
	tx, db := &c.tx, c.tx.db
	if bad := tx.use(q.cmd, q.args); bad != "" {
		return sayFailure(bad)
	}
	before, posts, posted, deeds := slices.Clone(tx.slots), len(tx.posts), tx.posted, tx.chronicle.count()
	tx.strayed = false
	reply, raised := c.lua(q.job, q.cmd)
	q.job.script.ended(tx.strayed, raised)
	tx.db = db
	if raised {
		tx.restore(before)
		tx.posts, tx.posted = tx.posts[:posts], posted
		tx.chronicle.cut(deeds)
	}
	return reply.bounded()
}

// restore makes the locks what they were; those that were first looked at since
// then stay as they were shown.
func (tx *Tx) restore(before []slot) {
	copy(tx.slots, before)
	for i := len(before); i < len(tx.slots); i++ {
		s := &tx.slots[i]
		key, db := s.key, tx.db
		fresh := Tx{engine: tx.engine, view: tx.view, db: s.db}
		fresh.show([]byte(key), s.name)
		tx.slots[i], tx.db = fresh.slots[0], db
	}
}

// through is called when what a call decided is done, or there was nothing to do:
// it sends the messages, does what is left of a batch, and returns the reply.
func (c *call) through(reply Reply, result quorum.Result) Reply {
	c.session.engine.hub.post(c.tx.posts...)
	if c.batch == nil || reply.kind != array {
		return reply
	}
	s := c.session
	for i := range reply.items {
		q, item := &c.batch.queue[i], &reply.items[i]
		switch {
		case q.cmd.run == nil && q.cmd.serve != nil:
			*item = q.cmd.serve(s, q.args).bounded()
		case q.cmd.name == "select" && item.kind == status:
			*item = q.cmd.serve(s, q.args)
		default:
			*item = item.resolve(result)
		}
	}
	return reply
}

// unwatch ends what EXEC watched, and sees to it that a WATCH which failed guards
// all the same.
func (c *call) unwatch(result quorum.Result) {
	t := c.session.engine.tracker
	if c.batch != nil {
		t.unwatch(c.batch.watching)
	}
	if c.watch != nil && result.Outcome == quorum.Failed {
		t.miss(c.watch)
	}
}

// inMulti is how many commands are queued, -1 outside a transaction. s.mu is held.
func (s *Session) inMulti() int {
	if !s.open {
		return -1
	}
	return len(s.queue)
}

// flagsLocked are the letters of CLIENT LIST. s.mu is held.
func (s *Session) flagsLocked() string {
	var b strings.Builder
	for _, f := range []struct {
		is     bool
		letter byte
	}{{s.waitsInRoom() != nil, 'b'}, {s.monitoring.Load(), 'O'}, {s.subscribed(), 'P'}, {s.open, 'x'}, {s.tracks.Load(), 't'}} {
		if f.is {
			b.WriteByte(f.letter)
		}
	}
	if b.Len() == 0 {
		return "N"
	}
	return b.String()
}
