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
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// A Config is what the program was told, checked.
type Config struct {
	Listen        string // host:port for clients
	Stores        []Store
	OldStores     []string      // URLs of stores that are not among Stores any more
	Strategy      string        // "majority" or "unanimous"
	DataDir       string        // of the journal
	ID            string        // of this proxy; "" = not said
	Peers         []string      // ids of the other proxies over the same stores, sorted; none = solo
	New           bool          // what an earlier proxy of this id granted is known to have ended
	MaxTTL        time.Duration // the longest lease, and that of a lock asked for without a TTL
	StoreTimeout  time.Duration // how long a store may take to vote
	AllowEviction bool          // take stores that may drop locks to make room
	AllowFlush    bool          // FLUSHDB and FLUSHALL release every lock
	Overwrite     string        // what a plain SET over another's lock does: "refuse" or "allow"
	RedisVersion  string        // the version of Redis that clients are told
	RequirePass   string        // clients must AUTH with it; "" = none
	MaxClients    int           // connections at a time
	Admin         string        // host:port for HTTP; "" = none
	LogFormat     string        // "text" or "json"
	LogLevel      string        // "debug", "info", "warn" or "error"
}

// A Store is one upstream store.
type Store struct {
	URL           string
	AllowEviction bool // take it although it may drop locks, whatever Config says of all
}

// A setting is one line of the table that flags, environment and file share.
type setting struct {
	name, usage, value string
	set                func(c *Config, value string) error
}

// settings lists all but those that may be given several times, see lists.
var settings = []setting{
	{"listen", "`ADDRESS` for Redis clients", "127.0.0.1:6380", text(func(c *Config) *string { return &c.Listen })},
	{"strategy", "which stores must agree: `majority` or unanimous", "majority", oneOf(func(c *Config) *string { return &c.Strategy }, "majority", "unanimous")},
	{"data-dir", "`FOLDER` of the journal", "holdfast-data", text(func(c *Config) *string { return &c.DataDir })},
	{"id", "`NAME` of this proxy, which it keeps: 1 to 64 letters, digits, '.', '_', '-'; one is made unless given", "", text(func(c *Config) *string { return &c.ID })},
	{"new", "what an earlier proxy of this id granted has ended, and its journal is lost for good: for one start only", "false", yesNo(func(c *Config) *bool { return &c.New })},
	{"max-ttl", "longest lease, given too to locks asked for without a TTL; at most 719h", "24h", duration(func(c *Config) *time.Duration { return &c.MaxTTL }, time.Second, 719*time.Hour)},
	{"store-timeout", "how long a store may take to vote; 1ms to 30s", "250ms", duration(func(c *Config) *time.Duration { return &c.StoreTimeout }, time.Millisecond, 30*time.Second)},
	{"allow-flush", "let FLUSHDB and FLUSHALL release every lock of the database, or of all", "false", yesNo(func(c *Config) *bool { return &c.AllowFlush })},
	{"overwrite", "whether a plain SET takes a lock that another token holds, as in Redis: `refuse` or allow", "refuse", oneOf(func(c *Config) *string { return &c.Overwrite }, "refuse", "allow")},
	{"redis-version", "`VERSION` of Redis that clients are told in HELLO and INFO, by which some choose their commands", "8.4.0", version(func(c *Config) *string { return &c.RedisVersion })},
	{"allow-eviction", "take stores whose eviction policy may drop locks", "false", yesNo(func(c *Config) *bool { return &c.AllowEviction })},
	{"requirepass", "`PASSWORD` that clients must AUTH with", "", text(func(c *Config) *string { return &c.RequirePass })},
	{"max-clients", "connections at a time; 1 to 1000000", "10000", number(func(c *Config) *int { return &c.MaxClients }, 1, 1_000_000)},
	{"admin", "`ADDRESS` for /healthz, /readyz and /metrics over HTTP; off unless given", "", text(func(c *Config) *string { return &c.Admin })},
	{"log-format", "text or json", "text", oneOf(func(c *Config) *string { return &c.LogFormat }, "text", "json")},
	{"log-level", "debug, info, warn or error", "info", oneOf(func(c *Config) *string { return &c.LogLevel }, "debug", "info", "warn", "error")},
}

// A list is a setting that may be given several times.
type list struct{ name, usage string }

// lists are the settings that may be given several times. In the file they are
// lists, or one value; in the environment there are commas between them.
var lists = []list{
	{"store", "`URL` of an upstream store: redis://[user:password@]host:port[/db], rediss://..., memcached://host:port; once for each"},
	{"old-store", "`URL` of a store that was on the list before and is not any more, if it can't be reached without a password"},
	{"peer", "`NAME` of another proxy over the same stores; once for each. All of them name each other"},
}

// peersMaxTTL is the default of max-ttl with peers: they wait for so long before
// they go on without one that is dead.
const peersMaxTTL = "1h"

// Flags returns the flags of every command that takes the configuration.
// Defaults are not theirs but Load's, since a file may stand in between.
func Flags() []cli.Flag {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "TOML `FILE` with any of these settings", EnvVars: []string{variable("config")}},
	}
	for _, l := range lists {
		flags = append(flags, &cli.StringSliceFlag{Name: l.name, Usage: l.usage, EnvVars: []string{variable(l.name)}})
	}
	for _, s := range settings {
		value := s.value
		switch s.name {
		case "new", "allow-flush", "allow-eviction": // said by their names alone, or with =false
			flags = append(flags, &cli.BoolFlag{Name: s.name, Usage: s.usage, EnvVars: []string{variable(s.name)}})
			continue
		case "max-ttl":
			value += ", with peers " + peersMaxTTL
		}
		flags = append(flags, &cli.StringFlag{Name: s.name, Usage: s.usage, DefaultText: value, EnvVars: []string{variable(s.name)}})
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
	c.Peers = listed(ctx, file, "peer")
	slices.Sort(c.Peers)
	c.OldStores = listed(ctx, file, "old-store")
	for _, s := range settings {
		value, place := s.value, "the default of "+s.name
		if s.name == "max-ttl" && len(c.Peers) > 0 {
			value = peersMaxTTL
		}
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
		c.Stores = nil
		for _, url := range ctx.StringSlice("store") {
			c.Stores = append(c.Stores, Store{URL: url})
		}
	}
	wrong = append(wrong, c.check()...)
	return c, errors.Join(wrong...)
}

// listed returns a setting that may be given several times.
func listed(ctx *cli.Context, f file, name string) []string {
	if ctx.IsSet(name) {
		return ctx.StringSlice(name)
	}
	return f.lists[key(name)]
}

// strangers finds variables of ours that are none: mostly misspelt.
func strangers(environ []string) (wrong []error) {
	known := map[string]bool{variable("config"): true}
	for _, l := range lists {
		known[variable(l.name)] = true
	}
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
