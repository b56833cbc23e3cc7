package integration

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"holdfast/quorum/storetest"
)

// A pace is how often, and when, clients were granted locks that nobody else
// wanted. Times are since its start.
type pace struct {
	start time.Time

	mu     sync.Mutex
	grants []time.Duration // guarded by mu
	failed []error         // guarded by mu
}

// keep acquires and releases a lock until ctx is done.
func (p *pace) keep(ctx context.Context, c contender, name string) {
	for ctx.Err() == nil {
		g, err := c.acquire(context.WithoutCancel(ctx), name, newToken(), time.Second)
		p.note(err)
		if err == nil {
			if err := g.release(context.WithoutCancel(ctx)); err != nil {
				p.note(fmt.Errorf("release %q, which runs out now: %w", name, err))
			}
		} else {
			pause(ctx, time.Millisecond)
		}
	}
}

func (p *pace) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.grants = append(p.grants, time.Since(p.start))
	} else {
		p.failed = append(p.failed, fmt.Errorf("at %v: %w", time.Since(p.start), err))
	}
}

func (p *pace) failures() []error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.failed)
}

func (p *pace) granted() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.grants)
}

// A phase is a part of the run.
type phase struct {
	from, to time.Duration
	grants   []time.Duration // since from
}

// during returns what was granted while do went on.
func (p *pace) during(do func()) phase {
	f := phase{from: time.Since(p.start)}
	do()
	f.to = time.Since(p.start)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, at := range p.grants {
		if at >= f.from && at < f.to {
			f.grants = append(f.grants, at-f.from)
		}
	}
	return f
}

func (f phase) lasted() time.Duration { return f.to - f.from }

// TestTortureOfOneStoreAtATimeHardlySlowsGrants compares speeds, so it does not
// run beside other tests.
func TestTortureOfOneStoreAtATimeHardlySlowsGrants(t *testing.T) {
	lasts, least := 600*time.Millisecond, 0.3
	if os.Getenv(tortureVariable) != "" {
		lasts, least = 12*time.Second, 0.8
	}
	for _, proxies := range []int{1, len(groupNames)} {
		t.Run(fmt.Sprintf("%d", proxies), func(t *testing.T) {
			seats := scenario{set: sets()[1], proxies: proxies}.seats(t)
			r := newRollover(t, proxies, seats)
			r.run(lasts)
			r.judge(t, least)
		})
	}
}

// A rollover is locks being granted while the stores are restarted one by one,
// and beside it a client of redsync, straight at the same stores, as control:
// when that stands still too it is the machine that does.
type rollover struct {
	t             *testing.T
	seats         []*seat
	operators     []*redis.Client // one to each proxy
	ours, control *pace
	stop          context.CancelFunc
	clients       sync.WaitGroup

	calm, rolling tempo
	restarts      []restart
}

// A tempo is how many grants there were in how long.
type tempo struct {
	ours, control int
	lasted        time.Duration
}

func (m *tempo) add(ours, control phase) {
	m.ours += len(ours.grants)
	m.control += len(control.grants)
	m.lasted += ours.lasted()
}

func (m tempo) String() string {
	return fmt.Sprintf("%.0f grants a second (control %.0f)", float64(m.ours)/m.lasted.Seconds(), float64(m.control)/m.lasted.Seconds())
}

// A restart is what that of one store costs.
type restart struct {
	kind          string
	back          time.Duration // from when the store answers until it votes for every proxy
	ours, control time.Duration // the longest standstill from its death until then
}

func newRollover(t *testing.T, proxies int, seats []*seat) *rollover {
	r := &rollover{t: t, seats: seats}
	var voters, redises []*store
	for _, s := range seats {
		voters, redises = append(voters, s.store), append(redises, s.redis())
	}
	addrs := addresses(scenario{proxies: proxies}.programs(t, voters))
	for _, addr := range addrs {
		r.operators = append(r.operators, strict(t, addr))
	}
	start := time.Now()
	r.ours, r.control = &pace{start: start}, &pace{start: start}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(t.Context())
	for _, name := range []string{"a", "b", "c", "d"} {
		c := newProxied(t, addrs, true, 0) // nothing is done to the proxies
		r.clients.Go(func() { r.ours.keep(ctx, c, name) })
	}
	c := newDirect(t, redises)
	r.clients.Go(func() { r.control.keep(ctx, c, "control") })
	return r
}

