package conf

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
)

// load runs a command line through Load.
func load(t *testing.T, args ...string) (Config, error) {
	t.Helper()
	var c Config
	var err error
	app := &cli.App{Flags: Flags(), Action: func(ctx *cli.Context) error {
		c, err = Load(ctx)
		return nil
	}}
	if e := app.Run(append([]string{"holdfast"}, args...)); e != nil {
		t.Fatalf("run %q: %v", args, e)
	}
	return c, err
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "holdfast.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNothingGivenIsTheEmbeddedDefault(t *testing.T) {
	c, err := load(t)
	if err != nil {
		t.Fatalf("Load() = %v", err)
	}
	want := Config{
		Listen: "127.0.0.1:6380", Strategy: "majority", DataDir: "holdfast-data", MaxTTL: 24 * time.Hour,
		StoreTimeout: 250 * time.Millisecond, MaxClients: 10000, LogFormat: "text", LogLevel: "info",
		Overwrite: "refuse", RedisVersion: "8.4.0",
	}
	if c.Listen != want.Listen || c.Strategy != want.Strategy || c.DataDir != want.DataDir || c.MaxTTL != want.MaxTTL ||
		c.StoreTimeout != want.StoreTimeout || c.MaxClients != want.MaxClients || c.LogFormat != want.LogFormat ||
		c.LogLevel != want.LogLevel || c.Overwrite != want.Overwrite || c.RedisVersion != want.RedisVersion || len(c.Stores) != 0 || c.AllowEviction || c.Admin != "" || c.RequirePass != "" {
		t.Errorf("Load() = %+v, want %+v", c, want)
	}
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	path := write(t, `
listen = "127.0.0.1:1"
max_ttl = "1h"
strategy = "unanimous"
max_clients = 7
overwrite = "allow"
redis_version = "7.2.4"
allow_eviction = true
store = ["redis://a:1", "memcached://b:2"]
`)
	t.Setenv("HOLDFAST_LISTEN", "127.0.0.1:2")
	t.Setenv("HOLDFAST_MAX_TTL", "2h")
	c, err := load(t, "--config", path, "--listen", "127.0.0.1:3")
	if err != nil {
		t.Fatalf("Load() = %v", err)
	}
	if c.Listen != "127.0.0.1:3" || c.MaxTTL != 2*time.Hour || c.Strategy != "unanimous" || c.MaxClients != 7 || !c.AllowEviction || c.Overwrite != "allow" || c.RedisVersion != "7.2.4" {
		t.Errorf("Load() = %+v, want listen by flag, max-ttl by environment, the rest by file", c)
	}
	if want := []Store{{URL: "redis://a:1"}, {URL: "memcached://b:2"}}; !slices.Equal(c.Stores, want) {
		t.Errorf("stores = %v, want %v", c.Stores, want)
	}
	t.Setenv("HOLDFAST_STORE", "redis://c:3,redis://d:4")
	if c, err = load(t, "--config", path); err != nil || len(c.Stores) != 2 || c.Stores[1].URL != "redis://d:4" {
		t.Errorf("stores of the environment = %v, %v", c.Stores, err)
	}
}

