package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/urfave/cli/v2"
)

const benchHelp = `Acquires and releases locks at a running holdfast as fast as it goes, and prints
pairs of both a second and how long each took. It takes locks of its own, whose
names begin with "bench:", and leaves none behind. Interrupted, it prints what it
has measured by then.

Each of the connections has one request under way at a time, as from a pool of
go-redis. With --pipeline each carries so many, as rueidis does for many callers.

--direct names stores at which redsync, client-side Redlock, takes locks of the
same number from as many callers; --against another server that speaks Redis,
asked just as --addr is. Each is measured in turn, round by round, so that a
machine with other work to do slows all of them down, and the ratio of --addr to
each is that of neighbouring rounds. Fairest are stores like those of the holdfast,
but not the same: it is told of what others write in its own.`

func benchCommand() *cli.Command {
	return &cli.Command{
		Name:        "bench",
		Usage:       "measure how fast a running holdfast locks, and client-side Redlock beside it",
		Description: benchHelp,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "addr", Usage: "`ADDRESS` of the holdfast: host:port or redis://[user:password@]host:port[/db]", Value: "127.0.0.1:6380"},
			&cli.StringFlag{Name: "against", Usage: "`ADDRESS` of another server to measure in the same way"},
			&cli.StringSliceFlag{Name: "direct", Usage: "`URL` of a Redis for client-side Redlock to lock at; once for each"},
			&cli.BoolFlag{Name: "direct-pooled", Usage: "with --pipeline: give redsync as many pooled connections as there are callers instead, as most programs do"},
			&cli.IntFlag{Name: "conns", Usage: "connections, to each server; 1 to 10000", Value: 64},
			&cli.IntFlag{Name: "pipeline", Usage: "requests under way on each connection; 1 to 1000", Value: 1},
			&cli.IntFlag{Name: "locks", Usage: "how many locks all share, to be denied now and then; 0: each is fresh", Value: 0},
			&cli.BoolFlag{Name: "denied", Usage: "hold the shared locks, one unless --locks says more, and measure how fast all others are denied"},
			&cli.DurationFlag{Name: "ttl", Usage: "TTL of a lock; 100ms to 24h", Value: 30 * time.Second},
			&cli.DurationFlag{Name: "duration", Usage: "how long to measure each; 100ms to 1h", Value: 10 * time.Second},
			&cli.IntFlag{Name: "count", Usage: "requests for a lock after which to end before that; 0: as many as there is time for"},
			&cli.BoolFlag{Name: "json", Usage: "as JSON, for programs"},
		},
		Action: func(ctx *cli.Context) error {
			o, err := benchArgs(ctx)
			if err != nil {
				return misuse{err}
			}
			r, err := o.run(ctx.Context, progress(os.Stderr))
			if err != nil {
				return err
			}
			return r.write(ctx.App.Writer, ctx.Bool("json"))
		},
		OnUsageError: func(_ *cli.Context, err error, _ bool) error { return misuse{err} },
	}
}

// benchOptions is what to measure, checked.
type benchOptions struct {
	addr, against string
	direct        []string
	directPooled  bool // redsync asks by go-redis, whatever pipeline says
	conns         int
	pipeline      int
	locks         int // 0: each is fresh
	denied        bool
	ttl           time.Duration
	duration      time.Duration // of each side
	count         int           // of requests for a lock, at each side; 0: no bound
}

func benchArgs(ctx *cli.Context) (benchOptions, error) {
	o := benchOptions{
		addr: ctx.String("addr"), against: ctx.String("against"), direct: ctx.StringSlice("direct"), directPooled: ctx.Bool("direct-pooled"),
		conns: ctx.Int("conns"), pipeline: ctx.Int("pipeline"), locks: ctx.Int("locks"), denied: ctx.Bool("denied"),
		ttl: ctx.Duration("ttl"), duration: ctx.Duration("duration"), count: ctx.Int("count"),
	}
	if ctx.Args().Present() {
		return o, fmt.Errorf("unexpected argument %q", ctx.Args().First())
	}
	if o.denied && o.locks == 0 {
		o.locks = 1
	}
	return o, o.check()
}

// benchCallers bounds the callers of one side, each a goroutine.
const benchCallers = 100_000

func (o benchOptions) check() error {
	var wrong []error
	for _, n := range []struct {
		name               string
		value, least, most int
	}{
		{"conns", o.conns, 1, 10_000},
		{"pipeline", o.pipeline, 1, 1000},
		{"conns × pipeline", o.conns * o.pipeline, 1, benchCallers},
		{"locks", o.locks, 0, 1_000_000},
		{"count", o.count, 0, 1_000_000_000},
		{"direct", len(o.direct), 0, 32},
	} {
		if n.value < n.least || n.value > n.most {
			wrong = append(wrong, fmt.Errorf("%s: %d: want %d to %d", n.name, n.value, n.least, n.most))
		}
	}
	for _, d := range []struct {
		name               string
		value, least, most time.Duration
	}{
		{"ttl", o.ttl, 100 * time.Millisecond, 24 * time.Hour},
		{"duration", o.duration, 100 * time.Millisecond, time.Hour},
	} {
		if d.value < d.least || d.value > d.most {
			wrong = append(wrong, fmt.Errorf("%s: %v: want %v to %v", d.name, d.value, d.least, d.most))
		}
	}
	for _, a := range o.servers() {
		if _, err := dialOptions(a.text); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", a.flag, err))
		}
	}
	return errors.Join(wrong...)
}

type benchServer struct{ flag, text string }

func (o benchOptions) servers() []benchServer {
	all := []benchServer{{"addr", o.addr}}
	if o.against != "" {
		all = append(all, benchServer{"against", o.against})
	}
	for _, url := range o.direct {
		all = append(all, benchServer{"direct", url})
	}
	return all
}

// rounds splits the time of each side into rounds: of a second if there is time
// for five of them, else five.
func (o benchOptions) rounds() (count int, each time.Duration) {
	count = max(5, int(o.duration/time.Second))
	return count, o.duration / time.Duration(count)
}

// run measures until the time is over, or ctx is done: then it returns what was
// measured by then.
func (o benchOptions) run(ctx context.Context, say func(string)) (benchReport, error) {
	sides, err := o.open()
	defer func() {
		for _, s := range sides {
			s.close()
		}
	}()
	if err != nil {
		return benchReport{}, err
	}
	for _, s := range sides {
		say("connecting to " + s.title)
		if err := s.warmUp(ctx); err != nil {
			return benchReport{}, fmt.Errorf("%s: %w", s.title, err)
		}
	}
	count, each := o.rounds()
	for n := range count {
		for i := range sides {
			s := sides[(i+n)%len(sides)] // nobody is always the first
			if ctx.Err() != nil || s.spent() {
				continue
			}
			stop := watch(s, fmt.Sprintf("round %d of %d", n+1, count), say)
			s.measure(ctx, each)
			stop()
		}
	}
	for _, s := range sides {
		s.leave()
	}
	return o.report(sides, ctx.Err() != nil), nil
}

// write prints the report.
func (r benchReport) write(out io.Writer, asJSON bool) error {
	if !asJSON {
		return r.print(out)
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}
