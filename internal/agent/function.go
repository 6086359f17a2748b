//go:build linux

package agent

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"nimbus/internal/wire"
)

// bootstrap is the file that a custom runtime is.
const bootstrap = "bootstrap"

// function is what Init made of the agent. It runs one call at a time: others wait.
type function struct {
	kind     Kind
	config   Config
	conn     interface{ Close() error }
	api      *runtimeAPI
	address  string // where api listens
	children *supervisor

	busy   sync.Mutex // held during Init and each call
	init   wire.InitMsg
	path   string
	env    []string
	viaAPI bool // the program has turned out to use the Runtime API
	eager  bool // it does not wait for stdin, so that none is started ahead
	run    *run // of the Runtime API's program
	killed atomic.Bool

	ahead sync.WaitGroup
	next  *run // started ahead; written by ahead only
}

// Init starts the program and waits until it is ready for an event: it asks the Runtime API for one, or waits on stdin.
func (f *function) Init(ctx context.Context, msg wire.InitMsg) wire.RespMeta {
	f.busy.Lock()
	defer f.busy.Unlock()
	name := msg.Handler
	if f.kind == Custom {
		name, f.viaAPI = bootstrap, true
	}
	if !filepath.IsLocal(name) {
		return wire.RespMeta{Type: "Runtime.HandlerNotFound", Message: "the handler is to be the name of the program, not " + excerpt([]byte(name))}
	}
	f.init, f.path = msg, filepath.Join(msg.CodeDir, name)
	f.env = environment(&msg, f.address)
	if !f.viaAPI {
		f.env = append(f.env, wire.ContextFile+"="+contextPath)
	}
	session := f.api.begin()
	r, err := f.start()
	if err != nil {
		return notStarted(f.path, msg.CodeDir, err)
	}
	meta, ready := f.await(ctx, r, session)
	if !ready {
		f.children.kill(r.process)
		<-r.done
		f.lose(r)
		r.close()
	}
	return meta
}

// await waits until a first process is ready, and what it does decides what kind of a program it is.
func (f *function) await(ctx context.Context, r *run, session *session) (meta wire.RespMeta, ready bool) {
	ok := wire.RespMeta{OK: true}
	look := &stdinWatch{run: r, path: f.path, wait: firstLook}
	if f.viaAPI {
		r.serveAPI()
	} else {
		look.timer = time.NewTimer(firstLook)
		look.due = look.timer.C
		defer look.timer.Stop()
	}
	for {
		select {
		case <-session.asked:
			f.become(r)
			return ok, true
		case meta := <-session.failed:
			r.settle()
			return meta, false
		case <-r.done:
			select {
			case meta := <-session.failed: // which it did before
				r.settle()
				return meta, false
			default:
			}
			if f.viaAPI {
				r.settle()
				return endedUnasked(r.process, &r.stderr), false
			}
			if !r.status.Exited() || r.status.ExitStatus() != 0 {
				meta, _ := r.outcome()
				return meta, false
			}
			f.eager = true
			r.close() // what it did was nobody's call
			return ok, true
		case <-ctx.Done():
			return wire.RespMeta{Type: typeExit, Message: "the platform went away"}, false
		case <-look.due:
			if look.waits() {
				f.next = r
				return ok, true
			}
		}
	}
}

// become makes r the process that all calls go to.
func (f *function) become(r *run) {
	r.serveAPI()
	f.viaAPI, f.run = true, r
}

// Exec runs one call.
func (f *function) Exec(ctx context.Context, call *wire.Call) (wire.RespMeta, []byte) {
	f.busy.Lock()
	defer f.busy.Unlock()
	if f.viaAPI {
		return f.callAPI(ctx, call)
	}
	return f.callStdin(ctx, call)
}

// callAPI gives the event to the program through the Runtime API. One that has ended since is started again.
func (f *function) callAPI(ctx context.Context, call *wire.Call) (wire.RespMeta, []byte) {
	kept := f.run
	meta, raw, err := f.invoke(ctx, call)
	if errors.Is(err, errNotHanded) && f.run == kept {
		// It was about to end when the call came: many do after a failure.
		meta, raw, err = f.invoke(ctx, call)
	}
	if err == nil {
		return meta, raw
	}
	var start *startError
	switch {
	case errors.As(err, &start):
		return start.meta, nil
	case errors.Is(err, errProgramEnded), errors.Is(err, errNotHanded):
		f.lose(f.run)
		return ended(f.run.process, &f.run.stderr), nil
	}
	return wire.RespMeta{Type: typeExit, Message: err.Error()}, nil
}

// invoke tries one process.
func (f *function) invoke(ctx context.Context, call *wire.Call) (wire.RespMeta, []byte, error) {
	if f.run == nil || f.run.hasEnded() {
		f.close()
		f.children.sweep() // what it left behind is no part of the next
		f.api.begin()
		r, err := f.start()
		if err != nil {
			return wire.RespMeta{}, nil, &startError{notStarted(f.path, f.init.CodeDir, err)}
		}
		r.serveAPI()
		f.run = r
	}
	defer f.run.settle()
	return f.api.invoke(newInvocation(ctx, call, &f.init), f.run.done)
}

// startError says why the program could not be started.
type startError struct{ meta wire.RespMeta }

// Error implements error.
func (e *startError) Error() string { return e.meta.Message }

// lose ends the agent when the kernel took the process: it did so for the instance's memory.
func (f *function) lose(r *run) {
	if r.taken() {
		f.killed.Store(true)
		_ = f.conn.Close()
	}
}

// close ends what was started and waits for it.
func (f *function) close() {
	for _, r := range []*run{f.run, f.next} {
		if r != nil {
			f.children.kill(r.process)
			<-r.done
			r.close()
		}
	}
	f.run, f.next = nil, nil
}