func TestWhatIsWrongIsRefusedWithItsPlace(t *testing.T) {
	for _, c := range []struct {
		file string
		args []string
		want []string // all of them are in the error
	}{
		{file: "typo_key = 1", want: []string{"unknown key typo_key", "holdfast.toml"}},
		{file: "[table]\nx = 1", want: []string{"unknown table table"}},
		{file: "listen = 'a\n", want: []string{"line 1"}},
		{file: "max_ttl = 5", want: []string{"max_ttl in", "with its unit"}},
		{file: `listen = ["a"]`, want: []string{"listen: a list"}},
		{args: []string{"--max-ttl", "720h"}, want: []string{"--max-ttl", "720h0m0s", "1s to 719h"}},
		{args: []string{"--max-ttl", "-1s"}, want: []string{"--max-ttl"}},
		{args: []string{"--store-timeout", "soon"}, want: []string{"--store-timeout", `"soon"`}},
		{args: []string{"--strategy", "most"}, want: []string{"majority or unanimous"}},
		{args: []string{"--listen", "nowhere"}, want: []string{"listen", "missing port"}},
		{args: []string{"--overwrite", "yes"}, want: []string{"--overwrite", "refuse or allow"}},
		{args: []string{"--redis-version", "8.4"}, want: []string{"--redis-version", "8.4.0"}},
		{file: "redis_version = '7.x.1'", want: []string{"redis_version in", "three numbers"}},
		{args: []string{"--max-clients", "0"}, want: []string{"1 to 1000000"}},
		{args: []string{"--store", "127.0.0.1:6379"}, want: []string{"store 1"}},
		{args: []string{"--store", "redis://u:secret@h:1", "--store", "redis://h:1"}, want: []string{"store 2", "listed twice"}},
		{args: []string{"--store", "redis://a:1", "--peer", "b"}, want: []string{"peer", "needs id"}},
		{args: []string{"--id", "a", "--peer", "b"}, want: []string{"peer", "needs stores"}},
		{args: []string{"--store", "redis://a:1", "--id", "a", "--peer", "b", "--peer", "a"}, want: []string{`peer "a"`, "id of this proxy"}},
		{args: []string{"--store", "redis://a:1", "--id", "a", "--peer", "b", "--peer", "b"}, want: []string{`peer "b"`, "listed twice"}},
		{args: []string{"--store", "redis://a:1", "--id", "a b"}, want: []string{"id: ", `"a b"`, "1 to 64"}},
		{args: []string{"--store", "redis://a:1", "--id", "a", "--peer", "-b"}, want: []string{"peer: ", `"-b"`, "the first"}},
		{args: []string{"--id", strings.Repeat("x", 65)}, want: []string{"id: "}},
		{args: manyPeers(201), want: []string{"201 of them, at most 200"}},
		{args: []string{"--old-store", "z:1"}, want: []string{"old store 1"}},
		{file: "store = [{url = 'redis://a:1', evict = true}]", want: []string{"holdfast.toml", "store 1", "unknown key evict"}},
		{file: "store = ['redis://a:1', {allow_eviction = true}]", want: []string{"store 2", "no url"}},
		{file: "store = [{url = 'redis://a:1', allow_eviction = 'yes'}]", want: []string{"store 1", "true or false"}},
		{file: "store = ['redis://a:1', 5]", want: []string{"store: item 2 is no text"}},
		{file: "peer = [{url = 'b'}]", want: []string{"peer: item 1 is no text"}},
		{file: "[[max_ttl]]\nx = 1", want: []string{"unknown table max_ttl"}},
		{file: "new = 'perhaps'", want: []string{"new in", "true or false"}},
		{args: []string{"--strategy", "most", "--max-ttl", "1"}, want: []string{"--strategy", "--max-ttl"}},
	} {
		args := c.args
		if c.file != "" {
			args = append(args, "--config", write(t, c.file))
		}
		_, err := load(t, args...)
		if err == nil {
			t.Errorf("%q %q: accepted", c.file, c.args)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q %q: error %q, want %q in it", c.file, c.args, err, want)
			}
		}
	}
}

func TestAStoreMayBeATable(t *testing.T) {
	want := []Store{{URL: "redis://a:1"}, {URL: "redis://b:2", AllowEviction: true}, {URL: "redis://c:3"}}
	for what, text := range map[string]string{
		"in a list":     `store = ["redis://a:1", {url = "redis://b:2", allow_eviction = true}, {url = "redis://c:3"}]`,
		"each its own":  "[[store]]\nurl = 'redis://a:1'\n[[store]]\nurl = 'redis://b:2'\nallow_eviction = true\n[[store]]\nurl = 'redis://c:3'\nallow_eviction = false\n",
		"beside others": "listen = '127.0.0.1:1'\nstore = ['redis://a:1', {url = 'redis://b:2', allow_eviction = true}, 'redis://c:3']\nallow_eviction = false\n",
	} {
		c, err := load(t, "--config", write(t, text))
		if err != nil || !slices.Equal(c.Stores, want) || c.AllowEviction {
			t.Errorf("%s: stores = %v, eviction allowed for all = %v, %v, want %v", what, c.Stores, c.AllowEviction, err, want)
		}
	}
	c, err := load(t, "--config", write(t, "[store]\nurl = 'redis://b:2'\nallow_eviction = true"))
	if err != nil || !slices.Equal(c.Stores, want[1:2]) {
		t.Errorf("a table of one: stores = %v, %v, want %v", c.Stores, err, want[1:2])
	}
}

