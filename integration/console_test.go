package integration

import (
	"io"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"holdfast/quorum/storetest"
)

// A terminal is a program that somebody sits in front of.
type terminal struct {
	t      *testing.T
	keys   io.Writer
	screen *log
}

// sit starts a program in a terminal. It ends with the test.
func sit(t *testing.T, words ...string) *terminal {
	t.Helper()
	// A terminal of which redis-cli knows the width, since nobody answers where the
	// cursor is.
	cmd := exec.Command("script", "-qec", "stty cols 250 rows 50; exec "+strings.Join(words, " "), "/dev/null")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Dir = t.TempDir()
	cmd.Env = append(cmd.Environ(), "HOME="+cmd.Dir, "TERM=xterm")
	term := &terminal{t: t, screen: &log{}}
	cmd.Stdout = term.screen
	keys, err := cmd.StdinPipe()
	if err == nil {
		term.keys, err = keys, cmd.Start()
	}
	if err != nil {
		t.Fatalf("run %q in a terminal: %v", words, err)
	}
	t.Cleanup(func() {
		keys.Close() // hangs up
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait() // it was killed
	})
	return term
}

// types sends keys, and waits until something is to be seen that was not before.
func (term *terminal) types(keys, want string) {
	term.t.Helper()
	before := len(term.screen.String())
	io.WriteString(term.keys, keys) // what is not there is missed below
	term.shows(before, want)
}

// shows waits until something is to be seen behind so many bytes.
func (term *terminal) shows(before int, want string) {
	term.t.Helper()
	storetest.Eventually(term.t, "see "+want, func() bool { return strings.Contains(term.screen.String()[before:], want) })
}

func atRedisCLI(p *program, words ...string) []string {
	host, port, _ := strings.Cut(p.addr, ":")
	return append([]string{"redis-cli", "-h", host, "-p", port}, words...)
}

func TestSomebodyAtRedisCLIIsHelpedWhileTyping(t *testing.T) {
	t.Parallel()
	p := startHoldfast(t)
	term := sit(t, atRedisCLI(p)...)
	term.types("", p.addr+"> ")
	term.types("set orders ", "value [NX|XX|IFEQ token] [GET] [EX seconds|")
	term.types("token NX PX 60000\r", "\r\nOK\r\n")
	term.types("lock ", "name token PX milliseconds|EX seconds")
	term.types("parcels mine EX 60\r", `1) "mine"`)
	term.types("client kill ", "ip:port|")
	term.types("\x15type orders\r", "\r\nstring\r\n")
	term.types("monitor\r", "\r\nOK\r\n")
	other, before := dialRaw(t, p.addr), len(term.screen.String())
	other.send("UNLOCK orders token")
	if got := other.must(); got != ":1" {
		t.Errorf("unlock = %q", got)
	}
	term.shows(before, `"UNLOCK" "orders" "token"`)
	term.types("\x03", p.addr+"> ") // leaves MONITOR
	wantNoWord(t, "what was to be seen", strings.ToLower(term.screen.String()), "err")
}

// groups are those of Redis's manual; redis-cli helps with one at a time.
var groups = []string{"generic", "string", "hash", "sorted-set", "list", "set", "scripting", "transactions", "pubsub", "connection", "server"}

// usages are what is used otherwise than in Redis 7.0, or not there.
var usages = []string{
	"SET key value [NX|XX|IFEQ token] [GET] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]", // of 8.4
	"DELEX key [IFEQ token|IFNE token]",                                        // of 8.4
	"DELIFEQ key token",                                                        // of Valkey 9
	"HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]",                // of 7.4
	"CLIENT NO-TOUCH ON|OFF", "CLIENT SETINFO LIB-NAME libname|LIB-VER libver", // of 7.2
	"CLIENT KILL ip:port|[ID client-id]|[TYPE NORMAL|MASTER|SLAVE|REPLICA|PUBSUB]|[USER username]|[ADDR ip:port]|[LADDR ip:port]|[SKIPME yes/no]",
	"COMMAND LIST [FILTERBY PATTERN pattern]", // there are no modules and no ACLs
	"DEBUG HELP", "DEBUG SLEEP seconds", // Redis does not document them
	"LOCK name token PX milliseconds|EX seconds", "EXTEND name token PX milliseconds|EX seconds", "UNLOCK name token",
	"LOCKINFO name", "LOCKS [MATCH pattern] [COUNT count]", "STORES",
}

