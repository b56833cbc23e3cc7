package integration

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"holdfast/quorum/storetest"
)

var php = []string{"php", "testdata/php/driver.php"}

// phpLibraries lock as others do. Behind the slash stands what they speak through,
// or how.
var phpLibraries = []library{
	{name: "symfony/phpredis", key: "NAME"},
	{name: "symfony/predis", key: "NAME"},
	{name: "symfony/array", key: "NAME"},
	{name: "symfony/by-digest", key: "NAME"},
	{name: "symfony/own-clock", key: "NAME"},
	{name: "old-symfony/phpredis", key: "NAME"},
	{name: "old-symfony/predis", key: "NAME"},
	{name: "laravel/phpredis", key: "NAME"},
	{name: "laravel/predis", key: "NAME"},
	{name: "laravel/packed", key: "NAME"},
	{name: "malkusch/phpredis", key: "NAME", noExtend: true},
	{name: "malkusch/predis", key: "NAME", noExtend: true},
	{name: "php-lock-3/phpredis", key: "NAME", noExtend: true},
	{name: "php-lock-3/predis", key: "NAME", noExtend: true},
	{name: "drupal/phpredis", key: "NAME"},
	{name: "drupal/newer", key: "NAME"},
	{name: "drupal/older", key: "NAME"},
	{name: "drupal/predis", key: "NAME"},
	{name: "nextcloud", key: "NAME", noExtend: true, noOwner: true},
}

// moodles say nothing of how long a lock is to last when they ask for it.
var moodles = []library{
	{name: "moodle-redislock", key: "NAME", noExtend: true},
	{name: "moodle-cachestore", key: "NAME", noExtend: true},
}

// phpLike returns those whose name begins like that.
func phpLike(prefix string) (some []library) {
	for _, l := range phpLibraries {
		if strings.HasPrefix(l.name, prefix) {
			some = append(some, l)
		}
	}
	return some
}

// Some count in whole seconds, and Symfony throws if a lock is over when it hears
// of it. So the locks are longer than elsewhere, and all of them end together.
func TestPHPLocksAsUsual(t *testing.T) {
	t.Parallel()
	for _, at := range places(t) {
		t.Run(at.name, func(t *testing.T) {
			t.Parallel()
			var drivers []*driver
			var waits []func()
			for i, l := range phpLibraries {
				drivers = append(drivers, startDriver(t, php, l.name, at.addr))
				waits = append(waits, letsEnd(t, drivers[i], l, 2*time.Second))
			}
			for i, l := range phpLibraries {
				takesTurns(t, drivers[i], l, at)
				if !l.noOwner {
					losesWhatOthersTook(t, drivers[i], l, at)
				}
			}
			for _, wait := range waits {
				wait()
			}
			for i, l := range phpLibraries {
				losesNoUpdate(t, drivers[i], l)
			}
		})
	}
}

func TestMoodlesLocksEndWhenItSaysOrLast(t *testing.T) {
	t.Parallel()
	everyLibrary(t, places(t), php, moodles, func(t *testing.T, d *driver, l library, at place) {
		name, ttl := lockName(l, "turns"), 24*time.Hour
		if l.name == "moodle-cachestore" {
			ttl = 10 * time.Minute // that it asks for in a second step
		}
		d.want("yes", "acquire", "ann", name, "0")
		d.want("no", "acquire", "bob", name, "0")
		wantKey(t, l, at, name, ttl)
		d.want("no", "release", "bob", name)
		d.want("yes", "release", "ann", name)
		wantNoKey(t, l, at, name)
		d.want("no", "release", "ann", name)
		losesNoUpdate(t, d, l)
	})
}

func TestPHPLocksWithoutEndGetTheLongestThereIs(t *testing.T) {
	t.Parallel()
	some := append(phpLike("laravel/"), phpLike("php-lock-3/")...)
	everyLibrary(t, places(t), php, some, func(t *testing.T, d *driver, l library, at place) {
		name := lockName(l, "forever")
		d.want("yes", "forever", "ann", name)
		d.want("no", "forever", "bob", name)
		wantKey(t, l, at, name, 24*time.Hour)
		d.want("yes", "release", "ann", name)
		wantNoKey(t, l, at, name)
	})
}

// Predis has none of Drupal's transactions.
func TestDrupalIsToldThatItLostALockMeanwhile(t *testing.T) {
	t.Parallel()
	some := slices.DeleteFunc(phpLike("drupal/"), func(l library) bool { return l.name == "drupal/predis" })
	for _, at := range places(t) {
		t.Run(at.name, func(t *testing.T) {
			t.Parallel()
			var drivers []*driver
			for i, l := range some {
				drivers = append(drivers, startDriver(t, php, l.name, at.addr))
				drivers[i].want("yes", "acquire", "ann", lockName(l, "lost"), "2000")
				drivers[i].want("yes", "watch", "ann", lockName(l, "lost"))
			}
			for i, l := range some {
				d, name := drivers[i], lockName(l, "lost")
				storetest.Eventually(t, name+" is over", func() bool { return d.ask("acquire", "bob", name, "30000") == "yes" })
				d.want("no", "end", "ann", name)
				wantKey(t, l, at, name, 30*time.Second)
				d.want("yes", "release", "bob", name)
			}
		})
	}
}

