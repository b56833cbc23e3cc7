package persist

import (
	"encoding/binary"
	"hash/crc32"
)

// pebble's log and manifest are rows of chunks in blocks of 32 KiB:
//
//	checksum           CRC-32C of all from kind on, rotated; 4 bytes
//	length             of the payload, 2 bytes
//	kind               1 byte: full, first, middle or last of a record, in 3 variants
//	log number         4 bytes; variants 2 and 3
//	synced offset      8 bytes; variant 3
//	payload
//
// with the little end first. The rest of a block that a chunk does not fit in is
// zero.
//
// Source: the package record of pebble v2, in its comments and reader.
const (
	blockLen    = 32 << 10
	headerLen   = 7
	chunkKinds  = 13
	cookedDelta = 0xa282ead8
)

// A chunk is one that can be read and has a good checksum.
type chunk struct {
	payload     []byte
	end         int  // where the next one begins
	first, last bool // of its record
}

// readChunk returns the chunk that begins at an offset of a file. The number is
// that of the log, or 0 for a manifest, which has chunks of variant 1 only.
func readChunk(b []byte, at int, number uint32) (c chunk, ok bool) {
	blockEnd := min(len(b), at-at%blockLen+blockLen)
	if at+headerLen > blockEnd {
		return chunk{}, false
	}
	kind := int(b[at+6])
	if kind == 0 || kind >= chunkKinds {
		return chunk{}, false
	}
	variant, position := (kind-1)/4, (kind-1)%4
	start := at + headerLen + []int{0, 4, 12}[variant]
	c = chunk{
		end:   start + int(binary.LittleEndian.Uint16(b[at+4:])),
		first: position <= 1, last: position == 0 || position == 3,
	}
	if c.end > blockEnd || (variant == 0) != (number == 0) ||
		variant > 0 && binary.LittleEndian.Uint32(b[at+7:]) != number {
		return chunk{}, false
	}
	sum := crc32.Checksum(b[at+6:c.end], castagnoli)
	if binary.LittleEndian.Uint32(b[at:]) != (sum>>15|sum<<17)+cookedDelta {
		return chunk{}, false
	}
	c.payload = b[start:c.end]
	return c, true
}

// nextChunk is readChunk where one may begin: if only zeros are left of a block,
// too few for a chunk of the longest header, at the next.
func nextChunk(b []byte, at int, number uint32) (c chunk, ok bool) {
	if left := blockLen - at%blockLen; left < headerLen+12 && at+left < len(b) && allZero(b[at:at+left]) {
		at += left
	}
	return readChunk(b, at, number)
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
