package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/commands"
	"holdfast/conf"
	"holdfast/persist"
	"holdfast/proxy"
	"holdfast/quorum"
)

const (
	drainPatience  = 5 * time.Second // for what clients are still owed
	brokenPatience = 300 * time.Millisecond
	visitPatience  = 2 * time.Second // for the stores at the start
	firstPatience  = time.Second     // for their books, before the first client
)

// exitJournal is the exit status after the journal failed: what is on disk is
// unknown to this process, and only another one can find out.
const exitJournal = 3

// serve opens everything in order, serves until ctx is done, and closes it in
// reverse. Leases stay.
func serve(ctx context.Context, c conf.Config, out, logs io.Writer) error {
	paceGC()
	var housekeeping sync.WaitGroup
	defer housekeeping.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	housekeeping.Go(func() { giveBack(ctx) })
	log := logger(c, logs)
	if err := restMonitor(); err != nil {
		log.Debug("monitor", "why", err)
	}
	strategy, err := quorum.ParseStrategy(c.Strategy)
	if err != nil {
		return err
	}
	stores, err := members(c)
	if err != nil {
		return err
	}
	visits := visitAll(ctx, stores, visitPatience)
	if err := errors.Join(refusals(visits, c)...); err != nil {
		return fmt.Errorf("refused to start: %w", err)
	}
	for _, v := range visits {
		if v.err != nil {
			log.Warn("store.unreachable", "store", v.name, "why", v.err)
		}
		for _, p := range v.facts.Problems {
			log.Warn("store.note", "store", v.name, "note", p)
		}
	}
	if a := advice(len(stores), strategy); a != "" {
		log.Warn("stores.advice", "note", a)
	}

	metrics := proxy.NewMetrics()
	broken := make(chan error, 1)
	journal, past, err := openJournal(c, log, metrics, broken)
	if err != nil {
		return err
	}
	now := newConfiguration(c, stores)
	identity, err := identify(journal, c, now)
	if err == nil {
		err = takeUp(ctx, journal, c, stores, now, log, &past)
	}
	if err != nil {
		return errors.Join(err, journal.Close())
	}
	if c.New && len(past.Seen) > 0 {
		log.Warn("new.ignored", "why", "this journal has signed books before; without --new a later start with an empty one is noticed")
	}
	told := new(atomic.Pointer[commands.Engine])
	keeper, err := quorum.Open(quorum.Options{
		Members: stores, Strategy: strategy, Timeout: c.StoreTimeout, MaxTTL: c.MaxTTL, Author: author(c), Identity: identity,
		Journal: journal.Mortal(), Past: past, Clock: quorum.BootClock{}, Vet: func(f quorum.Facts) error { return refusal(f, c) }, Observer: observer{metrics, told}, Log: log,
	})
	if err != nil {
		return errors.Join(err, journal.Close())
	}
	engine := commands.New(commands.Options{
		Keeper: keeper, MaxTTL: c.MaxTTL, Password: c.RequirePass, RedisVersion: c.RedisVersion,
		AllowFlush: c.AllowFlush, Overwrite: c.Overwrite == "allow", Log: log,
		Library: journal, Happened: func(kind string) { metrics.Happened(kind, "") },
	})
	told.Store(engine)
	server := proxy.New(proxy.Options{Handler: handler{engine}, MaxConns: c.MaxClients, Log: log})
	metrics.Watch(func() proxy.Gauges { return gauges(keeper, server) })

	awaitVotes(ctx, keeper)
	err = listen(ctx, c, out, log, keeper, server, metrics, broken, func() string {
		return welcome(c, stores, strategy, keeper.Status())
	})
	engine.Close()
	return errors.Join(err, keeper.Close(), journal.Close())
}

func openJournal(c conf.Config, log *slog.Logger, metrics *proxy.Metrics, broken chan<- error) (*persist.Journal, quorum.History, error) {
	boot, err := quorum.BootID()
	if err != nil {
		return nil, quorum.History{}, err
	}
	return persist.Open(c.DataDir, persist.Options{
		Clock: quorum.BootClock{}, BootID: boot, Wall: time.Now, Author: author(c), Log: log, OnSync: metrics.Synced,
		Fatal: func(err error) {
			broken <- err // there is room for one, and it is told once
		},
	})
}

// awaitVotes waits a little until the stores may vote, which takes some round
// trips once they are connected to: whoever comes first should not be told that
// there is no quorum. It does not wait for stores that are down, nor long for peers.
func awaitVotes(ctx context.Context, keeper *quorum.Keeper) {
	ctx, cancel := context.WithTimeout(ctx, firstPatience)
	defer cancel()
	for !settled(keeper.Status()) && pause(ctx, 2*time.Millisecond) == nil {
	}
}

// settled reports whether each store may vote, or is known to be down, or no vote
// would help.
func settled(s quorum.Status) bool {
	return s.Refused != "" || !slices.ContainsFunc(s.Stores, func(store quorum.StoreStatus) bool {
		return !store.Whole && store.Err == nil
	})
}

