package wasm

import (
	"context"
	"fmt"
	"io"

	"nimbus/internal/wire"
)

// echo is a module that answers with its event:
//
//	(module
//	  (memory (export "memory") 1)
//	  (func (export "alloc") (param i32) (result i32) (i32.const 16))
//	  (func (export "handle") (param i32 i32) (result i64)
//	    (i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.extend_i32_u (local.get 1)))))
const echo = "\x00asm\x01\x00\x00\x00" +
	"\x01\x0f\x03`\x01\x7f\x01\x7f`\x02\x7f\x7f\x01~`\x00\x00" +
	"\x03\x03\x02\x00\x01" +
	"\x05\x03\x01\x00\x01" +
	"\x07\x1b\x03\x06memory\x02\x00\x05alloc\x00\x00\x06handle\x00\x01" +
	"\x0a\x13\x02\x04\x00A\x10\x0b\x0c\x00 \x00\xadB \x86 \x01\xad\x84\x0b"

// warm runs a function, so that the first of a user's finds what it needs of this program in memory.
func (w *Worker) warm(ctx context.Context) error {
	const event = "0"
	module, err := w.engine.Compile(ctx, []byte(echo))
	if err != nil {
		return fmt.Errorf("compile the first module: %w", err)
	}
	f, err := w.engine.NewFunction(ctx, module, Settings{Memory: pageSize, Stdout: io.Discard, Stderr: io.Discard})
	if err != nil {
		return fmt.Errorf("make the first function: %w", err)
	}
	result, err := f.Call(ctx, wire.ExecMeta{}, []byte(event), nil)
	if err != nil || string(result) != event {
		return fmt.Errorf("the first call: %q, %w", result, err)
	}
	if err := f.Close(ctx); err != nil {
		return err
	}
	return module.compiled.Close(ctx)
}
