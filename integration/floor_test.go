package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/redcon"
	"golang.org/x/sys/unix"
)

// BenchmarkFloor measures what BenchmarkSpeed measures, with servers in holdfast's
// place that promise nothing: one that answers at once, a proxy that forwards to three
// redis and answers when two have, and both of them syncing what they grant to disk.
// What they reach is what the clients, a plain server in Go, the stores and the disk
// leave room for on this machine.
func BenchmarkFloor(b *testing.B) {
	var table strings.Builder
	for _, f := range []struct {
		name, what string
		lanes      int
		syncs      bool
	}{
		{"at-once", "a server that answers at once", 0, false},
		{"forward", "a proxy that does nothing but forward", 3, false},
		{"sync", "a server that does nothing but sync what it grants", 0, true},
		{"forward-and-sync", "a proxy that does nothing but forward, and sync what it grants", 3, true},
	} {
		b.Run(f.name, func(b *testing.B) {
			for _, r := range floor(b, f.what, f.lanes, f.syncs) {
				table.WriteString(r.line())
			}
			b.ReportMetric(0, "ns/op") // the table says it
		})
	}
	fmt.Printf("\n| what | measured: median (rounds) | | | |\n|---|---|---|---|---|\n%s\n", &table)
}

func floor(b *testing.B, what string, lanes int, syncs bool) (all []result) {
	onDisk(b)
	f := startFloor(b, startStores(b, slices.Repeat([]string{"redis"}, lanes)...), syncs)
	bare := startStores(b, "redis")[0]
	beside := append(directly(startStores(b, "redis", "redis", "redis")), "--direct-pooled", "--against", bare.Addr())
	for _, m := range []struct {
		name   string
		manner []string
	}{{"64 pooled", pooled}, {"multiplexed", multiplexed}} {
		before := cpuOfThis(b)
		got := compare(b, f.addr, m.manner, beside...)
		spent := float64((cpuOfThis(b) - before).Microseconds()) / float64(got.Sides[0].Pairs)
		all = append(all,
			ratio(target{what: what + ", " + m.name + ": pairs/s against redsync by 64 pooled ones"}, got.Ratios[1].PairRate),
			ratio(target{what: "… p99 of a lock against theirs"}, got.Ratios[1].AcquireP99),
			ratio(target{what: "… pairs/s against one bare Redis"}, got.Ratios[0].PairRate),
			alone(target{what: "… its CPU per pair", unit: "µs"}, spent))
	}
	one := compare(b, f.addr, single, beside...)
	all = append(all, ratio(target{what: what + ", 1 connection: p50 of lock and unlock against redsync's"}, one.Ratios[1].MedianPair))
	synced := alwaysSynced(b)
	for _, m := range []struct {
		name   string
		manner []string
	}{{"64 pooled", pooled}, {"multiplexed", multiplexed}} {
		got := compare(b, f.addr, m.manner, "--against", synced.Addr())
		all = append(all, ratio(target{what: what + ", " + m.name + ": pairs/s against a Redis with appendfsync always"}, got.Ratios[0].PairRate))
	}
	return all
}

