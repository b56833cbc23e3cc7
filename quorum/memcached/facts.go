package memcached

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"holdfast/quorum"
)

// maxStats is how many lines of statistics are read; 1.6.18 has about 90.
const maxStats = 1000

// An identity is what tells one life of one server from another.
type identity struct {
	version string
	pid     int64
	start   int64 // of the server process, in seconds since 1970 by its own clock
	stats   map[string]string
	setting map[string]string
}

// incarnation returns the process id and the start time. The server computes
// both its time and its uptime from one reading of one clock, so their
// difference stays the same to the second as long as it lives, whoever asks.
//
// A server that is started again within the second and under the same process
// id, as in a container, has the same incarnation. Its memory is empty then,
// and the book that was in it is what tells.
//
// Source: server_stats in memcached.c.
func (id *identity) incarnation() string { return fmt.Sprintf("%d/%d", id.pid, id.start) }

// evicts reports whether the server may drop what it keeps to make room.
func (id *identity) evicts() bool { return id.setting["evictions"] != "off" }

// introduce asks the server who it is and whether we can work with it.
func (c *conn) introduce(ctx context.Context) (identity, error) {
	id, err := c.identify(ctx)
	if err != nil {
		return id, err
	}
	c.evicts = id.evicts()
	if id.setting["cas_enabled"] == "no" {
		return id, errors.New("the server gives no CAS numbers: start it without -C")
	}
	// Early versions of 1.6 had other meta commands than those that stayed, and
	// no arithmetic.
	replies, err := c.exchange(ctx, []command{
		{verb: get, key: tagKey},
		{verb: raise, key: probeKey, cas: 1}, // by nothing, and there is nothing
	})
	if err == nil {
		err = cmp.Or(replies[0].err, replies[1].err)
	}
	if err != nil {
		return id, fmt.Errorf("try the meta commands on memcached %s: %w", id.version, err)
	}
	return id, nil
}

func (c *conn) identify(ctx context.Context) (id identity, err error) {
	if id.version, err = c.askVersion(ctx); err != nil {
		return id, err
	}
	if id.stats, err = c.askStats(ctx, "stats"); err != nil {
		return id, err
	}
	if id.setting, err = c.askStats(ctx, "stats settings"); err != nil {
		return id, err
	}
	var numbers [3]int64
	for i, name := range []string{"pid", "time", "uptime"} {
		if numbers[i], err = strconv.ParseInt(id.stats[name], 10, 64); err != nil {
			return id, fmt.Errorf("stats: no %s: %w", name, err)
		}
	}
	id.pid, id.start = numbers[0], numbers[1]-numbers[2]
	return id, nil
}

// askVersion returns the server's version, if it is one that knows meta commands.
func (c *conn) askVersion(ctx context.Context) (version string, err error) {
	err = c.ask(ctx, "version", func(line string) (bool, error) {
		var ok bool
		if version, ok = strings.CutPrefix(line, "VERSION "); !ok {
			return false, unexpected([]byte(line), "no version")
		}
		return false, nil
	})
	if err != nil {
		return "", err
	}
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return "", fmt.Errorf("version %.80q: %w", version, err)
	}
	if major < 1 || major == 1 && minor < 6 {
		return "", fmt.Errorf("memcached %.80s is too old: it takes 1.6 or later", version)
	}
	return version, nil
}

func (c *conn) askStats(ctx context.Context, question string) (map[string]string, error) {
	stats := make(map[string]string)
	lines := 0
	err := c.ask(ctx, question, func(line string) (bool, error) {
		if line == "END" {
			return false, nil
		}
		stat, ok := strings.CutPrefix(line, "STAT ")
		if !ok {
			return false, unexpected([]byte(line), "no statistic")
		}
		if lines++; lines > maxStats {
			return false, fmt.Errorf("more than %d statistics", maxStats)
		}
		name, value, _ := strings.Cut(stat, " ")
		stats[name] = value
		return true, nil
	})
	return stats, err
}

// ask sends a line and hands each line of the answer to take, until that wants
// no more.
func (c *conn) ask(ctx context.Context, question string, take func(line string) (more bool, err error)) error {
	err := c.during(ctx, func() error {
		c.w.WriteString(question + "\r\n")
		if err := c.w.Flush(); err != nil {
			return err
		}
		for more := true; more; {
			line, err := readLine(c.r)
			if err == nil {
				more, err = take(string(line))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", question, err)
	}
	return nil
}

// Facts asks the server about itself, on a connection of its own. To tell two
// servers apart that are alike, as two containers are that were started
// together, it leaves a tag on each, for a day.
func (s *Store) Facts(ctx context.Context) (quorum.Facts, error) {
	c, err := s.open(ctx)
	if err != nil {
		return quorum.Facts{}, fmt.Errorf("facts: %w", err)
	}
	defer c.close()
	id, err := c.introduce(ctx)
	if err != nil {
		return quorum.Facts{}, fmt.Errorf("facts: %w", err)
	}
	tag, err := c.tag(ctx)
	if err != nil {
		return quorum.Facts{}, fmt.Errorf("facts: leave a tag: %w", err)
	}
	evicts := id.evicts()
	return quorum.Facts{
		Kind:        "memcached",
		Version:     id.version,
		RunID:       id.incarnation() + "/" + tag,
		Incarnation: id.incarnation(),
		Persistence: persistence(id.setting),
		Eviction:    eviction(id.stats, evicts),
		MayEvict:    evicts,
		Problems:    problems(&id, tag),
	}, nil
}

// tag returns the random word that the server keeps for us, and leaves one if
// there is none. A server without room for it has none, which is no error.
func (c *conn) tag(ctx context.Context) (string, error) {
	const day = 24 * 60 * 60
	replies, err := c.exchange(ctx, []command{
		{verb: get, key: tagKey}, // see the package comment on adding without a look
	})
	if err == nil && replies[0].outcome == absent {
		replies, err = c.exchange(ctx, []command{
			{verb: set, key: tagKey, data: []byte(rand.Text()), seconds: day},
			{verb: get, key: tagKey},
		})
	}
	if err != nil {
		return "", err
	}
	return string(replies[len(replies)-1].item.data), nil
}

func persistence(setting map[string]string) string {
	if file := setting["memory_file"]; file != "" && file != "(null)" {
		return "memory, kept in " + file + " over a clean stop"
	}
	return "none (memory only)"
}

func eviction(stats map[string]string, evicts bool) string {
	does := "off: writes fail when %s bytes are full; %s"
	if evicts {
		does = "on: the least recently used goes when %s bytes are full (-M forbids it); %s"
	}
	said := "it does not count what it drops"
	if n, err := evicted(stats); err == nil {
		said = fmt.Sprintf("%d items dropped so far", n)
	}
	return fmt.Sprintf(does, stats["limit_maxbytes"], said)
}

func problems(id *identity, tag string) []string {
	var all []string
	if n, err := evicted(id.stats); err == nil && n > 0 {
		all = append(all, fmt.Sprintf("it has dropped %d items to make room since it was started", n))
	}
	if size, err := strconv.Atoi(id.setting["item_size_max"]); err == nil && size < maxData+maxKey {
		all = append(all, fmt.Sprintf("it takes no values above %d bytes (-I); ours may have %d", size, quorum.MaxValue))
	}
	if tag == "" {
		all = append(all, "its memory is full")
	}
	return all
}
