package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// A swap where SET with NX will not do. ARGV: what it accepts, the bytes to
// replace, the TTL in milliseconds or 0 to delete, the bytes to put there.
//
//   - 1: done; what was asked for was there
//   - 0: done; nothing was there, and OrNone
//   - a string: refused; that was there
//   - nil: refused; nothing was there
//
// An error to GET is returned as it is: where it is raised, Redis before 7 puts
// words of its own in front of WRONGTYPE.
const swapText = `
local there = redis.pcall('GET', KEYS[1])
if type(there) == 'table' then return there end
local accepts = ARGV[1]
if there then
  if not (accepts == 'prev' or accepts == 'either') or there ~= ARGV[2] then return there end
elseif not (accepts == 'none' or accepts == 'either') then
  return false
end
if ARGV[3] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[3])
end
return there and 1 or 0
`

// What a swap accepts, the first of the script's arguments.
const (
	acceptsNone    = "none"
	acceptsPrev    = "prev"
	acceptsEither  = "either"
	acceptsNothing = "nothing"
)

// A read: nil, or the value and its TTL in milliseconds, -1 without one. GET and
// PTTL as two commands could tell of two different copies.
const readText = `
local there = redis.pcall('GET', KEYS[1])
if not there or type(there) == 'table' then return there end
return {there, redis.call('PTTL', KEYS[1])}
`

// Never changed once made.
var (
	swapHash = redis.NewScript(swapText).Hash()
	readHash = redis.NewScript(readText).Hash()
)

// load hands the server both scripts, by which it knows their hashes.
func load(ctx context.Context, pipe redis.Pipeliner) []*redis.StringCmd {
	return []*redis.StringCmd{pipe.ScriptLoad(ctx, swapText), pipe.ScriptLoad(ctx, readText)}
}

// probeName is where a connection tries out what the server can do.
const probeName = "holdfast:probe"

// prepare kills the connection with id ghost, loads the scripts, and finds out
// what the server can do and what its clock shows. An error means that it cannot
// vote.
func (l *link) prepare(ctx context.Context, ghost int64) (reading, error) {
	pipe := l.client.Pipeline()
	kill := pipe.Do(ctx, "CLIENT", "KILL", "ID", ghost)
	loads := load(ctx, pipe)
	// The second one can only find the first one's value if NX and GET work
	// together: before Redis 7 they are a syntax error.
	first, second := trySet(ctx, pipe), trySet(ctx, pipe)
	read := pipe.Do(ctx, "EVALSHA", readHash, 1, probeName)
	now, err := l.execTimed(ctx, pipe)
	if err != nil {
		return reading{}, err
	}
	if err := kill.Err(); err != nil {
		// It is asked for before it is needed: a connection that is lost later
		// could not be replaced, and it is better to know that at once.
		return reading{}, fmt.Errorf("kill the connection before this one: %w", err)
	}
	for i, hash := range []string{swapHash, readHash} {
		if got, err := loads[i].Result(); err != nil || got != hash {
			return reading{}, fmt.Errorf("load a script: %w", cmp.Or(err, errors.New("the server gave it another hash")))
		}
	}
	if err := read.Err(); err != nil && err != redis.Nil && !redis.HasErrorPrefix(err, wrongType) {
		return reading{}, fmt.Errorf("run a script on %s: %w", probeName, err)
	}
	_, isString := second.Val().(string)
	l.direct = isString && (first.Err() == nil || first.Err() == redis.Nil)
	return now, nil
}

func trySet(ctx context.Context, pipe redis.Pipeliner) *redis.Cmd {
	return pipe.Do(ctx, "SET", probeName, "1", "PX", 1000, "NX", "GET")
}
