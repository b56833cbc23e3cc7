package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"holdfast/quorum/storetest"
)

// clients returns a strict client to each program.
func clients(t testing.TB, programs []*program) (all []*redis.Client) {
	for _, p := range programs {
		all = append(all, strict(t, p.addr))
	}
	return all
}

func TestALockIsOneThroughAllProxies(t *testing.T) {
	t.Parallel()
	group := clients(t, startGroup(t, startStores(t, "redis", "redis", "memcached"), "--max-ttl", "1m"))
	ctx, last := t.Context(), int64(0)
	for i := range 100 {
		// Whose turn it is: to acquire, to be denied, to extend, to release.
		who := func() (string, *redis.Client) {
			n := rand.IntN(len(group))
			return groupNames[n], group[n]
		}
		token := newToken()
		name, c := who()
		g, err := readGrant(lock(ctx, c, "orders", token, 30*time.Second))
		if err != nil || g.fence <= last {
			t.Fatalf("round %d: lock through %s what nobody holds: fence %d, %v, want it above %d", i, name, g.fence, err, last)
		}
		last = g.fence
		if name, c = who(); i%2 == 0 {
			if _, err := readGrant(lock(ctx, c, "orders", newToken(), 30*time.Second)); err != errDenied {
				t.Fatalf("round %d: lock through %s what is held: %v, want it denied", i, name, err)
			}
			name, c = who()
			longer, err := readGrant(c.Do(ctx, "EXTEND", "orders", token, "PX", 45_000))
			if err != nil || longer.fence != g.fence || longer.validity < 40*time.Second {
				t.Fatalf("round %d: extend through %s: fence %d for %v, %v, want %d for almost 45s", i, name, longer.fence, longer.validity, err, g.fence)
			}
			name, c = who()
			wantHolder(t, c, "orders", token)
		}
		if ok, err := release(ctx, c, "orders", token); !ok || err != nil {
			t.Fatalf("round %d: release through %s: %t, %v, want it released", i, name, ok, err)
		}
	}
}

// keepPace has clients lock through any of programs until what it returns is
// called.
func keepPace(t *testing.T, programs []*program) (run *pace, stop func()) {
	run = &pace{start: time.Now()}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for i := range 2 {
		c := newProxied(t, addresses(programs), true, 0)
		running.Go(func() { run.keep(ctx, c, fmt.Sprint("pace:", i)) })
	}
	stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(stop)
	return run, stop
}

func TestADeadPeerIsWaitedForOnlyWhereAStoreForgot(t *testing.T) {
	t.Parallel()
	const maxTTL = 4 * time.Second
	all := startStores(t, "redis", "redis", "redis")
	group := startGroup(t, all, "--max-ttl", maxTTL.String())
	token := mustAcquire(t, strict(t, group[2].addr), "orders", maxTTL)
	asked := time.Now()
	group[2].kill()
	run, stop := keepPace(t, group[:2])
	wantHeld(t, strict(t, group[0].addr), "orders")
	wantHolder(t, strict(t, group[1].addr), "orders", token)

	var whole time.Duration
	served := run.during(func() {
		all[0].Restart()
		up := time.Now()
		for i, c := range clients(t, group[:2]) {
			storetest.Eventually(t, groupNames[i]+" waits for the dead one", func() bool {
				s := seenOf(t, c, all[0])
				return !s.whole && strings.Contains(s.waitsFor, "peer c has not signed; if it is dead, its last lease ends in")
			})
		}
		for i, c := range clients(t, group[:2]) {
			storetest.Eventually(t, "it votes again for "+groupNames[i], func() bool { return seenOf(t, c, all[0]).whole })
			if whole = time.Since(up); whole < maxTTL {
				t.Errorf("%s counts a store that forgot %v after its restart, and a dead peer may hold locks for %v", groupNames[i], whole, maxTTL)
			}
		}
	})
	stop()
	gap := longestGap(served.grants, served.lasted())
	t.Logf("the store that forgot votes again after %v (max-ttl %v); meanwhile %d grants, %d errors, longest standstill %v", whole, maxTTL, len(served.grants), len(run.failures()), gap)
	if most := maxTTL + maxTTL/50 + 5*time.Second; whole > most {
		t.Errorf("a store that forgot votes again after %v, want at most %v", whole, most)
	}
	if gap > maxTTL/2 {
		t.Errorf("the others granted nothing for %v, want them to go on without the dead one", gap)
	}
	for time.Since(asked) < maxTTL {
		pause(t.Context(), 10*time.Millisecond)
	}
	mustAcquire(t, strict(t, group[1].addr), "orders", maxTTL)

	group[2].start()
	group[2].settle()
	wantHeld(t, strict(t, group[2].addr), "orders")
}

