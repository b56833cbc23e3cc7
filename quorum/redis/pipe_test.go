package redis

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/quorum"
	"holdfast/quorum/storetest"
)

// A piped store is asked by Send and Receive.
type piped struct{ *Store }

func (p piped) Do(ctx context.Context, requests []quorum.Request, votes []quorum.Vote) error {
	patience := time.Minute
	if deadline, ok := ctx.Deadline(); ok {
		patience = time.Until(deadline)
	}
	if ctx.Err() != nil || len(requests) == 0 {
		return p.Store.Do(ctx, requests, votes) // which no lane asks for
	}
	defer context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			p.drop() // nor does one change its mind
		}
	})()
	p.Send(requests, votes, patience)
	_, err := p.Receive(time.Now().Add(time.Minute))
	if errors.Is(ctx.Err(), context.Canceled) {
		silence(votes, ctx.Err(), false)
		err = ctx.Err()
	}
	return err
}

func TestStoreKeepsItsPromisesAsAPipe(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Rig {
		r := rig(t, func(*Store) {})
		another := r.Another
		r.Store = piped{r.Store.(*Store)}
		r.Another = func() quorum.Store { return piped{another().(*Store)} }
		return r
	})
}

// mustReceive wants a batch to be answered within a while.
func mustReceive(t *testing.T, s *Store) {
	t.Helper()
	if answered, err := s.Receive(time.Now().Add(10 * time.Second)); !answered || err != nil {
		t.Fatalf("receive: answered %t, %v", answered, err)
	}
}

func TestWhoWaitsForNothingIsInterrupted(t *testing.T) {
	server := storetest.StartRedis(t)
	s := mustOpen(t, "redis://"+server.Addr())
	mustConnect(t, s)
	start := time.Now()
	if answered, err := s.Receive(start.Add(20 * time.Millisecond)); answered || err != nil || time.Since(start) < 20*time.Millisecond {
		t.Errorf("after %v: answered %t, %v, want nothing until 20ms are over", time.Since(start), answered, err)
	}
	s.Interrupt() // before anybody waits
	mustReturn := func() {
		t.Helper()
		if answered, err := s.Receive(time.Now().Add(time.Hour)); answered || err != nil {
			t.Errorf("answered %t, %v, want to be interrupted", answered, err)
		}
	}
	mustReturn()
	time.AfterFunc(10*time.Millisecond, s.Interrupt)
	mustReturn()
	votes := make([]quorum.Vote, 1)
	s.Send(swapping("orders", "token"), votes, time.Minute) // and all is as before
	mustReceive(t, s)
	if votes[0].Verdict != quorum.Granted {
		t.Errorf("vote %+v, want granted", votes[0])
	}
}

func swapping(name, value string) []quorum.Request {
	return []quorum.Request{{Name: name, Next: &quorum.Copy{Value: []byte(value), Fence: 1, Version: 1}, TTL: time.Minute}}
}

func TestABatchTooLongForTheSocketIsWrittenByWhoReceives(t *testing.T) {
	server := storetest.StartRedis(t)
	s := mustOpen(t, "redis://"+server.Addr())
	mustConnect(t, s)
	var requests []quorum.Request
	for i := range 200 { // 12 MB: more than any buffer takes at once
		requests = append(requests, swapping("lock"+string(rune('A'+i)), strings.Repeat("v", quorum.MaxValue-100))...)
	}
	votes := make([]quorum.Vote, len(requests))
	s.Send(requests, votes, time.Minute)
	mustReceive(t, s)
	for i, v := range votes {
		if v.Verdict != quorum.Granted {
			t.Fatalf("vote %d: %+v, want granted", i, v)
		}
	}
}

