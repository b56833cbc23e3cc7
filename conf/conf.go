// Package conf makes one checked value of flags, environment and file.
//
// Every setting has one name: a flag --max-ttl is HOLDFAST_MAX_TTL in the
// environment and max_ttl in the file. A flag wins over the environment, the
// environment over the file, the file over the default. Whatever is unknown or
// out of range is refused, and the error says where it stands.
package conf

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/urfave/cli/v2"
)

// A Config is what the program was told, checked.
type Config struct {
	Listen        string        // host:port for clients
	Stores        []string      // URLs
	Strategy      string        // "majority" or "unanimous"
	DataDir       string        // of the journal
	MaxTTL        time.Duration // the longest lease, and that of a lock asked for without a TTL
	StoreTimeout  time.Duration // how long a store may take to vote
	AllowEviction bool          // take stores that may drop locks to make room
	RequirePass   string        // clients must AUTH with it; "" = none
	MaxClients    int           // connections at a time
	Admin         string        // host:port for HTTP; "" = none
	LogFormat     string        // "text" or "json"
	LogLevel      string        // "debug", "info", "warn" or "error"
}

// A setting is one line of the table that flags, environment and file share.
type setting struct {
	name, usage, value string
	set                func(c *Config, value string) error
}

// settings lists all but --store, which may be given several times.
var settings = []setting{
	{"listen", "`ADDRESS` for Redis clients", "127.0.0.1:6380", text(func(c *Config) *string { return &c.Listen })},
	{"strategy", "which stores must agree: `majority` or unanimous", "majority", oneOf(func(c *Config) *string { return &c.Strategy }, "majority", "unanimous")},
	{"data-dir", "`FOLDER` of the journal", "holdfast-data", text(func(c *Config) *string { return &c.DataDir })},
	{"max-ttl", "longest lease, given too to locks asked for without a TTL; at most 719h", "24h", duration(func(c *Config) *time.Duration { return &c.MaxTTL }, time.Second, 719*time.Hour)},
	{"store-timeout", "how long a store may take to vote; 1ms to 30s", "250ms", duration(func(c *Config) *time.Duration { return &c.StoreTimeout }, time.Millisecond, 30*time.Second)},
	{"allow-eviction", "take stores whose eviction policy may drop locks: true or false", "false", yesNo(func(c *Config) *bool { return &c.AllowEviction })},
	{"requirepass", "`PASSWORD` that clients must AUTH with", "", text(func(c *Config) *string { return &c.RequirePass })},
	{"max-clients", "connections at a time; 1 to 1000000", "10000", number(func(c *Config) *int { return &c.MaxClients }, 1, 1_000_000)},
	{"admin", "`ADDRESS` for /healthz, /readyz and /metrics over HTTP; off unless given", "", text(func(c *Config) *string { return &c.Admin })},
	{"log-format", "text or json", "text", oneOf(func(c *Config) *string { return &c.LogFormat }, "text", "json")},
	{"log-level", "debug, info, warn or error", "info", oneOf(func(c *Config) *string { return &c.LogLevel }, "debug", "info", "warn", "error")},
}

// Flags returns the flags of every command that takes the configuration.
// Defaults are not theirs but Load's, since a file may stand in between.
func Flags() []cli.Flag {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "TOML `FILE` with any of these settings", EnvVars: []string{variable("config")}},
		&cli.StringSliceFlag{Name: "store", Usage: "`URL` of an upstream store: redis://[user:password@]host:port[/db], rediss://..., memcached://host:port; once for each", EnvVars: []string{variable("store")}},
	}
	for _, s := range settings {
		flags = append(flags, &cli.StringFlag{Name: s.name, Usage: s.usage, DefaultText: s.value, EnvVars: []string{variable(s.name)}})
	}
	return flags
}

