package wasm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
)

// command is the contract of a WASI command.
type command struct{}

// errTooLarge ends a command whose output is over its bound, errClosed one that nobody needs any more.
var (
	errTooLarge = errors.New("too much output")
	errClosed   = errors.New("closed")
)

// process is a command under way: it has started, and waits for its event where it first reads or writes.
type process struct {
	module api.Module
	bound  int64

	opened chan struct{} // closed when there is an event, or there won't be
	once   sync.Once
	event  bytes.Reader
	closed bool // there won't be; read after opened is closed

	stdout bytes.Buffer
	stderr io.Writer

	ended chan struct{} // closed when it has returned
	err   error         // with what; valid then
}

func (command) instantiate(ctx context.Context, f *Function) (caller, error) {
	p := &process{bound: f.settings.MaxResponse, stderr: &f.words, opened: make(chan struct{}), ended: make(chan struct{})}
	module, err := f.instantiate(ctx, streams{stdin: input{p}, stdout: output{p}, stderr: log{p}, wait: p.wait})
	if err != nil {
		return nil, err
	}
	p.module = module
	go p.run(context.WithoutCancel(ctx))
	return p, nil
}

// run is joined by call and close.
func (p *process) run(ctx context.Context) {
	defer close(p.ended)
	_, p.err = p.module.ExportedFunction("_start").Call(ctx)
}

func (p *process) call(_ context.Context, event []byte) ([]byte, error) {
	p.event.Reset(event)
	p.open()
	<-p.ended
	exit := (*sys.ExitError)(nil)
	switch {
	case p.err == nil, errors.As(p.err, &exit) && exit.ExitCode() == 0:
		return p.stdout.Bytes(), nil
	case errors.Is(p.err, errTooLarge):
		return nil, tooLarge(int64(p.stdout.Len()), p.bound)
	}
	return nil, p.err
}

func (p *process) close(ctx context.Context) {
	p.once.Do(func() {
		p.closed = true
		close(p.opened)
	})
	<-p.ended
	_ = p.module.Close(ctx)
}

func (p *process) open() { p.once.Do(func() { close(p.opened) }) }

// wait holds the program until there is an event. What runs ahead of one is not to be seen in anyone's log.
func (p *process) wait() {
	<-p.opened
	if p.closed {
		panic(errClosed) // which ends the program
	}
}

// input is the program's stdin, output its stdout, log its stderr.
type (
	input  struct{ of *process }
	output struct{ of *process }
	log    struct{ of *process }
)

// Read implements io.Reader.
func (i input) Read(p []byte) (int, error) {
	i.of.wait()
	return i.of.event.Read(p)
}

// Write implements io.Writer.
func (o output) Write(p []byte) (int, error) {
	o.of.wait()
	n, _ := o.of.stdout.Write(p)
	if o.of.bound > 0 && int64(o.of.stdout.Len()) > o.of.bound {
		panic(errTooLarge)
	}
	return n, nil
}

// Write implements io.Writer.
func (l log) Write(p []byte) (int, error) {
	l.of.wait()
	return l.of.stderr.Write(p)
}
