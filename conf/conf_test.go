package conf

import (
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
	}
	if c.Listen != want.Listen || c.Strategy != want.Strategy || c.DataDir != want.DataDir || c.MaxTTL != want.MaxTTL ||
		c.StoreTimeout != want.StoreTimeout || c.MaxClients != want.MaxClients || c.LogFormat != want.LogFormat ||
		c.LogLevel != want.LogLevel || len(c.Stores) != 0 || c.AllowEviction || c.Admin != "" || c.RequirePass != "" {
		t.Errorf("Load() = %+v, want %+v", c, want)
	}
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	path := write(t, `
listen = "127.0.0.1:1"
max_ttl = "1h"
strategy = "unanimous"
max_clients = 7
allow_eviction = true
store = ["redis://a:1", "memcached://b:2"]
`)
	t.Setenv("HOLDFAST_LISTEN", "127.0.0.1:2")
	t.Setenv("HOLDFAST_MAX_TTL", "2h")
	c, err := load(t, "--config", path, "--listen", "127.0.0.1:3")
	if err != nil {
		t.Fatalf("Load() = %v", err)
	}
	if c.Listen != "127.0.0.1:3" || c.MaxTTL != 2*time.Hour || c.Strategy != "unanimous" || c.MaxClients != 7 || !c.AllowEviction {
		t.Errorf("Load() = %+v, want listen by flag, max-ttl by environment, the rest by file", c)
	}
	if want := []string{"redis://a:1", "memcached://b:2"}; !slices.Equal(c.Stores, want) {
		t.Errorf("stores = %q, want %q", c.Stores, want)
	}
	t.Setenv("HOLDFAST_STORE", "redis://c:3,redis://d:4")
	if c, err = load(t, "--config", path); err != nil || len(c.Stores) != 2 || c.Stores[1] != "redis://d:4" {
		t.Errorf("stores of the environment = %q, %v", c.Stores, err)
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
		{args: []string{"--max-clients", "0"}, want: []string{"1 to 1000000"}},
		{args: []string{"--store", "127.0.0.1:6379"}, want: []string{"store 1"}},
		{args: []string{"--store", "redis://u:secret@h:1", "--store", "redis://h:1"}, want: []string{"store 2", "listed twice"}},
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

func TestAMissingFileIsAnError(t *testing.T) {
	if _, err := load(t, "--config", filepath.Join(t.TempDir(), "none.toml")); err == nil {
		t.Error("a configuration file that is not there was accepted")
	}
}
