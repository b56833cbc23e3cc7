package main

import (
	"errors"
	"strings"
	"testing"

	"holdfast/conf"
	"holdfast/quorum"
)

func TestStatusShowsBooksAndPeers(t *testing.T) {
	r := report{
		Listen: "127.0.0.1:6380",
		Info: fields("# Stores\r\nstrategy:majority\r\nstores_needed:2\r\nproxy_id:a\r\npeers:3\r\nrefused:\r\n" +
			"peer0:id=b,state=seen,instance=b1,moved_ms_ago=1400\r\npeer1:id=c,state=never-seen,instance=,moved_ms_ago=0\r\n" +
			"peer2:id=d,state=forgotten,instance=d1,moved_ms_ago=7200000\r\n"),
		Stores: []map[string]any{
			{"name": "redis://x:6379", "up": true, "phase": "signed", "whole": true, "waits-for": ""},
			{"name": "redis://y:6379", "up": true, "phase": "signed", "whole": false, "waits-for": "peer c was never seen"},
			{"name": "redis://z:6379", "up": false, "phase": "", "whole": false, "waits-for": ""},
		},
	}
	squeezed := func(r report) string {
		var out strings.Builder
		if err := r.print(&out); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for line := range strings.Lines(out.String()) {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
		return strings.Join(lines, "\n")
	}
	wantAll(t, squeezed(r), "it is a, with 3 peers", "b seen b1 1s ago", "c never-seen never", "d forgotten d1 2h0m0s ago",
		" signed, whole ", " signed, waits: peer c was never seen ", " unsigned ")
	r.Info["refused"], r.Info["peers"] = "a stranger is there", "0"
	wantAll(t, squeezed(r), "NOTHING IS SERVED: a stranger is there", "it is a, without peers")
	delete(r.Info, "proxy_id")
	if got := squeezed(r); strings.Contains(got, "peers") {
		t.Errorf("a proxy that signs nothing shows peers: %q", got)
	}
}

func TestOneIsReadyWhenAQuorumMayVote(t *testing.T) {
	up := func(whole bool) quorum.StoreStatus {
		return quorum.StoreStatus{Name: "s", Up: true, Whole: whole, WaitsFor: "peer b"}
	}
	peers := []quorum.PeerStatus{{ID: "b"}}
	for _, c := range []struct {
		what string
		s    quorum.Status
		want string // in the error; "" if it is ready
	}{
		{"no stores", quorum.Status{}, ""},
		{"alone, two of three up", quorum.Status{Need: 2, Stores: []quorum.StoreStatus{up(false), up(false), {}}}, ""},
		{"alone, one of three up", quorum.Status{Need: 2, Stores: []quorum.StoreStatus{up(true), {}, {}}}, "1 of 3 stores are up, need 2"},
		{"peers, two of three whole", quorum.Status{Need: 2, Peers: peers, Stores: []quorum.StoreStatus{up(true), up(true), {}}}, ""},
		{"peers, one of three whole", quorum.Status{Need: 2, Peers: peers, Stores: []quorum.StoreStatus{up(true), up(false), up(false)}}, "1 of 3 stores may vote, need 2: no quorum; s waits: peer b; s waits: peer b"},
		{"whole and down", quorum.Status{Need: 1, Peers: peers, Stores: []quorum.StoreStatus{{Whole: true}}}, "0 of 1 stores are up"},
		{"a stranger", quorum.Status{Need: 1, Refused: "s: a stranger", Stores: []quorum.StoreStatus{up(true)}}, "a stranger"},
	} {
		err := unready(c.s)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
}

func TestTheFirstClientWaitsForTheFirstVotesOnly(t *testing.T) {
	whole, open, down := quorum.StoreStatus{Up: true, Whole: true}, quorum.StoreStatus{}, quorum.StoreStatus{Err: errors.New("no route")}
	for _, c := range []struct {
		what string
		s    quorum.Status
		want bool
	}{
		{"no stores", quorum.Status{}, true},
		{"all of them", quorum.Status{Need: 2, Stores: []quorum.StoreStatus{whole, whole, whole}}, true},
		{"all but one that is on its way", quorum.Status{Need: 2, Stores: []quorum.StoreStatus{whole, open, whole}}, false},
		{"all but one that is down", quorum.Status{Need: 2, Stores: []quorum.StoreStatus{whole, down, whole}}, true},
		{"no quorum for now", quorum.Status{Need: 2, Stores: []quorum.StoreStatus{whole, down, down}}, true},
		{"a stranger", quorum.Status{Need: 2, Refused: "a stranger", Stores: []quorum.StoreStatus{open, open, open}}, true},
	} {
		if got := settled(c.s); got != c.want {
			t.Errorf("%s: settled = %v, want %v", c.what, got, c.want)
		}
	}
}

func TestTheStartUpLineSaysWithWhom(t *testing.T) {
	stores := []quorum.Member{{Name: "redis://x:6379"}}
	got := welcome(conf.Config{DataDir: "data", Peers: []string{"a", "c"}}, stores, quorum.Majority, quorum.Status{ID: "b", Restored: 2})
	if want := "majority of 1 stores (redis://x:6379), tolerates 0 of them down; b with peers a, c; 2 leases came back from data"; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	if got := welcome(conf.Config{DataDir: "data"}, nil, quorum.Majority, quorum.Status{}); strings.Contains(got, "peers") {
		t.Errorf("without stores it says %q", got)
	}
}
