package integration

import "testing"

func TestNoLibraryTakesAnOutageForARefusal(t *testing.T) {
	t.Parallel()
	stores := startStores(t, "redis", "redis", "memcached")
	outage := []place{{name: "outage", addr: startHoldfast(t, flags(stores)...).addr}}
	stores[0].Kill()
	stores[1].Kill()
	seesIt := func(t *testing.T, d *driver, l library, _ place) {
		if l.noError {
			return
		}
		answer := d.ask("acquire", "ann", lockName(l, "outage"), "30000")
		wantWords(t, "acquire in an outage", answer, "error: ", "NOQUORUM", stores[0].url(), stores[1].url())
	}
	everyLibrary(t, outage, node, nodeLibraries, seesIt)
	everyLibrary(t, outage, python, pythonLibraries, seesIt)
	everyLibrary(t, outage, ruby, rubyLibraries, seesIt)
}
