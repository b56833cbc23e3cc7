package integration

import (
	"bufio"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A driver is a process in another language that locks by a library of that
// language as it is told: testdata has them, and what they understand.
type driver struct {
	t       testing.TB
	what    string
	in      io.WriteCloser
	answers *bufio.Reader
	cmd     *exec.Cmd
}

// startDriver starts a command, which is to use the library against addr.
func startDriver(t testing.TB, command []string, library, addr string) *driver {
	t.Helper()
	_, port, _ := strings.Cut(addr, ":")
	cmd := exec.Command(command[0], append(command[1:], library, port)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a panicking test cleans nothing up
	logs := &log{}
	cmd.Stderr = logs
	d := &driver{t: t, what: library, cmd: cmd}
	out, err := cmd.StdoutPipe()
	if err == nil {
		d.in, err = cmd.StdinPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("start %s with %s: %v", filepath.Base(command[0]), library, err)
	}
	d.answers = bufio.NewReader(out)
	t.Cleanup(func() {
		d.in.Close()
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("%s ends with %v\n%s", library, err, logs)
		}
	})
	return d
}

// patience is how long a driver may take for one answer.
const patience = 30 * time.Second

// ask returns what the driver answers.
func (d *driver) ask(words ...string) string {
	d.t.Helper()
	request := strings.Join(words, " ")
	stop := time.AfterFunc(patience, func() { d.cmd.Process.Kill() })
	defer stop.Stop()
	_, err := io.WriteString(d.in, request+"\n")
	var answer string
	if err == nil {
		answer, err = d.answers.ReadString('\n')
	}
	if err != nil {
		d.t.Fatalf("%s: no answer to %q within %v: %v", d.what, request, patience, err)
	}
	return strings.TrimSuffix(answer, "\n")
}

// want fails the test unless the driver's answer begins so.
func (d *driver) want(answer string, words ...string) {
	d.t.Helper()
	got := d.ask(words...)
	if !strings.HasPrefix(got, answer) {
		d.t.Fatalf("%s: %q is answered %q, want %q", d.what, words, got, answer)
	}
}
