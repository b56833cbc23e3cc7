package commands

import (
	"slices"
	"strings"
)

// COMMAND DOCS: what redis-cli shows as HELP, and while one types.

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
	items := []Reply{sayText("summary"), sayText(c.summary), sayText("since"), sayText("1.0.0"), sayText("group"), sayText(c.group)}
	if list := parseUsage(c.usage); len(list) > 0 {
		items = append(items, sayText("arguments"), describeArguments(list))
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

// An argument is what a command takes, as COMMAND DOCS has it.
type argument struct {
	name  string
	kind  string     // "key", "string", "integer", ..., "pure-token", or "block" or "oneof" with parts
	token string     // the word before it, or that it is
	flags []string   // "optional", "multiple", "multiple_token"
	parts []argument // of a block, or choices
}

func describeArguments(list []argument) Reply {
	items := make([]Reply, len(list))
	for i, a := range list {
		parts := []Reply{sayText("name"), sayText(a.name), sayText("type"), sayText(a.kind)}
		if a.kind == "key" {
			parts = append(parts, sayText("key_spec_index"), sayInt(0))
		}
		if a.token != "" {
			parts = append(parts, sayText("token"), sayText(a.token))
		}
		if len(a.flags) > 0 {
			flags := sayArray()
			for _, f := range a.flags {
				flags.items = append(flags.items, sayStatus(f))
			}
			parts = append(parts, sayText("flags"), flags)
		}
		if len(a.parts) > 0 {
			parts = append(parts, sayText("arguments"), describeArguments(a.parts))
		}
		items[i] = sayPairs(parts...)
	}
	return sayArray(items...)
}

// parseUsage takes a line of the manual apart.
func parseUsage(usage string) []argument {
	words := strings.Fields(strings.NewReplacer("[", " [ ", "]", " ] ", "|", " | ").Replace(usage))
	p := usageParser{words}
	return p.sequence()
}

type usageParser struct{ words []string }

func (p *usageParser) peek() string {
	if len(p.words) == 0 {
		return ""
	}
	return p.words[0]
}

func (p *usageParser) next() string {
	word := p.peek()
	p.words = p.words[min(1, len(p.words)):]
	return word
}

// sequence reads arguments up to a closing bracket, or the end. What is repeated
// stands there once more, in brackets and with dots.
func (p *usageParser) sequence() (list []argument) {
	for p.peek() != "" && p.peek() != "]" {
		if p.peek() == "..." {
			p.next()
			return append(list, argument{kind: "..."})
		}
		a := p.unit()
		if a.kind == "block" && len(a.parts) > 0 && a.parts[len(a.parts)-1].kind == "..." {
			list = repeat(list, a.parts[:len(a.parts)-1])
			continue
		}
		for p.peek() == "|" {
			p.next()
			a = choice(a, p.unit())
		}
		list = append(list, a)
	}
	return list
}

// repeat says of the last arguments of a list that they may come again.
func repeat(list, again []argument) []argument {
	at := len(list) - len(again)
	whole := list[at]
	if len(again) > 1 {
		whole = sequence(slices.Clone(list[at:]))
	}
	whole.flags = append(whole.flags, "multiple")
	if again[0].token != "" {
		whole.flags = append(whole.flags, "multiple_token") // it stands before each
	}
	return append(list[:at:at], whole)
}

func choice(a, b argument) argument {
	if a.kind == "oneof" && a.token == "" && len(a.flags) == 0 {
		a.parts = append(a.parts, b)
		return a
	}
	return argument{name: a.name, kind: "oneof", parts: []argument{a, b}}
}

func sequence(parts []argument) argument {
	return argument{name: parts[0].name, kind: "block", parts: parts}
}

// unit reads one argument: with the word before it, or in brackets.
func (p *usageParser) unit() argument {
	word := p.next()
	switch {
	case word == "[":
		inside := p.sequence()
		p.next()
		if inside[len(inside)-1].kind == "..." {
			return sequence(inside)
		}
		a := inside[0]
		if len(inside) > 1 {
			a = sequence(inside)
		}
		a.flags = append([]string{"optional"}, a.flags...)
		return a
	case word != strings.ToUpper(word):
		return argument{name: word, kind: kindOf(word)}
	}
	return p.behind(word)
}

// behind reads what follows a word that is to be said as it is: mostly one value,
// or a few.
func (p *usageParser) behind(token string) argument {
	var values []argument
	for w := p.peek(); w != "" && !strings.ContainsAny(w, "[]|."); w = p.peek() {
		values = append(values, p.unit())
	}
	alone := argument{name: strings.ToLower(token), kind: "pure-token", token: token}
	switch {
	case len(values) == 0:
		return alone
	case len(values) > 1 || values[0].token != "":
		alone.kind, alone.parts = "block", values
		return alone
	}
	values[0].token = token
	return values[0]
}

// kindOf returns the type of a value by what it is called.
func kindOf(name string) string {
	switch name {
	case "key", "newkey", "name":
		return "key"
	case "pattern":
		return "pattern"
	case "score", "timeout":
		return "double"
	case "seconds", "milliseconds", "count", "increment", "decrement", "index", "start", "stop", "end", "offset",
		"cursor", "numkeys", "client-id", "protover", "numreplicas":
		return "integer"
	case "unix-time-seconds", "unix-time-milliseconds":
		return "unix-time"
	}
	return "string"
}
