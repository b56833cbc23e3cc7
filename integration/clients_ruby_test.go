package integration

import (
	"strconv"
	"testing"
)

var ruby = []string{"/usr/bin/ruby", "testdata/ruby/driver.rb"}

var rubyLibraries = []library{
	{name: "redis-rb", key: "NAME"},
	{name: "redlock-rb", key: "NAME"},
}

func TestRubyLocksAsUsual(t *testing.T) {
	t.Parallel()
	everyLibrary(t, places(t), ruby, rubyLibraries, locksAsUsual)
}

func TestRubySeesWhatIsLeftOfItsLock(t *testing.T) {
	t.Parallel()
	everyLibrary(t, places(t), ruby, rubyLibraries, func(t *testing.T, d *driver, l library, _ place) {
		name := lockName(l, "left")
		d.want("yes", "acquire", "ann", name, "30000")
		if left, err := strconv.Atoi(d.ask("ttl", "ann", name)); err != nil || left < 20000 || left > 30000 {
			t.Errorf("%s is held for %d ms, %v, want about 30000", name, left, err)
		}
		d.want("yes", "release", "ann", name)
		d.want("0", "ttl", "ann", name)
	})
}
