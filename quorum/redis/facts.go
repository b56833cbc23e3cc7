package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"holdfast/quorum"
)

// Facts asks on a connection that is closed again. It tells of a server that
// cannot vote too, and fails only if there is none to ask.
func (s *Store) Facts(ctx context.Context) (quorum.Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	facts, err := s.facts(ctx)
	if err != nil {
		return quorum.Facts{}, fmt.Errorf("facts of redis %s: %w", s.target.addr, err)
	}
	return facts, nil
}

func (s *Store) facts(ctx context.Context) (quorum.Facts, error) {
	l, err := open(ctx, s.target, s.pace)
	if err != nil {
		return quorum.Facts{}, err
	}
	defer l.close()
	defer context.AfterFunc(ctx, l.cut)()
	now, err := l.greet(ctx)
	if err != nil {
		return quorum.Facts{}, err
	}
	facts := quorum.Facts{
		Kind:        "redis",
		Version:     now.version,
		Role:        now.role,
		RunID:       now.runID,
		Incarnation: s.pace.incarnation(now),
	}
	if why := now.unfit(); why != "" {
		facts.Problems = append(facts.Problems, why)
	}
	settings, err := l.settings(ctx)
	if err != nil {
		return quorum.Facts{}, err
	}
	settings.tell(&facts)
	return facts, nil
}

// settings are what the server told of its configuration; "" is what it did not.
type settings struct {
	save, appendonly, appendfsync string
	maxmemory, policy             string
	refused                       error // why CONFIG could not be read, or nil
}

// settings asks INFO first: CONFIG is often forbidden, and knows all of them.
func (l *link) settings(ctx context.Context) (settings, error) {
	pipe := l.client.Pipeline()
	memory := pipe.Info(ctx, "memory")
	persistence := pipe.Info(ctx, "persistence")
	config := map[string]*redis.MapStringStringCmd{}
	for _, name := range []string{"save", "appendonly", "appendfsync", "maxmemory", "maxmemory-policy"} {
		config[name] = pipe.ConfigGet(ctx, name)
	}
	if err := l.exec(ctx, pipe); err != nil {
		return settings{}, err
	}
	m := sections(memory.Val())
	s := settings{maxmemory: m["maxmemory"], policy: m["maxmemory_policy"]}
	switch sections(persistence.Val())["aof_enabled"] {
	case "0":
		s.appendonly = "no"
	case "1":
		s.appendonly = "yes"
	}
	for name, into := range map[string]*string{
		"save":             &s.save,
		"appendonly":       &s.appendonly,
		"appendfsync":      &s.appendfsync,
		"maxmemory":        &s.maxmemory,
		"maxmemory-policy": &s.policy,
	} {
		if err := config[name].Err(); err != nil {
			s.refused = err
		} else if value, ok := config[name].Val()[name]; ok {
			*into = value
		}
	}
	return s, nil
}

func (s settings) tell(facts *quorum.Facts) {
	if s.refused != nil {
		facts.Problems = append(facts.Problems, fmt.Sprintf("its configuration cannot be read: CONFIG GET: %v", s.refused))
	}
	facts.Persistence = s.persistence()
	facts.Eviction, facts.MayEvict = s.eviction()
	if s.policy == "" {
		facts.Problems = append(facts.Problems, "whether it evicts cannot be told")
	}
}

func (s settings) persistence() string {
	var kept []string
	switch {
	case s.appendonly == "yes" && s.appendfsync != "":
		kept = append(kept, "append-only file, fsync "+s.appendfsync)
	case s.appendonly == "yes":
		kept = append(kept, "append-only file")
	case s.appendonly == "":
		kept = append(kept, "append-only file unknown")
	}
	switch {
	case s.save != "":
		kept = append(kept, "snapshots at "+s.save+" (seconds, changes)")
	case s.refused != nil:
		kept = append(kept, "snapshots unknown")
	}
	if len(kept) == 0 {
		return "none: a restart loses everything"
	}
	return strings.Join(kept, "; ")
}

// eviction reports too whether live copies may be dropped. They have TTLs, so the
// volatile policies are no better than the others; without a memory limit none
// of them ever acts.
//
// Source: the Redis manual, "Key eviction".
func (s settings) eviction() (words string, may bool) {
	limit, err := strconv.ParseUint(s.maxmemory, 10, 64)
	switch {
	case s.policy == "":
		return "unknown", true
	case s.policy == "noeviction":
		return "none (noeviction)", false
	case err == nil && limit == 0:
		return s.policy + ", but without a memory limit it never acts", false
	case err != nil:
		return s.policy, true
	}
	return fmt.Sprintf("%s above %d bytes", s.policy, limit), true
}
