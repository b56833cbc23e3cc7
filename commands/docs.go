package commands

import "strings"

// COMMAND DOCS: what redis-cli shows as HELP, and while one types.

// An argument is one of a command of ours. Those of Redis's own commands are
// known to everybody's clients already.
type argument struct {
	name     string
	kind     string // "key", "string", "integer", "pattern", or "oneof" with choices
	token    string // the word before it
	optional bool
	choices  []argument
}

func commandDocs(s *Session, args [][]byte) Reply {
	var items []Reply
	for _, c := range s.engine.named(args[2:]) {
		if c != nil {
			items = append(items, sayText(c.name), c.docs())
		}
	}
	return sayPairs(items...)
}

func (c *command) docs() Reply {
	items := []Reply{sayText("summary"), sayText(c.summary), sayText("since"), sayText("1.0.0"), sayText("group"), sayText(c.group())}
	if len(c.takes) > 0 {
		items = append(items, sayText("arguments"), describeArguments(c.takes))
	}
	if len(c.subs) > 0 {
		var subs []Reply
		for _, sub := range c.subs {
			subs = append(subs, sayText(sub.name), sub.docs())
		}
		items = append(items, sayText("subcommands"), sayPairs(subs...))
	}
	return sayPairs(items...)
}

func describeArguments(list []argument) Reply {
	items := make([]Reply, len(list))
	for i, a := range list {
		parts := []Reply{sayText("name"), sayText(a.name), sayText("type"), sayText(a.kind)}
		if a.token != "" {
			parts = append(parts, sayText("token"), sayText(a.token))
		}
		if a.optional {
			parts = append(parts, sayText("flags"), sayArray(sayStatus("optional")))
		}
		if a.kind == "key" {
			parts = append(parts, sayText("key_spec_index"), sayInt(0))
		}
		if len(a.choices) > 0 {
			parts = append(parts, sayText("arguments"), describeArguments(a.choices))
		}
		items[i] = sayPairs(parts...)
	}
	return sayArray(items...)
}

// group is the group of Redis's manual that a command is nearest to.
func (c *command) group() string {
	switch {
	case c.script != nil || strings.HasPrefix(c.name, "script"):
		return "scripting"
	case c.keys.first > 0:
		return "string"
	case c.flags&pubsub != 0 || c.name == "pubsub":
		return "pubsub"
	case c.flags&barrier != 0:
		return "generic"
	}
	return "server"
}