// wantServed fails the test if clients were refused, or granted nothing for long.
func wantServed(t *testing.T, run *pace) {
	t.Helper()
	if gap := longestGap(run.granted(), time.Since(run.start)); gap > 3*time.Second {
		t.Errorf("through the others nothing was granted for %v", gap)
	}
	for _, err := range run.failures() {
		if strings.Contains(err.Error(), "refused to serve") {
			t.Errorf("through the others meanwhile: %v", err)
		}
	}
}

// loseJournal gives a program an empty data folder.
func (p *program) loseJournal() { p.dir = filepath.Join(p.t.TempDir(), "data") }

func TestAProxyThatLostItsJournalOutwaitsItself(t *testing.T) {
	t.Parallel()
	const maxTTL = 4 * time.Second
	all := startStores(t, "redis", "redis", "redis")
	group := startGroup(t, all, "--max-ttl", maxTTL.String())
	run, stop := keepPace(t, group[:2])
	defer stop()
	a, lost := strict(t, group[0].addr), group[2]
	wantWaiting := func() {
		t.Helper()
		c := strict(t, lost.addr)
		var why string
		storetest.Eventually(t, "it says that it waits", func() bool { // once it has read a book
			_, err := acquire(t.Context(), c, "orders", newToken(), time.Second)
			if err == nil {
				t.Fatalf("acquire through a proxy that lost its journal: no error, want it to wait")
			}
			why = err.Error()
			return strings.Contains(why, "the journal is new, but")
		})
		wantWords(t, "acquire through a proxy that lost its journal", why, "NOQUORUM ", `"c" as instance`, "say --new")
	}
	votes := func() bool { return quorate(seen(t, strict(t, lost.addr))) }

	token := mustAcquire(t, strict(t, lost.addr), "held", maxTTL)
	lost.kill()
	lost.loseJournal()
	begun := time.Now() // before it can be
	lost.start()
	wantWaiting()
	wantHolder(t, a, "held", token)
	storetest.Eventually(t, "it votes after its wait", votes)
	if took := time.Since(begun); took < maxTTL {
		t.Errorf("a proxy that lost its journal served after %v, and may have granted locks for %v", took, maxTTL)
	}
	mustAcquire(t, strict(t, lost.addr), "orders:waited", time.Second)

	lost.kill()
	lost.loseJournal()
	lost.args = append(lost.args, "--new")
	lost.start()
	storetest.Eventually(t, "it votes at once", votes)
	wantNoWord(t, "a proxy told that it is new", lost.logs.String(), "the journal is new, but")
	mustAcquire(t, strict(t, lost.addr), "orders:new", time.Second)
	stop()
	wantServed(t, run)
}

// wantRefused waits until a program says that it serves nothing, and why, and
// grants nothing.
func wantRefused(t *testing.T, p *program, words ...string) {
	t.Helper()
	c := strict(t, p.addr)
	var why string
	storetest.Eventually(t, "it serves nothing", func() bool {
		_, err := acquire(t.Context(), c, newToken(), newToken(), 100*time.Millisecond)
		if err != nil {
			why = err.Error()
		}
		return strings.Contains(why, "refused to serve")
	})
	wantWords(t, "what a client is told", why, words...)
	storetest.Eventually(t, "it logs that too", func() bool { return strings.Contains(p.logs.String(), "peer.stranger") })
	wantWords(t, "what it logs", p.logs.String(), "nothing is served until that is put right")
	var o outcome
	storetest.Eventually(t, "status says so", func() bool {
		o = holdfast(t, "status", "--listen", p.addr)
		return strings.Contains(o.out, "NOTHING IS SERVED")
	})
	wantWords(t, "what status prints", o.out, words...)
}

func TestStrangersAreRefusedByName(t *testing.T) {
	t.Parallel()
	all := startStores(t, "redis", "redis", "redis")
	other := startStores(t, "redis")
	group := startGroup(t, all, "--max-ttl", "1m")
	run, stop := keepPace(t, group[:2])
	defer stop()
	group[2].signal(syscall.SIGTERM) // its place is taken by others
	group[2].wait()
	odd := append(flags(all[:2]), flags(other)...)
	ttl := []string{"--max-ttl", "1m"}
	for what, c := range map[string]struct {
		args  []string
		words []string
	}{
		"one that nobody lists": {memberFlags("d", append(groupNames, "d"), all, ttl...),
			[]string{`peer "a" has the peers ["b" "c"], and we are "d" with ["a" "b" "c"]`}},
		"one without peers": {append(flags(all, ttl...), "--id", "solo"),
			[]string{`proxy "a" (instance `, `signed its book and is not among our peers []`}},
		"one with fewer peers": {memberFlags("c", []string{"a", "c"}, all, ttl...),
			[]string{`peer "a" has the peers ["b" "c"], and we are "c" with ["a"]`}},
		"another strategy": {memberFlags("c", groupNames, all, append(ttl, "--strategy", "unanimous")...),
			[]string{`peer "a" has majority of `, `and we have unanimous of `}},
		"another store list": {memberFlags("c", groupNames, nil, append(ttl, odd...)...),
			[]string{`peer "a" has majority of `, all[2].url(), `and we have majority of `, other[0].url()}},
		"another max-ttl": {memberFlags("c", groupNames, all, "--max-ttl", "2m"),
			[]string{`; max-ttl 1m0s, and we have `, `; max-ttl 2m0s`}},
	} {
		t.Run(what, func(t *testing.T) {
			p := newHoldfast(t, c.args...)
			p.start()
			wantRefused(t, p, c.words...)
		})
	}
	stop()
	wantServed(t, run)
}

