package integration

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/bsm/redislock" // whose own tests are run
)

// compatVariable, if it is set, has every test of every suite run, in every place.
// Port 6379 has to be free then.
const compatVariable = "COMPAT"

// A verdict is how the tests of a suite ended, by name: "" for those that passed,
// else what was said.
type verdict map[string]string

// runSuite runs the tests of a suite, and fails the test if any failed but those
// that are known to, each for a reason. Many measure milliseconds on a machine that
// they believe to have for themselves: what fails is tried twice more.
func runSuite(t *testing.T, suite, version string, known map[string]string, run func() verdict) {
	t.Helper()
	v := run()
	for tries := 1; tries < 3 && v.fails(known); tries++ {
		for test, said := range run() {
			if said == "" {
				v[test] = ""
			}
		}
	}
	failed := 0
	for _, test := range slices.Sorted(maps.Keys(v)) {
		switch why := known[test]; {
		case v[test] == "":
			continue
		case why != "":
			t.Logf("%q fails: %s", test, why)
		default:
			t.Errorf("%q fails: %s", test, v[test])
		}
		failed++
	}
	t.Logf("%s %s: %d passed, %d failed", suite, version, len(v)-failed, failed)
	if len(v) == 0 {
		t.Errorf("%s has no tests", suite)
	}
}

// fails reports whether a test failed that is not known to.
func (v verdict) fails(known map[string]string) bool {
	for test, said := range v {
		if said != "" && known[test] == "" {
			return true
		}
	}
	return false
}

// A nodeSuite is a package of node_modules that brings its tests along.
type nodeSuite struct {
	name  string
	spec  string            // the file with its tests
	port  string            // where they look for Redis
	uses  map[string]string // what they require, as node_modules calls that version
	short string            // what is in the names of enough of them for every run; "": all
}

var nodeSuites = []nodeSuite{
	{
		name: "redlock-4", spec: "test.js", port: "6379",
		uses:  map[string]string{"redis": "redis-3", "ioredis": "ioredis-4"},
		short: "single-server: https://www.npmjs.com/package/ioredis",
	}, {
		name: "redis-lock", spec: "test/test.js", port: "6379",
		uses: map[string]string{"redis": "redis-4"},
	}, {
		name: "redislock", spec: "spec/integration/lockIntegrationSpec.js", port: "6379",
		uses: map[string]string{"redis": "redis-3"},
	}, {
		name: "node-redis-warlock", spec: "test/warlock.js", port: "6386",
		uses: map[string]string{"redis": "redis-3"},
	},
}

func TestTheirOwnTestsPass(t *testing.T) {
	t.Parallel()
	_, all := os.LookupEnv(compatVariable)
	for _, over := range [][]string{{}, {"redis", "redis", "memcached"}} {
		if len(over) > 0 && !all {
			break
		}
		// Tests empty the database, and give a lock to another client by a plain SET.
		serve := func(t *testing.T) *program {
			return newHoldfast(t, flags(startStores(t, over...), "--allow-flush", "--overwrite", "allow")...)
		}
		for _, suite := range nodeSuites {
			t.Run(fmt.Sprint(suite.name, over), func(t *testing.T) {
				t.Parallel()
				suite.run(t, serve(t), all)
			})
		}
		if all { // one after another: there is one port for them
			const redislock = "github.com/bsm/redislock"
			t.Run(fmt.Sprint(redislock, over), func(t *testing.T) { runGoSuite(t, redislock, serve(t)) })
		}
	}
}

// run starts the program and runs the tests, in a copy of the package.
func (s nodeSuite) run(t *testing.T, p *program, all bool) {
	t.Helper()
	p.start()
	p.settle()
	modules, err := filepath.Abs("testdata/node/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	dir := s.unpack(t, modules)
	args := []string{"--require", filepath.Join(modules, "../dial.js"), filepath.Join(modules, "mocha/bin/mocha.js"), "--exit", s.spec}
	if !all && s.short != "" {
		args = append(args, "--fgrep", s.short)
	}
	_, port, _ := strings.Cut(p.addr, ":")
	runSuite(t, s.name, packageVersion(t, dir), nil, func() verdict {
		cmd := exec.CommandContext(t.Context(), "node", args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "DIAL_FROM="+s.port, "DIAL_TO="+port)
		return mocha(t, cmd)
	})
}

// mocha returns how the tests ended that the command runs by mocha.
func mocha(t *testing.T, cmd *exec.Cmd) verdict {
	t.Helper()
	result := filepath.Join(t.TempDir(), "result.json")
	cmd.Args = append(cmd.Args, "--reporter", "json", "--reporter-option", "output="+result)
	out, _ := cmd.CombinedOutput() // the exit status counts failures
	type outcome struct {
		FullTitle string
		Err       struct{ Message string }
	}
	var told struct {
		Passes   []outcome
		Failures []outcome // of tests, and of what goes before and after them
	}
	if text, err := os.ReadFile(result); err != nil || json.Unmarshal(text, &told) != nil {
		t.Fatalf("mocha: %v\n%s", err, out)
	}
	v := verdict{}
	for _, passed := range told.Passes {
		v[passed.FullTitle] = ""
	}
	for _, failed := range told.Failures {
		v[failed.FullTitle] = "it says: " + failed.Err.Message
	}
	return v
}

// unpack returns a folder with a copy of the package that finds what it uses.
func (s nodeSuite) unpack(t *testing.T, modules string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(modules, s.name))); err != nil {
		t.Fatalf("copy %s: %v", s.name, err)
	}
	all, err := os.ReadDir(modules)
	if err != nil {
		t.Fatal(err)
	}
	os.Mkdir(filepath.Join(dir, "node_modules"), 0o755) // may be there
	for _, module := range all {
		target := module.Name()
		if other, ok := s.uses[target]; ok {
			target = other
		}
		err := os.Symlink(filepath.Join(modules, target), filepath.Join(dir, "node_modules", module.Name()))
		if err != nil && !os.IsExist(err) { // else it brings its own
			t.Fatal(err)
		}
	}
	return dir
}

func packageVersion(t *testing.T, dir string) string {
	t.Helper()
	var told struct{ Version string }
	text, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err == nil {
		err = json.Unmarshal(text, &told)
	}
	if err != nil {
		t.Fatalf("read package.json: %v", err)
	}
	return told.Version
}
