package integration

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"holdfast/quorum/storetest"
)

// A program is a holdfast that serves, with a data folder and a port that stay
// the same when it is started again. Its methods fail the test when they cannot
// do what they say, and are for the test's goroutine.
type program struct {
	t    testing.TB
	args []string
	env  []string // beside what the test has
	dir  string   // its data folder
	addr string   // where it listens; "" before the first start

	cmd     *exec.Cmd
	line    chan string // takes its start-up line
	welcome string      // that line
	logs    *log        // of this life
	died    chan struct{}

	told strings.Builder // what it said in earlier lives
}

// startHoldfast starts a holdfast with args besides its address and data folder,
// and waits until it knows of each store whether it votes.
func startHoldfast(t testing.TB, args ...string) *program {
	t.Helper()
	p := newHoldfast(t, args...)
	p.start()
	p.settle()
	return p
}

// newHoldfast returns a holdfast that is yet to be started.
func newHoldfast(t testing.TB, args ...string) *program {
	t.Helper()
	p := &program{t: t, args: args, dir: filepath.Join(t.TempDir(), "data")}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Log(p.told.String())
		}
	})
	return p
}

// start starts the program, after its end at the same address again.
func (p *program) start() {
	p.t.Helper()
	// Somebody else may be given the port meanwhile, for a connection of theirs.
	storetest.Eventually(p.t, "start holdfast", p.try)
}

// try starts the process and reports whether it came to listen.
func (p *program) try() bool {
	p.t.Helper()
	p.begin()
	return p.came()
}

// begin starts the process.
func (p *program) begin() {
	p.t.Helper()
	addr := p.addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	cmd := exec.Command(binary, append([]string{"serve", "--listen", addr, "--data-dir", p.dir}, p.args...)...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a panicking test cleans nothing up
	logs := &log{}
	cmd.Stderr = logs
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatalf("start holdfast: %v", err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("start holdfast: %v", err)
	}
	died, line := make(chan struct{}), make(chan string, 1)
	p.cmd, p.logs, p.died, p.line = cmd, logs, died, line
	go func() { // kill waits for it
		defer close(died)
		lines := bufio.NewReader(out)
		first, _ := lines.ReadString('\n') // none: it died, and says why on stderr
		line <- first
		io.Copy(io.Discard, lines)
		cmd.Wait() // how it ended is in cmd.ProcessState
	}()
}

// came waits for the process, and reports whether it came to listen.
func (p *program) came() bool {
	p.t.Helper()
	patience := time.NewTimer(30 * time.Second)
	defer patience.Stop()
	select {
	case p.welcome = <-p.line:
	case <-patience.C:
		p.t.Fatalf("start holdfast: no start-up line within 30s\n%s", p.logs)
	}
	found := regexp.MustCompile(`^holdfast listens on (\S+); `).FindStringSubmatch(p.welcome)
	if found != nil {
		p.addr = found[1]
		return true
	}
	logs, state := p.logs.String(), p.cmd
	p.kill()
	if !strings.Contains(logs, "address already in use") {
		p.t.Fatalf("start holdfast: it says %q and ends with %v\n%s", p.welcome, state.ProcessState, logs)
	}
	return false
}

// kill kills the program and waits until it is gone. Killed twice it stays dead.
func (p *program) kill() {
	if p.cmd != nil {
		p.signal(syscall.SIGKILL)
		p.wait()
	}
}

func (p *program) signal(signal os.Signal) {
	p.cmd.Process.Signal(signal) // fails only when it is gone
}

// wait waits until the program is gone and returns its exit status, -1 if a
// signal ended it. What it logged is looked through, and shown at the end if the
// test has failed.
func (p *program) wait() (status int) {
	p.t.Helper()
	patience := time.NewTimer(30 * time.Second)
	defer patience.Stop()
	select {
	case <-p.died:
	case <-patience.C:
		p.t.Errorf("holdfast did not end within 30s")
		p.signal(syscall.SIGKILL)
		<-p.died
	}
	status = p.cmd.ProcessState.ExitCode()
	p.cmd = nil
	text := p.logs.String()
	for _, trouble := range []string{"DATA RACE", "panic:", "fatal error:"} {
		if strings.Contains(text, trouble) {
			p.t.Errorf("holdfast logged %q", trouble)
		}
	}
	p.told.WriteString(p.welcome + text)
	return status
}

// pause stops the program in its tracks; the kernel takes what is sent to it.
func (p *program) pause() { p.signal(syscall.SIGSTOP) }

// resume lets a paused program go on.
func (p *program) resume() { p.signal(syscall.SIGCONT) }

// A log is what a process wrote so far.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// An outcome is what a command that ends by itself came to.
type outcome struct {
	out, err string
	status   int
}

// holdfast runs the program with args until it ends.
func holdfast(t testing.TB, args ...string) outcome {
	t.Helper()
	return execute(t, "", binary, args...)
}

// execute runs a command that is handed input until it ends.
func execute(t testing.TB, input, name string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "FAKETTY=1") // redis-cli: print as to a terminal
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("run %s %q: %v\n%s%s", filepath.Base(name), args, err, &out, &errs)
	}
	return outcome{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// wantWords fails the test unless text has every word in it.
func wantWords(t testing.TB, what, text string, words ...string) {
	t.Helper()
	if i := slices.IndexFunc(words, func(w string) bool { return !strings.Contains(text, w) }); i >= 0 {
		t.Errorf("%s: got %q, want %q in it", what, text, words[i])
	}
}

// wantNoWord fails the test if text has the word in it.
func wantNoWord(t testing.TB, what, text, word string) {
	t.Helper()
	if strings.Contains(text, word) {
		t.Errorf("%s: got %q, want no %q in it", what, text, word)
	}
}
