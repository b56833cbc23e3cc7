package commands

import (
	"slices"
	"testing"
)

// least counts the words that a list of arguments has at least.
func least(list []argument) (n int) {
	for _, a := range list {
		switch {
		case slices.Contains(a.flags, "optional"):
			continue
		case a.kind == "block":
			n += least(a.parts)
		case a.kind == "oneof":
			n += least(a.parts[:1])
		default:
			n++
		}
		if a.token != "" && a.kind != "pure-token" {
			n++
		}
	}
	return n
}

func TestTheManualHasEveryCommandWithWhatItTakes(t *testing.T) {
	h := newHouse(t, 0)
	for name, c := range h.engine.commands {
		if c.group == "" {
			t.Errorf("%s is in no group of the manual", name)
		}
		words := 1 + least(parseUsage(c.usage))
		if c.isSub() {
			words++
		}
		vague := c.flags&container != 0 || slices.Contains([]string{"cluster", "command|getkeys"}, name)
		switch exact := c.arity > 0; {
		case vague:
		case exact && words != c.arity, !exact && words != -c.arity && name != "client|kill" && name != "select":
			t.Errorf("%s takes %d words by the manual, and its arity is %d", name, words, c.arity)
		}
	}
}
