package integration

import (
	"net"
	"strings"
	"testing"
	"time"

	"holdfast/quorum/storetest"
)

func TestSymfonysReadersShareAndItsWriterDoesNot(t *testing.T) {
	t.Parallel()
	everyLibrary(t, places(t), php, phpLike("symfony/"), func(t *testing.T, d *driver, l library, at place) {
		name := lockName(l, "shared")
		d.want("yes", "acquireRead", "ann", name, "30000")
		d.want("yes", "acquireRead", "bob", name, "30000")
		d.want("yes", "acquireRead", "cat", name, "30000")
		d.want("no", "acquire", "eve", name, "30000")
		d.want("no", "extend", "eve", name, "90000")
		d.want("no", "release", "eve", name)
		wantKey(t, l, at, name, 30*time.Second)
		d.want("yes", "extend", "bob", name, "90000")
		wantKey(t, l, at, name, 90*time.Second)
		d.want("yes", "release", "bob", name)
		wantKey(t, l, at, name, 30*time.Second) // what those have who are left
		d.want("no", "extend", "bob", name, "90000")
		d.want("no", "release", "bob", name)
		d.want("yes", "release", "ann", name)
		d.want("no", "acquire", "eve", name, "30000")
		d.want("yes", "release", "cat", name)
		wantNoKey(t, l, at, name)
		d.want("yes", "acquire", "eve", name, "30000")
		d.want("no", "acquireRead", "ann", name, "30000")
		d.want("no", "holds", "ann", name)
		d.want("yes", "release", "eve", name)
		d.want("yes", "acquireRead", "ann", name, "30000")
	})
}

func TestSymfonysOnlyReaderMayWriteAndReadAgain(t *testing.T) {
	t.Parallel()
	everyLibrary(t, places(t), php, phpLike("symfony/"), func(t *testing.T, d *driver, l library, at place) {
		name := lockName(l, "promoted")
		d.want("yes", "acquireRead", "ann", name, "30000")
		d.want("yes", "acquireRead", "bob", name, "30000")
		d.want("no", "acquire", "ann", name, "30000") // another one reads
		d.want("yes", "holds", "ann", name)           // and it reads on
		d.want("yes", "release", "bob", name)
		d.want("yes", "acquire", "ann", name, "30000")
		d.want("no", "acquireRead", "bob", name, "30000")
		d.want("no", "acquire", "bob", name, "30000")
		d.want("yes", "extend", "ann", name, "90000")
		wantKey(t, l, at, name, 90*time.Second)
		d.want("yes", "acquire", "ann", name, "30000") // once more is no conflict
		d.want("yes", "acquireRead", "ann", name, "30000")
		d.want("yes", "acquireRead", "bob", name, "30000")
		d.want("no", "acquire", "ann", name, "30000")
		d.want("yes", "release", "ann", name)
		d.want("yes", "acquire", "bob", name, "30000")
		d.want("yes", "release", "bob", name)
		wantNoKey(t, l, at, name)
	})
}

func TestSymfonysReadersEndOneByOne(t *testing.T) {
	t.Parallel()
	const ttl = 2 * time.Second
	for _, at := range places(t) {
		t.Run(at.name, func(t *testing.T) {
			t.Parallel()
			var drivers []*driver
			var sent []time.Time
			for i, l := range phpLike("symfony/") {
				drivers = append(drivers, startDriver(t, php, l.name, at.addr))
				drivers[i].want("yes", "acquireRead", "bob", lockName(l, "ending"), "30000")
				sent = append(sent, time.Now())
				drivers[i].want("yes", "acquireRead", "ann", lockName(l, "ending"), "2000")
			}
			for i, l := range phpLike("symfony/") {
				d, name := drivers[i], lockName(l, "ending")
				storetest.Eventually(t, "ann is over", func() bool { return d.ask("acquire", "bob", name, "30000") == "yes" })
				if held := time.Since(sent[i]); held < ttl {
					t.Errorf("%s: a reader was over %v after it came, want %v", l.name, held, ttl)
				}
				d.want("no", "extend", "ann", name, "90000")
				d.want("no", "acquireRead", "ann", name, "30000")
				d.want("yes", "release", "bob", name)
				wantNoKey(t, l, at, name)
			}
		})
	}
}

func TestOldAndNewSymfonyKeepEachOtherOut(t *testing.T) {
	t.Parallel()
	for _, at := range places(t) {
		older, newer := startDriver(t, php, "old-symfony/phpredis", at.addr), startDriver(t, php, "symfony/phpredis", at.addr)
		older.want("yes", "acquire", "ann", "orders", "30000")
		newer.want("no", "acquire", "bob", "orders", "30000")
		newer.want("no", "acquireRead", "bob", "orders", "30000")
		newer.want("no", "extend", "bob", "orders", "30000")
		older.want("yes", "release", "ann", "orders")
		newer.want("yes", "acquireRead", "bob", "orders", "30000")
		older.want("no", "acquire", "ann", "orders", "30000") // WRONGTYPE, of which phpredis makes false
		older.want("no", "release", "ann", "orders")
		newer.want("yes", "release", "bob", "orders")
	}
}

func TestSymfonysHoldersComeAndGoThroughAnyPeer(t *testing.T) {
	t.Parallel()
	all := startStores(t, "redis", "redis", "memcached")
	group := startGroup(t, all, "--store-timeout", "5s")
	var ports []string
	for _, addr := range addresses(group) {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatalf("split %q: %v", addr, err)
		}
		ports = append(ports, port)
	}
	for _, l := range phpLike("symfony/") {
		d, name := startDriver(t, php, l.name, group[0].addr), lockName(l, "peers")
		for i, who := range []string{"ann", "bob", "cat"} {
			d.want("yes", "move", who, ports[i])
			d.want("yes", "acquireRead", who, name, "30000")
		}
		d.want("no", "acquire", "eve", name, "30000")
		// Each goes on through another peer than the one that it came by.
		for i, who := range []string{"cat", "ann", "bob", "eve"} {
			d.want("yes", "move", who, ports[i%len(ports)])
		}
		d.want("yes", "extend", "ann", name, "90000")
		d.want("yes", "release", "ann", name)
		d.want("no", "holds", "ann", name)
		d.want("yes", "holds", "bob", name)
		d.want("no", "acquire", "bob", name, "30000")
		d.want("yes", "release", "cat", name)
		d.want("yes", "acquire", "bob", name, "30000")
		d.want("no", "acquireRead", "eve", name, "30000")
		d.want("yes", "move", "bob", ports[0])
		d.want("yes", "acquireRead", "bob", name, "30000")
		d.want("yes", "acquireRead", "eve", name, "30000")
		d.want("yes", "release", "bob", name)
		d.want("yes", "move", "eve", ports[1])
		d.want("yes", "acquire", "eve", name, "30000")
		d.want("yes", "release", "eve", name)
		d.want("yes", "acquire", "cat", name, "30000")
	}
	all[1].Kill() // two are a quorum, though each of two peers may get one
	d := startDriver(t, php, "symfony/phpredis", group[0].addr)
	for i, who := range strings.Fields("ann bob cat dan eve fay gus hal") {
		d.want("yes", "move", who, ports[i%len(ports)])
	}
	losesNoUpdate(t, d, phpLike("symfony/phpredis")[0])
}
