package memcached

import (
	"testing"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

func TestStoreKeepsItsPromises(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Rig {
		s := startServer(t)
		return storetest.Rig{
			Store:   s.unconnected(),
			Another: func() quorum.Store { return s.unconnected() },
			Restart: s.Restart,
			Flush:   func() { s.tell("flush_all\r\n", "OK\r\n") },
			Pause:   s.Pause,
			Resume:  s.Resume,
			Plant:   s.plant,
			Fetch:   s.fetch,
		}
	})
}