func TestWhatIsAllowedIsSaidByItsNameAlone(t *testing.T) {
	c, err := load(t, "--allow-flush", "--allow-eviction")
	if err != nil || !c.AllowFlush || !c.AllowEviction {
		t.Errorf("flush %v, eviction %v, %v, want both allowed", c.AllowFlush, c.AllowEviction, err)
	}
	path := write(t, "allow_flush = true\nallow_eviction = true")
	if c, err = load(t, "--config", path, "--allow-flush=false"); err != nil || c.AllowFlush || !c.AllowEviction {
		t.Errorf("flush %v, eviction %v, %v, want what the flag says, and what the file does", c.AllowFlush, c.AllowEviction, err)
	}
}

func TestPeersComeFromFlagsEnvironmentAndFile(t *testing.T) {
	if c, err := load(t, "--new"); err != nil || !c.New {
		t.Errorf("--new alone: %v, %v", c.New, err)
	}
	path := write(t, "id = 'a'\npeer = ['c', 'b']\nstore = 'redis://a:1'\nold_store = 'redis://:secret@z:1'\n")
	c, err := load(t, "--config", path)
	if err != nil || c.ID != "a" || !slices.Equal(c.Peers, []string{"b", "c"}) || c.New || !slices.Equal(c.OldStores, []string{"redis://:secret@z:1"}) {
		t.Errorf("of the file: %+v, %v, want a with b and c", c, err)
	}
	if c.MaxTTL != time.Hour {
		t.Errorf("max-ttl with peers = %v, want 1h", c.MaxTTL)
	}
	t.Setenv("HOLDFAST_PEER", "z,y")
	t.Setenv("HOLDFAST_MAX_TTL", "2h")
	t.Setenv("HOLDFAST_NEW", "true")
	c, err = load(t, "--config", path)
	if err != nil || !slices.Equal(c.Peers, []string{"y", "z"}) || c.MaxTTL != 2*time.Hour || !c.New {
		t.Errorf("of the environment: %+v, %v, want y and z", c, err)
	}
	c, err = load(t, "--config", path, "--peer", "q", "--id", "p-1.x_Y", "--new=false")
	if err != nil || !slices.Equal(c.Peers, []string{"q"}) || c.ID != "p-1.x_Y" || c.New {
		t.Errorf("of the flags: %+v, %v, want p-1.x_Y with q", c, err)
	}
}

func TestAMisspeltVariableIsRefused(t *testing.T) {
	t.Setenv("HOLDFAST_MAX_TL", "1h")
	if _, err := load(t); err == nil || !strings.Contains(err.Error(), "HOLDFAST_MAX_TL") {
		t.Errorf("error %v, want one that names HOLDFAST_MAX_TL", err)
	}
}

func TestNoErrorTellsAPassword(t *testing.T) {
	for _, store := range []string{"redis://user:secret@", "redis://u:secret@h:x:y", "redis://u:secret@h:1/%zz"} {
		if _, err := load(t, "--store", store); err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("--store %s: error tells the password: %v", store, err)
		}
	}
}

// manyPeers is a command line with so many peers.
func manyPeers(count int) []string {
	args := []string{"--store", "redis://a:1", "--id", "us"}
	for i := range count {
		args = append(args, "--peer", fmt.Sprintf("p%d", i))
	}
	return args
}

func TestTwoHundredPeersAreTaken(t *testing.T) {
	if c, err := load(t, manyPeers(200)...); err != nil || len(c.Peers) != 200 {
		t.Errorf("200 peers: %d, %v", len(c.Peers), err)
	}
}

func TestAMissingFileIsAnError(t *testing.T) {
	if _, err := load(t, "--config", filepath.Join(t.TempDir(), "none.toml")); err == nil {
		t.Error("a configuration file that is not there was accepted")
	}
}
