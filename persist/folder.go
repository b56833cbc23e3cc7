package persist

import (
	"errors"
	"log/slog"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// lockFolder takes the lock by which one process owns a folder.
func lockFolder(fs vfs.FS, dir string) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(dir, fs)
	// Another process: EAGAIN. This one: an error of pebble's own, without a number.
	var number syscall.Errno
	if err != nil && (!errors.As(err, &number) || number == syscall.EAGAIN) {
		return nil, errors.New("another holdfast is using this folder")
	}
	return lock, err
}

// makeFolder makes a folder and those above it, for us alone: values are
// secrets. Its name must survive a crash as surely as what is in it.
func makeFolder(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); err == nil {
		return nil
	}
	parent := fs.PathDir(dir)
	if parent != dir {
		if err := makeFolder(fs, parent); err != nil {
			return err
		}
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := fs.OpenDir(parent)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// warnIfVolatile warns of a folder in memory. It may be what somebody wants, in
// a test, so it is no refusal.
func warnIfVolatile(dir string, log *slog.Logger) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err == nil && (fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC) {
		log.Warn("the journal is in memory: a reboot forgets who holds what", "dir", dir)
	}
}
