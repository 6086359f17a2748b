//go:build linux

package agent

import (
	"errors"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const outletBuffer = 16 << 10

// outlet is a pipe that a process prints to. What comes is handed on at once; settle hands on what was
// printed so far, without waiting for the reader's turn.
type outlet struct {
	file *os.File
	done chan struct{} // the reader's

	mu     sync.Mutex
	buf    []byte
	take   func(p []byte) // p is valid during the call
	closed bool
}

// newOutlet returns an outlet and the end to print to, which the caller closes once a process has it.
func newOutlet(take func(p []byte)) (*outlet, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	o := &outlet{file: r, done: make(chan struct{}), take: take}
	go o.read() // joined by close
	return o, w, nil
}

func (o *outlet) read() {
	defer close(o.done)
	raw, err := o.file.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool { return o.drain(int(fd)) }) // ends when the file is closed, too
}

// drain takes in what is there, and reports whether that was all there will ever be.
func (o *outlet) drain(fd int) (end bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.closed {
		if o.buf == nil {
			o.buf = make([]byte, outletBuffer)
		}
		n, err := unix.Read(fd, o.buf)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return false
		case err != nil || n == 0:
			return true
		default:
			o.take(o.buf[:n])
		}
	}
	return true
}

// settle hands on what has been printed.
func (o *outlet) settle() {
	if raw, err := o.file.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { o.drain(int(fd)) })
	}
}

// close hands on what has been printed, and nothing that comes later: somebody may hold the other end on.
func (o *outlet) close() {
	o.settle()
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	_ = o.file.Close()
	<-o.done
}
