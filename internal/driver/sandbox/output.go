//go:build linux && (amd64 || arm64)

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nimbus/internal/driver"
)

const (
	readSize   = 32 << 10
	earlyLimit = 4 << 10
	// No more than this is read at a time without letting others at the streams: what a pipe holds is all
	// that can have been printed before a result.
	pipeSize = 64 << 10
)

// pipeMode lets an instance, which doesn't own its pipes, open /dev/stdout and /dev/stderr.
const pipeMode = 0o222

// buffers lends read buffers.
type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	return &buffers{pool: sync.Pool{New: func() any { return new([readSize]byte) }}}
}

func (b *buffers) get() *[readSize]byte  { return b.pool.Get().(*[readSize]byte) }
func (b *buffers) put(p *[readSize]byte) { b.pool.Put(p) }

// output reads what an instance prints. Reading and handing on happen under one lock, else a reader that was
// about to hand something on could be overtaken by drain.
type output struct {
	buffers *buffers
	streams [2]*pipe
	readers sync.WaitGroup

	mu    sync.Mutex
	sink  driver.Output // nil until the instance is up
	early []byte        // what came before that: why it could not start
}

type pipe struct {
	stream driver.Stream
	file   *os.File
	raw    syscall.RawConn
}

// newOutput makes the pipes; theirs are for the instance.
func newOutput(b *buffers) (o *output, theirs [2]*os.File, err error) {
	o = &output{buffers: b}
	for i, stream := range []driver.Stream{driver.Stdout, driver.Stderr} {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			o.close()
			closeAll(theirs[:])
			return nil, theirs, fmt.Errorf("make a pipe: %w", err)
		}
		theirs[i] = os.NewFile(uintptr(fds[1]), "output")
		err := errors.Join(
			unix.SetNonblock(fds[0], true), // so that the runtime's poller takes it
			unix.Fchmod(fds[1], pipeMode))
		file := os.NewFile(uintptr(fds[0]), "output")
		var raw syscall.RawConn
		if err == nil {
			raw, err = file.SyscallConn()
		}
		o.streams[i] = &pipe{stream: stream, file: file, raw: raw}
		if err != nil {
			o.close()
			closeAll(theirs[:])
			return nil, theirs, fmt.Errorf("make a pipe: %w", err)
		}
	}
	return o, theirs, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// start reads both streams in the background until they end.
func (o *output) start() {
	for _, p := range o.streams {
		o.readers.Go(func() {
			// The error is of a pipe that was closed; there is nothing more to read then.
			_ = p.raw.Read(func(fd uintptr) (done bool) { return o.read(int(fd), p.stream) })
		})
	}
}

// attach begins to hand output on; what came before is forgotten.
func (o *output) attach(sink driver.Output) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sink, o.early = sink, nil
}

// detach returns what came before an instance was up.
func (o *output) detach() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.early)
}

// drain hands on, without waiting, everything printed before it was called.
func (o *output) drain() {
	for _, p := range o.streams {
		_ = p.raw.Control(func(fd uintptr) {
			for read := 0; read < pipeSize; {
				n := o.readOnce(int(fd), p.stream)
				if n <= 0 {
					break
				}
				read += n
			}
		})
	}
}

// wait returns when both streams have ended; they do when no process holds them any more. After the grace it
// closes them itself.
func (o *output) wait(grace time.Duration) {
	for _, p := range o.streams {
		_ = p.file.SetReadDeadline(time.Now().Add(grace))
	}
	o.readers.Wait()
	o.drain()
	o.close()
}

func (o *output) close() {
	for _, p := range o.streams {
		if p != nil {
			p.file.Close()
		}
	}
}

// read reads until the pipe is empty; done says that it has ended.
func (o *output) read(fd int, stream driver.Stream) (done bool) {
	for {
		switch n := o.readOnce(fd, stream); {
		case n == 0:
			return true
		case n < 0:
			return false
		}
	}
}

// readOnce reads and hands on; 0 = the stream has ended, -1 = nothing is there now.
func (o *output) readOnce(fd int, stream driver.Stream) int {
	buffer := o.buffers.get()
	defer o.buffers.put(buffer)
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		n, err := unix.Read(fd, buffer[:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return -1
		case err != nil || n <= 0:
			return 0
		case o.sink != nil:
			o.sink(stream, buffer[:n])
		default:
			o.early = append(o.early, buffer[:min(n, earlyLimit-len(o.early))]...)
		}
		return n
	}
}
