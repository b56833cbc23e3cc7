package persist

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// options returns pebble's settings for a million small records that are
// overwritten all the time, and read only when they are opened.
func (e *engine) options(fs vfs.FS) *pebble.Options {
	opts := &pebble.Options{
		FS: fs,
		// Its tables have checksums over everything. The versions above it are for
		// what we do not use.
		FormatMajorVersion: pebble.FormatTableFormatV6,
		// Small, so that there is little to replay and little memory to hold, a place in
		// it is found in the processor's own cache, and its log is soon used again:
		// where a log was written before, a sync has no length or place to write. As
		// much goes into a table below as would of larger ones.
		MemTableSize:          2 << 20,
		L0CompactionThreshold: 8,
		// Some of them and a deep level 0, so that a burst does not stall.
		MemTableStopWritesThreshold: 8,
		L0StopWritesThreshold:       48,
		CacheSize:                   8 << 20,
		MaxOpenFiles:                256,
		Logger:                      e,
		EventListener: &pebble.EventListener{
			// pebble would try again thousands of times a second, while those who
			// write hang.
			BackgroundError: func(err error) { e.fail(fmt.Errorf("in the background: %w", withDetails(err))) },
			DataCorruption:  e.corrupted,
			DiskSlow: func(info pebble.DiskSlowInfo) {
				e.log.Warn("the journal's disk is slow", "file", info.Path, "operation", info.OpType.String(), "for", info.Duration)
			},
		},
	}
	if fs == nil {
		opts.WithFSDefaults() // finds out that it is slow
	}
	opts.FS = &disk{FS: opts.FS, fail: e.fail, synced: e.onDisk}
	return opts
}

// corrupted hears of a damaged file. While the journal is being opened, whoever
// reads the file reports it.
func (e *engine) corrupted(info pebble.DataCorruptionInfo) {
	e.mu.Lock()
	armed := e.armed
	e.mu.Unlock()
	if armed {
		e.fail(fmt.Errorf("corrupt: %s: %w", info.Path, withDetails(info.Details)))
	}
}

// Infof, Errorf and Fatalf are pebble's Logger.
func (e *engine) Infof(format string, args ...any) { e.logf(slog.LevelDebug, format, args) }

func (e *engine) Errorf(format string, args ...any) { e.logf(slog.LevelWarn, format, args) }

// Fatalf never returns: after it pebble would report as done what failed.
func (e *engine) Fatalf(format string, args ...any) {
	death := fatality{text: fmt.Sprintf(format, args...)}
	for _, a := range args {
		if cause, ok := a.(error); ok {
			death.cause = cause
		}
	}
	e.fail(withDetails(death))
	runtime.Goexit()
}

// A fatality is what pebble says when it cannot go on.
type fatality struct {
	text  string
	cause error // named in text already
}

func (f fatality) Error() string { return f.text }
func (f fatality) Unwrap() error { return f.cause }

func (e *engine) logf(level slog.Level, format string, args []any) {
	if ctx := context.Background(); e.log.Enabled(ctx, level) {
		e.log.Log(ctx, level, "pebble: "+fmt.Sprintf(format, args...))
	}
}

// withDetails adds what pebble knows of an error but does not say by itself:
// file and offset.
func withDetails(err error) error {
	var details []string
	for e := err; e != nil; e = errors.Unwrap(e) {
		if d, ok := e.(interface{ ErrorDetail() string }); ok {
			details = append(details, d.ErrorDetail())
		}
	}
	if len(details) == 0 {
		return err
	}
	return fmt.Errorf("%w (%s)", err, strings.Join(details, "; "))
}
