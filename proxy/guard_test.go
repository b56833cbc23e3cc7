package proxy

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/redcon"
)

var testLimits = Limits{Args: 20, Bulk: 30_000, Inline: 1000, Command: 50_000}

// released returns the commands that a guard releases of input that arrives in
// the pieces that cut says, as one would type them, and how it ended.
func released(t testing.TB, limits Limits, known bool, input string, cut func(left int) int) (commands []string, left int, err error) {
	t.Helper()
	g := newGuard(limits, func() bool { return known })
	received := []byte{}
	for {
		n, command, err := g.next(received)
		switch {
		case err != nil:
			return commands, len(input) + len(received), err
		case command != nil:
			commands = append(commands, parse(t, command))
			fallthrough
		case n > 0:
			received = received[n:]
		case len(input) == 0:
			return commands, len(received), nil
		default:
			n := min(max(1, cut(len(input))), len(input))
			received = append(received, input[:n]...)
			input = input[n:]
		}
	}
}

func parse(t testing.TB, command []byte) string {
	t.Helper()
	parsed, err := redcon.Parse(bytes.Clone(command))
	if err != nil {
		t.Fatalf("the guard released %.60q, which does not parse: %v", command, err)
	}
	if len(parsed.Raw) != len(command) || len(parsed.Args) == 0 {
		t.Fatalf("the guard released %.60q, of which redcon parses %d bytes and %d arguments", command, len(parsed.Raw), len(parsed.Args))
	}
	return string(bytes.Join(parsed.Args, []byte("|")))
}

func atOnce(left int) int { return left }
func inDrips(int) int     { return 1 }

