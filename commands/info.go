package commands

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/quorum"
)

// What is about the server.

func timeOfDay(tx *Tx, _ [][]byte) Reply {
	now := tx.engine.wall().UnixMicro()
	return sayArray(sayText(strconv.FormatInt(now/1e6, 10)), sayText(strconv.FormatInt(now%1e6, 10)))
}

func role(*Session, [][]byte) Reply { return sayArray(sayText("master"), sayInt(0), sayArray()) }

// wait is WAIT: clients mean "is it safe yet", and what was granted is.
func wait(s *Session, args [][]byte) Reply {
	_, ok1 := parseInt(args[1])
	timeout, ok2 := parseInt(args[2])
	switch {
	case !ok1:
		return sayFailure(errNotInteger)
	case !ok2:
		return sayFailure("ERR timeout is not an integer or out of range")
	case timeout < 0:
		return sayFailure("ERR timeout is negative")
	}
	up := int64(0)
	for _, store := range s.engine.keeper.Status().Stores {
		if store.Up {
			up++
		}
	}
	return sayInt(up)
}

func noCluster(*Session, [][]byte) Reply { return sayFailure(errNoCluster) }

// configGet answers what clients ask of a Redis server before they use it.
func configGet(s *Session, args [][]byte) Reply {
	var items []Reply
	for _, setting := range [...][2]string{
		{"appendfsync", "always"},
		{"appendonly", "yes"},
		{"databases", strconv.Itoa(databases)},
		{"maxmemory", "0"},
		{"maxmemory-policy", "noeviction"},
		{"notify-keyspace-events", describeNotify(s.engine.tracker.events.Load())},
		{"replica-read-only", "yes"},
		{"save", ""},
		{"slave-read-only", "yes"},
		{"slowlog-log-slower-than", strconv.FormatInt(s.engine.slow.above.Load(), 10)},
		{"slowlog-max-len", strconv.FormatInt(s.engine.slow.most.Load(), 10)},
		{"timeout", "0"},
	} {
		if slices.ContainsFunc(args[2:], func(pattern []byte) bool {
			return glob(string(appendLower(nil, pattern)), setting[0])
		}) {
			items = append(items, sayText(setting[0]), sayText(setting[1]))
		}
	}
	return sayPairs(items...)
}

// A section is one part of INFO.
type section struct {
	name  string
	write func(b *strings.Builder)
}

func (s *Session) sections() []section {
	e := s.engine
	return []section{
		{"Server", s.infoServer},
		{"Clients", e.infoClients},
		{"Memory", e.infoMemory},
		{"Persistence", e.infoPersistence},
		{"Stats", e.infoStats},
		{"Replication", e.infoReplication},
		{"CPU", e.infoCPU},
		{"Cluster", e.infoCluster},
		{"Stores", e.infoStores},
		{"Leases", e.infoLeases},
		{"Journal", e.infoJournal},
		{"Keyspace", e.infoKeyspace},
	}
}

// info is INFO [section ...].
func info(s *Session, args [][]byte) Reply {
	everything := len(args) == 1
	for _, arg := range args[1:] {
		everything = everything || is(arg, "all") || is(arg, "everything") || is(arg, "default")
	}
	var b strings.Builder
	for _, part := range s.sections() {
		if !everything && !slices.ContainsFunc(args[1:], func(arg []byte) bool { return strings.EqualFold(string(arg), part.name) }) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		fmt.Fprintf(&b, "# %s\r\n", part.name)
		part.write(&b)
	}
	return Reply{kind: verbatim, text: b.String()}
}

func (s *Session) infoServer(b *strings.Builder) {
	e, now := s.engine, s.engine.wall()
	up := now.Sub(e.started)
	_, port, _ := net.SplitHostPort(s.conn.Local)
	fmt.Fprintf(b, "redis_version:%s\r\nredis_mode:standalone\r\nserver_name:holdfast\r\nos:%s %s\r\narch_bits:64\r\nprocess_id:%d\r\nrun_id:%s\r\ntcp_port:%s\r\n",
		e.version, runtime.GOOS, runtime.GOARCH, os.Getpid(), e.runID, port)
	fmt.Fprintf(b, "server_time_usec:%d\r\nuptime_in_seconds:%d\r\nuptime_in_days:%d\r\n", now.UnixMicro(), int64(up/time.Second), int64(up/(24*time.Hour)))
}

func (e *Engine) infoClients(b *strings.Builder) {
	all := e.everybody()
	var tracking, subscribed int
	for _, s := range all {
		if s.tracks.Load() {
			tracking++
		}
		if s.subscribed() {
			subscribed++
		}
	}
	fmt.Fprintf(b, "connected_clients:%d\r\nblocked_clients:%d\r\ntracking_clients:%d\r\npubsub_clients:%d\r\n",
		len(all), e.commands[waitFor].room.count(), tracking, subscribed)
}

