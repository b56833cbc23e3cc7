package persist

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// pebble takes the first chunk that it cannot read for the end of what a crash
// left of its log or manifest, and reads on without a word. It may be damage
// instead, with acknowledged commits behind it. So we look before it does.
//
// Every batch begins with a note that says what was synced when it was written,
// which is not a key and only stands in the log. A batch behind the damage that
// knows the damaged one to be on disk proves that it was acknowledged.
//
// pebble's log has such a thing in its chunks. It is looked at only behind the
// damaged block, falls short when batches are large, and is missing from the
// first log of a folder.
const noteMark = 'h'

// appendNote appends the note of a batch: every batch with a lower sequence
// number than synced is on disk.
func appendNote(b []byte, synced uint64) []byte {
	return binary.AppendUvarint(append(b, noteMark), synced)
}

// A batchHead is the start of a batch in the log.
type batchHead struct {
	number uint64 // its sequence number
	next   uint64 // that of the batch after it
	synced uint64 // from its note, 0 if it has none
}

// decodeHead reads the start of a batch: its head, see [headLen], and then the
// operations. Ours have their note first: its kind, 3, and its length and bytes.
func decodeHead(payload []byte) (h batchHead, ok bool) {
	const noteKind = 3
	if len(payload) < headLen {
		return batchHead{}, false
	}
	h.number = binary.LittleEndian.Uint64(payload)
	h.next = nextBatch(payload)
	f := fields{rest: payload[headLen:]}
	if f.byte() != noteKind {
		return h, true
	}
	f = fields{rest: f.bytes()}
	if mark, synced := f.byte(), f.uint(); mark == noteMark && f.end() == nil {
		h.synced = synced
	}
	return h, true
}

// checkFiles refuses a folder whose last log or manifest is damaged where it was
// acknowledged.
func checkFiles(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	// Those before the last are not read, or read strictly.
	if name, number := newest(names, "", ".log"); name != "" {
		if err := checkFile(fs, fs.PathJoin(dir, name), func(b []byte) (int, bool) {
			return damagedLog(b, uint32(number))
		}); err != nil {
			return err
		}
	}
	if name, _ := newest(names, "MANIFEST-", ""); name != "" {
		return checkFile(fs, fs.PathJoin(dir, name), damagedManifest)
	}
	return nil
}

func checkFile(fs vfs.FS, name string, damaged func([]byte) (int, bool)) error {
	f, err := fs.Open(name)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if at, bad := damaged(b); bad {
		return fmt.Errorf("%s is damaged at offset %d, and what stood there was acknowledged", name, at)
	}
	return nil
}

// damagedLog returns where a log is damaged that was synced beyond.
func damagedLog(b []byte, number uint32) (at int, bad bool) {
	var next, after uint64 // the sequence number that is missed: 0 if unknown
	for at < len(b) {
		c, ok := nextChunk(b, at, number)
		if !ok {
			break
		}
		if h, ok := decodeHead(c.payload); ok && c.first {
			next, after = h.number, h.next
		}
		if c.last {
			next = after
		}
		at = c.end
	}
	return at, seek(b, at, number, func(c chunk) bool {
		h, ok := decodeHead(c.payload)
		// Of the two, the first is certain also where the number is unknown: the
		// batch just before this one stands behind the damage, or is what was hit.
		return ok && c.first && h.synced != 0 && (h.synced >= h.number || next != 0 && h.synced > next)
	})
}

// damagedManifest returns where a manifest is damaged. Every record of it is
// synced before the next is written.
func damagedManifest(b []byte) (at int, bad bool) {
	for at < len(b) {
		c, ok := nextChunk(b, at, 0)
		if !ok {
			break
		}
		at = c.end
	}
	return at, seek(b, at, 0, func(c chunk) bool { return c.first && len(c.payload) > 0 })
}

// seek reports whether a chunk that proves something begins behind an offset.
// Where, nobody knows: the length of what stands there may be what is damaged.
func seek(b []byte, at int, number uint32, proves func(chunk) bool) bool {
	for at++; at < len(b); at++ {
		// A log ends in megabytes of zeros. What comes first of a chunk that is not
		// zero is its kind, at the latest.
		zeros := len(b[at:]) - len(bytes.TrimLeft(b[at:], "\x00"))
		at += max(zeros-(headerLen-1), 0)
		if c, ok := readChunk(b, at, number); ok && proves(c) {
			return true
		}
	}
	return false
}

// newest returns the file of a kind with the highest number.
func newest(names []string, prefix, suffix string) (name string, number uint64) {
	for _, s := range names {
		digits, ok := strings.CutPrefix(path.Base(s), prefix)
		if !ok || !strings.HasSuffix(digits, suffix) {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSuffix(digits, suffix), 10, 64)
		if err == nil && (name == "" || n > number) {
			name, number = s, n
		}
	}
	return name, number
}
