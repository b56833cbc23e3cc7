package commands

import (
	"bytes"
	"slices"

	"holdfast/quorum"
)

// A plainScript is one that does no more than call commands, compare what they say
// and return: what nearly every lock library releases and extends by. It is carried
// out as other commands are, at once, where the interpreter needs a worker and
// several times as long. See [plainOf] for what is plain.
//
// What turns out not to be so plain when it runs, such as a command that fails, is
// left to the interpreter, from the start: nothing has been changed by then.
type plainScript struct {
	body   block
	locals int
	named  bool // it uses no lock that is none of KEYS
}

// A block carries out statements until one returns.
type block []statement

// A statement reports whether it returned, and what.
type statement func(r *plainRun) (word, bool)

type expression func(r *plainRun) word

// A plainRun is one run of a plain script.
type plainRun struct {
	tx         *Tx
	keys, argv [][]byte
	locals     []word
	readonly   bool
	stuck      bool // it is not so plain: nothing counts any more
}

// A word is a value of a plain script.
type word struct {
	kind   wordKind
	number float64
	text   []byte // of a text or a status; never altered
}

type wordKind uint8

const (
	wordNil wordKind = iota
	wordFalse
	wordTrue
	wordNumber
	wordText
	wordStatus // the table that a status reply becomes
)

func (w word) holds() bool { return w.kind != wordNil && w.kind != wordFalse }

func wordOf(b bool) word {
	if b {
		return word{kind: wordTrue}
	}
	return word{kind: wordFalse}
}

// equals is Lua's ==. Two tables are equal if they are one, which is not known here.
func (r *plainRun) equals(a, b word) bool {
	r.stuck = r.stuck || a.kind == wordStatus && b.kind == wordStatus
	return a.kind == b.kind && a.number == b.number && bytes.Equal(a.text, b.text)
}

// run carries the script out on what tx shows. It reports false if it is not so
// plain after all.
func (p *plainScript) run(tx *Tx, j job, readonly bool) (Reply, bool) {
	r := plainRun{tx: tx, keys: j.keys, argv: j.argv, readonly: readonly, locals: make([]word, p.locals)}
	result, _ := p.body.run(&r)
	return result.reply(), !r.stuck
}

func (b block) run(r *plainRun) (word, bool) {
	for _, s := range b {
		if w, returned := s(r); returned || r.stuck {
			return w, true
		}
	}
	return word{}, false
}

// reply is the reply for what the script returned, see [toReply].
func (w word) reply() Reply {
	switch w.kind {
	case wordTrue:
		return sayInt(1)
	case wordNumber:
		return sayInt(truncate(w.number))
	case wordText:
		return sayBytes(w.text)
	case wordStatus:
		return sayStatus(oneLine(string(w.text)))
	}
	return Reply{}
}

// call is redis.call, see [machine.command].
func (r *plainRun) call(args []expression) word {
	words := make([][]byte, len(args))
	for i, arg := range args {
		switch w := arg(r); w.kind {
		case wordText:
			words[i] = slices.Clip(w.text)
		case wordNumber:
			words[i] = []byte(formatNumber(w.number, 17))
		default:
			r.stuck = true
		}
	}
	if r.stuck {
		return word{}
	}
	c, problem := r.tx.engine.lookup(words)
	// What names no lock may ask the keeper, whose mutex is held here.
	if problem != noProblem || c.keys.first == 0 || c.flags&(noscript|pubsub|spreads) != 0 || c.flags&write != 0 && r.readonly || r.tx.use(c, words) != "" {
		r.stuck = true
		return word{}
	}
	return r.word(c.run(r.tx, words))
}

// word is what the script is given for a reply, see [valueOf].
func (r *plainRun) word(reply Reply) word {
	switch reply.kind {
	case null, nullArray:
		return word{kind: wordFalse}
	case status:
		return word{kind: wordStatus, text: []byte(reply.text)}
	case integer, boolean:
		return word{kind: wordNumber, number: float64(reply.n)}
	case bulk:
		if reply.bytes != nil {
			return word{kind: wordText, text: reply.bytes}
		}
		return word{kind: wordText, text: []byte(reply.text)}
	}
	r.stuck = true
	return word{}
}

// isPlain reports whether the call is a script that is carried out as other
// commands are.
func (c *call) isPlain() bool { return c.job.script.plain != nil }

// decidePlainly is [call.decideByScript] for a plain script. One that is not so plain
// after all has done nothing yet, and is left to that.
func (c *call) decidePlainly(view *quorum.View) quorum.Plan {
	if !c.show(view) {
		return c.conclude(sayFailure(errHungUp), false)
	}
	reply, ok := c.job.script.plain.run(&c.tx, c.job, c.cmd.flags&write == 0)
	if !ok {
		op := c.op.Load()
		return quorum.Plan{Start: func(view *quorum.View) { c.runOnWorker(op, view, c.decideByScript) }}
	}
	c.tx.refused, c.tx.final = Reply{}, false // of what the script called
	return c.conclude(reply, true)
}
