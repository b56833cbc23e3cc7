package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

// monitorSlack is by how much the runtime's monitor may sleep longer than it wants.
const monitorSlack = time.Millisecond

// restMonitor lets the thread by which Go's runtime watches the others oversleep.
// While one of them waits in the kernel, as for a disk, it wakes every 20 µs to see
// whether that takes so long that its work should go to another; with a disk busy
// all the time that is a tenth of all the processor time there is to save. What it
// finds a millisecond later is early enough, as long as there is somebody else to
// work meanwhile.
//
// It takes CAP_SYS_NICE. Without it nothing changes, and the error says so.
//
// Source: proc(5), on timerslack_ns; and Go's runtime, proc.go, sysmon.
func restMonitor() error {
	if runtime.GOMAXPROCS(0) < 2 {
		return nil
	}
	id, err := monitorThread()
	if err != nil {
		return fmt.Errorf("find the runtime's monitor: %w", err)
	}
	slack := strconv.FormatInt(int64(monitorSlack), 10)
	if err := os.WriteFile(slackFile(id), []byte(slack), 0); err != nil {
		return fmt.Errorf("let the runtime's monitor rest: %w", err)
	}
	return nil
}

func slackFile(thread string) string { return "/proc/" + thread + "/timerslack_ns" }

// monitorThread returns the first thread that the runtime started. The kernel lists
// threads in the order in which they were.
func monitorThread() (id string, err error) {
	dir, err := os.Open("/proc/self/task")
	if err != nil {
		return "", err
	}
	defer dir.Close()
	first, err := dir.Readdirnames(2)
	if err != nil {
		return "", err
	}
	if len(first) < 2 {
		return "", fmt.Errorf("%s: there is but one thread", dir.Name())
	}
	return first[1], nil
}
