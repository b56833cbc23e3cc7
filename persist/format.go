package persist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"holdfast/quorum"
)

// What is on disk. The first byte of a key says what it is:
//
//	'm' name           one of a kind, see the names below
//	'e' number         an era, numbered from 1, 8 bytes, big end first
//	's' number         a proxy that was seen, numbered from 1, 8 bytes, big end first
//	'l' lock           the lease of a lock, under the lock's name
//	'x' digest         a script, under the SHA-1 of its text, 20 bytes
//
// Every value is
//
//	version            one byte, 1
//	payload            see below
//	checksum           CRC-32C of key and all of the above, 4 bytes, little end first
//
// pebble has checksums of its own over every block and every chunk of its log.
// Ours goes from end to end: it also finds what was damaged in memory, and a
// value that stands under another key than it was written for.
//
// In payloads, uint is an unsigned varint, int a zigzag varint, and bytes a
// uint length and then that many of them. Nothing may follow the last field.
//
//	m format           uint, 1: the meaning of all the rest
//	m instance         bytes, 16 hex digits: names this journal, made with it
//	m birth            uint, the first number ever given out
//	m limit            uint, the high-water mark: above all numbers given out
//	m label            the rest: what the proxy calls itself
//	m config           the rest: the last configuration
//	x digest           the rest: its text
//	s number           the rest, never empty: what was seen, each number another
//	e number           bytes, the boot id; int, the last checkpoint of its clock
//	l lock             flags, one byte: 1 pending, 2 replaces a lease
//	                   uint, the era that the deadlines count in
//	                   the lease
//	                   the lease that it replaces, if flag 2 is set
//
// and a lease is
//
//	flags              one byte: 1 untimed, 2 foreign, 4 opaque, 8 loose
//	until              int, the deadline: nanoseconds on the era's clock
//	TTL                int, nanoseconds
//	fence, version     two uint
//	value              bytes
//
// Beside keys there is the note at the start of each batch, in pebble's log only:
// 'h', then a uint, see [noteMark].
//
// Loose says that the deadline was later than TTL and drift explain when it was
// written: after a crash a lease may stand in for one that ends later.
//
// Nanoseconds rather than milliseconds: what is read is what was written, so
// that there is no rounding to get wrong. A flag that is not listed, or another
// version, is not guessed at. A key that is not listed is left alone: whoever
// adds one without which the rest is misread gives the folder another format.
const (
	formatNumber = 1 // of the folder
	valueVersion = 1 // of each value

	sealLen = 1 + crc32.Size // around a payload
)

const (
	metaPrefix   = 'm'
	eraPrefix    = 'e'
	seenPrefix   = 's'
	leasePrefix  = 'l'
	scriptPrefix = 'x'
)

const (
	metaFormat   = "mformat"
	metaInstance = "minstance"
	metaBirth    = "mbirth"
	metaLimit    = "mlimit"
	metaLabel    = "mlabel"
	metaConfig   = "mconfig"
)

var (
	errChecksum = errors.New("the checksum does not match")
	errShape    = errors.New("it cannot be decoded")
)

// castagnoli is what CRC-32C is computed with, never written to.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// startValue starts a value in the place of what b held; its payload is appended,
// and then it is sealed.
func startValue(b []byte) []byte { return append(b[:0], valueVersion) }

// seal ends the value of a key.
func seal(key, value []byte) []byte {
	return binary.LittleEndian.AppendUint32(value, checksum(key, value))
}

// unseal returns the payload of a value that was found under key.
func unseal(key, value []byte) ([]byte, error) {
	if len(value) < sealLen {
		return nil, fmt.Errorf("%d bytes: %w", len(value), errShape)
	}
	body, sum := value[:len(value)-crc32.Size], value[len(value)-crc32.Size:]
	if binary.LittleEndian.Uint32(sum) != checksum(key, body) {
		return nil, errChecksum
	}
	if body[0] != valueVersion {
		return nil, fmt.Errorf("version %d, and only %d is known", body[0], valueVersion)
	}
	return body[1:], nil
}

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// eraKey returns the key of the n-th era.
func eraKey(n uint64) []byte { return numberedKey(eraPrefix, n) }

// seenKey returns the key of the n-th proxy that was seen.
func seenKey(n uint64) []byte { return numberedKey(seenPrefix, n) }

// numberedKey returns the key of the n-th of its kind: in order, keys are by number.
func numberedKey(prefix byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefix}, n)
}

func keyNumber(key []byte) (uint64, error) {
	if len(key) != 1+8 {
		return 0, errShape
	}
	return binary.BigEndian.Uint64(key[1:]), nil
}

// leaseKey returns the key of a lock's lease, in the place of what b held.
func leaseKey(b []byte, name string) []byte { return append(append(b[:0], leasePrefix), name...) }

// numberValue returns the sealed value of a key that holds one number.
func numberValue(key string, n uint64) []byte {
	return seal([]byte(key), binary.AppendUvarint(startValue(nil), n))
}

// plainValue returns the sealed value of a key that holds bytes and nothing else.
func plainValue(key, payload []byte) []byte {
	return seal(key, append(startValue(nil), payload...))
}

// eraValue returns the sealed value of the n-th era.
func eraValue(n uint64, e era) []byte {
	b := appendBytes(startValue(nil), []byte(e.boot))
	return seal(eraKey(n), binary.AppendVarint(b, int64(e.last)))
}

func decodeEra(payload []byte) (era, error) {
	f := fields{rest: payload}
	e := era{boot: string(f.bytes()), last: quorum.Time(f.int())}
	return e, f.end()
}

func decodeNumber(payload []byte) (uint64, error) {
	f := fields{rest: payload}
	n := f.uint()
	return n, f.end()
}

func appendBytes(b, s []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// fields takes a payload apart. After a field that is not there every other is
// zero, and end says so.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) uint() uint64 {
	n, size := binary.Uvarint(f.rest)
	return taken(f, n, size)
}

func (f *fields) int() int64 {
	n, size := binary.Varint(f.rest)
	return taken(f, n, size)
}

func taken[N uint64 | int64](f *fields, n N, size int) N {
	if f.bad || size <= 0 {
		f.bad, f.rest = true, nil
		return 0
	}
	f.rest = f.rest[size:]
	return n
}

func (f *fields) byte() byte {
	if len(f.rest) == 0 {
		f.bad = true
		return 0
	}
	c := f.rest[0]
	f.rest = f.rest[1:]
	return c
}

// bytes returns a part of the payload, not a copy.
func (f *fields) bytes() []byte {
	n := f.uint()
	if n > uint64(len(f.rest)) {
		f.bad, f.rest = true, nil
		return nil
	}
	s := f.rest[:n]
	f.rest = f.rest[n:]
	return s
}

func (f *fields) end() error {
	if f.bad || len(f.rest) > 0 {
		return errShape
	}
	return nil
}