func TestALivingProxyIsNotReplacedByATwin(t *testing.T) {
	t.Parallel()
	const maxTTL = 2 * time.Second
	all := startStores(t, "redis", "redis", "redis")
	args := []string{"--max-ttl", maxTTL.String()}
	run, stop := keepPace(t, startGroup(t, all, args...))
	defer stop()
	twin := newHoldfast(t, memberFlags("a", groupNames, all, args...)...)
	twin.start()
	start, c := time.Now(), strict(t, twin.addr)
	wantRefused(t, twin, `another proxy, instance `, `lives under our id "a"`)
	// Whoever is new under an old id serves once max-ttl is over, but not beside
	// the one that has that id.
	for time.Since(start) < 3*maxTTL && !t.Failed() {
		if _, err := acquire(t.Context(), c, newToken(), newToken(), 100*time.Millisecond); err == nil || !strings.Contains(err.Error(), "refused to serve") {
			t.Errorf("acquire through the twin after %v: %v, want it refused", time.Since(start), err)
		}
		pause(t.Context(), 10*time.Millisecond)
	}
	wantNoWord(t, "what the twin logs", twin.logs.String(), "store.signed")
	stop()
	wantServed(t, run)
}

func TestACopiedDataFolderIsFoundOut(t *testing.T) {
	t.Parallel()
	all := startStores(t, "redis", "redis", "redis")
	group := startGroup(t, all, "--max-ttl", "1m")
	group[2].kill()
	copied := newHoldfast(t, group[2].args...)
	if o := execute(t, "", "cp", "-r", group[2].dir, copied.dir); o.status != 0 {
		t.Fatalf("copy %s: %s", group[2].dir, o.err)
	}
	o := holdfast(t, append(memberFlags("d", groupNames, all), "serve", "--listen", "127.0.0.1:0", "--data-dir", copied.dir)...)
	if o.status == 0 {
		t.Errorf("serve by another name: status 0, want it refused")
	}
	group[2].start()
	copied.start()
	both := func(word string) bool {
		return strings.Contains(group[2].logs.String()+copied.logs.String(), word)
	}
	storetest.Eventually(t, "one of two with the same folder serves nothing", func() bool { return both("is a data folder copied?") })
}

func TestForgetSparesTheOthersTheWait(t *testing.T) {
	t.Parallel()
	all := startStores(t, "redis", "redis", "redis")
	group := startGroup(t, all) // max-ttl is an hour
	forget := func(more ...string) outcome {
		return holdfast(t, append([]string{"forget", "c"}, flags(all, more...)...)...)
	}
	o := forget("--now")
	if o.status != 1 {
		t.Errorf("forget one that lives: status %d, want 1\n%s", o.status, o.out)
	}
	wantWords(t, "forget one that lives", o.err, "it is alive")

	group[2].kill()
	all[0].Restart()
	a := strict(t, group[0].addr)
	storetest.Eventually(t, "the others wait for it", func() bool {
		return strings.Contains(seenOf(t, a, all[0]).waitsFor, "peer c has not signed")
	})
	o = forget("--now")
	if o.status != 0 {
		t.Fatalf("forget a dead one: status %d, want 0\n%s%s", o.status, o.out, o.err)
	}
	wantWords(t, "forget a dead one", o.out, "c is a peer of a, b", "--now", "says that c is forgotten")
	for _, p := range group[:2] {
		p.settle()
	}

	group[2].start()
	wantRefused(t, group[2], `declared this proxy, "c", forgotten`)
	group[2].kill()
	group[2].loseJournal()
	group[2].args = append(group[2].args, "--new")
	group[2].start()
	group[2].settle()
	mustAcquire(t, strict(t, group[2].addr), "orders", time.Minute)
}

func TestForgetWaitsForTheLastLeaseOfTheDead(t *testing.T) {
	t.Parallel()
	const maxTTL = 3 * time.Second
	all := startStores(t, "redis", "redis", "redis")
	group := startGroup(t, all, "--max-ttl", maxTTL.String())
	group[2].kill()
	start := time.Now()
	o := holdfast(t, append([]string{"forget", "c"}, flags(all)...)...)
	if took := time.Since(start); o.status != 0 || took < maxTTL {
		t.Errorf("forget: status %d after %v, want 0 and not before %v\n%s%s", o.status, took, maxTTL, o.out, o.err)
	}
	wantWords(t, "forget", o.out, "waiting 3.06s", "for the end of all that it granted")
}
