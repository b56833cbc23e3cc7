package persist

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"holdfast/quorum"
)

// rewrite replaces a file by what spoil makes of its content.
func rewrite(t *testing.T, fs vfs.FS, path string, spoil func([]byte) []byte) {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if f, err = fs.Create(path, vfs.WriteCategoryUnspecified); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(spoil(b)); err != nil {
		t.Fatal(err)
	}
	f.Sync()
	f.Close()
}

// files returns the files of a folder with a suffix, and their sizes.
func files(t *testing.T, fs vfs.FS, suffix string) map[string]int {
	t.Helper()
	names, err := fs.List("data")
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int{}
	for _, name := range names {
		if path := fs.PathJoin("data", name); strings.HasSuffix(name, suffix) {
			info, err := fs.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			sizes[path] = int(info.Size())
		}
	}
	return sizes
}

func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte { b[at] ^= 0x10; return b }
}

// killed returns what a crash leaves of a disk on which steps were played, and
// the states that it may be in.
func killed(t *testing.T, steps []step) (*vfs.MemFS, []string) {
	t.Helper()
	fs := vfs.NewCrashableMem()
	j, start := mustOpen(t, "data", options(t, fs, clockAt(time.Hour)))
	for _, s := range steps {
		mustCommit(t, j, true, s.records...)
	}
	left := fs.CrashClone(vfs.CrashCloneCfg{})
	mustClose(t, j)
	shown, _ := states(start, steps)
	return left, shown
}

func TestALogDamagedWhereItWasAcknowledgedIsRefused(t *testing.T) {
	for size, stride := range map[int]int{100: 23, 3000: 997, 20_000: 9973} { // within a block, across some, across logs
		steps := script(size)
		left, shown := killed(t, steps)
		refused := 0
		for path, length := range files(t, left, ".log") {
			for at := 0; at < length; at += stride {
				fs := left.CrashClone(vfs.CrashCloneCfg{})
				rewrite(t, fs, path, flip(at))
				j, got, err := Open("data", options(t, fs, clockAt(time.Hour+3*time.Second)))
				if err != nil {
					refused++
					if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "offset") {
						t.Errorf("byte %d of %s: %v, want file and offset", at, path, err)
					}
					continue
				}
				// Only behind the last sync but one can damage be taken for a crash.
				if n := found(shown, got, len(steps)-1); n < 0 {
					t.Errorf("byte %d of %d of %s: the journal is as after step %d of %d", at, length, path, found(shown, got, 0), len(steps))
				}
				mustClose(t, j)
			}
		}
		if refused == 0 {
			t.Errorf("values of %d bytes: no damage was refused", size)
		}
	}
}

func TestALogThatWasCutOffLosesItsEndOnly(t *testing.T) {
	steps := script(100)
	left, shown := killed(t, steps)
	for path, size := range files(t, left, ".log") {
		for length := 0; length < size; length += 37 {
			fs := left.CrashClone(vfs.CrashCloneCfg{})
			rewrite(t, fs, path, func(b []byte) []byte { return b[:length] })
			j, got, err := Open("data", options(t, fs, clockAt(time.Hour+3*time.Second)))
			if err != nil {
				t.Fatalf("%s cut to %d of %d: %v", path, length, size, err)
			}
			// Before the first step there is the birth, which may be cut off too.
			if n := found(shown, got, 0); n < 0 {
				t.Errorf("%s cut to %d of %d: the journal is in a state that it never was in: %s", path, length, size, show(got))
			}
			mustClose(t, j)
		}
	}
}

func TestADamagedTableIsRefused(t *testing.T) {
	fs, clock := vfs.NewCrashableMem(), clockAt(time.Hour)
	opts := options(t, fs, clock)
	j, _ := mustOpen(t, "data", opts)
	fill(t, j, 2000)
	mustClose(t, j)
	j, want := mustOpen(t, "data", opts) // which puts the log into tables
	left := fs.CrashClone(vfs.CrashCloneCfg{})
	mustClose(t, j)

	refused := 0
	for path, size := range files(t, left, ".sst") {
		for at := 0; at < size; at += 1999 {
			fs := left.CrashClone(vfs.CrashCloneCfg{})
			rewrite(t, fs, path, flip(at))
			j, got, err := Open("data", options(t, fs, clock))
			if err != nil {
				refused++
				if !strings.Contains(err.Error(), strings.TrimSuffix(strings.TrimPrefix(path, "data/"), ".sst")) {
					t.Errorf("byte %d of %s: %v, want the file", at, path, err)
				}
				continue
			}
			if show(got) != show(want) {
				t.Errorf("byte %d of %s: the journal opens and holds something else", at, path)
			}
			mustClose(t, j)
		}
	}
	if refused == 0 {
		t.Error("no damage was refused")
	}
}

func TestADamagedManifestIsRefused(t *testing.T) {
	fs, clock := vfs.NewCrashableMem(), clockAt(time.Hour)
	opts := options(t, fs, clock)
	j, _ := mustOpen(t, "data", opts)
	// Flushed often enough that the logs of the first flushes are used again, and
	// only the manifest knows where their leases are.
	const count = 250
	big := strings.Repeat("v", quorum.MaxValue)
	for i := range count {
		mustCommit(t, j, true, entries(held(lease(fmt.Sprintf("lock-%d", i), big, uint64(i+1), time.Hour, time.Hour))))
	}
	left := fs.CrashClone(vfs.CrashCloneCfg{})
	mustClose(t, j)

	for path, size := range files(t, left, "") {
		if !strings.HasPrefix(path, "data/MANIFEST") {
			continue
		}
		for part := range 5 { // the last record lies behind them all
			at := size / 10 * (part + 1)
			fs := left.CrashClone(vfs.CrashCloneCfg{})
			rewrite(t, fs, path, flip(at))
			j, got, err := Open("data", options(t, fs, clock))
			if err == nil {
				t.Errorf("byte %d of %d of %s: the journal opens with %d leases of %d", at, size, path, len(got.Entries), count)
				mustClose(t, j)
			} else if !strings.Contains(err.Error(), path+" is damaged at offset") {
				t.Errorf("byte %d of %d of %s: %v, want file and offset", at, size, path, err)
			}
		}
	}
}

