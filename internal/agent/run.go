//go:build linux

package agent

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"nimbus/internal/wire"
)

// run is one process of the user's program, with its descriptors: pipes, and the file of its call's context.
type run struct {
	*process
	input   *os.File // its stdin: what is left in it says what was read
	stdin   *os.File // where it is filled
	context *os.File
	stdout  stdout
	stderr  stderr
	outlets [2]*outlet
	feeding sync.WaitGroup
	fed     atomic.Int64 // bytes of the event in the pipe, or read
}

// start begins a run of the program.
func (f *function) start() (*run, error) {
	r := &run{}
	started := make(chan struct{}) // a process may print before start has returned
	r.stdout.log, r.stdout.bound = f.config.Stdout, f.init.MaxResponse
	r.stdout.full = func() {
		<-started
		f.children.kill(r.process)
	}
	r.stderr.log = f.config.Stderr
	err := r.open()
	theirs := []*os.File{r.input, nil, nil, r.context}
	for i, take := range []func([]byte){r.stdout.take, r.stderr.take} {
		if err == nil {
			r.outlets[i], theirs[i+1], err = newOutlet(take)
		}
	}
	if err == nil {
		r.process, err = f.children.start(f.path, []string{f.path}, f.env, f.init.CodeDir, theirs...)
	}
	close(started)
	for _, file := range theirs[1:3] {
		if file != nil {
			_ = file.Close()
		}
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// open makes what a process reads from.
func (r *run) open() (err error) {
	if r.input, r.stdin, err = os.Pipe(); err != nil {
		return err
	}
	memory, err := unix.MemfdCreate("context", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("make the context's file: %w", err)
	}
	r.context = os.NewFile(uintptr(memory), "context")
	return nil
}

// give hands over the event, and before it the context. It does not wait until all of it was read.
func (r *run) give(context, event []byte) error {
	if _, err := r.context.Write(context); err != nil {
		return fmt.Errorf("write the context: %w", err)
	}
	r.feeding.Go(func() {
		n, _ := r.stdin.Write(event) // a program need not read it
		r.fed.Store(int64(n))
		_ = r.stdin.Close()
	})
	return nil
}

// untouched reports whether a process failed before it had read any of its event. It has ended.
func (r *run) untouched() bool {
	if r.status.Exited() && r.status.ExitStatus() == 0 {
		return false
	}
	_ = r.stdin.Close()
	r.feeding.Wait()
	left, err := unix.IoctlGetInt(int(r.input.Fd()), unix.TIOCINQ)
	return err == nil && int64(left) == r.fed.Load()
}

// serveAPI makes this the process of a program that uses the Runtime API: nothing comes on its stdin, and what
// it prints is the log.
func (r *run) serveAPI() {
	_ = r.stdin.Close()
	r.feeding.Wait()
	r.stdout.becomeLog()
}

// settle lets what was printed so far into the log.
func (r *run) settle() {
	r.outlets[0].settle()
	r.outlets[1].settle()
}

// close takes in the last of what was printed. The process has ended.
func (r *run) close() {
	for _, file := range []*os.File{r.stdin, r.input, r.context} {
		_ = file.Close() // of none too
	}
	r.feeding.Wait()
	for _, o := range r.outlets {
		if o != nil {
			o.close()
		}
	}
	r.stderr.flush()
}

// hasEnded reports whether the process is over.
func (r *run) hasEnded() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// outcome judges a process on stdin that has ended.
func (r *run) outcome() (wire.RespMeta, []byte) {
	r.settle()
	out, size, overflow := r.stdout.content()
	if overflow {
		return wire.TooLarge(fmt.Sprintf("the result has reached %d bytes", size), r.stdout.bound), nil
	}
	if r.status.Exited() && r.status.ExitStatus() == 0 {
		return result(out)
	}
	return ended(r.process, &r.stderr), nil
}
