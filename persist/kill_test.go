package persist

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/quorum"
)

// childDir, in the environment, makes this program the child of a test: it
// commits lease after lease to the journal in that folder until it is killed.
const childDir = "HOLDFAST_PERSIST_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Println(commitForEver(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func commitForEver(dir string) error {
	j, _, err := Open(dir, Options{Clock: clockAt(time.Hour), BootID: "boot-a", Wall: wall})
	if err != nil {
		return err
	}
	for i := uint64(1); ; i++ {
		l := lease(fmt.Sprintf("lock-%06d", i), "token", i, time.Hour, time.Hour)
		unsynced := entries(held(lease("unsynced", "token", i, time.Hour, time.Hour)))
		if err := j.Commit([]quorum.Record{unsynced}, false); err != nil {
			return err
		}
		if err := j.Commit([]quorum.Record{entries(pending(l, nil))}, true); err != nil {
			return err
		}
		fmt.Println("acknowledged", l.Name)
	}
}

// start starts a child and returns the lines that it prints.
func start(t *testing.T, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), program)
	child.Env = append(os.Environ(), childDir+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	return child, bufio.NewScanner(out)
}

func TestNothingAcknowledgedIsLostWhenWeAreKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	opts := options(t, nil, clockAt(time.Hour))
	var acknowledged []string
	for _, count := range []int{1, 50, 200} { // each time on what the last one left
		acknowledged = acknowledged[:0]
		child, lines := start(t, dir)
		for len(acknowledged) < count && lines.Scan() {
			acknowledged = append(acknowledged, strings.TrimPrefix(lines.Text(), "acknowledged "))
		}
		if len(acknowledged) == count {
			if _, _, err := Open(dir, opts); err == nil || !strings.HasSuffix(err.Error(), "another holdfast is using this folder") {
				t.Errorf("beside another process: %v, want that it is using the folder", err)
			}
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it was told before it was killed counts, too
			acknowledged = append(acknowledged, strings.TrimPrefix(lines.Text(), "acknowledged "))
		}
		child.Wait() // says that it was killed

		j, got := mustOpen(t, dir, opts)
		there := map[string]bool{}
		for _, e := range got.Entries {
			there[e.Name] = true
		}
		for _, name := range acknowledged {
			if !there[name] {
				t.Errorf("%s was acknowledged and is gone; the last was %s", name, acknowledged[len(acknowledged)-1])
			}
		}
		if len(acknowledged) < count {
			t.Fatalf("the child acknowledged %v, want %d leases", acknowledged, count)
		}
		mustClose(t, j)
	}
}
