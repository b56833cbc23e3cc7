package integration

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// knownInGo are the tests of Go's packages that fail, and why.
var knownInGo = map[string]string{
	"Example": "a lock is kept for 1 % and 2 ms longer than asked for, and shows for as long as it is kept",
}

// runGoSuite starts the program where Redis usually is, and runs the tests of a
// package among our dependencies, which look for it there.
func runGoSuite(t *testing.T, name string, p *program) {
	t.Helper()
	p.addr = "127.0.0.1:6379"
	p.start()
	p.settle()
	version, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", name).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", name, err)
	}
	runSuite(t, name, strings.TrimSpace(string(version)), knownInGo, func() verdict {
		return goTest(t, exec.CommandContext(t.Context(), "go", "test", "-count", "1", "-json", name))
	})
}

// goTest returns how the tests ended that the command runs.
func goTest(t *testing.T, cmd *exec.Cmd) verdict {
	t.Helper()
	out, _ := cmd.Output() // the exit status tells of failures
	v, said := verdict{}, map[string]string{}
	for lines := json.NewDecoder(bytes.NewReader(out)); lines.More(); {
		var event struct{ Action, Test, Output string }
		if err := lines.Decode(&event); err != nil {
			t.Fatalf("go test: %v\n%s", err, out)
		}
		switch event.Action {
		case "output":
			said[event.Test] += event.Output
		case "pass":
			v[event.Test] = ""
		case "fail":
			v[event.Test] = said[event.Test]
		}
	}
	delete(v, "") // all of them together
	return v
}
