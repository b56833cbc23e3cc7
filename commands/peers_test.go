package commands

import (
	"strings"
	"testing"
	"time"

	"holdfast/quorum"
)

func TestInfoTellsOfPeers(t *testing.T) {
	var b strings.Builder
	infoPeers(&b, quorum.Status{ID: "a", Refused: "store: two\r\nlines", Peers: []quorum.PeerStatus{
		{ID: "b", Known: true, Instance: "b1", Moved: 1500 * time.Millisecond},
		{ID: "c"},
		{ID: "d", Known: true, Instance: "d1", Forgotten: true, Moved: time.Hour},
	}})
	want := "proxy_id:a\r\npeers:3\r\nrefused:store: two  lines\r\n" +
		"peer0:id=b,state=seen,instance=b1,moved_ms_ago=1500\r\n" +
		"peer1:id=c,state=never-seen,instance=,moved_ms_ago=0\r\n" +
		"peer2:id=d,state=forgotten,instance=d1,moved_ms_ago=3600000\r\n"
	if got := b.String(); got != want {
		t.Errorf("info says %q, want %q", got, want)
	}
}

func TestStoresTellHowTheirBooksStand(t *testing.T) {
	got := newHouse(t, 1).guest().ask("stores")
	// This house signs nothing.
	if want := bulkOf("phase") + bulkOf("") + bulkOf("signed-ms") + ":0\r\n" + bulkOf("whole"); !strings.Contains(got, want) || !strings.Contains(got, bulkOf("waits-for")) {
		t.Errorf("stores = %q, want %q in it", got, want)
	}
}
