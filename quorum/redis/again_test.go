package redis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

// forgetful returns a store that uses scripts, and a server behind a relay that has
// flushed them.
func forgetful(t *testing.T) (*Store, *relay) {
	t.Helper()
	server := storetest.StartRedis(t)
	middle := relayTo(t, server.Addr())
	s := mustOpen(t, "redis://"+middle.addr)
	s.scripted = true
	mustConnect(t, s)
	if err := byHand(t, server).ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatalf("flush the scripts: %v", err)
	}
	return s, middle
}

func TestAServerThatHangsWhileItIsSentABatchAgainIsGivenUpAfterThePatience(t *testing.T) {
	s, middle := forgetful(t)
	hangs, resume := make(chan struct{}), make(chan struct{})
	defer close(resume)
	middle.onRequest(func(_ net.Conn, b []byte) bool {
		if bytes.HasPrefix(b, []byte("*3\r\n$6\r\nSCRIPT\r\n")) {
			close(hangs)
			<-resume
		}
		return true
	})
	var requests []quorum.Request
	for i := range 200 { // 12 MB: more than any buffer takes at once
		requests = append(requests, swapping(fmt.Sprint("lock", i), strings.Repeat("v", quorum.MaxValue-100))...)
	}
	votes := make([]quorum.Vote, len(requests))
	const patience, tooLong = 2 * time.Second, 20 * time.Second
	defer time.AfterFunc(tooLong, func() { s.Close() }).Stop() // else it would wait for ever
	start := time.Now()
	s.Send(requests, votes, patience)
	answered, err := s.Receive(start.Add(time.Hour))
	if took := time.Since(start); !answered || !errors.Is(err, context.DeadlineExceeded) || took < patience || took > tooLong {
		t.Errorf("after %v: answered %t, %v, want to be given up after %v", took, answered, err, patience)
	}
	select {
	case <-hangs:
	default:
		t.Error("nothing was sent again within the patience")
	}
	for i, v := range votes {
		if v.Verdict != quorum.Silent || v.Unsent || v.Err == nil {
			t.Fatalf("vote %d: %+v, want silent, and that it may have been carried out", i, v)
		}
	}
}

// The patience for what is sent again has nothing to say of the next batch.
func TestThePatienceForWhatIsSentAgainEndsWithIt(t *testing.T) {
	s, _ := forgetful(t)
	const patience = 500 * time.Millisecond
	start := time.Now()
	votes := make([]quorum.Vote, 1)
	s.Send(swapping("orders", "token"), votes, patience)
	mustReceive(t, s)
	if votes[0].Verdict != quorum.Granted {
		t.Fatalf("sent again: vote %+v, want granted", votes[0])
	}
	if answered, err := s.Receive(start.Add(patience + 10*time.Millisecond)); answered || err != nil {
		t.Fatalf("answered %t, %v, want nothing until the patience is over", answered, err)
	}
	s.Send(swapping("parcels", "token"), votes, time.Minute)
	mustReceive(t, s)
	if votes[0].Verdict != quorum.Granted {
		t.Errorf("the next batch: vote %+v, want granted", votes[0])
	}
}
