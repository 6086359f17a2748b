package wasm_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"nimbus/internal/wasm/compilemsg"
	"nimbus/internal/wire"
)

func TestMinimalModule(t *testing.T) {
	t.Parallel()
	w := function(t, minimal(onePage), wire.InitMsg{})
	w.wantResult(t, `{"a":1}`, `{"a":1}`)
	w.wantFailure(t, sized(70000), "Wasm.InvalidPointer", "alloc has returned 16 for 70000 bytes, outside the module's memory of 65536 bytes")
}

func TestModulesThatAreRefused(t *testing.T) {
	t.Parallel()
	imports := func(from, name string, kind ...byte) []byte {
		return section(importSection, slices.Concat(text(from), text(name), kind))
	}
	importing := func(from, name string, kind ...byte) []byte {
		return module(reactorTypes, imports(from, name, kind...), reactorFunctions, onePage,
			section(exportSection, export("memory", exportsMemory, 0), export("alloc", exportsFunction, 1), export("handle", exportsFunction, 2)), reactorCode)
	}
	trap := section(codeSection, allocBody, handleBody, body(0x00))
	many := make([][]byte, 50)
	for i := range many {
		many[i] = export(strings.Repeat("f", i+1), exportsFunction, 0)
	}
	for name, c := range map[string]struct {
		module []byte
		want   string
	}{
		"empty":            {nil, "empty file"},
		"text":             {[]byte("  (module)"), "WebAssembly text"},
		"an ELF":           {[]byte("\x7fELF and so on"), "an ELF program"},
		"anything":         {[]byte("hello"), "not a WebAssembly module"},
		"a component":      {[]byte("\x00asm\x0d\x00\x01\x00"), "a component of the component model"},
		"a future version": {[]byte("\x00asm\x02\x00\x00\x00"), "version of WebAssembly"},
		"cut short":        {minimal(onePage)[:60], "can't be compiled: "},
		"memory64":         {minimal(section(memorySection, []byte{4, 1})), "the memory64 proposal"},
		"shared memory":    {minimal(section(memorySection, []byte{3, 1, 2})), "the threads proposal"},
		"two memories":     {minimal(section(memorySection, []byte{0, 1}, []byte{0, 1})), "more than one memory"},
		"an atomic":        {module(reactorTypes, reactorFunctions, onePage, reactorExports, section(codeSection, body(0x41, 0, 0xfe, 0x10, 2, 0), handleBody)), "can't be compiled: "},
		"a tail call":      {module(reactorTypes, reactorFunctions, onePage, reactorExports, section(codeSection, body(0x20, 0, 0x12, 0), handleBody)), "can't be compiled: "},
		"a huge memory":    {minimal(section(memorySection, slices.Concat([]byte{0}, leb(40000)))), "starts with 2500 MB of memory, and the function may have "},
		"no memory":        {module(reactorTypes, reactorFunctions, section(exportSection, export("alloc", exportsFunction, 0), export("handle", exportsFunction, 1)), reactorCode), "does not export its memory"},
		"a hidden memory":  {module(reactorTypes, reactorFunctions, onePage, section(exportSection, export("alloc", exportsFunction, 0), export("handle", exportsFunction, 1)), reactorCode), "does not export its memory"},
		"no contract":      {module(reactorTypes, reactorFunctions, onePage, section(exportSection, export("memory", exportsMemory, 0), export("main", exportsFunction, 0), export("handle", exportsFunction, 1)), reactorCode), "exports handle, main; it has to export alloc and handle, or _start"},
		"no functions":     {module(), "exports no function; it has to"},
		"many exports":     {module(reactorTypes, reactorFunctions, onePage, section(exportSection, many...), reactorCode), " and 30 more; it has to"},
		"another handle":   {module(reactorTypes, reactorFunctions, onePage, section(exportSection, export("handle", exportsFunction, 0), export("alloc", exportsFunction, 0)), reactorCode), "exports handle as (i32) → i32; it has to be (i32, i32) → i64"},
		"an import":        {importing("env", "open_door", 0, 2), "imports what isn't there: env.open_door; there is WASI preview 1"},
		"another module":   {importing("wasi_unstable", "fd_write", 0, 2), "wasi_unstable.fd_write"},
		"sockets":          {importing("wasi_snapshot_preview1", "sock_connect", 0, 2), "wasi_snapshot_preview1.sock_connect"},
		"another abort":    {importing("env", "abort", 0, 2), "env.abort as () → (), which is (i32, i32, i32, i32) → ()"},
		"its memory":       {module(reactorTypes, imports("env", "memory", 2, 0, 1), reactorFunctions, reactorExports, reactorCode), "imports its memory"},
		"a global":         {module(reactorTypes, imports("env", "base", 3, i32, 0), reactorFunctions, onePage, reactorExports, reactorCode), "base"},
		"a start that traps": {module(reactorTypes, section(functionSection, leb(0), leb(1), leb(2)), onePage, reactorExports,
			slices.Concat([]byte{startSection, 1}, leb(2)), trap), "unreachable in $2()"},
		"data outside": {module(reactorTypes, reactorFunctions, onePage, reactorExports, reactorCode,
			section(dataSection, slices.Concat([]byte{0, 0x41, 0xf0, 0xff, 0xff, 0x7f, 0x0b}, text("data")))), "out of bounds"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := blank(t)
			if meta := w.init(t, c.module, wire.InitMsg{}); meta.OK || !strings.Contains(meta.Message, c.want) {
				t.Errorf("got %+v, want …%s…", meta, c.want)
			}
		})
	}
}

func TestLargeModules(t *testing.T) {
	t.Parallel()
	const count = 100_000
	functions, bodies := make([][]byte, count), make([][]byte, count)
	for i := range functions {
		functions[i], bodies[i] = leb(0), allocBody
	}
	functions[1], bodies[1] = leb(1), handleBody
	w := served(t, module(reactorTypes, section(functionSection, functions...), onePage, reactorExports, section(codeSection, bodies...)), wire.InitMsg{})
	w.wantResult(t, "1", "1")

	const size = 32 << 20
	data := slices.Concat([]byte{0, 0x41, 0x80, 0x08, 0x0b}, leb(size), make([]byte, size))
	pages := section(memorySection, slices.Concat([]byte{0}, leb(size>>16+1)))
	w = served(t, slices.Concat(minimal(pages), section(dataSection, data)), wire.InitMsg{MemoryMB: 512})
	w.wantResult(t, "1", "1")
}

// FuzzCompile looks for modules that break more than themselves.
func FuzzCompile(f *testing.F) {
	f.Add(minimal(onePage))
	f.Add(fixture(f, "reactor.wasm"))
	f.Add(fixture(f, "command.wasm"))
	f.Add([]byte("\x00asm\x0d\x00\x01\x00"))
	f.Add(binary.AppendUvarint([]byte("\x00asm\x01\x00\x00\x00\x05"), 1<<60))
	f.Fuzz(func(t *testing.T, module []byte) {
		meta, _ := compile(t, `{"module":"handler.wasm"}`, map[string][]byte{"handler.wasm": module})
		if !meta.OK && (meta.Type != compilemsg.Failed || meta.Message == "") {
			t.Errorf("got %+v", meta)
		}
	})
}
