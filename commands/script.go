package commands

import (
	"container/list"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lua "github.com/yuin/gopher-lua"

	"holdfast/quorum"
)

// Limits on scripts.
const (
	maxScript     = 128 << 10 // bytes of one
	maxScripts    = 1024      // kept
	maxScriptText = 8 << 20   // bytes of all that are kept
)

// A digest is the SHA-1 of a script's text, by which clients call it.
type digest = [sha1.Size]byte

// A script is a Lua program, compiled. It is never altered.
type script struct {
	digest digest
	sha    string // the digest in hex
	proto  *lua.FunctionProto
	plain  *plainScript // nil if it is none
	manner manner
	text   []byte
	saved  bool        // guarded by scripts.mu; the library has it, or will
	ran    atomic.Bool // once at the least, and used no lock but those that its caller named
	strays atomic.Bool // it has used others
}

// mayStray reports whether a script may use locks that its caller does not name. It is
// then not known what it must come before, and behind what: so it has its session to
// itself. Of a plain one it can be seen; of others it is believed that they do not, once
// one run of theirs did not.
func (s *script) mayStray() bool {
	switch {
	case s == nil || s.strays.Load():
		return true
	case s.plain != nil:
		return !s.plain.named
	}
	return !s.ran.Load()
}

// ended notes whether a run of the script, which came to its end, used other locks.
func (s *script) ended(strayed, raised bool) {
	switch {
	case strayed:
		s.strays.Store(true)
	case !raised && !s.ran.Load():
		s.ran.Store(true)
	}
}

// scripts keeps the scripts that clients sent lately, for all sessions, and runs
// them a few at a time.
type scripts struct {
	machines sync.Pool // of *machine, ready for any script
	workers  workers
	closing  atomic.Bool
	time     time.Duration // that one may take
	saving   *saving       // nil: none is saved

	mu     sync.Mutex
	kept   map[digest]*list.Element // guarded by mu; of *script
	recent *list.List               // guarded by mu; the last used first
	text   int                      // guarded by mu; bytes of what is kept
}

// newScripts returns the scripts of a library, which may be nil.
func newScripts(turns int, library Library, log *slog.Logger) *scripts {
	s := &scripts{
		workers: workers{most: turns},
		time:    maxTime,
		kept:    map[digest]*list.Element{},
		recent:  list.New(),
	}
	if library != nil {
		s.saving = newSaving(library, log)
		s.restore(library.Scripts())
	}
	return s
}

// close stops the scripts under way, and answers those that wait. One of which
// the time is not looked at even once, as most releases are, is done.
func (s *scripts) close() {
	s.closing.Store(true)
	s.workers.close()
	s.saving.close()
}

// find returns the script of a digest, nil if it is not kept.
func (s *scripts) find(d digest) *script {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.kept[d]
	if e == nil {
		return nil
	}
	s.recent.MoveToFront(e)
	return e.Value.(*script)
}

// called returns the script that a command calls, nil if it is not kept.
func (s *scripts) called(c *command, args [][]byte) *script {
	d, ok := digest{}, true
	switch text := args[1]; {
	case strings.HasPrefix(c.name, "evalsha"):
		d, ok = parseDigest(text)
	case len(text) > maxScript:
		return nil
	default:
		d = sha1.Sum(text)
	}
	if !ok {
		return nil
	}
	return s.find(d)
}

// scriptOf returns the script that a command calls, nil if there is none. One that was
// never seen is compiled, if its client may have that done.
func (s *Session) scriptOf(c *command, args [][]byte) *script {
	known := s.engine.scripts.called(c, args)
	if known == nil && s.authenticated && !strings.HasPrefix(c.name, "evalsha") {
		known, _ = s.engine.scripts.load(args[1]) // what is wrong is said in its place
	}
	return known
}

// load returns the script of a text, compiled and kept.
func (s *scripts) load(text []byte) (*script, error) {
	if len(text) > maxScript {
		return nil, fmt.Errorf("a script of %d bytes is longer than %d", len(text), maxScript)
	}
	d := sha1.Sum(text)
	if known := s.find(d); known != nil {
		return known, nil
	}
	made, err := newScript(d, text)
	if err != nil {
		return nil, err
	}
	return s.keep(made), nil
}

// newScript compiles a text, which is copied.
func newScript(d digest, text []byte) (*script, error) {
	how, program, bad := mannerOf(text)
	if bad != "" {
		return nil, errors.New(bad)
	}
	proto, plain, err := compile(program)
	if err != nil {
		return nil, err
	}
	if how.said {
		plain = nil // which knows of no manners
	}
	return &script{digest: d, sha: hex.EncodeToString(d[:]), proto: proto, plain: plain, manner: how, text: append([]byte{}, text...)}, nil
}

// keep keeps a script, and returns it, or what somebody else has compiled meanwhile.
func (s *scripts) keep(made *script) *script {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.kept[made.digest]; e != nil {
		return e.Value.(*script)
	}
	s.kept[made.digest] = s.recent.PushFront(made)
	s.text += len(made.text)
	for len(s.kept) > maxScripts || s.text > maxScriptText {
		oldest := s.recent.Remove(s.recent.Back()).(*script)
		delete(s.kept, oldest.digest)
		s.text -= len(oldest.text)
		if oldest.saved {
			s.saving.drop(oldest.digest)
		}
	}
	return made
}

func (s *scripts) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.kept {
		if old := e.Value.(*script); old.saved {
			s.saving.drop(old.digest)
		}
	}
	clear(s.kept)
	s.recent.Init()
	s.text = 0
}

