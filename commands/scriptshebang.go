package commands

import (
	"bytes"
	"strings"
)

// A script may begin with a line that says how it is to be run, such as
// "#!lua flags=no-writes".
//
// Source: Redis, evalExtractShebangFlags.

// scriptFlags are the flags that a script may have. All but one are about what a
// Redis in trouble, or one of a cluster, refuses to do: there is no such thing here.
const (
	flagNoWrites = "no-writes"
	scriptFlags  = flagNoWrites + " allow-oom allow-stale no-cluster allow-cross-slot-keys"
)

// A manner is how a script is to be run. The zero manner is that of one that says
// nothing about it.
type manner struct {
	said     bool // it has such a line
	noWrites bool // it promises to change nothing, and is held to that
}

const errWriteFlag = "ERR Can not execute a script with write flag using *_ro command."

// mannerOf returns how a script is to be run, and its program: from the end of that
// line on, so that lines count as before. What is bad about it is in Redis's words.
func mannerOf(text []byte) (m manner, program []byte, bad string) {
	if !bytes.HasPrefix(text, []byte("#!")) {
		return m, text, ""
	}
	end := bytes.IndexByte(text, '\n')
	if end < 0 {
		return m, nil, "Invalid script shebang"
	}
	m.said = true
	words := strings.FieldsFunc(string(text[:end]), func(r rune) bool { return strings.ContainsRune(blanks, r) })
	if strings.ContainsAny(string(text[:end]), "\"'") { // a word may be quoted, which nobody does
		return m, nil, "Invalid engine in script shebang"
	}
	if words[0] != "#!lua" {
		return m, nil, "Unexpected engine in script shebang: " + words[0]
	}
	for _, word := range words[1:] {
		flags, ok := strings.CutPrefix(word, "flags=")
		if !ok {
			return m, nil, "Unknown lua shebang option: " + word
		}
		if bad := m.take(flags); bad != "" {
			return m, nil, bad
		}
	}
	return m, text[end:], ""
}

func (m *manner) take(flags string) (bad string) {
	if flags == "" {
		return ""
	}
	for _, flag := range strings.Split(flags, ",") {
		if flag == "" || !strings.Contains(" "+scriptFlags+" ", " "+flag+" ") {
			return "Unexpected flag in script shebang: " + flag
		}
		m.noWrites = m.noWrites || flag == flagNoWrites
	}
	return ""
}
