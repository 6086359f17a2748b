package wasm

import (
	"context"
	"encoding/binary"
	"fmt"
	"unicode/utf16"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/assemblyscript"
)

// assemblyScriptModule is what modules made by AssemblyScript's compiler import from.
const assemblyScriptModule = "env"

// maxText bounds what is read of a module's strings, in bytes.
const maxText = 16 << 10

// aborted is what AssemblyScript's abort says: an uncaught throw, a failed assertion.
type aborted struct{ message, at string }

// Error implements error.
func (a *aborted) Error() string {
	if a.at == "" {
		return "abort: " + a.message
	}
	return fmt.Sprintf("abort: %s (%s)", a.message, a.at)
}

// assemblyScript builds trace and seed as wazero has them, and an abort that keeps its reason.
func assemblyScript(runtime wazero.Runtime) wazero.HostModuleBuilder {
	builder := runtime.NewHostModuleBuilder(assemblyScriptModule)
	assemblyscript.NewFunctionExporter().WithTraceToStderr().ExportFunctions(builder)
	abort := func(_ context.Context, module api.Module, message, file, line, column uint32) {
		a := &aborted{message: assemblyScriptString(module.Memory(), message)}
		if name := assemblyScriptString(module.Memory(), file); name != "" {
			a.at = fmt.Sprintf("%s:%d:%d", name, line, column)
		}
		panic(a) // which wazero turns into the call's error
	}
	return builder.NewFunctionBuilder().WithFunc(abort).WithName("~lib/builtins/abort").Export("abort")
}

// assemblyScriptString reads a string object: UTF-16, its length in bytes before it. It is "" where there is none.
func assemblyScriptString(memory api.Memory, at uint32) string {
	const lengthSize = 4
	if memory == nil || at < lengthSize {
		return ""
	}
	size, _ := memory.ReadUint32Le(at - lengthSize)
	text, ok := memory.Read(at, min(size, maxText)&^1)
	if !ok {
		return ""
	}
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(text[2*i:])
	}
	return string(utf16.Decode(units))
}