// run takes calm and restarts by turns, since the machine is not always as busy.
func (r *rollover) run(lasts time.Duration) {
	defer r.clients.Wait()
	defer r.stop()
	for round := range 4 {
		r.calm.add(r.during(func() { pause(r.t.Context(), lasts) }))
		r.rolling.add(r.during(func() {
			for i, start := round, time.Now(); time.Since(start) < lasts; i++ {
				r.roll(r.seats[i%len(r.seats)])
			}
		}))
	}
}

func (r *rollover) during(do func()) (ours, control phase) {
	ours = r.ours.during(func() { control = r.control.during(do) })
	return ours, control
}

// roll restarts a store, and waits until it votes for every proxy.
func (r *rollover) roll(s *seat) {
	r.t.Helper()
	one := restart{kind: s.store.kind}
	ours, control := r.during(func() {
		s.kill()
		pause(r.t.Context(), 100*time.Millisecond)
		before := make([]int64, len(r.operators))
		for i, c := range r.operators {
			before[i] = seenOf(r.t, c, s.store).granted
		}
		s.start()
		up := time.Now()
		for i, c := range r.operators {
			storetest.Eventually(r.t, s.store.url()+" votes again", func() bool {
				now := seenOf(r.t, c, s.store)
				return now.whole && now.granted > before[i]
			})
		}
		one.back = time.Since(up)
	})
	one.ours, one.control = longestGap(ours.grants, ours.lasted()), longestGap(control.grants, control.lasted())
	r.restarts = append(r.restarts, one)
}

const (
	mostStandstill = 300 * time.Millisecond
	mostBack       = 2 * time.Second
)

// judge fails the test where a busy machine can't be the cause: speeds are held
// against the control's, and what one restart took counts only if it is the rule.
func (r *rollover) judge(t *testing.T, least float64) {
	ratio := float64(r.rolling.ours) / r.rolling.lasted.Seconds() / (float64(r.calm.ours) / r.calm.lasted.Seconds())
	control := float64(r.rolling.control) / r.rolling.lasted.Seconds() / (float64(r.calm.control) / r.calm.lasted.Seconds())
	t.Logf("calm: %v; while stores are restarted: %v; that is %.2f of it (control %.2f); %d errors", r.calm, r.rolling, ratio, control, len(r.ours.failures()))
	for i, err := range r.ours.failures() {
		if i < 10 {
			t.Logf("not granted: %v", err)
		}
	}
	if want := least * min(1, control); ratio < want {
		t.Errorf("grants a second: %.2f of what there are in calm, want %.2f", ratio, want)
	}
	kinds := map[string][]restart{}
	for _, one := range r.restarts {
		kinds[one.kind] = append(kinds[one.kind], one)
	}
	for kind, restarts := range kinds {
		back := spread(restarts, func(r restart) time.Duration { return r.back })
		ours := spread(restarts, func(r restart) time.Duration { return r.ours })
		control := spread(restarts, func(r restart) time.Duration { return r.control })
		t.Logf("a %s restarted %d times: it votes again after %v; longest standstill %v (control %v)", kind, len(restarts), back, ours, control)
		if back.median > mostBack {
			t.Errorf("a %s votes again after %v, want at most %v", kind, back, mostBack)
		}
		if ours.median > mostStandstill+control.median {
			t.Errorf("standstill when a %s is restarted: %v, want at most %v", kind, ours, mostStandstill)
		}
	}
}

// An extent is the middle one and the longest of several times.
type extent struct{ median, most time.Duration }

func (e extent) String() string {
	return fmt.Sprintf("%v (median), %v at the most", e.median.Round(time.Millisecond), e.most.Round(time.Millisecond))
}

func spread(restarts []restart, of func(restart) time.Duration) extent {
	var all []time.Duration
	for _, one := range restarts {
		all = append(all, of(one))
	}
	slices.Sort(all)
	return extent{all[len(all)/2], all[len(all)-1]}
}