// cpuOfThis returns the processor time that this process has had.
func cpuOfThis(b testing.TB) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatalf("processor time: %v", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A floorServer grants and releases whatever it is asked to.
type floorServer struct {
	addr  string
	lanes []*floorLane
	disk  *floorDisk // nil: nothing is synced

	mu sync.Mutex // guards all queues, and all ops
}

// A floorDisk is a file to which what is granted is written and synced, all that has
// queued up while the last batch was.
type floorDisk struct {
	floorQueue
	file *os.File
}

// A floorQueue is what somebody works off, all of it at a time.
type floorQueue struct {
	wake sync.Cond // with the server's mutex, which guards what follows
	ops  []*floorOp
	over bool
}

// take waits for ops, and puts those that come meanwhile into spare. There are none
// once the queue is over.
func (q *floorQueue) take(spare []*floorOp) (batch []*floorOp) {
	q.wake.L.Lock()
	defer q.wake.L.Unlock()
	for len(q.ops) == 0 && !q.over {
		q.wake.Wait()
	}
	batch, q.ops = q.ops, spare[:0]
	return batch
}

func (q *floorQueue) end() {
	q.wake.L.Lock()
	defer q.wake.L.Unlock()
	q.over = true
	q.wake.Signal()
}

// A floorLane forwards to one store what has queued up while the last batch was
// under way.
type floorLane struct {
	floorQueue
	conn net.Conn
}

// A floorOp is a SET or a release under way.
type floorOp struct {
	client *floorClient
	set    bool
	name   []byte
	value  []byte
	votes  int
	synced bool
}

// decided reports whether the client can be told.
func (f *floorServer) decided(op *floorOp) bool {
	return op.votes >= min(2, len(f.lanes)) && (op.synced || f.disk == nil || !op.set)
}

// A floorClient is a connection with what it waits for, in order.
type floorClient struct {
	conn net.Conn
	due  []*floorOp
	turn sync.Mutex // held while somebody writes
}

// startFloor starts a server that forwards to the stores, if there are any, and syncs
// what it grants if it is to. Else it answers at once.
func startFloor(b *testing.B, stores []*store, syncs bool) *floorServer {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	f := &floorServer{addr: ln.Addr().String()}
	var wg sync.WaitGroup
	b.Cleanup(wg.Wait)
	b.Cleanup(func() { ln.Close() })
	for _, s := range stores {
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			b.Fatal(err)
		}
		l := &floorLane{conn: conn}
		l.wake.L = &f.mu
		f.lanes = append(f.lanes, l)
		wg.Go(func() { f.forward(l) })
		b.Cleanup(func() {
			l.end()
			conn.Close()
		})
	}
	if syncs {
		f.startDisk(b, &wg)
	}
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close() // its client hangs up
				f.serve(&floorClient{conn: conn})
			})
		}
	})
	return f
}

// floorFile is how long the file is made: it does not grow meanwhile, as a journal
// that is fast does not either. What is behind its end is written at its beginning.
const floorFile = 64 << 20

