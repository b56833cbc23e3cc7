package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// binary is the program under test. TestMain sets it, before any test.
var binary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "holdfast")
	if err != nil {
		fmt.Fprintln(os.Stderr, "build holdfast:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "holdfast")
	args := []string{"build", "-o", binary}
	if underRace {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "holdfast")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build holdfast: %v\n%s", err, out)
		return 1
	}
	// The program is to see the flags of its test, and nothing of ours.
	for _, setting := range os.Environ() {
		if name, _, _ := strings.Cut(setting, "="); strings.HasPrefix(name, "HOLDFAST_") && name != tortureVariable {
			os.Unsetenv(name)
		}
	}
	redis.SetLogger(quiet{})
	return m.Run()
}

// quiet says nothing of connections that tests cut.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}