// size counts the scripts that are kept, and the bytes of their texts.
func (s *scripts) size() (count, text int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.kept), s.text
}

// A job is a script with its arguments.
type job struct {
	script     *script
	keys, argv [][]byte
}

func newJob(s *script, args [][]byte) (job, Reply) {
	n, ok := parseInt(args[2])
	switch {
	case !ok:
		return job{}, sayFailure(errNotInteger)
	case n > int64(len(args)-3):
		return job{}, sayFailure("ERR Number of keys can't be greater than number of args")
	case n < 0:
		return job{}, sayFailure("ERR Number of keys can't be negative")
	}
	return job{s, args[3 : 3+n], args[3+n:]}, Reply{}
}

func eval(s *Session, c *command, r request) (job, Reply) {
	j, bad := newJob(r.script, r.args)
	if bad.kind == failure || j.script != nil {
		return j, bad
	}
	script, err := s.engine.scripts.load(r.args[1])
	if err != nil {
		return j, sayFailure(errorLine(err))
	}
	j.script = script
	return j, Reply{}
}

func evalSHA(s *Session, c *command, r request) (job, Reply) {
	if _, ok := parseDigest(r.args[1]); !ok {
		return job{}, sayFailure(errNoScript)
	}
	j, bad := newJob(r.script, r.args)
	if bad.kind == failure {
		return j, bad
	}
	if j.script == nil {
		j.script = s.engine.scripts.called(c, r.args)
	}
	if j.script == nil {
		return j, sayFailure(errNoScript)
	}
	s.engine.scripts.save(j.script) // its client counts on it to be there
	return j, Reply{}
}

// parseDigest reads 40 hex digits in any case.
func parseDigest(text []byte) (d digest, ok bool) {
	if len(text) != hex.EncodedLen(len(d)) {
		return d, false
	}
	_, err := hex.Decode(d[:], text)
	return d, err == nil
}

// runOnWorker answers op.Start with what decide says. The keeper's mutex is free
// meanwhile: the names of the op are the script's alone.
func (c *call) runOnWorker(op *quorum.Op, view *quorum.View, decide func(*quorum.View) quorum.Plan) {
	e := c.session.engine
	refused := e.scripts.workers.run(&c.session.runs, func() { e.keeper.Resume(op, decide(view)) })
	if refused != "" {
		c.tx.reset(c.cmd, c.db, view)
		e.keeper.Resume(op, c.conclude(sayFailure(refused), false))
	}
}

// decideByScript runs the script on what the keeper shows. Whatever it calls
// becomes one change. A script that ends by an error has changed nothing, where
// Redis leaves what it had done so far: an error must not leave a lock behind.
func (c *call) decideByScript(view *quorum.View) quorum.Plan {
	if !c.show(view) {
		return c.conclude(sayFailure(errHungUp), false)
	}
	reply, raised := c.lua(c.job, c.cmd)
	c.job.script.ended(c.tx.strayed, raised)
	c.tx.refused, c.tx.final = Reply{}, false // of what the script called
	return c.conclude(reply, !raised)
}

// show makes the call's Tx ready for its script. It reports false if the script is
// not to be carried out any more.
func (c *call) show(view *quorum.View) bool {
	tx := &c.tx
	tx.reset(c.cmd, c.db, view)
	c.reads.again(tx)
	tx.script = true
	for _, key := range c.job.keys {
		tx.show(key, c.named(key))
	}
	return !c.session.isClosed() || c.mayRelease()
}

// lua runs a script on the call's Tx. With raised, it failed.
func (c *call) lua(j job, cmd *command) (reply Reply, raised bool) {
	readonly, how := cmd.flags&write == 0, j.script.manner
	if readonly && how.said && !how.noWrites {
		return sayFailure(errWriteFlag), true
	}
	machines := &c.session.engine.scripts.machines
	m, _ := machines.Get().(*machine)
	if m == nil {
		m = newMachine(c.session.engine.version)
	}
	reply, raised = m.run(c.session, &c.tx, j, readonly || how.noWrites)
	if !m.spoiled {
		machines.Put(m)
	}
	return reply, raised
}

// mayRelease reports whether the script could free a lock: one of those it names
// is held, or it names none and finds them by itself. Of a client that hung up
// that is all that is still carried out.
func (c *call) mayRelease() bool {
	if c.cmd.flags&write == 0 {
		return false
	}
	return len(c.tx.slots) == 0 || slices.ContainsFunc(c.tx.slots, func(s slot) bool { return s.held })
}

func scriptLoad(s *Session, args [][]byte) Reply {
	loaded, err := s.engine.scripts.load(args[2])
	if err != nil {
		return sayFailure(errorLine(err))
	}
	s.engine.scripts.save(loaded)
	return sayText(loaded.sha)
}

func scriptExists(s *Session, args [][]byte) Reply {
	items := make([]Reply, len(args)-2)
	for i, arg := range args[2:] {
		items[i] = sayInt(0)
		if d, ok := parseDigest(arg); ok && s.engine.scripts.find(d) != nil {
			items[i] = sayInt(1)
		}
	}
	return sayArray(items...)
}

func scriptFlush(s *Session, args [][]byte) Reply {
	if len(args) > 3 || (len(args) == 3 && !is(args[2], "sync") && !is(args[2], "async")) {
		return sayFailure("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
	}
	s.engine.scripts.flush()
	return sayOK()
}
