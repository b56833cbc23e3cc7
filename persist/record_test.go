package persist

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"holdfast/quorum"
)

func sampleRecords() map[string]record {
	l := lease("orders", "token", 7, time.Hour, time.Minute)
	was := lease("orders", "\x00\xff", 3, time.Hour, time.Second)
	was.Untimed = true
	stranger := &quorum.Lease{Name: "orders", TTL: time.Second, Until: quorum.Time(time.Hour), Foreign: true, Opaque: true}
	return map[string]record{
		"held":              {entry: held(l), era: 1},
		"pending":           {entry: pending(l, nil), era: 300},
		"replacing":         {entry: pending(l, was), era: 1 << 60, replacedLoose: true},
		"over a stranger's": {entry: pending(l, stranger), era: 2, loose: true},
		"nothing in it":     {entry: held(&quorum.Lease{Name: "orders"})},
	}
}

func encoded(t testing.TB, r record) (key, value []byte) {
	t.Helper()
	key = leaseKey(nil, r.entry.Name)
	value, err := appendRecord(nil, key, r)
	if err != nil {
		t.Fatal(err)
	}
	return key, value
}

func decoded(key, value []byte) (record, error) {
	payload, err := unseal(key, value)
	if err != nil {
		return record{}, err
	}
	return decodeRecord(string(key[1:]), payload)
}

func sameRecord(a, b record) bool {
	return show(quorum.History{Entries: []quorum.Entry{a.entry}}) == show(quorum.History{Entries: []quorum.Entry{b.entry}}) &&
		a.era == b.era && a.loose == b.loose && a.replacedLoose == b.replacedLoose
}

func TestRecordsAreReadAsTheyWereWritten(t *testing.T) {
	for name, r := range sampleRecords() {
		key, value := encoded(t, r)
		got, err := decoded(key, value)
		if err != nil || !sameRecord(got, r) {
			t.Errorf("%s: read %+v, %v, want %+v", name, got, err, r)
		}
	}
}

// The bytes of one record, spelt out: who changes them cannot read old journals.
func TestTheFormatOfARecordIsFinal(t *testing.T) {
	l := &quorum.Lease{Name: "a", Value: []byte("tok"), Fence: 1 << 8, Version: 2 << 8, TTL: 5, Until: 100, Untimed: true}
	was := &quorum.Lease{Name: "a", Fence: 1 << 8, Version: 1 << 8, TTL: 3, Until: -1}
	_, got := encoded(t, record{entry: pending(l, was), era: 9, loose: true})
	want := []byte{
		1, 1 | 2, 9, // version, pending and replaces, era
		1 | 8, 200, 1, 10, 128, 2, 128, 4, 3, 't', 'o', 'k',
		0, 1, 6, 128, 2, 128, 2, 0,
		0x71, 0xb2, 0x54, 0xe9, // checksum
	}
	if !bytes.Equal(got, want) {
		t.Errorf("record = %#v, want %#v", got, want)
	}
}

func TestDamagedRecordsAreRefused(t *testing.T) {
	for name, r := range sampleRecords() {
		key, value := encoded(t, r)
		for i := range value {
			for bit := range 8 {
				bad := bytes.Clone(value)
				bad[i] ^= 1 << bit
				if got, err := decoded(key, bad); err == nil {
					t.Errorf("%s: bit %d of byte %d flipped reads as %+v", name, bit, i, got)
				}
			}
			if got, err := decoded(key, value[:i]); err == nil {
				t.Errorf("%s: cut to %d bytes reads as %+v", name, i, got)
			}
		}
		if got, err := decoded(leaseKey(nil, "other"), value); err == nil {
			t.Errorf("%s: under another name reads as %+v", name, got)
		}
	}
}

// What has a good checksum and still is not ours.
func TestUnknownRecordsAreRefused(t *testing.T) {
	key := leaseKey(nil, "a")
	good := []byte{1, 0, 1, 0, 2, 2, 1, 1, 0}
	if _, err := decoded(key, seal(key, bytes.Clone(good))); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	with := func(at int, c byte) []byte {
		b := bytes.Clone(good)
		b[at] = c
		return b
	}
	huge := binary.AppendVarint([]byte{1, 0, 1, 0, 2}, 1<<61) // TTL
	for name, b := range map[string][]byte{
		"version 0":                  with(0, 0),
		"version 2":                  with(0, 2),
		"a flag that is not known":   with(1, 4),
		"no lease replaced":          with(1, 2),
		"a flag of the lease":        with(3, 16),
		"a negative TTL":             with(5, 1),
		"a value longer than it is":  with(8, 1),
		"something behind the value": append(bytes.Clone(good), 0),
		"an endless TTL":             append(huge, 1, 1, 0),
		"an endless number":          {1, 0, 1, 0, 2, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"nothing":                    {1},
	} {
		if got, err := decoded(key, seal(key, b)); err == nil {
			t.Errorf("%s reads as %+v", name, got)
		}
	}
}

func FuzzRecord(f *testing.F) {
	for _, r := range sampleRecords() {
		key, value := encoded(f, r)
		payload, err := unseal(key, value)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(key[1:]), payload)
		for range 4 {
			bad := bytes.Clone(payload)
			bad[rand.IntN(len(bad))] ^= 1 << rand.IntN(8)
			f.Add("orders", bad)
		}
	}
	f.Fuzz(func(t *testing.T, name string, payload []byte) {
		r, err := decodeRecord(name, payload)
		if err != nil {
			return
		}
		// Whatever can be read can be written, and is then read the same.
		key, value := encoded(t, r)
		if again, err := decoded(key, value); err != nil || !sameRecord(again, r) {
			t.Errorf("%x reads as %+v, and that as %+v, %v", payload, r, again, err)
		}
		e := eras{known: map[uint64]era{r.era: {last: quorum.Time(time.Hour)}}, current: 1, begun: quorum.Time(time.Hour)}
		e.rebase(&r)
		if l := r.entry.Lease; !r.loose && l.Until.Sub(e.begun) > l.TTL+quorum.Drift(l.TTL) {
			t.Errorf("%x has %v left, and its TTL is %v", payload, l.Until.Sub(e.begun), l.TTL)
		}
	})
}
