package persist

import (
	"encoding/binary"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// A tail reads along what pebble writes to one of its logs. So whoever syncs the log
// knows which batches are on disk then, and can say so at once: pebble wakes another
// goroutine to say it, and that may be as long as a fifth of the sync away.
//
// pebble writes whole chunks, all of one write in one block, and what is left of a
// block as zeros. A log ends in a chunk of a number that is not its own.
type tail struct {
	number uint32 // of the log
	head   []byte // of the record that is being written, as much of it as says what batch it is
	next   uint64 // the sequence number behind the last batch; 0: there was none
}

// tailOf returns the tail for a file that is about to be written, nil if it is no log.
func tailOf(name string) *tail {
	digits, isLog := strings.CutSuffix(path.Base(name), ".log")
	number, err := strconv.ParseUint(digits, 10, 64)
	if !isLog || err != nil {
		return nil
	}
	return &tail{number: uint32(number), head: make([]byte, 0, headLen)}
}

// follow takes note of what is about to be written. It fails if that is nothing that pebble
// writes: then nobody would ever hear of the batches in it.
func (t *tail) follow(p []byte) error {
	for at := 0; at < len(p); {
		c, ok := readChunk(p, at, t.number)
		if !ok {
			if allZero(p[at:]) || isTrailer(p[at:]) {
				return nil
			}
			return fmt.Errorf("what is to be written at %d of %d bytes is no chunk of log %d", at, len(p), t.number)
		}
		t.take(c)
		at = c.end
	}
	return nil
}

func (t *tail) take(c chunk) {
	if c.first {
		t.head = t.head[:0]
	}
	t.head = append(t.head, c.payload[:min(len(c.payload), headLen-len(t.head))]...)
	if c.last && len(t.head) == headLen {
		t.next = nextBatch(t.head)
	}
}

// isTrailer reports whether this is the end of a log that is being closed: the
// checksum and the length of that chunk are zero.
func isTrailer(p []byte) bool { return len(p) == headerLen+4 && allZero(p[:6]) }

// headLen is the length of what a batch begins with: its sequence number, 8 bytes,
// and how many operations take one, 4 bytes.
const headLen = 12

// nextBatch returns the sequence number of the batch behind the one that begins so.
func nextBatch(head []byte) uint64 {
	return binary.LittleEndian.Uint64(head) + uint64(binary.LittleEndian.Uint32(head[8:]))
}
