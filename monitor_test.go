package main

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"holdfast/quorum/storetest"
)

// Nobody else sleeps by that call while a goroutine is busy.
func TestTheMonitorIsTheThreadThatSleepsAndSleeps(t *testing.T) {
	stop := make(chan struct{})
	busy := make(chan struct{})
	go func() {
		defer close(busy)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.Gosched()
			}
		}
	}()
	defer func() { close(stop); <-busy }()
	id, err := monitorThread()
	if err != nil {
		t.Fatal(err)
	}
	storetest.Eventually(t, "it sleeps", func() bool {
		text, err := os.ReadFile("/proc/self/task/" + id + "/syscall")
		if err != nil {
			t.Fatal(err)
		}
		number, _, _ := strings.Cut(string(text), " ")
		return number == strconv.Itoa(unix.SYS_NANOSLEEP)
	})
}

func TestTheMonitorRestsIfThatIsAllowed(t *testing.T) {
	err := restMonitor()
	if errors.Is(err, os.ErrPermission) {
		return // as the comment on it says
	}
	if err != nil {
		t.Fatal(err)
	}
	id, err := monitorThread()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(slackFile(id))
	if got := strings.TrimSpace(string(text)); err != nil || runtime.GOMAXPROCS(0) > 1 && got != "1000000" {
		t.Errorf("its slack is %q, %v, want a millisecond", got, err)
	}
}
