package main

import (
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// What a caller waits for.
type waiting int

const (
	acquiring waiting = iota
	releasing
	denying // for the answer that somebody else holds the lock
	waitings
)

const (
	recordLeast  = 100 * time.Nanosecond // what the histograms tell apart, at best
	recordMost   = time.Minute           // what lasts longer counts as this
	recordDigits = 3
	recordErrors = 20 // kinds of errors that are told apart
	otherErrors  = "other errors"
)

// A recorder keeps how long callers waited, and what failed. Its methods but
// merge are safe for concurrent use.
type recorder struct {
	mu     sync.Mutex
	waits  [waitings]*hdrhistogram.Histogram // in nanoseconds; guarded by mu
	errors map[string]int64                  // by their text; guarded by mu
}

func newRecorder() *recorder {
	r := &recorder{errors: map[string]int64{}}
	for i := range r.waits {
		r.waits[i] = hdrhistogram.New(int64(recordLeast), int64(recordMost), recordDigits)
	}
	return r
}

func (r *recorder) record(w waiting, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.waits[w].RecordValue(int64(min(max(took, 0), recordMost))) // fails only out of range
}

// fail counts an error of a request for the lock of that name.
func (r *recorder) fail(err error, name string) {
	text := errorText(err, name)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count(text, 1)
}

func (r *recorder) count(text string, n int64) {
	if _, known := r.errors[text]; !known && len(r.errors) >= recordErrors {
		text = otherErrors
	}
	r.errors[text] += n
}

// errorText is an error without what differs each time: the lock's name, and the
// port of our own end of a connection.
func errorText(err error, name string) string {
	text := err.Error()
	var op *net.OpError
	if errors.As(err, &op) && op.Source != nil {
		text = strings.ReplaceAll(text, op.Source.String()+"->", "")
	}
	return strings.ReplaceAll(text, name, "NAME")
}

// merge adds what another recorder has, which nobody writes to any more.
func (r *recorder) merge(other *recorder) {
	for i, h := range other.waits {
		r.waits[i].Merge(h)
	}
	for text, n := range other.errors {
		r.count(text, n)
	}
}

func (r *recorder) counted(w waiting) int64 { return r.waits[w].TotalCount() }

// quantile returns the wait that so many in a hundred did not exceed.
func (r *recorder) quantile(w waiting, percent float64) time.Duration {
	return time.Duration(r.waits[w].ValueAtQuantile(percent))
}
