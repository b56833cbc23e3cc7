package commands

import (
	"slices"
	"strings"
)

// index makes the table ready for lookups, and gives every container a HELP.
func index(table []*command) map[string]*command {
	byName := map[string]*command{}
	for _, c := range table {
		byName[c.name] = c
		if c.run != nil && c.keys != (keySpec{}) {
			c.run = noting(c.run)
		}
		if c.flags&container != 0 {
			h := &command{name: c.name + "|help", arity: 2, flags: noscript, serve: help, summary: "Lists the subcommands."}
			byName[h.name] = h
		}
	}
	for name, c := range byName {
		if parent, _, ok := strings.Cut(name, "|"); ok {
			byName[parent].subs = append(byName[parent].subs, c)
		}
	}
	readManual(byName)
	for _, c := range table {
		slices.SortFunc(c.subs, func(a, b *command) int { return strings.Compare(a.name, b.name) })
	}
	return byName
}

// A problem is why a command cannot be begun. Clients and scripts are told in
// different words.
type problem uint8

const (
	noProblem problem = iota
	unknownCommand
	unknownSubcommand
	wrongArity
)

// lookup finds the command that args begin with. It allocates nothing. With a
// problem, the command is the one that comes nearest, or nil.
func (e *Engine) lookup(args [][]byte) (*command, problem) {
	var buf [48]byte
	name := appendLower(buf[:0], head(args[0], len(buf)/2))
	c := e.commands[string(name)]
	if c == nil || len(args[0]) > len(name) || c.isSub() {
		return nil, unknownCommand
	}
	if c.flags&container != 0 && len(args) > 1 {
		name = append(name, '|')
		name = appendLower(name, head(args[1], cap(buf)-len(name)))
		sub := e.commands[string(name)]
		if sub == nil || len(args[1]) != len(name)-len(c.name)-1 {
			return c, unknownSubcommand
		}
		c = sub
	}
	if (c.arity > 0 && len(args) != c.arity) || len(args) < -c.arity {
		return c, wrongArity
	}
	return c, noProblem
}

// words tells a client.
func (p problem) words(c *command, args [][]byte) Reply {
	switch p {
	case unknownCommand:
		return unknown(args)
	case unknownSubcommand:
		return unknownSub(c.name, args[1])
	}
	return badArity(c.name)
}

func (c *command) isSub() bool { return strings.Contains(c.name, "|") }

// lockArgs appends those of args that are names of locks. The arity must be
// right; a count that is not is the command's own to refuse.
func (c *command) lockArgs(dst [][]byte, args [][]byte) [][]byte {
	k := c.keys
	if k.counted {
		n, ok := parseInt(args[2])
		if !ok || n < 0 || n > int64(len(args)-3) {
			return dst
		}
		k = keySpec{first: 3, last: 2 + int(n), step: 1}
	}
	if k.first == 0 {
		return dst
	}
	last := k.last
	if last < 0 {
		last += len(args)
	}
	for i := k.first; i <= last; i += k.step {
		dst = append(dst, args[i])
	}
	return dst
}

func help(s *Session, args [][]byte) Reply {
	name := string(appendLower(nil, args[0]))
	lines := []Reply{sayStatus(strings.ToUpper(name) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")}
	for _, sub := range s.engine.commands[name].subs {
		_, word, _ := strings.Cut(sub.name, "|")
		lines = append(lines, sayStatus(strings.ToUpper(word)), sayStatus("    "+sub.summary))
	}
	return sayArray(lines...)
}

// sorted returns the commands that are no subcommands.
func (e *Engine) sorted() []*command {
	var all []*command
	for _, c := range e.commands {
		if !c.isSub() {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b *command) int { return strings.Compare(a.name, b.name) })
	return all
}

// named returns the commands of args, nil for one that is unknown, or all.
func (e *Engine) named(args [][]byte) []*command {
	if len(args) == 0 {
		return e.sorted()
	}
	found := make([]*command, len(args))
	for i, arg := range args {
		found[i] = e.commands[string(appendLower(nil, arg))]
	}
	return found
}

func commandCount(s *Session, _ [][]byte) Reply { return sayInt(int64(len(s.engine.sorted()))) }

func commandList(s *Session, args [][]byte) Reply {
	pattern := everything
	if len(args) > 2 {
		if len(args) != 5 || !is(args[2], "filterby") || !is(args[3], "pattern") {
			return sayFailure(errSyntax)
		}
		pattern = string(appendLower(nil, args[4]))
	}
	names := []Reply{}
	for _, c := range s.engine.sorted() {
		if matches(pattern, c.name) {
			names = append(names, sayText(c.name))
		}
	}
	return sayArray(names...)
}

// commandInfo is COMMAND and COMMAND INFO.
func commandInfo(s *Session, args [][]byte) Reply {
	items := []Reply{}
	for _, c := range s.engine.named(args[min(2, len(args)):]) {
		items = append(items, c.describe())
	}
	return sayArray(items...)
}

// describe words a command as COMMAND INFO does; without access categories,
// hints and key specifications, which it leaves empty.
func (c *command) describe() Reply {
	if c == nil {
		return Reply{}
	}
	flags := []Reply{}
	for _, f := range []struct {
		flag flag
		name string
	}{{write, "write"}, {readonly, "readonly"}, {admin, "admin"}, {noscript, "noscript"}, {noauth, "no_auth"}, {pubsub, "pubsub"}} {
		if c.flags&f.flag != 0 {
			flags = append(flags, sayStatus(f.name))
		}
	}
	if c.keys.counted {
		flags = append(flags, sayStatus("movablekeys"))
	}
	subs := saySet()
	for _, sub := range c.subs {
		subs = sayArray(append(subs.items, sub.describe())...)
	}
	return sayArray(sayText(c.name), sayInt(int64(c.arity)), saySet(flags...),
		sayInt(int64(c.keys.first)), sayInt(int64(c.keys.last)), sayInt(int64(c.keys.step)),
		saySet(), saySet(), saySet(), subs)
}

func commandGetKeys(s *Session, args [][]byte) Reply {
	c, p := s.engine.lookup(args[2:])
	switch {
	case p == unknownCommand, p == unknownSubcommand:
		return sayFailure("ERR Invalid command specified")
	case c.keys == (keySpec{}):
		return sayFailure("ERR The command has no key arguments")
	case p == wrongArity:
		return sayFailure("ERR Invalid number of arguments specified for command")
	}
	keys := c.lockArgs(nil, args[2:])
	items := make([]Reply, len(keys))
	for i, key := range keys {
		items[i] = sayBytes(key)
	}
	return sayArray(items...)
}
