package redis

import (
	"context"
	"errors"
	"math"
	"strings"
)

// A session is one connection as the server knows it, and the server as it was.
type session struct {
	id     int64 // of the connection, in this run of the server
	runID  string
	replID string
	mode   string
	role   string

	version string
}

// nobody is a connection id that no server comes to give out.
const nobody = math.MaxInt64

// greet logs in and asks who is there.
func (l *link) greet(ctx context.Context) (session, error) {
	pipe := l.client.Pipeline()
	id := pipe.ClientID(ctx)
	server := pipe.Info(ctx, "server")
	replication := pipe.Info(ctx, "replication")
	if _, err := pipe.Exec(ctx); err != nil {
		return session{}, explain(ctx, err)
	}
	s, r := sections(server.Val()), sections(replication.Val())
	now := session{
		id:     id.Val(),
		runID:  s["run_id"],
		replID: r["master_replid"],
		mode:   s["redis_mode"],
		role:   r["role"],

		version: s["redis_version"],
	}
	if now.role == "slave" {
		now.role = "replica"
	}
	if now.runID == "" && now.replID == "" {
		return session{}, errors.New("INFO shows neither run_id nor master_replid, so a restart could not be told")
	}
	return now, nil
}

// incarnation changes with the process, and with the data when a replica becomes
// a master or is given another one.
func (s session) incarnation() string { return s.runID + "/" + s.replID }

// in returns the id by which the run of the server that now is of knows s. Ids
// start again with each run, and a stranger may have this one.
func (s session) in(now session) int64 {
	if !s.isRunOf(now) {
		return nobody
	}
	return s.id
}

// isRunOf reports whether both are sessions of the same run of one server.
func (s session) isRunOf(now session) bool {
	if s.id == 0 {
		return false // there was none
	}
	if s.runID == "" {
		return s.replID == now.replID
	}
	return s.runID == now.runID
}

// unfit says why the server cannot vote, "" if it can.
func (s session) unfit() string {
	switch {
	case s.role != "" && s.role != "master":
		return "it is a " + s.role + ", and only a master can vote: a replica follows what another server decides"
	case s.mode != "" && s.mode != "standalone":
		return "it runs in " + s.mode + " mode, and a store must be one server of its own"
	}
	return ""
}

// sections reads what INFO answers: lines of key:value under # headings.
func sections(info string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(info) {
		if key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok {
			fields[key] = value
		}
	}
	return fields
}