func (e *Engine) infoMemory(b *strings.Builder) {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	used, total := samples[0].Value.Uint64(), samples[1].Value.Uint64()-samples[2].Value.Uint64()
	fmt.Fprintf(b, "used_memory:%d\r\nused_memory_human:%s\r\nused_memory_rss:%d\r\nused_memory_rss_human:%s\r\n", used, megabytes(used), total, megabytes(total))
	scripts, text := e.scripts.size()
	fmt.Fprintf(b, "number_of_cached_scripts:%d\r\nused_memory_scripts:%d\r\nmaxmemory:0\r\nmaxmemory_human:0B\r\nmaxmemory_policy:noeviction\r\n", scripts, text)
}

func megabytes(n uint64) string { return fmt.Sprintf("%.2fM", float64(n)/(1<<20)) }

// infoPersistence says what monitoring looks for. Nothing is served before all is
// loaded, nor after a write to the journal has failed.
func (e *Engine) infoPersistence(b *strings.Builder) {
	fmt.Fprintf(b, "loading:0\r\nasync_loading:0\r\nrdb_bgsave_in_progress:0\r\nrdb_last_bgsave_status:ok\r\naof_enabled:1\r\naof_rewrite_in_progress:0\r\naof_last_write_status:ok\r\n")
}

func (e *Engine) infoStats(b *strings.Builder) {
	fmt.Fprintf(b, "total_connections_received:%d\r\ntotal_commands_processed:%d\r\n", e.opened.Load(), e.served.Load())
	fmt.Fprintf(b, "evicted_keys:0\r\n")
	e.hub.describe(b)
}

func (e *Engine) infoReplication(b *strings.Builder) {
	fmt.Fprintf(b, "role:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\nmaster_replid:%s\r\nmaster_repl_offset:0\r\n", e.runID)
}

func (e *Engine) infoCPU(b *strings.Builder) {
	samples := []metrics.Sample{{Name: "/cpu/classes/user:cpu-seconds"}, {Name: "/cpu/classes/gc/total:cpu-seconds"}}
	metrics.Read(samples)
	fmt.Fprintf(b, "used_cpu_user:%f\r\n", samples[0].Value.Float64()+samples[1].Value.Float64())
}

func (e *Engine) infoCluster(b *strings.Builder) { b.WriteString("cluster_enabled:0\r\n") }

func (e *Engine) infoStores(b *strings.Builder) {
	status := e.keeper.Status()
	fmt.Fprintf(b, "stores:%d\r\nstrategy:%s\r\nstores_needed:%d\r\nstores_tolerated:%d\r\n",
		len(status.Stores), status.Strategy, status.Need, status.Tolerates)
	for i, s := range status.Stores {
		state := "down"
		if s.Up {
			state = "up"
		}
		fmt.Fprintf(b, "store%d:name=%s,state=%s,granted=%d,refused=%d,silent=%d,queued=%d,missing=%d\r\n",
			i, oneLine(s.Name), state, s.Granted, s.Refused, s.Silent, s.Queued, s.Missing)
	}
	if status.ID != "" {
		infoPeers(b, status)
	}
}

// infoPeers is about who shares the stores.
func infoPeers(b *strings.Builder, status quorum.Status) {
	fmt.Fprintf(b, "proxy_id:%s\r\npeers:%d\r\nrefused:%s\r\n", status.ID, len(status.Peers), oneLine(status.Refused))
	for i, p := range status.Peers {
		state := "seen"
		switch {
		case p.Forgotten:
			state = "forgotten"
		case !p.Known:
			state = "never-seen"
		}
		fmt.Fprintf(b, "peer%d:id=%s,state=%s,instance=%s,moved_ms_ago=%d\r\n", i, p.ID, state, p.Instance, p.Moved.Milliseconds())
	}
}

func (e *Engine) infoLeases(b *strings.Builder) {
	status := e.keeper.Status()
	fmt.Fprintf(b, "leases:%d\r\nleases_untimed_total:%d\r\nleases_restored:%d\r\nmax_ttl_ms:%d\r\n",
		status.Leases, status.Untimed, status.Restored, e.maxTTL.Milliseconds())
}

func (e *Engine) infoJournal(b *strings.Builder) {
	status := e.keeper.Status()
	fmt.Fprintf(b, "journal_first_number:%d\r\njournal_last_number:%d\r\n", uint64(status.Birth), uint64(status.Last))
}

// infoKeyspace counts the locks of each database that has any.
func (e *Engine) infoKeyspace(b *strings.Builder) {
	var counts [databases]int
	e.keeper.Leases(func(name string) bool {
		for db := range counts {
			if _, ok := keyIn(db, name); ok {
				counts[db]++
				break
			}
		}
		return false // only counted
	}, 0)
	for db, n := range counts {
		if n > 0 {
			fmt.Fprintf(b, "db%d:keys=%d,expires=%d\r\n", db, n, n)
		}
	}
}
