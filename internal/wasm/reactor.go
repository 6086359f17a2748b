package wasm

import (
	"context"
	"errors"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
)

// reactor is the contract of alloc and handle.
type reactor struct {
	start string // what initialises an instance; "" = nothing
}

// reactorInstance is an instance that was initialised.
type reactorInstance struct {
	module        api.Module
	alloc, handle api.Function
}

func (r reactor) instantiate(ctx context.Context, f *Function) (caller, error) {
	module, err := f.instantiate(ctx, streams{stdout: f.settings.Stdout, stderr: &f.words, wait: func() {}})
	if err != nil {
		return nil, err
	}
	if r.start != "" {
		if _, err := module.ExportedFunction(r.start).Call(ctx); err != nil {
			_ = module.Close(ctx)
			if exit := (*sys.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 0 {
				return nil, invalid("%s has ended the program before handle could be called: build a reactor, not a command", r.start)
			}
			return nil, err
		}
	}
	return &reactorInstance{module: module, alloc: module.ExportedFunction("alloc"), handle: module.ExportedFunction("handle")}, nil
}

func (i *reactorInstance) call(ctx context.Context, event []byte) ([]byte, error) {
	var stack [2]uint64
	stack[0] = uint64(len(event))
	if err := i.alloc.CallWithStack(ctx, stack[:1]); err != nil {
		return nil, err
	}
	at := uint32(stack[0])
	memory := i.module.Memory()
	switch {
	case at == 0:
		return nil, &nullError{size: len(event)}
	case !memory.Write(at, event):
		return nil, &pointerError{doing: "alloc has returned", at: at, size: uint32(len(event)), memory: memory.Size()}
	}
	stack[0], stack[1] = uint64(at), uint64(len(event))
	if err := i.handle.CallWithStack(ctx, stack[:2]); err != nil {
		return nil, err
	}
	at, size := uint32(stack[0]>>32), uint32(stack[0])
	result, ok := memory.Read(at, size)
	if !ok {
		return nil, &pointerError{doing: "handle has returned", at: at, size: size, memory: memory.Size()}
	}
	return result, nil
}

func (i *reactorInstance) close(ctx context.Context) { _ = i.module.Close(ctx) }