func variable(name string) string {
	return "HOLDFAST_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

func key(name string) string { return strings.ReplaceAll(name, "-", "_") }

// Load returns the configuration of a command line with Flags, its environment
// and the file it names. Its error lists everything that is wrong.
func Load(ctx *cli.Context) (Config, error) {
	var c Config
	file, err := readFile(ctx.String("config"))
	if err != nil {
		return c, err
	}
	wrong := strangers(os.Environ())
	for _, s := range settings {
		value, place := s.value, "the default of "+s.name
		if v, ok := file.values[key(s.name)]; ok {
			value, place = v, fmt.Sprintf("%s in %s", key(s.name), file.path)
		}
		if ctx.IsSet(s.name) {
			value, place = ctx.String(s.name), fmt.Sprintf("--%s or %s", s.name, variable(s.name))
		}
		if err := s.set(&c, value); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", place, err))
		}
	}
	c.Stores = file.stores
	if ctx.IsSet("store") {
		c.Stores = ctx.StringSlice("store")
	}
	wrong = append(wrong, c.check()...)
	return c, errors.Join(wrong...)
}

// strangers finds variables of ours that are none: mostly misspelt.
func strangers(environ []string) (wrong []error) {
	known := map[string]bool{variable("store"): true, variable("config"): true}
	for _, s := range settings {
		known[variable(s.name)] = true
	}
	for _, line := range environ {
		name, _, _ := strings.Cut(line, "=")
		if strings.HasPrefix(name, "HOLDFAST_") && !known[name] {
			wrong = append(wrong, fmt.Errorf("unknown variable %s in the environment", name))
		}
	}
	return wrong
}

// check looks at what one setting alone can't tell.
func (c *Config) check() (wrong []error) {
	for _, address := range []struct{ name, value string }{{"listen", c.Listen}, {"admin", c.Admin}} {
		if _, _, err := net.SplitHostPort(address.value); err != nil && address.value != "" {
			wrong = append(wrong, fmt.Errorf("%s: %w", address.name, err))
		}
	}
	if c.Listen == "" {
		wrong = append(wrong, errors.New("listen: no address"))
	}
	if c.DataDir == "" {
		wrong = append(wrong, errors.New("data-dir: no folder"))
	}
	seen := map[string]bool{}
	for i, store := range c.Stores {
		u, err := url.Parse(store)
		switch {
		case err != nil: // its text has the URL in it, and that may have a password
			wrong = append(wrong, fmt.Errorf("store %d: not a URL; want redis://host:port or memcached://host:port", i+1))
		case u.Scheme == "" || u.Host == "":
			wrong = append(wrong, fmt.Errorf("store %d, %q: want redis://host:port or memcached://host:port", i+1, u.Redacted()))
		case seen[u.Scheme+"://"+u.Host]:
			wrong = append(wrong, fmt.Errorf("store %d, %q: listed twice; one server has one vote", i+1, u.Redacted()))
		default:
			seen[u.Scheme+"://"+u.Host] = true
		}
	}
	return wrong
}

// A file is what a TOML file says, as text.
type file struct {
	path   string
	values map[string]string
	stores []string
}

func readFile(path string) (file, error) {
	f := file{path: path, values: map[string]string{}}
	if path == "" {
		return f, nil
	}
	var raw map[string]any
	if _, err := toml.DecodeFile(path, &raw); err != nil {
		var parse toml.ParseError
		if errors.As(err, &parse) {
			return f, fmt.Errorf("%s: %s", path, parse.ErrorWithPosition())
		}
		return f, fmt.Errorf("read the configuration: %w", err)
	}
	known := map[string]bool{}
	for _, s := range settings {
		known[key(s.name)] = true
	}
	var wrong []error
	for name, value := range raw {
		switch v := value.(type) {
		case []any:
			if name != "store" {
				wrong = append(wrong, fmt.Errorf("%s: %s: a list, want one value", path, name))
			}
			for _, item := range v {
				f.stores = append(f.stores, fmt.Sprint(item))
			}
		case map[string]any, []map[string]any:
			wrong = append(wrong, fmt.Errorf("%s: unknown table %s", path, name))
		default:
			if name == "store" {
				f.stores = []string{fmt.Sprint(v)}
			} else if !known[name] {
				wrong = append(wrong, fmt.Errorf("%s: unknown key %s", path, name))
			}
			f.values[name] = fmt.Sprint(v)
		}
	}
	return f, errors.Join(wrong...)
}