func TestRedisCLIHelpsAsItDoesWithRedis(t *testing.T) {
	t.Parallel()
	p := startHoldfast(t)
	helps := "HELP @" + strings.Join(groups, "\nHELP @") + "\n"
	shown := func(addr string) (found []string) {
		for _, line := range lines(plain(typed(t, addr, "-3", helps).out)) {
			if words := strings.TrimSpace(line); strings.HasPrefix(line, "  ") && strings.Split(words, " ")[0] == strings.ToUpper(strings.Split(words, " ")[0]) {
				found = append(found, words)
			}
		}
		slices.Sort(found)
		return slices.Compact(found)
	}
	ours, theirs := shown(p.addr), shown(storetest.StartRedis(t).Addr())
	if len(ours) < 150 {
		t.Errorf("redis-cli helps with %d commands, want all", len(ours))
	}
	for _, usage := range ours {
		if own := slices.Contains(usages, usage); own == slices.Contains(theirs, usage) {
			t.Errorf("it shows %q; known to be ours alone: %t", usage, own)
		}
	}
}

// plain returns text without colours.
func plain(text string) string {
	var b strings.Builder
	for part := range strings.SplitSeq("m"+text, "\x1b[") {
		_, after, _ := strings.Cut(part, "m")
		b.WriteString(after)
	}
	return b.String()
}

func TestRedisCLIsOwnToolsSayWhatIsTrue(t *testing.T) {
	t.Parallel()
	p := startHoldfast(t)
	c := dialRaw(t, p.addr)
	c.send("SET orders token", "HSET readers a 1 b 2 c 3", "ZADD permits 1 a 2 b", "RPUSH signals 1", "SADD members a b c d")
	for range 5 {
		c.must()
	}
	run := func(words ...string) string {
		t.Helper()
		all := atRedisCLI(p, words...)
		o := execute(t, "", all[0], all[1:]...)
		if o.status != 0 || o.err != "" {
			t.Errorf("redis-cli %q: status %d, %q", words, o.status, o.err)
		}
		return plain(o.out)
	}
	scanned := lines(run("--scan"))
	slices.Sort(scanned)
	if want := []string{`"members"`, `"orders"`, `"permits"`, `"readers"`, `"signals"`}; !slices.Equal(scanned, want) {
		t.Errorf("--scan shows %q, want %q", scanned, want)
	}
	wantWords(t, "--scan --pattern", run("--scan", "--pattern", "p*"), "permits")
	wantWords(t, "--bigkeys", run("--bigkeys"), "Sampled 5 keys",
		`Biggest string found '"orders"' has 5 bytes`, `Biggest   hash found '"readers"' has 3 fields`, `Biggest   zset found '"permits"' has 2 members`,
		`Biggest   list found '"signals"' has 1 items`, `Biggest    set found '"members"' has 4 members`)
	wantWords(t, "--memkeys", run("--memkeys"), "Sampled 5 keys", `Biggest string found '"orders"' has`)
	wantWords(t, "HSCAN", run("HSCAN", "readers", "0", "MATCH", "b"), `1) "b"`)
	wantWords(t, "CLIENT LIST", run("CLIENT", "LIST"), "cmd=client|list", "resp=2")
	wantWords(t, "OBJECT ENCODING", run("OBJECT", "ENCODING", "readers"), "listpack")
	stat := sit(t, atRedisCLI(p, "--stat", "-i", "0.01")...)
	stat.types("", "keys       mem      clients")
	stat.types("", "\n5          ") // so many keys
}

func TestRedisBenchmarkRuns(t *testing.T) {
	t.Parallel()
	p := startHoldfast(t)
	host, port, _ := strings.Cut(p.addr, ":")
	o := execute(t, "", "redis-benchmark", "-h", host, "-p", port, "-n", "300", "-c", "10", "-P", "5", "-r", "100", "--csv",
		"-t", "ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange,mset")
	wantNoWord(t, "redis-benchmark", strings.ToLower(o.out+o.err), "err")
	// It counts PING twice, and LPUSH and LRANGE each for its own purposes.
	if n := len(lines(o.out)); o.status != 0 || n < 15 {
		t.Errorf("redis-benchmark ends with %d after %d lines:\n%s%s", o.status, n, o.out, o.err)
	}
	scripted := execute(t, "", "redis-benchmark", "-h", host, "-p", port, "-n", "200", "-c", "5", "-r", "50", "--csv", "set", "lock:__rand_int__", "me", "NX", "PX", "10000")
	if n := len(lines(scripted.out)); scripted.status != 0 || n != 2 {
		t.Errorf("redis-benchmark with a command ends with %d:\n%s%s", scripted.status, scripted.out, scripted.err)
	}
}
