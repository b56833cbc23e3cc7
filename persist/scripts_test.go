package persist

import (
	"crypto/sha1"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// texts returns scripts sorted, as strings.
func texts(scripts [][]byte) (sorted []string) {
	for _, s := range scripts {
		sorted = append(sorted, string(s))
	}
	slices.Sort(sorted)
	return sorted
}

func TestScriptsAreKeptUntilTheyAreDropped(t *testing.T) {
	fs := vfs.NewCrashableMem()
	opts := options(t, fs, clockAt(time.Hour))
	j, _ := mustOpen(t, "data", opts)
	if got := j.Scripts(); len(got) != 0 {
		t.Errorf("a new journal has scripts: %q", got)
	}
	if err := j.SetScripts([][]byte{[]byte("return 1"), []byte("return 2"), {}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := j.SetScripts([][]byte{[]byte("return 3")}, [][sha1.Size]byte{sha1.Sum([]byte("return 1")), sha1.Sum([]byte("never was"))}); err != nil {
		t.Fatal(err)
	}
	// As after a crash: nothing but what is synced is there.
	opts.FS = fs.CrashClone(vfs.CrashCloneCfg{})
	crashed, _ := mustOpen(t, "data", opts)
	if got, want := texts(crashed.Scripts()), []string{"", "return 2", "return 3"}; !slices.Equal(got, want) {
		t.Errorf("after a crash: %q, want %q", got, want)
	}
	mustClose(t, crashed)
	mustClose(t, j)
	if err := j.SetScripts([][]byte{[]byte("return 4")}, nil); err == nil {
		t.Error("a closed journal keeps a script")
	}
}

func TestAScriptUnderAnothersDigestIsDamage(t *testing.T) {
	fs := vfs.NewMem()
	opts := options(t, fs, clockAt(time.Hour))
	j, _ := mustOpen(t, "data", opts)
	key := scriptKey(sha1.Sum([]byte("return 1")))
	if err := j.setPlain(key, []byte("return 2")); err != nil {
		t.Fatal(err)
	}
	mustClose(t, j)
	if _, _, err := Open("data", opts); err == nil || !strings.Contains(err.Error(), "script") {
		t.Errorf("open: %v, want that a script is damaged", err)
	}
}