func TestGuardReleasesWholeCommandsAndNamesWhatIsWrong(t *testing.T) {
	ping := "*1\r\n$4\r\nPING\r\n"
	for name, test := range map[string]struct {
		in   string
		want []string // released
		left int      // bytes behind them, if nothing is wrong
		err  error
	}{
		"one":                    {in: ping, want: []string{"PING"}},
		"two":                    {in: ping + resp("GET", "k"), want: []string{"PING", "GET|k"}},
		"half":                   {in: ping + "*2\r\n$3\r\nGE", want: []string{"PING"}, left: 10},
		"half a line end":        {in: "*1\r\n$4\r\nPING\r", left: 13},
		"empty argument":         {in: resp("GET", ""), want: []string{"GET|"}},
		"newlines in argument":   {in: resp("ECHO", "\r\n*1\r\n$4\r\nQUIT\r\n"), want: []string{"ECHO|\r\n*1\r\n$4\r\nQUIT\r\n"}},
		"null array":             {in: "*-1\r\n" + ping, want: []string{"PING"}},
		"empty array":            {in: "*0\r\n*0\r\n" + ping, want: []string{"PING"}},
		"negative count":         {in: "*-77\r\n" + ping, want: []string{"PING"}},
		"blank lines":            {in: "\r\n\n  \r\n" + ping + "\r\n", want: []string{"PING"}},
		"inline":                 {in: "SET k  v\tNX\r\nPING\n", want: []string{"SET|k|v|NX", "PING"}},
		"inline quotes":          {in: `SET "a b" 'c "d'` + "\r\n", want: []string{`SET|a b|c "d`}},
		"inline escapes":         {in: `ECHO "\x41\n\"" '\'\n'` + "\r\n", want: []string{"ECHO|A\n\"|'\\n"}},
		"inline carries a frame": {in: `ECHO "\r\n*1"` + "\r\n" + ping, want: []string{"ECHO|\r\n*1", "PING"}},
		"inline half":            {in: "PING", left: 4},
		"inline control":         {in: `ECHO "\r\t\b\a\\\q\xzz\xfF\xc0"` + "\n", want: []string{"ECHO|\r\t\b\a\\qxzz\xff\xc0"}},
		"inline quote inside":    {in: `ECHO a"b"` + "\n", want: []string{"ECHO|ab"}},
		"inline empty quotes":    {in: `""` + "\n", want: []string{""}},

		"count huge":           {in: ping + "*9223372036854775807\r\n", want: []string{"PING"}, err: errCount},
		"count int32":          {in: "*2147483647\r\n", err: errCount},
		"count overflows":      {in: "*99999999999999999999999\r\n", err: errCount},
		"count over limit":     {in: "*21\r\n", err: errCount},
		"count no number":      {in: "*x\r\n", err: errCount},
		"count missing":        {in: "*\r\n", err: errCount},
		"count newline only":   {in: "*1\n", err: errCount},
		"count leading zero":   {in: "*01\r\n", err: errCount},
		"count plus":           {in: "*+1\r\n", err: errCount},
		"count minus zero":     {in: "*-0\r\n", err: errCount},
		"count without end":    {in: "*" + strings.Repeat("1", 1001), err: errLongCount},
		"length huge":          {in: "*1\r\n$9223372036854775807\r\nxxxx", err: errLength},
		"length over limit":    {in: "*1\r\n$30001\r\n", err: errLength},
		"length negative":      {in: "*1\r\n$-1\r\n", err: errLength},
		"length missing":       {in: "*1\r\n$\r\n", err: errLength},
		"length no number":     {in: "*1\r\n$4x\r\n", err: errLength},
		"length without end":   {in: "*1\r\n$" + strings.Repeat("1", 1001), err: errLongLength},
		"argument longer":      {in: "*1\r\n$4\r\nPINGS\r\n", err: errLength},
		"argument shorter":     {in: "*2\r\n$4\r\nGET\r\n$1\r\nk\r\n", err: errLength},
		"no dollar":            {in: ping + "*1\r\n:4\r\n", want: []string{"PING"}, err: protocolError("expected '$', got ':'")},
		"no dollar but a line": {in: "*1\r\n\r\n", err: protocolError("expected '$', got ' '")},
		"command over limit":   {in: "*2\r\n$29000\r\n" + strings.Repeat("x", 29000) + "\r\n$29000\r\n", err: errBig},
		"inline without end":   {in: strings.Repeat("x", 1001), err: errLongInline},
		"inline over limit":    {in: strings.Repeat("x", 1001) + "\r\n", err: errLongInline},
		"inline many":          {in: strings.Repeat("x ", 21) + "\r\n", err: errCount},
		"quote open":           {in: ping + "ECHO \"x\r\n", want: []string{"PING"}, err: errQuotes},
		"quote and more":       {in: "ECHO \"x\"y\r\n", err: errQuotes},
		"single quote open":    {in: "ECHO 'x\\'\r\n", err: errQuotes},
		"quote after escape":   {in: `ECHO "x\` + "\r\n", err: errQuotes},
	} {
		for how, cut := range map[string]func(int) int{"at once": atOnce, "in drips": inDrips} {
			got, left, err := released(t, testLimits, true, test.in, cut)
			if !slices.Equal(got, test.want) || !errors.Is(err, test.err) || err == nil && left != test.left {
				t.Errorf("%s, %s: released %q, %d bytes left, %v; want %q, %d, %v", name, how, got, left, err, test.want, test.left, test.err)
			}
		}
	}
}

func TestInlineCommandsAreHeldToTheSameLimits(t *testing.T) {
	limits := Limits{Args: 20, Bulk: 50, Inline: 1000, Command: 100}
	for in, want := range map[string]error{
		"ECHO " + strings.Repeat("x", 50):                        nil,
		"ECHO " + strings.Repeat("x", 51):                        errLength,
		"ECHO " + strings.Repeat(strings.Repeat("x", 40)+" ", 3): errBig,
	} {
		if _, _, err := released(t, limits, true, in+"\r\n", atOnce); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", in, err, want)
		}
	}
}

func TestStrangersAreHeldToSmallLimits(t *testing.T) {
	for name, test := range map[string]struct {
		in  string
		err error
	}{
		"10 arguments":        {in: "*10\r\n"},
		"11 arguments":        {in: "*11\r\n", err: errStrangerCount},
		"16 KiB":              {in: "*1\r\n$16384\r\n"},
		"16 KiB and 1":        {in: "*1\r\n$16385\r\n", err: errStrangerBulk},
		"11 arguments inline": {in: "1 2 3 4 5 6 7 8 9 10 11\r\n", err: errStrangerCount},
	} {
		if _, _, err := released(t, testLimits, false, test.in, atOnce); !errors.Is(err, test.err) {
			t.Errorf("%s, of a stranger: %v, want %v", name, err, test.err)
		}
		if _, _, err := released(t, testLimits, true, test.in, atOnce); err != nil {
			t.Errorf("%s, of somebody known: %v, want no error", name, err)
		}
	}
}

// FuzzGuard checks that how the bytes are cut changes nothing, and that redcon
// parses whatever is released, whole.
func FuzzGuard(f *testing.F) {
	for _, seed := range []string{
		resp("SET", "k", "v", "NX", "PX", "30000") + resp("GET", "k"),
		"*1\r\n$9223372036854775807\r\nxxxx",
		"*9223372036854775807\r\n",
		"*2147483647\r\n",
		"*0\r\n*-1\r\n\r\nPING\r\n",
		"*2\r\n$3\r\nGET\r\n$-1\r\n",
		"*3\r\n$1\r\na\r\n$0\r\n\r\n*1\r\n",
		"ECHO \"a\\x41\" 'b'\r\n*1\r\n$4\r\nPING\r\n",
		"ECHO \"open\r\n",
		"*1\r\n$4\r\nPINGS\r\n",
		"*1\r\n:4\r\nPING\r\n",
		"$4\r\nPING\r\n",
		"*1\n$1\nx\n",
		strings.Repeat("a ", 30) + "\n",
		"*1\r\n$268435456\r\n" + strings.Repeat("x", 100),
		strings.Repeat("1", 1200),
	} {
		f.Add(seed, uint64(1), true)
		f.Add(seed, uint64(2), false)
	}
	f.Fuzz(func(t *testing.T, input string, seed uint64, known bool) {
		want, wantLeft, wantErr := released(t, testLimits, known, input, atOnce)
		random := rand.New(rand.NewPCG(seed, 0))
		got, left, err := released(t, testLimits, known, input, func(int) int { return 1 + random.IntN(9) })
		if !slices.Equal(got, want) || !errors.Is(err, wantErr) {
			t.Errorf("in pieces: released %q, %v; at once: %q, %v", got, err, want, wantErr)
		}
		if err == nil && left != wantLeft {
			t.Errorf("in pieces: %d bytes left, at once: %d", left, wantLeft)
		}
	})
}