func TestAServerThatHangsIsGivenUpAfterThePatience(t *testing.T) {
	server := storetest.StartRedis(t)
	s := mustOpen(t, "redis://"+server.Addr())
	mustConnect(t, s)
	server.Pause()
	defer server.Resume()
	votes := make([]quorum.Vote, 1)
	start := time.Now()
	s.Send(swapping("orders", "token"), votes, 50*time.Millisecond)
	answered, err := s.Receive(start.Add(time.Hour))
	if took := time.Since(start); !answered || !errors.Is(err, context.DeadlineExceeded) || took < 50*time.Millisecond || took > 10*time.Second {
		t.Errorf("after %v: answered %t, %v, want to be given up after 50ms", took, answered, err)
	}
	if v := votes[0]; v.Verdict != quorum.Silent || v.Unsent || !errors.Is(v.Err, context.DeadlineExceeded) {
		t.Errorf("vote %+v, want silent, and that it may have been carried out", v)
	}
}

func TestAServerThatHangsUpIsNoticedByWhoWaits(t *testing.T) {
	server := storetest.StartRedis(t)
	s := mustOpen(t, "redis://"+server.Addr())
	mustConnect(t, s)
	told := make(chan error, 1)
	go func() {
		answered, err := s.Receive(time.Now().Add(time.Minute))
		if answered {
			err = errors.New("it says that there was an answer")
		}
		told <- err
	}()
	server.Restart()
	if err := <-told; err == nil || !strings.Contains(err.Error(), "hung up") {
		t.Errorf("%v, want that the server hung up", err)
	}
	votes := make([]quorum.Vote, 1)
	s.Send(swapping("orders", "token"), votes, time.Minute) // the connection is gone
	if answered, err := s.Receive(time.Now().Add(time.Minute)); !answered || err == nil || !votes[0].Unsent {
		t.Errorf("answered %t, %v, vote %+v, want that nothing was sent", answered, err, votes[0])
	}
}

// BenchmarkWayThere is what it costs to have three stores asked at the same moment,
// by goroutines that each wait for something to send, or by whoever asks.
func BenchmarkWayThere(b *testing.B) {
	for _, how := range []string{"by goroutines", "by whoever asks"} {
		b.Run(how, func(b *testing.B) {
			var ask []func()
			answered := make(chan error, 3)
			for range 3 {
				s, err := New("redis://" + storetest.StartRedis(b).Addr())
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				if _, err := s.Connect(b.Context()); err != nil {
					b.Fatal(err)
				}
				requests, votes := []quorum.Request{{Action: quorum.Read, Name: "orders"}}, make([]quorum.Vote, 1)
				if how == "by goroutines" {
					wake := make(chan struct{}, 1)
					defer close(wake)
					go func() { // ends with the channel
						for range wake {
							ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
							answered <- s.Do(ctx, requests, votes)
							cancel()
						}
					}()
					ask = append(ask, func() { wake <- struct{}{} })
					continue
				}
				go func() { // ends with the store
					for {
						_, err := s.Receive(time.Now().Add(time.Minute))
						if answered <- err; err != nil {
							return
						}
					}
				}()
				ask = append(ask, func() { s.Send(requests, votes, time.Minute) })
			}
			before := spent(b)
			for b.Loop() {
				for _, f := range ask {
					f()
				}
				for range ask {
					if err := <-answered; err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64((spent(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// spent returns the CPU time that we have used.
func spent(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The patience for a batch that Receive wrote is over when the next one is sent, and
// has nothing to say of that.
func TestThePatienceForALongBatchEndsWithIt(t *testing.T) {
	server := storetest.StartRedis(t)
	s := mustOpen(t, "redis://"+server.Addr())
	mustConnect(t, s)
	const patience = 500 * time.Millisecond
	start := time.Now()
	votes := make([]quorum.Vote, 1)
	s.Send(swapping("long", strings.Repeat("v", 2*sendMost)), votes, patience)
	mustReceive(t, s)
	if answered, err := s.Receive(start.Add(patience + 10*time.Millisecond)); answered || err != nil {
		t.Fatalf("answered %t, %v, want nothing until the patience is over", answered, err)
	}
	s.Send(swapping("orders", "token"), votes, time.Minute)
	mustReceive(t, s)
	if votes[0].Verdict != quorum.Granted {
		t.Errorf("vote %+v, want granted", votes[0])
	}
}
