package commands

import (
	"fmt"
	"slices"
	"sync/atomic"

	"holdfast/quorum"
)

// A call is a command on locks that is under way.
type call struct {
	session *Session
	cmd     *command
	request request
	proto   int
	db      int
	job     job // of a script

	tx     Tx
	answer Reply // what to answer if what was decided is done

	batch  *batch    // of EXEC; else nil
	watch  *watching // of WATCH; else nil
	reads  *readings // of a client that tracks; else nil
	alarm  alarm     // of one that waits for nothing but time
	awaits int       // guarded by session.mu; waits for so many before it
	heirs  []*call   // guarded by session.mu; they wait for this one
	owed   []string  // guarded by tracker.mu; locks the session is to be told of behind the reply

	decided   bool
	changes   bool        // it was decided to change something
	renews    bool        // among it a lease of our own
	turns     bool        // it waits for those before it
	holds     bool        // later commands of the session wait for this one
	unblocked atomic.Bool // its wait was ended by CLIENT UNBLOCK, and is to fail

	op         atomic.Pointer[quorum.Op] // nil until it is submitted
	room       quorum.Op                 // for that
	name       [1]string                 // of the op: most commands name one lock
	next, prev *call                     // guarded by session.mu
}

// submit starts a command on locks, or answers it if there is nothing to wait for.
func (s *Session) submit(cmd *command, r request, proto, db int) {
	c := &call{session: s, cmd: cmd, request: r, proto: proto, db: db}
	c.tx.engine = s.engine
	c.follow()
	if cmd.flags&watches != 0 {
		c.watch = s.watchMore()
	}
	if cmd.script != nil {
		var bad Reply
		if c.job, bad = cmd.script(s, cmd, r); bad.kind == failure {
			r.answer(bad, proto)
			return
		}
		c.holds = c.job.script.mayStray()
	}
	names, err := c.names()
	if err != nil {
		r.answer(sayFailure(errorLine(err)), proto)
		return
	}
	if len(names) == 0 && cmd.script == nil {
		c.tx.reset(cmd, db, nil)
		r.answer(cmd.run(&c.tx, r.args).bounded(), proto)
		return
	}
	s.add(c)
	c.try(names)
}

