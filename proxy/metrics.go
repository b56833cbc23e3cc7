package proxy

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics count what the program does, for Prometheus. Its methods are safe for
// concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	votes    *prometheus.CounterVec
	voteTook *prometheus.HistogramVec
	ended    *prometheus.CounterVec
	took     *prometheus.HistogramVec
	events   *prometheus.CounterVec
	syncs    prometheus.Histogram

	voted, endings lines
}

// latencies go from 50 us, less than any disk or network takes, to 3 s.
var latencies = prometheus.ExponentialBuckets(50e-6, 2, 17)

// NewMetrics returns metrics of which nothing is counted yet.
func NewMetrics() *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "holdfast", Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "holdfast", Name: name, Help: help, Buckets: latencies}, labels)
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		votes:    counter("votes_total", "Votes by store and verdict.", "store", "verdict"),
		voteTook: histogram("vote_seconds", "How long stores took to vote; silence is not counted.", "store"),
		ended:    counter("changes_total", "What clients asked to change, by deed (acquire, renew, release) and outcome.", "deed", "outcome"),
		took:     histogram("change_seconds", "From when a change's turn came to its outcome.", "deed", "outcome"),
		events:   counter("events_total", "What operators should know, by kind and store.", "event", "store"),
		syncs: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "holdfast", Name: "journal_sync_seconds",
			Help: "How long the journal took to be on disk.", Buckets: latencies}),
	}
	m.registry.MustRegister(m.votes, m.voteTook, m.ended, m.took, m.events, m.syncs,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Voted counts a vote.
func (m *Metrics) Voted(store, verdict string, answered bool, took time.Duration) {
	l := m.voted.find(labels{store, verdict}, func() line {
		return line{m.votes.WithLabelValues(store, verdict), m.voteTook.WithLabelValues(store)}
	})
	l.count.Inc()
	if answered {
		l.took.Observe(took.Seconds())
	}
}

// Ended counts a change.
func (m *Metrics) Ended(deed, outcome string, took time.Duration) {
	l := m.endings.find(labels{deed, outcome}, func() line {
		return line{m.ended.WithLabelValues(deed, outcome), m.took.WithLabelValues(deed, outcome)}
	})
	l.count.Inc()
	l.took.Observe(took.Seconds())
}

// Lines are the counters that go up with each change, by their labels: to have
// Prometheus look them up takes longer than to count. There are few, and soon all
// are known.
type lines struct {
	mu    sync.Mutex // held while a line is added
	known atomic.Pointer[map[labels]line]
}

type labels [2]string

type line struct {
	count prometheus.Counter
	took  prometheus.Observer
}

// find returns a line, made by open if it is new.
func (l *lines) find(key labels, open func() line) line {
	if known := l.known.Load(); known != nil {
		if found, ok := (*known)[key]; ok {
			return found
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	next := map[labels]line{key: open()} // the same one again, if somebody was first
	if known := l.known.Load(); known != nil {
		maps.Copy(next, *known)
	}
	l.known.Store(&next)
	return next[key]
}

// Happened counts an event.
func (m *Metrics) Happened(kind, store string) { m.events.WithLabelValues(kind, store).Inc() }

// Synced counts a sync of the journal.
func (m *Metrics) Synced(took time.Duration) { m.syncs.Observe(took.Seconds()) }

// A StoreGauge is how one store stands.
type StoreGauge struct {
	Name            string
	Up              bool
	Queued, Missing int
}

// Gauges are what is looked up when it is asked for.
type Gauges struct {
	Leases    int
	Untimed   uint64
	Unwritten int // records waiting for the journal
	Stores    []StoreGauge
	Server    Stats
}

// Watch has each scrape report what look returns.
func (m *Metrics) Watch(look func() Gauges) { m.registry.MustRegister(watcher{look}) }

type watcher struct{ look func() Gauges }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("holdfast_"+name, help, labels, nil)
}

var (
	leasesDesc    = describe("leases", "Leases that are live.")
	untimedDesc   = describe("untimed_total", "Leases asked for without a TTL.")
	unwrittenDesc = describe("journal_queue", "Records waiting for the journal.")
	upDesc        = describe("store_up", "1 if the store is connected to.", "store")
	queuedDesc    = describe("store_queue", "Requests waiting to be sent to the store.", "store")
	missingDesc   = describe("store_missing", "Live leases that the store may have no copy of.", "store")
	connsDesc     = describe("connections", "Clients connected now.")
	acceptedDesc  = describe("connections_total", "Clients ever connected.")
	refusedDesc   = describe("connections_refused_total", "Clients refused because there were too many.")
	cutDesc       = describe("connections_cut_total", "Clients cut off because they did not read, or were idle.")
	commandsDesc  = describe("commands_total", "Commands received.")
	badDesc       = describe("protocol_errors_total", "Clients that sent what is no RESP.")
	heldDesc      = describe("held_bytes", "Bytes held for clients: commands under way, replies not read.")
	inDesc        = describe("received_bytes_total", "Bytes received from clients.")
	outDesc       = describe("sent_bytes_total", "Bytes sent to clients.")
)

func (w watcher) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{leasesDesc, untimedDesc, unwrittenDesc, upDesc, queuedDesc, missingDesc, connsDesc,
		acceptedDesc, refusedDesc, cutDesc, commandsDesc, badDesc, heldDesc, inDesc, outDesc} {
		out <- d
	}
}

func (w watcher) Collect(out chan<- prometheus.Metric) {
	g := w.look()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	gauge(leasesDesc, float64(g.Leases))
	gauge(unwrittenDesc, float64(g.Unwritten))
	gauge(heldDesc, float64(g.Server.Held))
	gauge(connsDesc, float64(g.Server.Connections))
	for _, s := range g.Stores {
		up := 0.0
		if s.Up {
			up = 1
		}
		gauge(upDesc, up, s.Name)
		gauge(queuedDesc, float64(s.Queued), s.Name)
		gauge(missingDesc, float64(s.Missing), s.Name)
	}
	counter(untimedDesc, g.Untimed)
	counter(acceptedDesc, g.Server.Accepted)
	counter(refusedDesc, g.Server.Refused)
	counter(cutDesc, g.Server.CutOff)
	counter(commandsDesc, g.Server.Commands)
	counter(badDesc, g.Server.ProtocolErrors)
	counter(inDesc, g.Server.BytesIn)
	counter(outDesc, g.Server.BytesOut)
}