func (f *floorServer) startDisk(b *testing.B, wg *sync.WaitGroup) {
	b.Helper()
	file, err := os.Create(filepath.Join(b.TempDir(), "journal"))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := file.Write(make([]byte, floorFile)); err != nil {
		b.Fatal(err)
	}
	if err := file.Sync(); err != nil {
		b.Fatal(err)
	}
	d := &floorDisk{file: file}
	d.wake.L = &f.mu
	f.disk = d
	wg.Go(func() {
		defer file.Close()
		if err := f.write(d); err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(d.end)
}

// write syncs batches until the disk is ended.
func (f *floorServer) write(d *floorDisk) error {
	var batch []*floorOp
	out, at := []byte(nil), int64(0)
	for {
		if batch = d.take(batch); len(batch) == 0 {
			return nil
		}
		out = out[:0]
		for _, op := range batch {
			out = op.appendTo(out)
		}
		if at+int64(len(out)) > floorFile {
			at = 0
		}
		if _, err := d.file.WriteAt(out, at); err != nil {
			return err
		}
		at += int64(len(out))
		if err := unix.Fdatasync(int(d.file.Fd())); err != nil {
			return err
		}
		out = f.tell(batch, func(op *floorOp) { op.synced = true }, out)
	}
}

// tell notes something of each op, and answers those that are decided by that. It
// returns room to be used again.
func (f *floorServer) tell(batch []*floorOp, note func(*floorOp), out []byte) []byte {
	clients := make([]*floorClient, 0, len(batch))
	f.mu.Lock()
	for _, op := range batch {
		was := f.decided(op)
		if note(op); !was && f.decided(op) && op.client.due[0] == op {
			clients = append(clients, op.client)
		}
	}
	f.mu.Unlock()
	for _, c := range clients {
		out = f.answer(c, out[:0])
	}
	return out
}

// serve reads commands until the client hangs up.
func (f *floorServer) serve(c *floorClient) {
	in, out := make([]byte, 0, 16<<10), []byte(nil)
	var args [][]byte
	busy := len(f.lanes) > 0 || f.disk != nil
	for {
		n, err := c.conn.Read(in[len(in):cap(in)])
		if err != nil {
			return
		}
		in = in[:len(in)+n]
		rest, queued := in, []*floorOp(nil)
		for {
			var whole bool
			whole, args, _, rest, err = redcon.ReadNextCommand(rest, args[:0])
			if err != nil {
				return
			}
			if !whole {
				break
			}
			switch {
			case busy && len(args) > 4 && strings.EqualFold(string(args[0]), "SET"):
				queued = append(queued, &floorOp{client: c, set: true, name: slices.Clone(args[1]), value: slices.Clone(args[2])})
			case busy && len(args) > 4:
				queued = append(queued, &floorOp{client: c, name: slices.Clone(args[3])})
			default:
				out = appendFloorReply(out, string(args[0]))
			}
		}
		in = append(in[:0], rest...)
		if len(queued) > 0 {
			f.push(c, queued)
		}
		if len(out) > 0 {
			if _, err := c.conn.Write(out); err != nil {
				return
			}
			out = out[:0]
		}
	}
}

func appendFloorReply(b []byte, command string) []byte {
	switch strings.ToUpper(command) {
	case "SET":
		return append(b, "+OK\r\n"...)
	case "EVALSHA":
		return append(b, ":1\r\n"...)
	case "HELLO":
		return append(b, "-ERR unknown command 'HELLO'\r\n"...)
	case "PING":
		return append(b, "+PONG\r\n"...)
	}
	return append(b, "+OK\r\n"...)
}

// push queues what a client asked for.
func (f *floorServer) push(c *floorClient, ops []*floorOp) {
	f.mu.Lock()
	c.due = append(c.due, ops...)
	if d := f.disk; d != nil {
		for _, op := range ops {
			if op.set {
				d.ops = append(d.ops, op)
			}
		}
		if len(d.ops) > 0 {
			d.wake.Signal()
		}
	}
	now := f.decided(c.due[0])
	for _, l := range f.lanes {
		l.ops = append(l.ops, ops...)
		l.wake.Signal()
	}
	f.mu.Unlock()
	if now { // a release that no store is asked for
		f.answer(c, nil)
	}
}

// forward sends batches until the lane ends.
func (f *floorServer) forward(l *floorLane) {
	var batch []*floorOp
	out, in := []byte(nil), make([]byte, 64<<10)
	for {
		if batch = l.take(batch); len(batch) == 0 {
			return
		}
		out = out[:0]
		for _, op := range batch {
			out = op.appendTo(out)
		}
		if _, err := l.conn.Write(out); err != nil {
			return
		}
		// Each reply is one line: +OK, or a number.
		for lines := 0; lines < len(batch); {
			n, err := l.conn.Read(in)
			if err != nil {
				return
			}
			for _, c := range in[:n] {
				if c == '\n' {
					lines++
				}
			}
		}
		out = f.tell(batch, func(op *floorOp) { op.votes++ }, out)
	}
}

func (op *floorOp) appendTo(b []byte) []byte {
	if op.set {
		b = redcon.AppendArray(b, 6)
		b = redcon.AppendBulk(redcon.AppendBulk(redcon.AppendBulkString(b, "SET"), op.name), op.value)
		return redcon.AppendBulkString(redcon.AppendBulkString(redcon.AppendBulkString(b, "NX"), "PX"), "30000")
	}
	return redcon.AppendBulk(redcon.AppendBulkString(redcon.AppendArray(b, 2), "DEL"), op.name)
}

// answer writes what is decided of what a client waits for.
func (f *floorServer) answer(c *floorClient, b []byte) []byte {
	c.turn.Lock()
	defer c.turn.Unlock()
	f.mu.Lock()
	n := 0
	for ; n < len(c.due) && f.decided(c.due[n]); n++ {
		if c.due[n].set {
			b = append(b, "+OK\r\n"...)
		} else {
			b = append(b, ":1\r\n"...)
		}
	}
	c.due = slices.Delete(c.due, 0, n)
	f.mu.Unlock()
	if n > 0 {
		c.conn.Write(b) // whoever hung up is not told
	}
	return b
}
