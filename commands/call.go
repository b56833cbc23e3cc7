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
	tx      Tx
	answer  Reply // what to answer if what was decided is done
	decided bool
	changes bool // it was decided to change something
	renews  bool // among it a lease of our own
	tries   int  // how often the stores have turned it down

	op         atomic.Pointer[quorum.Op] // of the last try
	name       [1]string                 // of the op: most commands name one lock
	next, prev *call                     // guarded by session.mu
}

// maxTries is how often a change that the stores turned down is looked at again.
const maxTries = 2

// submit starts a command on locks, or answers it if there is nothing to wait for.
func (s *Session) submit(cmd *command, r request, proto, db int) {
	c := &call{session: s, cmd: cmd, request: r, proto: proto, db: db}
	c.tx.engine = s.engine
	if cmd.script != nil {
		var bad Reply
		if c.job, bad = cmd.script(s, r.args); bad.kind == failure {
			r.answer(bad, proto)
			return
		}
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
	if len(names) > 1 {
		slices.Sort(names)
		names = slices.Compact(names)
	}
	if len(names) > quorum.MaxNames {
		return nil, fmt.Errorf("%s names %d locks, above %d: %w", c.cmd.name, len(names), quorum.MaxNames, quorum.ErrInvalid)
	}
	return names, nil
}

// try submits the command. What the stores turned down before is shown what they
// have; and so is what acts on a lock that is held.
func (c *call) try(names []string) {
	c.decided = false
	op := &quorum.Op{
		Names: names,
		Reads: c.tries > 0 || c.cmd.flags&reads != 0 || (c.cmd.looks != nil && c.cmd.looks(c.request.args)),
		Done:  c.done,
	}
	if c.cmd.script != nil {
		op.Start = func(view *quorum.View) { c.runScript(op, view) }
	} else {
		op.Decide = c.decide
	}
	c.op.Store(op)
	c.session.engine.keeper.Submit(op)
	if c.session.isClosed() { // which may not have seen this op
		c.session.engine.keeper.Cancel(op)
	}
}

// decide runs the command on what the keeper shows.
func (c *call) decide(view *quorum.View) quorum.Plan {
	tx := &c.tx
	tx.reset(c.cmd, c.db, view)
	var buf [1][]byte
	for _, key := range c.cmd.lockArgs(buf[:0], c.request.args) {
		name, err := lockName(c.db, key)
		if err != nil {
			panic(fmt.Sprintf("a name that was checked before: %v", err))
		}
		tx.show(key, name)
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
		reply = reply.resolve(result)
		c.session.engine.hub.post(c.tx.posts...)
	case quorum.Held:
		if !c.tx.final && c.tries < maxTries && !c.session.isClosed() {
			c.tries++
			c.try(c.op.Load().Names)
			return
		}
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
			c.session.engine.hub.post(c.tx.posts...)
		}
	}
	c.request.answer(reply, c.proto)
	c.session.remove(c)
}
