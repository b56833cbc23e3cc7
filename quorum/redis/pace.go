package redis

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"holdfast/quorum"
)

// A reading is one of the store's clock.
type reading struct {
	quorum.ClockReading
	err error // why the clock could not be read, else nil
}

// rounded leaves out of a duration, at least a millisecond, what a reading is too
// vague to tell.
func rounded(d time.Duration) time.Duration {
	unit := time.Millisecond
	if d.Abs() >= time.Minute {
		unit = time.Second
	}
	return d.Round(unit)
}

// A pace follows the wall clock of one store. Redis expires by it, so a store
// whose clock jumped ahead has lost copies, and one whose clock jumped back keeps
// others too long: for us it has forgotten. It outlives connections, so that a
// jump while there was none is seen by the next.
type pace struct {
	clock quorum.Clock // must count suspend, during which the store's clock goes on

	mu     sync.Mutex
	run    session // guarded by mu; the run of the server that anchor is of
	anchor reading // guarded by mu
	jumps  int     // guarded by mu; counts on over all runs, so that no incarnation comes back
}

// anchorFor is how long readings are compared with the same earlier one. Compared
// with the one before it, each of many small steps would pass for drift.
const anchorFor = 10 * time.Second

// meet takes the first reading of a connection.
func (p *pace) meet(now session, r reading) error {
	if r.err != nil {
		return fmt.Errorf("read its clock: %w", r.err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.run.isRunOf(now) {
		p.run, p.anchor = now, r
	} else {
		p.followLocked(r)
	}
	return nil
}

// follow takes a reading, and returns an error if it shows nothing, or that the
// clock jumped since the earlier ones.
func (p *pace) follow(r reading) error {
	if r.err != nil {
		return fmt.Errorf("read its clock: %w", r.err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if by := p.followLocked(r); by != 0 {
		sign := ""
		if by > 0 {
			sign = "+"
		}
		return fmt.Errorf("its clock jumped by %s%v", sign, by)
	}
	return nil
}

func (p *pace) followLocked(r reading) time.Duration {
	by := rounded(p.anchor.Jump(r.ClockReading))
	if by != 0 {
		p.jumps++
	}
	if by != 0 || r.Before.Sub(p.anchor.After) >= anchorFor {
		p.anchor = r
	}
	return by
}

// incarnation names the life of a server that was met as now. What it is for
// whoever did not see the clock jump comes first.
func (p *pace) incarnation(now session) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.jumps == 0 {
		return now.incarnation()
	}
	return fmt.Sprintf("%s/j%d", now.incarnation(), p.jumps)
}

// execTimed is exec with a reading of the store's clock behind everything else.
func (l *link) execTimed(ctx context.Context, pipe redis.Pipeliner) (reading, error) {
	now := pipe.Do(ctx, "TIME")
	var r reading
	r.Before = l.pace.clock.Now()
	if err := l.exec(ctx, pipe); err != nil {
		return reading{}, err
	}
	r.After = l.pace.clock.Now()
	r.Shown, r.err = sinceEpoch(now.Result())
	return r, nil
}

// sinceEpoch reads an answer to TIME: seconds and microseconds, in decimal.
func sinceEpoch(reply any, err error) (time.Duration, error) {
	if err != nil {
		return 0, err
	}
	pair, _ := reply.([]any)
	if len(pair) != 2 {
		return 0, fmt.Errorf("%.60q is no time", fmt.Sprint(reply))
	}
	secs, ok1 := decimal(pair[0], 1<<33) // the year 2242; a Duration ends in 2262
	micros, ok2 := decimal(pair[1], 1_000_000)
	if !ok1 || !ok2 {
		return 0, fmt.Errorf("%.60q is no time", fmt.Sprint(reply))
	}
	return time.Duration(secs)*time.Second + time.Duration(micros)*time.Microsecond, nil
}

func decimal(reply any, below int64) (int64, bool) {
	s, _ := reply.(string)
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0 && n < below
}