func TestWhatIsNotOursIsRefusedByName(t *testing.T) {
	put := func(key string, value []byte) func(*pebble.Batch) error {
		return func(b *pebble.Batch) error { return b.Set([]byte(key), value, nil) }
	}
	sealed := func(key string, payload ...byte) func(*pebble.Batch) error {
		return put(key, plainValue([]byte(key), payload))
	}
	drop := func(key string) func(*pebble.Batch) error {
		return func(b *pebble.Batch) error { return b.Delete([]byte(key), nil) }
	}
	everything := func(b *pebble.Batch) error { return b.DeleteRange([]byte("m"), []byte("n"), nil) }
	for name, c := range map[string]struct {
		spoil func(*pebble.Batch) error
		want  string
	}{
		"format 2":             {sealed(metaFormat, 2), "it has format 2, and only 1 is known"},
		"no format":            {drop(metaFormat), `setting "format": it cannot be decoded`},
		"no birth":             {drop(metaBirth), `setting "birth": it cannot be decoded`},
		"no limit":             {drop(metaLimit), `setting "limit": it cannot be decoded`},
		"limit below birth":    {put(metaLimit, numberValue(metaLimit, 1)), "numbers from 000000003e800000 to 0000000000000001"},
		"no instance":          {drop(metaInstance), `setting "instance": it cannot be decoded`},
		"somebody else's":      {everything, `it holds "e\x00\x00\x00\x00\x00\x00\x00\x01" but no format`},
		"lease of no era":      {sealed("lorders", 0, 9, 0, 2, 2, 1, 1, 0), `lease "orders": era 9 is not known`},
		"lease, bad checksum":  {put("lorders", []byte("a value of somebody else")), `lease "orders": the checksum does not match`},
		"lease, too short":     {put("lorders", nil), `lease "orders": 0 bytes`},
		"lease, newer":         {put("lorders", seal([]byte("lorders"), []byte{2, 0})), `lease "orders": version 2, and only 1 is known`},
		"seen, bad checksum":   {put("s\x00\x00\x00\x00\x00\x00\x00\x01", []byte("somebody else")), `seen "\x00\x00\x00\x00\x00\x00\x00\x01": the checksum does not match`},
		"seen, one is missing": {sealed("s\x00\x00\x00\x00\x00\x00\x00\x02", 'a'), `seen "\x00\x00\x00\x00\x00\x00\x00\x02": number 2 follows number 0`},
		"seen, nobody":         {sealed("s\x00\x00\x00\x00\x00\x00\x00\x01"), `seen "\x00\x00\x00\x00\x00\x00\x00\x01": "", and each is another`},
		"seen, no number":      {sealed("s1", 'a'), `seen "1": it cannot be decoded`},
		"era, undecodable":     {sealed("e\x00\x00\x00\x00\x00\x00\x00\x01", 9), "era "},
		"era without a number": {sealed("e1", 0, 0), `era "1": it cannot be decoded`},
	} {
		fs, clock := vfs.NewMem(), clockAt(time.Hour)
		j, _ := mustOpen(t, "data", options(t, fs, clock))
		b, err := j.engine.newBatch()
		if err == nil {
			err = c.spoil(b)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := j.write(b, true); err != nil {
			t.Fatal(err)
		}
		mustClose(t, j)
		for range 2 { // a refusal changes nothing, and leaves the folder to the next
			j, _, err := Open("data", options(t, fs, clock))
			if err == nil {
				t.Errorf("%s: it was opened", name)
				mustClose(t, j)
			} else if want := `open journal "data": ` + c.want; !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
		}
	}
}

// A lease whose name is long is named in part.
func TestErrorsStayShort(t *testing.T) {
	name := strings.Repeat("n", quorum.MaxName)
	err := unreadable(leaseKey(nil, name), fmt.Errorf("damaged"))
	if len(err.Error()) > 200 {
		t.Errorf("the error has %d bytes, want it short", len(err.Error()))
	}
}

// Whatever stands in a file, looking for damage ends, and names a place in it.
func FuzzDamage(f *testing.F) {
	fs := vfs.NewMem()
	j, _ := mustOpen(f, "data", Options{Clock: clockAt(time.Hour), Wall: wall, FS: fs})
	for _, s := range script(100) {
		mustCommit(f, j, s.sync, s.records...)
	}
	mustClose(f, j)
	names, err := fs.List("data")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".log") || strings.HasPrefix(name, "MANIFEST") {
			file, err := fs.Open(fs.PathJoin("data", name))
			if err != nil {
				f.Fatal(err)
			}
			b, err := io.ReadAll(file)
			if err != nil {
				f.Fatal(err)
			}
			file.Close()
			f.Add(b, uint32(2))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, number uint32) {
		if at, bad := damagedLog(b, number); at < 0 || at > len(b) || bad && at == len(b) {
			t.Errorf("a log of %d bytes is damaged at %d: %v", len(b), at, bad)
		}
		if at, bad := damagedManifest(b); at < 0 || at > len(b) || bad && at == len(b) {
			t.Errorf("a manifest of %d bytes is damaged at %d: %v", len(b), at, bad)
		}
	})
}
