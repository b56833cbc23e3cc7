package storetest

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A Server is a real one in a process of its own, killed when its test ends. Its
// methods fail the test when they cannot do what they say, and are for the
// test's goroutine.
type Server struct {
	t    testing.TB
	kind kind
	args []string
	dir  string
	port int

	process *os.Process
	died    chan struct{} // closed once the process was waited for
}

// A kind is what sets redis and memcached apart here.
type kind struct {
	name    string // of the program, and of the package that brings it
	args    func(port int) []string
	env     []string // beside what this process has
	ask     string   // a request that names the process
	answers func(reply string, pid int) bool
}

// StartRedis starts a redis-server that persists nothing. Later args override
// earlier ones.
func StartRedis(t testing.TB, args ...string) *Server {
	t.Helper()
	return start(t, redisKind(), args)
}

func redisKind() kind {
	return kind{
		name: "redis-server",
		args: func(port int) []string {
			return []string{
				"--port", strconv.Itoa(port), "--bind", "127.0.0.1",
				"--save", "", "--appendonly", "no",
			}
		},
		ask: "INFO server\r\n",
		answers: func(reply string, pid int) bool {
			// One that wants a password does not say who it is.
			return strings.HasPrefix(reply, "-NOAUTH") || strings.Contains(reply, fmt.Sprintf("process_id:%d\r\n", pid))
		},
	}
}

// StartMemcached starts a memcached.
func StartMemcached(t testing.TB, args ...string) *Server {
	t.Helper()
	return start(t, kind{
		name: "memcached",
		args: func(port int) []string {
			args := []string{"-p", strconv.Itoa(port), "-l", "127.0.0.1", "-U", "0"}
			if os.Geteuid() == 0 {
				args = append(args, "-u", "root") // it does not run as root unless told to
			}
			return args
		},
		ask: "stats\r\n",
		answers: func(reply string, pid int) bool {
			return strings.Contains(reply, fmt.Sprintf("STAT pid %d\r\n", pid))
		},
	}, args)
}

func start(t testing.TB, k kind, args []string) *Server {
	t.Helper()
	if _, err := exec.LookPath(k.name); err != nil {
		t.Fatal("apt-get install " + k.name)
	}
	s := &Server{t: t, kind: k, args: args, dir: t.TempDir()}
	t.Cleanup(s.Kill)
	for range 10 {
		s.port = freePort(t)
		if s.try() {
			return s
		}
	}
	t.Fatalf("start %s: no attempt out of 10 got to run:\n%s", k.name, s.output())
	return nil
}

// freePort returns a port that was free a moment ago.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Addr returns the host and port that the server listens on, restarts or not.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Start starts the server after a Kill, at the same address.
func (s *Server) Start() {
	s.t.Helper()
	// Somebody else may be given the port meanwhile, for a connection of theirs.
	Eventually(s.t, "start "+s.kind.name+" at "+s.Addr()+" again", s.try)
}

// try starts the process and reports whether it came to answer.
func (s *Server) try() bool {
	s.t.Helper()
	log, err := os.Create(s.log())
	if err != nil {
		s.t.Fatalf("start %s: %v", s.kind.name, err)
	}
	defer log.Close()
	cmd := exec.Command(s.kind.name, append(s.kind.args(s.port), s.args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, log, log
	cmd.Env = append(os.Environ(), s.kind.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a panicking test cleans nothing up
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("start %s: %v", s.kind.name, err)
	}
	died := make(chan struct{}) // Kill waits for it
	go func() {
		defer close(died)
		cmd.Wait() // killed, so its error says nothing
	}()
	s.process, s.died = cmd.Process, died
	if poll(10*time.Second, func() bool { return s.dead() || s.answers() }) && !s.dead() {
		return true
	}
	s.Kill()
	return false
}

func (s *Server) log() string { return filepath.Join(s.dir, "output") }

func (s *Server) output() string {
	b, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (s *Server) dead() bool {
	select {
	case <-s.died:
		return true
	default:
		return false
	}
}

// answers reports whether this very process answers at the address: another one
// may have been faster to take the port.
func (s *Server) answers() bool {
	conn, err := net.DialTimeout("tcp", s.Addr(), time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	if _, err := conn.Write([]byte(s.kind.ask)); err != nil {
		return false
	}
	var reply strings.Builder
	for lines := bufio.NewReader(conn); ; {
		line, err := lines.ReadString('\n')
		reply.WriteString(line)
		if s.kind.answers(reply.String(), s.process.Pid) {
			return true
		}
		if err != nil {
			return false
		}
	}
}

// Kill kills the server, paused or not, and waits until it is gone. Killed twice
// it stays dead.
func (s *Server) Kill() {
	if s.process == nil {
		return
	}
	s.process.Kill() // fails only when it is gone
	<-s.died
	s.process = nil
}

// Restart kills the server and starts it again, empty, at the same address.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	s.Start()
}

// Pause stops the process and returns once all of it stands still. Connections
// stay open, and the kernel takes what is sent to them.
func (s *Server) Pause() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	Eventually(s.t, s.kind.name+" stands still", s.still)
}

// still reports whether every thread of the process is stopped.
//
// Source: proc(5), the state in /proc/pid/stat follows the name in parentheses.
func (s *Server) still() bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.process.Pid))
	if err != nil || len(threads) == 0 {
		return false
	}
	for _, path := range threads {
		stat, err := os.ReadFile(path)
		if err != nil {
			return false
		}
		_, state, ok := strings.Cut(string(stat), ") ")
		if !ok || state[0] != 'T' {
			return false
		}
	}
	return true
}

// Resume lets a paused process go on.
func (s *Server) Resume() {
	s.t.Helper()
	s.signal(syscall.SIGCONT)
}

func (s *Server) signal(signal syscall.Signal) {
	s.t.Helper()
	if s.process == nil {
		s.t.Fatalf("%s %s: it is not running", signal, s.kind.name)
	}
	if err := s.process.Signal(signal); err != nil {
		s.t.Fatalf("%s %s: %v", signal, s.kind.name, err)
	}
}