// names returns the locks that the command says it will use, each once.
func (c *call) names() ([]string, error) {
	if c.batch != nil {
		return c.batch.names(c.session.engine.tracker, c.db)
	}
	var buf [1][]byte
	keys := c.cmd.lockArgs(buf[:0], c.request.args)
	names := c.name[:0]
	for _, key := range keys {
		name, err := lockName(c.db, key)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return once(c.cmd, names)
}

// named returns the name of the lock that the command calls key, one of those that
// were checked.
func (c *call) named(key []byte) string {
	if c.db == 0 && c.name[0] == string(key) {
		return c.name[0]
	}
	name, err := lockName(c.db, key)
	if err != nil {
		panic(fmt.Sprintf("a name that was checked before: %v", err))
	}
	return name
}

// once returns each of names once, unless they are too many.
func once(cmd *command, names []string) ([]string, error) {
	if len(names) > 1 {
		slices.Sort(names)
		names = slices.Compact(names)
	}
	if len(names) > quorum.MaxNames {
		return nil, fmt.Errorf("%s names %d locks, above %d: %w", cmd.name, len(names), quorum.MaxNames, quorum.ErrInvalid)
	}
	return names, nil
}

// try submits the command. What acts on a lock that is held is shown what the stores have.
func (c *call) try(names []string) {
	op := &c.room
	op.Names = names
	op.Reads = c.looks()
	op.By = c.session.conn.ID
	op.Done = c.done
	switch {
	case c.batch != nil && c.batch.slow():
		op.Start = func(view *quorum.View) { c.runOnWorker(op, view, c.decideBatch) }
	case c.batch != nil:
		op.Decide = c.decideBatch
	case c.cmd.script != nil && c.isPlain():
		op.Decide = c.decidePlainly
	case c.cmd.script != nil:
		op.Start = func(view *quorum.View) { c.runOnWorker(op, view, c.decideByScript) }
	default:
		op.Decide = c.decide
	}
	c.op.Store(op)
	closed := c.session.isClosed()
	if closed { // and what is acquired would be nobody's
		c.session.engine.keeper.Cancel(op)
	}
	c.session.engine.keeper.Submit(op)
	if !closed && c.session.isClosed() { // which may not have seen this op
		c.session.engine.keeper.Cancel(op)
	}
}

// looks reports whether the call must know of locks that others hold directly in
// the stores.
func (c *call) looks() bool {
	if c.batch != nil {
		return c.batch.looks()
	}
	return c.cmd.mustLook(c.request.args)
}

func (c *command) mustLook(args [][]byte) bool {
	return c.flags&reads != 0 || c.looks != nil && c.looks(args)
}

// decide runs the command on what the keeper shows.
func (c *call) decide(view *quorum.View) quorum.Plan {
	tx := &c.tx
	tx.reset(c.cmd, c.db, view)
	c.reads.again(tx)
	if c.watch != nil {
		c.session.engine.tracker.watch(c, view)
	}
	var buf [1][]byte
	for _, key := range c.cmd.lockArgs(buf[:0], c.request.args) {
		tx.show(key, c.named(key))
	}
	return c.conclude(c.cmd.run(tx, c.request.args), false)
}

// conclude keeps what is to be answered and returns what is to be done for it. A
// command that fails does nothing, and one whose reply is too long fails; an error
// that a script merely returned is no failure.
func (c *call) conclude(answer Reply, returned bool) (plan quorum.Plan) {
	if answer.size() > maxReply {
		answer, returned = sayFailure(errReply), false
	}
	if returned || answer.kind != failure || len(c.tx.more) > 0 {
		plan = c.tx.plan()
	} else {
		c.tx.posts = nil
	}
	if answer.kind != grant {
		plan.Parts = withoutMoments(plan.Parts)
	}
	plan.Anew = !c.tx.final
	c.reads.expect(c)
	c.answer, c.decided, c.changes, c.renews = answer, true, len(plan.Parts) > 0, false
	for i := range plan.Parts {
		prev := plan.Parts[i].Prev
		c.renews = c.renews || prev != nil && !prev.Foreign
	}
	return plan
}

// done hears how it went, and answers.
func (c *call) done(result quorum.Result) {
	reply := c.answer
	switch result.Outcome {
	case quorum.Changed:
		c.tellSeized()
		reply = c.through(reply.resolve(result), result)
	case quorum.Held:
		reply = c.tx.refused
		if c.renews { // the lease is there: nothing may read as if it were not
			reply = sayFailure(errOverwritten)
		}
	case quorum.Failed:
		reply = sayFailure(errorLine(result.Err))
	case quorum.Unchanged:
		if !c.decided || c.changes {
			reply = sayFailure(errHungUp)
		} else {
			reply = c.through(reply, result)
		}
	}
	c.unwatch(result)
	c.session.engine.slow.look(c.session, c.cmd, c.request)
	c.reply(reply, result)
	c.session.remove(c)
}

// withoutMoments leaves out leases that are over as soon as they are made: of a
// TTL of 1 or 2 ms the drift between two clocks takes all, and nobody may rely on
// any of it. Clients ask for such to see whether a server knows milliseconds, or
// to have a lease end now. Redis would keep it for that moment; here it is over
// when the reply is given, which is no later than it may be by the client's clock.
func withoutMoments(parts []quorum.Part) []quorum.Part {
	moment := func(p *quorum.Part) bool { return !p.Drop && quorum.Validity(p.TTL, 0) <= 0 }
	left := parts[:0]
	for _, p := range parts {
		switch {
		case moment(&p) && p.Prev == nil:
			continue
		case moment(&p):
			p = quorum.Part{Prev: p.Prev, Name: p.Name, Drop: true}
		}
		left = append(left, p)
	}
	return left
}