func TestLaravelsOtherWaysToLock(t *testing.T) {
	t.Parallel()
	everyLibrary(t, places(t), php, phpLike("laravel/"), func(t *testing.T, d *driver, l library, at place) {
		name := lockName(l, "more")
		d.want("yes", "acquire", "ann", name, "30000")
		d.want("yes", "extend", "ann", name, "0") // without end from now on
		wantKey(t, l, at, name, 24*time.Hour)
		d.want("yes", "force", "bob", name)
		wantNoKey(t, l, at, name)
		d.want("no", "release", "ann", name)

		d.want("yes", "add", "ann", name+":added", "30000")
		d.want("no", "add", "bob", name+":added", "30000")
		wantKey(t, l, at, name+":added", 30*time.Second)

		for range 2 { // the second time shows that the first one left
			d.want("3", "crowd", "ann", name+":funnel", "3")
		}
	})
}

func TestLaravelConnectsAsItIsConfigured(t *testing.T) {
	t.Parallel()
	p := startHoldfast(t, "--requirepass", "sesame")
	c := connect(t, redis.Options{Addr: p.addr, Password: "sesame", DB: 3})
	for _, l := range phpLike("laravel/p") {
		d, name := startDriver(t, php, l.name, p.addr), lockName(l, "configured")
		d.want("error: ", "acquire", "bob", name, "30000")
		d.want("yes", "settings", "ann", "sesame", "3", "billing", "app:")
		d.want("yes", "acquire", "ann", name, "30000")
		if n, err := c.Exists(t.Context(), "app:"+name).Result(); n != 1 || err != nil {
			t.Errorf("EXISTS app:%s in database 3: %d, %v, want 1", name, n, err)
		}
		list, err := c.ClientList(t.Context()).Result()
		if err != nil || !strings.Contains(list, "name=billing") {
			t.Errorf("CLIENT LIST with %s: %v, %q, want one named billing", l.name, err, list)
		}
	}
}

func TestNextcloudCountsItsReaders(t *testing.T) {
	t.Parallel()
	everyLibrary(t, places(t), php, phpLike("nextcloud"), func(t *testing.T, d *driver, l library, at place) {
		const name = "files/1"
		d.want("yes", "share", "ann", name)
		d.want("yes", "share", "bob", name)
		wantKey(t, l, at, name, time.Hour)
		d.want("no", "acquire", "eve", name, "30000")
		d.want("no", "promote", "ann", name)
		d.want("yes", "leave", "bob", name)
		d.want("yes", "promote", "ann", name)
		wantKey(t, l, at, name, time.Hour)
		d.want("no", "share", "bob", name)
		d.want("yes", "demote", "ann", name)
		d.want("yes", "share", "bob", name)
		d.want("yes", "leave", "ann", name)
		d.want("yes", "leave", "bob", name)
		wantNoKey(t, l, at, name)
		d.want("no", "leave", "bob", name)
		d.want("yes", "acquire", "eve", name, "30000")
		d.want("no", "share", "ann", name)
	})
}

// phpredis makes no exception of NOQUORUM, but false and getLastError(): a library
// that does not look there can't tell it from a lock that somebody holds.
func TestPHPTakesAnOutageForNoGrant(t *testing.T) {
	t.Parallel()
	stores := startStores(t, "redis", "redis", "memcached")
	outage := []place{{name: "outage", addr: startHoldfast(t, flags(stores)...).addr}}
	stores[0].Kill()
	stores[1].Kill()
	everyLibrary(t, outage, php, phpLibraries, func(t *testing.T, d *driver, l library, _ place) {
		if l.name == "drupal/older" {
			// It acquires by EXEC. After an error that answers one, phpredis 5.3 waits
			// for more until its read timeout: so it does with a Redis.
			return
		}
		for range 2 { // those that send digests look closer where they must send a script, and a lock takes two
			d.ask("acquire", "ann", lockName(l, "outage"), "30000")
		}
		answer := d.ask("acquire", "ann", lockName(l, "outage"), "30000")
		switch l.name {
		case "symfony/phpredis", "symfony/array", "symfony/own-clock":
			wantWords(t, "acquire in an outage", answer, "error: ", "LockAcquiringException", "LockStorageException: NOQUORUM ")
		default:
			if strings.HasSuffix(l.name, "/predis") {
				wantWords(t, "acquire in an outage", answer, "error: ", `Predis\Response\ServerException: NOQUORUM `)
			} else if answer != "no" {
				t.Errorf("acquire in an outage: %q, want no", answer)
			}
		}
	})
}
