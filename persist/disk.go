package persist

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// A disk is a filesystem whose first failed write or sync is its last: the error
// goes to fail, and never to pebble. Who wrote is left waiting for ever.
//
// pebble cannot be trusted with such an error. Depending on where it meets one it
// reports it, tries again, or panics with a mutex in a state in which Go ends the
// process on the spot; and nothing it could do would make the write succeed.
type disk struct {
	vfs.FS
	fail   func(error)
	synced func(next uint64) // every batch with a lower sequence number is on disk
}

// Create implements vfs.FS.
func (d *disk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, category)
	d.final("create", name, err)
	return &file{f, d, name, tailOf(name)}, nil
}

// ReuseForWrite implements vfs.FS.
func (d *disk) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.ReuseForWrite(from, to, category)
	d.final("create", to, err)
	return &file{f, d, to, tailOf(to)}, nil
}

// OpenDir implements vfs.FS. Folders are synced, too.
func (d *disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &file{f, d, name, nil}, nil
}

// Unwrap implements vfs.FS.
func (d *disk) Unwrap() vfs.FS { return d.FS }

// final returns only if there is no error.
func (d *disk) final(operation, name string, err error) {
	if err != nil {
		d.fail(fmt.Errorf("%s %s: %w", operation, name, err))
		select {}
	}
}

// A file is one that is written on a disk.
type file struct {
	vfs.File
	disk *disk
	name string
	tail *tail // nil if it is no log
}

// Write implements vfs.File.
func (f *file) Write(p []byte) (int, error) {
	if f.tail != nil { // first: what is handed down may be written over
		f.disk.final("write", f.name, f.tail.follow(p))
	}
	n, err := f.File.Write(p)
	f.disk.final("write", f.name, err)
	return n, nil
}

// WriteAt implements vfs.File.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	f.disk.final("write", f.name, err)
	return n, nil
}

// Sync implements vfs.File.
func (f *file) Sync() error {
	f.disk.final("sync", f.name, f.File.Sync())
	f.tellSynced()
	return nil
}

// SyncData implements vfs.File.
func (f *file) SyncData() error {
	f.disk.final("sync", f.name, f.File.SyncData())
	f.tellSynced()
	return nil
}

// Preallocate implements vfs.File. A log gets its length along with its room: pebble
// would have it grow with each write, and each sync then writes the new length too,
// elsewhere on the disk. Behind its end there are zeros, as in one that is used again.
// If there is no room, that is found when it is needed.
func (f *file) Preallocate(offset, length int64) error {
	if fd := f.Fd(); f.tail != nil && fd != vfs.InvalidFd {
		return unix.Fallocate(int(fd), 0, offset, length)
	}
	return f.File.Preallocate(offset, length)
}

// tellSynced tells which batches are on disk, now that all is that was written.
// pebble syncs a log before it begins the next one, and writes and syncs it by one
// goroutine at a time.
func (f *file) tellSynced() {
	if f.tail != nil && f.tail.next > 0 {
		f.disk.synced(f.tail.next)
	}
}

// SyncTo implements vfs.File.
func (f *file) SyncTo(length int64) (fullSync bool, err error) {
	fullSync, err = f.File.SyncTo(length)
	f.disk.final("sync", f.name, err)
	return fullSync, nil
}
