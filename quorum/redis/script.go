package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// A script is known to the server by its hash, once it was loaded.
type script struct{ text, hash string }

func newScript(text string) script { return script{text, redis.NewScript(text).Hash()} }

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

// Swaps that leave nothing, many in one script: to start one costs as much as three
// of them, and a command in it more than all else it does. So one finds and one
// deletes them all, if each is what was asked for, as nearly always. KEYS: the
// copies. ARGV: a letter for each, p or e, as the plain swap accepts prev or either;
// then the bytes of each to replace.
//
//   - their number: each was there, and is gone
//   - an array: what the plain swap says of each
const clearText = `
local there = redis.call('MGET', unpack(KEYS))
local all = true
for i = 1, #KEYS do
  if there[i] ~= ARGV[i + 1] then
    all = false
    break
  end
end
if all then
  redis.call('DEL', unpack(KEYS))
  return #KEYS
end
local said = {}
for i, key in ipairs(KEYS) do
  local there = redis.pcall('GET', key)
  if there == ARGV[i + 1] then
    redis.call('DEL', key)
    said[i] = 1
  elseif not there and string.sub(ARGV[1], i, i) == 'e' then
    said[i] = 0
  else
    said[i] = there
  end
end
return said
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

// What the scripts below begin with.
//
// less compares two numbers, 16 hex digits each: in halves, since Lua's numbers
// are doubles, and not as strings, since Redis has Lua compare those by the
// server's locale, and there are some where letters come before digits (cs_CZ).
//
// spoiled says what is wrong with something of ours under a key, false if nothing
// is; misplaced makes it an error that vote knows.
//
// copy looks for the copy; opaque says that there is something else. Where there
// is nothing, and a second key is given, the copy under that is it, and where tells
// which of the keys it was; next is what is about to be put there: that is never
// in its own way.
const commonText = `
local function less(a, b)
  local high, low = tonumber(string.sub(a, 1, 8), 16), tonumber(string.sub(b, 1, 8), 16)
  if high ~= low then return high < low end
  return tonumber(string.sub(a, 9), 16) < tonumber(string.sub(b, 9), 16)
end
local function spoiled(number)
  if type(number) == 'table' then return number.err end
  return number and (#number ~= 16 or string.find(number, '%X')) and 'a number of 16 hex digits was expected'
end
local function misplaced(what, why) return redis.error_reply('SPOILED ' .. what .. ' ' .. why) end
local function copy(key, second, next)
  local there = redis.pcall('GET', key)
  if type(there) == 'table' then
    if string.sub(there.err, 1, 9) == 'WRONGTYPE' then return false, true, false, key end
    return false, false, there, key
  end
  if there or not second then return there, false, false, key end
  there = redis.pcall('GET', second)
  if type(there) == 'table' or there == next then there = false end
  return there, false, false, second
end
`

// A swap with Heed, Gone or Mark, or where copies are kept twice. KEYS: the copy,
// the notice, the marks, and the second copy if there are any. ARGV: as
// for the plain swap; how long the notice is to stay in milliseconds or 0 for
// none, and its number; 1 for Heed or 0; the bucket or an empty string for no
// mark; Next's number.
//
//   - 1 or 0: done, as above
//   - an array: refused. What was there or nil; the notice that forbids it or an
//     empty string; the mark likewise; 1 if what was there is no string, else 0
//
// All that may be spoiled is looked at before anything is written. Nobody's copy but
// ours, which has a number, is kept twice: who locks directly takes out one. A
// second copy of what was to be replaced goes even where something else is in the
// place of the first: it must not come back when that goes.
const guardedText = commonText + `
local second = KEYS[4]
local there, opaque, failed = copy(KEYS[1], second, ARGV[4])
if failed then return failed end
local notice, mark = false, false
if ARGV[5] ~= '0' or ARGV[7] == '1' then
  notice = redis.pcall('GET', KEYS[2])
  local why = spoiled(notice)
  if why then return misplaced('gone', why) end
end
if ARGV[8] ~= '' then
  mark = redis.pcall('HGET', KEYS[3], ARGV[8])
  local why = spoiled(mark)
  if why then return misplaced('marks', why) end
end
if ARGV[5] ~= '0' and not (notice and less(ARGV[6], notice)) then
  local left = ARGV[5]
  if notice then
    local still = redis.call('PTTL', KEYS[2])
    if still > tonumber(left) then left = still end
  end
  redis.call('SET', KEYS[2], ARGV[6], 'PX', left)
  notice = ARGV[6]
end
local accepts = ARGV[1]
local fits = not opaque and (accepts == 'either' or accepts == 'none')
if there then fits = (accepts == 'either' or accepts == 'prev') and there == ARGV[2] end
local ended = ARGV[7] == '1' and notice and not less(notice, ARGV[9])
local passed = mark and not less(mark, ARGV[9])
if not fits or ended or passed then
  if second and not fits and ARGV[2] ~= '' and redis.pcall('GET', second) == ARGV[2] then
    redis.call('DEL', second)
  end
  return {there, ended and notice or '', passed and mark or '', opaque and 1 or 0}
end
if ARGV[8] ~= '' then redis.call('HSET', KEYS[3], ARGV[8], ARGV[9]) end
if ARGV[3] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[3])
end
if second and string.find(ARGV[9], '[^0]') then
  redis.call('SET', second, ARGV[4], 'PX', ARGV[3])
