package commands

import (
	"fmt"
	"strconv"
	"strings"

	"holdfast/quorum"
)

// Databases are namespaces. The names of database 0 are plain, so that they are
// those of everybody who locks directly in the stores; a lock of another one
// has its database in its name.
const (
	databases = 16
	reserved  = "holdfast:"
)

// prefix returns what the names of a database begin with.
func prefix(db int) string {
	if db == 0 {
		return ""
	}
	return reserved + "db" + strconv.Itoa(db) + ":"
}

// lockName returns the name of the lock that a client calls key in db.
func lockName(db int, key []byte) (string, error) {
	p := prefix(db)
	if len(key) == 0 || len(p)+len(key) > quorum.MaxName {
		return "", fmt.Errorf("the name of a lock has 1 to %d bytes, not %d: %w", quorum.MaxName-len(p), len(key), quorum.ErrInvalid)
	}
	if p == "" {
		name := string(key)
		if strings.HasPrefix(name, reserved) {
			return "", fmt.Errorf("names that begin with %q are holdfast's own: %w", reserved, quorum.ErrInvalid)
		}
		return name, nil
	}
	return p + string(key), nil
}

// keyIn returns what clients of db call the lock name; false if it is not theirs.
func keyIn(db int, name string) (string, bool) {
	if db == 0 {
		return name, !strings.HasPrefix(name, reserved)
	}
	return strings.CutPrefix(name, prefix(db))
}