// listen serves clients, and operators over HTTP, until ctx is done.
func listen(ctx context.Context, c conf.Config, out io.Writer, log *slog.Logger, keeper *quorum.Keeper, server *proxy.Server, metrics *proxy.Metrics, broken <-chan error, welcome func() string) error {
	ln, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen for clients: %w", err)
	}
	failed := make(chan error, 2)
	go func() { failed <- server.Serve(ln) }() // waited for by Shutdown
	if c.Admin != "" {
		admin, err := net.Listen("tcp", c.Admin)
		if err != nil {
			_ = ln.Close()
			return fmt.Errorf("listen for operators: %w", err)
		}
		web := &http.Server{
			Handler:           proxy.Admin(metrics, keeper.Dead, func() error { return ready(keeper) }),
			ReadHeaderTimeout: drainPatience,
		}
		defer func() { _ = web.Close() }()
		go func() { failed <- web.Serve(admin) }() // ends with web.Close
		log.Info("admin.listening", "address", admin.Addr().String())
	}
	fmt.Fprintf(out, "holdfast listens on %s; %s\n", ln.Addr(), welcome())

	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("serve: %w", err)
	case err := <-broken:
		// Nothing is granted any more, as what is on disk is unknown to this process.
		// Those who wait are told so; then only another process can find out.
		log.Error("journal.failed", "why", err, "now", "stopping; leases already given stand, start again once the disk is well")
		patience, cancel := context.WithTimeout(ctx, brokenPatience)
		defer cancel()
		_ = server.Shutdown(patience)
		os.Exit(exitJournal)
	}
	log.Info("draining", "patience", drainPatience)
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainPatience)
	defer cancel()
	if e := server.Shutdown(patience); e != nil && err == nil {
		log.Warn("drain.cut", "why", e)
	}
	return err
}

// welcome is what the start-up line says.
func welcome(c conf.Config, stores []quorum.Member, strategy quorum.Strategy, s quorum.Status) string {
	came := fmt.Sprintf("%d leases came back from %s", s.Restored, c.DataDir)
	if s.Restored == 1 {
		came = "1 lease came back from " + c.DataDir
	}
	if len(stores) == 0 {
		return "no stores, the journal alone decides; " + came
	}
	tolerates := fmt.Sprintf("tolerates %d of them down", s.Tolerates)
	who := s.ID
	if len(c.Peers) > 0 {
		who += " with peers " + strings.Join(c.Peers, ", ")
	}
	return fmt.Sprintf("%s of %d stores (%s), %s; %s; %s", strategy, len(stores), strings.Join(names(stores), ", "), tolerates, who, came)
}

// ready reports why no lock could be granted now, if that is so.
func ready(keeper *quorum.Keeper) error {
	if err := keeper.Dead(); err != nil {
		return err
	}
	return unready(keeper.Status())
}

// unready reports why no lock could be granted by what the keeper sees.
func unready(s quorum.Status) error {
	if s.Refused != "" {
		return errors.New(s.Refused)
	}
	up, whole, waits := 0, 0, ""
	for _, store := range s.Stores {
		switch {
		case !store.Up:
		case store.Whole || len(s.Peers) == 0: // alone, the own table makes up for what a store lacks
			up, whole = up+1, whole+1
		default:
			up++
			waits += "; " + store.Name + " waits: " + store.WaitsFor
		}
	}
	switch {
	case up < s.Need:
		return fmt.Errorf("%d of %d stores are up, need %d: no quorum", up, len(s.Stores), s.Need)
	case whole < s.Need:
		return fmt.Errorf("%d of %d stores may vote, need %d: no quorum%s", whole, len(s.Stores), s.Need, waits)
	}
	return nil
}

func gauges(keeper *quorum.Keeper, server *proxy.Server) proxy.Gauges {
	s := keeper.Status()
	g := proxy.Gauges{Leases: s.Leases, Untimed: s.Untimed, Unwritten: s.Unwritten, Server: server.Stats()}
	for _, store := range s.Stores {
		g.Stores = append(g.Stores, proxy.StoreGauge{Name: store.Name, Up: store.Up, Queued: store.Queued, Missing: store.Missing})
	}
	return g
}

func logger(c conf.Config, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // conf has checked it
	opts := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// handler opens a session of commands for each connection of proxy: the two
// know each other only by shape.
type handler struct{ engine *commands.Engine }

func (h handler) Open(c proxy.Conn) proxy.Session { return h.engine.Open(commands.Conn(c)) }

// observer counts what quorum tells, and passes on what subscribers want to know.
type observer struct {
	metrics *proxy.Metrics
	engine  *atomic.Pointer[commands.Engine]
}

func (o observer) Voted(store string, verdict quorum.Verdict, took time.Duration) {
	o.metrics.Voted(store, verdict.String(), verdict != quorum.Silent, took)
}

func (o observer) Ended(r quorum.Result) {
	outcome := "granted"
	switch {
	case errors.Is(r.Err, quorum.ErrNoQuorum):
		outcome = "no_quorum"
	case errors.Is(r.Err, quorum.ErrTooSlow):
		outcome = "too_slow"
	case r.Outcome == quorum.Failed:
		outcome = "failed"
	case r.Outcome != quorum.Changed: // by the table, or by the stores
		outcome = "held"
	}
	o.metrics.Ended(r.Deed.String(), outcome, r.Took)
}

func (o observer) Happened(e quorum.Event, store string) {
	o.metrics.Happened(e.Kind, store)
	if engine := o.engine.Load(); engine != nil { // there is none yet while the keeper opens
		engine.Tell(e, store)
	}
}
