package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"holdfast/quorum/storetest"
)

const (
	// tortureVariable says how long all of the torture goes on.
	tortureVariable = "TORTURE_TIME"
	// tortureFolder is where pictures of the histories are left.
	tortureFolder = "TORTURE_OUT"
)

const (
	tortureClients = 12
	controlClients = 6
	sharingClients = 6
	pairingClients = 4
	tortureLocks   = 5
)

// A set is what stores there are, and how long leases last there at the most.
type set struct {
	name  string
	kinds []string
	most  time.Duration
	saves bool // they come back with what they had when they were last saved
}

// A fault is what is done to a set again and again.
type fault struct {
	name    string
	inflict func(*tormentor)
	clocks  bool     // the clocks of the stores can be moved
	network bool     // there is a relay before each store
	several bool     // it takes several proxies
	loses   bool     // several proxies together can lose locks by it, where a store keeps copies once
	short   []string // the sets that a short round tries it on, with one proxy
	peers   []string // and with several
}

func sets() []set {
	return []set{
		{"redis", []string{"redis", "redis", "redis"}, 700 * time.Millisecond, false},
		{"memcached", []string{"redis", "redis", "memcached"}, 700 * time.Millisecond, false},
		// Longer: what comes back from the disk should not have run out yet.
		{"snapshots", []string{"redis", "redis", "redis"}, 1500 * time.Millisecond, true},
	}
}

func faults() []fault {
	return []fault{
		{name: "restart one by one", inflict: (*tormentor).restartOne, short: []string{"memcached"}, peers: []string{"snapshots"}},
		{name: "flush one by one", inflict: (*tormentor).flushOne, peers: []string{"memcached"}},
		{name: "restart all stores", inflict: (*tormentor).restartStores, short: []string{"snapshots"}},
		{name: "restart stores and proxies", inflict: (*tormentor).restartAll, short: []string{"memcached"}},
		{name: "restart proxies one by one", inflict: (*tormentor).restartProxy, peers: []string{"memcached"}},
		{name: "pause stores", inflict: (*tormentor).pauseStores, short: []string{"redis"}},
		{name: "pause proxies", inflict: (*tormentor).pauseProxy, short: []string{"redis"}, peers: []string{"redis"}},
		{name: "move clocks by an hour", inflict: (*tormentor).shiftClock, clocks: true, peers: []string{"redis"}},
		{name: "delete names", inflict: (*tormentor).deleteNames, loses: true, short: []string{"memcached"}, peers: []string{"redis"}},
		{name: "bad network", inflict: (*tormentor).cutOff, network: true, short: []string{"memcached"}},
		{name: "cut one from one", inflict: (*tormentor).cutOffOne, network: true, several: true, peers: []string{"redis"}},
		{name: "anything", inflict: (*tormentor).anything, short: []string{"redis"}, peers: []string{"redis"}},
	}
}

// peersMaxTTL is what several proxies wait for before they go on without one.
const peersMaxTTL = 5 * time.Second

// A scenario is one fault, done to one set of stores and one or three proxies.
type scenario struct {
	fault
	set
	proxies int
}

func (s scenario) String() string {
	return fmt.Sprintf("%d: %s, %s", s.proxies, s.fault.name, s.set.name)
}

// scenarios returns those of a short round, or all there are.
func scenarios(all bool) (chosen []scenario) {
	for _, f := range faults() {
		for _, s := range sets() {
			if (all || slices.Contains(f.short, s.name)) && !f.several {
				chosen = append(chosen, scenario{f, s, 1})
			}
			if all || slices.Contains(f.peers, s.name) {
				chosen = append(chosen, scenario{f, s, len(groupNames)})
			}
		}
	}
	return chosen
}

// programs starts the proxies of a scenario.
func (s scenario) programs(t *testing.T, voters []*store) []*program {
	if s.proxies == 1 {
		return []*program{startHoldfast(t, flags(voters)...)}
	}
	return startGroup(t, voters, "--max-ttl", peersMaxTTL.String())
}

// once reports whether a store of the set keeps each copy only once, whatever the
// number of proxies.
func (s set) once() bool { return slices.Contains(s.kinds, "memcached") }

// seats starts the servers of a scenario.
func (s scenario) seats(t *testing.T) (all []*seat) {
	for _, kind := range s.kinds {
		one := &seat{}
		switch {
		case kind == "memcached":
			one.store, one.spare = newMemcached(t), startStores(t, "redis")[0]
		case s.clocks:
			server, shift := storetest.StartShiftedRedis(t)
			one.store, one.shift = newRedis(t, server), shift
		default:
			one.store = newRedis(t, storetest.StartRedis(t))
		}
		if s.network {
			one.each(func(s *store) { s.way = startRelay(t, s.Addr()) })
		}
		all = append(all, one)
	}
	return all
}

// A report is what became of a scenario.
type report struct {
	ours, control *history
	shared, pairs *history      // of locks whose values are more than a token, and of two at a time
	deeds         int           // of ours, that the model allows
	sync          time.Duration // the longest there was of a few bytes to disk meanwhile
}