elseif second then
  redis.call('DEL', second)
end
return there and 1 or 0
`

// A read with Heed, or where copies are kept twice. KEYS: the copy, the notice, and
// the second copy if there are any. An array: what is there or nil,
// its TTL as above, the notice or ”, 1 if what is there is no string, else 0.
const heedingText = commonText + `
local there, opaque, failed, where = copy(KEYS[1], KEYS[3])
if failed then return failed end
local notice = redis.pcall('GET', KEYS[2])
local why = spoiled(notice)
if why then return misplaced('gone', why) end
return {there, redis.call('PTTL', where), notice or '', opaque and 1 or 0}
`

// A signature. KEYS: the book. ARGV: the id, what must stand there, what shall; 1
// if nobody else may have signed or 0; the ids that may have all the same. 1 for
// done, 0 for refused.
const signText = `
local there = redis.pcall('HGET', KEYS[1], ARGV[1])
if type(there) == 'table' then return there end
if (there or '') ~= ARGV[2] then return 0 end
if ARGV[4] == '1' then
  local known = {[ARGV[1]] = true}
  for i = 5, #ARGV do known[ARGV[i]] = true end
  local book = redis.call('HGETALL', KEYS[1])
  for i = 1, #book, 2 do
    if not known[book[i]] and string.sub(book[i + 1], 1, 7) == 'signed ' then return 0 end
  end
end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
return 1
`

// Never changed once made.
var (
	swapScript    = newScript(swapText)
	clearScript   = newScript(clearText)
	readScript    = newScript(readText)
	guardedScript = newScript(guardedText)
	heedingScript = newScript(heedingText)
	signScript    = newScript(signText)

	scripts = []script{swapScript, clearScript, readScript, guardedScript, heedingScript, signScript}
)

// load hands the server all scripts, by which it knows their hashes.
func load(ctx context.Context, pipe redis.Pipeliner) []*redis.StringCmd {
	var loads []*redis.StringCmd
	for _, s := range scripts {
		loads = append(loads, pipe.ScriptLoad(ctx, s.text))
	}
	return loads
}

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
	read := pipe.Do(ctx, "EVALSHA", readScript.hash, 1, probeName)
	book := pipe.Do(ctx, "HGETALL", bookKey)
	now, err := l.execTimed(ctx, pipe)
	if err != nil {
		return reading{}, err
	}
	if err := kill.Err(); err != nil {
		// It is asked for before it is needed: a connection that is lost later
		// could not be replaced, and it is better to know that at once.
		return reading{}, fmt.Errorf("kill the connection before this one: %w", err)
	}
	for i, s := range scripts {
		if got, err := loads[i].Result(); err != nil || got != s.hash {
			return reading{}, fmt.Errorf("load a script: %w", cmp.Or(err, errors.New("the server gave it another hash")))
		}
	}
	if err := read.Err(); err != nil && err != redis.Nil && !redis.HasErrorPrefix(err, wrongType) {
		return reading{}, fmt.Errorf("run a script on %s: %w", probeName, err)
	}
	if err := book.Err(); err != nil && !redis.HasErrorPrefix(err, wrongType) {
		// Every vote needs it, so a store without would only ever be silent.
		return reading{}, fmt.Errorf("read %s: %w", bookKey, err)
	}
	_, isString := second.Val().(string)
	l.direct = isString && (first.Err() == nil || first.Err() == redis.Nil)
	return now, nil
}

func trySet(ctx context.Context, pipe redis.Pipeliner) *redis.Cmd {
	return pipe.Do(ctx, "SET", probeName, "1", "PX", 1000, "NX", "GET")
}
