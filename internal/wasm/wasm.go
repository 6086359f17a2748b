// Package wasm runs WebAssembly functions in wazero, inside an instance: it is what nimbus-wasm is made of, as the
// worker that serves a function and as the compiler that runs ahead of it.
//
// A module says by its exports how it is called:
//
//   - alloc(size i32) → ptr i32 and handle(ptr i32, len i32) → out_ptr<<32 | out_len i64: the event is written to
//     where alloc says, the result is read from where handle says. A reactor's _initialize (or, where there is none,
//     _start) has run before.
//   - _start alone, a WASI command: the event is its stdin, the result its stdout.
//
// Either way every call has an instance of the module of its own: memory, tables and globals are as the module
// declares them, nothing of an earlier call is left. The next one is made as soon as a call has been answered, and
// waits: a reactor initialised, a command at its first read of stdin or write.
//
// Modules may import WASI preview 1 (arguments, environment, clocks, randomness, /var/function to read, /tmp to
// write, the call's context to read; no sockets) and what AssemblyScript's compiler asks for: env.abort, env.trace and env.seed.
package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tetratelabs/wazero"

	"nimbus/internal/wire"
)

// Settings are what a function's instances have.
type Settings struct {
	Name        string            // the function's, the first argument
	Env         map[string]string // its environment
	CodeDir     string            // shown read-only at the same path; "" = not at all
	TmpDir      string            // shown at the same path; "" = not at all
	Context     wire.Context      // of the function's calls
	Memory      int64             // bytes of linear memory, at most
	MaxResponse int64             // bytes of a result; 0 = unbounded
	Stdout      io.Writer         // what is printed beside the result
	Stderr      io.Writer
}

// Function is a module that is ready to be called, one call at a time. Between calls, Renew makes what the next one
// runs in.
type Function struct {
	engine   *Engine
	module   *Module
	settings Settings
	config   wazero.ModuleConfig
	memory   *linear
	words    lastWords
	next     caller
	renewal  error         // why there is no next
	called   wire.ExecMeta // what is known of the call under way
	wait     func()        // until there is one
}

// caller is an instance of a module that serves one call.
type caller interface {
	// call runs the event. The result is valid until the caller is closed.
	call(ctx context.Context, event []byte) ([]byte, error)
	// close ends the instance and returns when nothing of it runs any more.
	close(ctx context.Context)
}

// NewFunction makes the module callable, its first instance included. A *Failure is the module's.
func (e *Engine) NewFunction(ctx context.Context, module *Module, settings Settings) (*Function, error) {
	memory, err := newLinear(settings.Memory)
	if err != nil {
		return nil, err
	}
	f := &Function{engine: e, module: module, settings: settings,
		memory: memory, words: lastWords{to: settings.Stderr}}
	f.config = f.configure()
	if least := uint64(module.minPages) * pageSize; least > memory.limit {
		return nil, errors.Join(&Failure{Type: "Wasm.InvalidModule", Message: fmt.Sprintf(
			"the module starts with %d MB of memory, and the function may have %d MB; raise memory_mb", least>>20, memory.limit>>20)},
			memory.release())
	}
	f.Renew(ctx)
	if f.renewal != nil {
		return nil, errors.Join(f.renewal, memory.release())
	}
	return f, nil
}

// Call runs one event; its error is a *Failure. out is appended to and returned: results stay with the caller.
func (f *Function) Call(ctx context.Context, meta wire.ExecMeta, event, out []byte) ([]byte, error) {
	f.Renew(ctx)
	if f.renewal != nil {
		err := f.renewal
		f.renewal = nil
		return nil, err
	}
	next := f.next
	f.next, f.called = nil, meta
	defer func() {
		next.close(ctx)
		f.called = wire.ExecMeta{}
	}()
	result, err := next.call(ctx, event)
	if err != nil {
		return nil, f.explain(err)
	}
	result = bytes.TrimSpace(result)
	if err := f.check(result); err != nil {
		return nil, err
	}
	return append(out, result...), nil
}

// Renew makes the instance of the next call, unless there is one.
func (f *Function) Renew(ctx context.Context) {
	if f.next != nil || f.renewal != nil {
		return
	}
	// What a start function grew has been given back already, where it failed.
	f.memory.Free()
	f.memory.refused = false
	f.words.forget()
	next, err := f.module.contract.instantiate(ctx, f)
	if err != nil {
		f.renewal = f.explain(err)
		f.memory.Free()
		return
	}
	f.next = next
}

// Close ends what waits for a call.
func (f *Function) Close(ctx context.Context) error {
	if f.next != nil {
		f.next.close(ctx)
		f.next = nil
	}
	return f.memory.release()
}