// TestTortureLetsNoTwoHoldOneLock has many clients contend for few locks while
// stores and proxy are killed, paused, flushed, cut off and put into another
// time, and looks whether any two ever held one lock at once. Redsync, straight
// at the same stores, is the control: what it lets overlap shows that the faults
// bite and that the judge can see it.
func TestTortureLetsNoTwoHoldOneLock(t *testing.T) {
	lasts, chosen := tortureTime(t, 1500*time.Millisecond)
	if folder := os.Getenv(tortureFolder); folder != "" {
		if err := os.MkdirAll(folder, 0o777); err != nil {
			t.Fatalf("%s: %v", tortureFolder, err)
		}
	}
	reports := make([]report, len(chosen))
	// In a group, so that all are through behind it.
	t.Run("scenarios", func(t *testing.T) {
		for i, s := range chosen {
			t.Run(s.String(), func(t *testing.T) {
				t.Parallel()
				reports[i] = s.run(t, lasts, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
			})
		}
	})
	t.Logf("\n%s", table(chosen, reports))
}

// tortureTime returns the scenarios and how long each of them lasts: a short
// time each, or all of them as long as the environment says, two at a time.
func tortureTime(t *testing.T, short time.Duration) (time.Duration, []scenario) {
	t.Helper()
	s := os.Getenv(tortureVariable)
	if s == "" {
		return short, scenarios(false)
	}
	whole, err := time.ParseDuration(s)
	if err != nil {
		t.Fatalf("%s: %v", tortureVariable, err)
	}
	all := scenarios(true)
	return max(short, 2*whole/time.Duration(len(all))), all
}

// run has clients of both kinds contend until the tormentor has had its time.
func (s scenario) run(t *testing.T, lasts time.Duration, dice *rand.Rand) report {
	x := &tormentor{Rand: dice, t: t, seats: s.seats(t), most: s.most, saves: s.saves, once: s.once()}
	var voters, redises []*store
	for _, seat := range x.seats {
		voters, redises = append(voters, seat.store), append(redises, seat.redis())
	}
	x.proxies = s.programs(t, voters)
	r := report{ours: &history{}, control: &history{}, shared: &history{}, pairs: &history{}}
	start := time.Now()
	t.Logf("times are since %s", start.Format("15:04:05.000"))
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer stop()
	enlist := func(h *history, name string, count int, client func(i int) contender) {
		locks := lockNames(name)
		x.locks = append(x.locks, locks...)
		for i := range count {
			c := contending{client(i), i, locks, s.most, h, start, x.dice()}
			clients.Go(func() { c.run(ctx) })
		}
	}
	clients.Go(func() { r.sync = longestSync(ctx, t) })
	enlist(r.ours, "torture", tortureClients, func(i int) contender {
		// Half of them soon ask elsewhere; the others wait for who is silent.
		return newProxied(t, addresses(x.proxies), i%2 == 0, time.Duration(i/2%2)*hurry)
	})
	hurried := func(i int) proxied {
		return newProxied(t, addresses(x.proxies), false, time.Duration(i%2)*hurry)
	}
	enlist(r.shared, "shared", sharingClients, func(i int) contender { return sharing{hurried(i)} })
	enlist(r.pairs, "pairs", pairingClients, func(i int) contender {
		if i == 0 {
			return hurried(i) // one that takes single ones of them
		}
		return pairing{hurried(i), lockNames("pairs")}
	})
	enlist(r.control, "control", controlClients, func(int) contender { return newDirect(t, redises) })
	// On a busy machine it takes longer until there is enough to judge by.
	const patience = 12
	x.run(s.inflict, func() bool {
		past := time.Since(start)
		read, written := r.shared.both()
		return past >= lasts && (r.ours.enough() && r.pairs.enough() && r.shared.enough() && min(read, written) >= tortureLocks || past >= patience*lasts)
	})
	r.ours.lasted = time.Since(start)
	stop()
	clients.Wait()
	mayLose := s.loses && s.proxies > 1 && s.once()
	r.ours.judge(t, mayLose)
	r.shared.judge(t, mayLose)
	r.pairs.judge(t, mayLose)
	if !mayLose {
		r.deeds = r.ours.linear(t, os.Getenv(tortureFolder))
	}
	return r
}

// hurry is how long clients in a hurry wait for a reply.
const hurry = 300 * time.Millisecond

func lockNames(prefix string) (names []string) {
	for i := range tortureLocks {
		names = append(names, fmt.Sprintf("%s:%d", prefix, i))
	}
	return names
}

// table sets ours and the control side by side.
func table(chosen []scenario, reports []report) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "scenario\tholds\trefused\terrors\tlost\toverlaps\tstandstill\tsync\tdeeds\tread\twritten\toverlaps\tpaired\toverlaps\tredsync: holds\trefused\terrors\tlost\toverlaps\t")
	for i, r := range reports {
		if r.ours == nil {
			continue // it failed before it began
		}
		ours, control := r.ours, r.control
		read, written := r.shared.both()
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%v\t%v\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", chosen[i],
			len(ours.holds), ours.denied, ours.failed, len(ours.lost), len(ours.overlaps()),
			ours.standstill().Round(time.Millisecond), r.sync.Round(time.Millisecond), r.deeds,
			read, written, len(r.shared.overlaps()), len(r.pairs.holds), len(r.pairs.overlaps()),
			len(control.holds), control.denied, control.failed, len(control.lost), len(control.overlaps()))
	}
	w.Flush()
	return b.String()
}
