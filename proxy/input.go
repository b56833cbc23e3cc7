package proxy

import (
	"net"
	"sync"
	"syscall"
)

const (
	chunkSize = 16 << 10 // of a read buffer; they go round between the connections
	parkSize  = 4 << 10  // of what is moved out of a buffer, so that it can go round
)

// An input holds what was received and not taken yet. While it waits for more it
// keeps a read buffer only if that is filled for the most part.
type input struct {
	conn   net.Conn
	raw    syscall.RawConn // nil if conn has none: a buffer is then kept while waiting
	chunks *sync.Pool      // of *[chunkSize]byte

	chunk *[chunkSize]byte // what buf lies in; nil if buf is of another size
	buf   []byte
	r, w  int // buf[r:w] is what was received

	attempt func(fd uintptr) bool // in.read, or in.watch at the end; bound once
	n       int                   // what the attempt read
	err     error
	half    bool // the other side sends no more; never without raw, where it is gone then
}

func newInput(conn net.Conn, chunks *sync.Pool) *input {
	in := &input{conn: conn, chunks: chunks}
	if file, ok := conn.(syscall.Conn); ok {
		in.raw, _ = file.SyscallConn()
	}
	in.attempt = in.read
	return in
}

// received returns what was received and not taken yet, until the next fill.
func (in *input) received() []byte { return in.buf[in.r:in.w] }

// size returns how many bytes are kept while waiting for more.
func (in *input) size() int {
	if n := in.w - in.r; n <= parkSize {
		return n
	}
	return len(in.buf)
}

// take drops the first n bytes received.
func (in *input) take(n int) {
	in.r += n
	if in.r < in.w {
		return
	}
	in.r, in.w = 0, 0
	if in.chunk == nil {
		in.buf = nil
	}
}

// unread drops the last n bytes received.
func (in *input) unread(n int) { in.w -= n }

// fill waits for bytes, and returns how many have come. It returns errHalf when
// there are no more to come, and from then on waits until the connection fails.
func (in *input) fill() (int, error) {
	if in.raw == nil {
		in.makeRoom()
		n, err := in.conn.Read(in.buf[in.w:])
		in.w += n
		return n, err
	}
	in.n, in.err = 0, nil
	if err := in.raw.Read(in.attempt); err != nil {
		return 0, err
	}
	in.w += in.n
	return in.n, in.err
}

// read reads what there is without waiting, and reports whether fill is done. If
// it is not, the buffer goes round while the runtime waits for the socket: this
// is what keeps ten thousand idle connections small.
func (in *input) read(fd uintptr) bool {
	in.makeRoom()
	for {
		n, err := syscall.Read(int(fd), in.buf[in.w:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			in.park()
			return false
		case err != nil:
			in.err = err
		case n == 0:
			in.err, in.half = errHalf, true
			in.attempt = in.watch
		default:
			in.n = n
		}
		return true
	}
}

// watch reports whether the connection failed. A read would not tell: behind the
// end of what was sent the kernel returns the end again, reset or not.
func (in *input) watch(fd uintptr) bool {
	code, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
	if err == nil && code != 0 {
		err = syscall.Errno(code)
	}
	in.err = err
	return err != nil
}

// makeRoom leaves space behind what was received.
func (in *input) makeRoom() {
	switch {
	case in.chunk == nil && len(in.buf) < chunkSize:
		in.chunk = in.chunks.Get().(*[chunkSize]byte)
		in.move(in.chunk[:])
	case in.w < len(in.buf):
	case in.r > 0:
		in.move(in.buf)
	default:
		old := in.chunk
		in.chunk = nil
		in.move(make([]byte, 2*len(in.buf)))
		if old != nil {
			in.chunks.Put(old)
		}
	}
}

// park keeps what was received in as little as it needs, if that is little.
func (in *input) park() {
	if in.w-in.r > parkSize {
		return
	}
	old := in.chunk
	in.chunk = nil
	in.move(append([]byte(nil), in.received()...))
	if old != nil {
		in.chunks.Put(old)
	}
}

// move continues in another buffer, or at the start of the same.
func (in *input) move(to []byte) {
	in.w = copy(to, in.received())
	in.r = 0
	in.buf = to
}

// release gives the buffer back for good.
func (in *input) release() {
	in.r, in.w = 0, 0
	in.park()
}
