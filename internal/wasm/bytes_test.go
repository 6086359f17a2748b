package wasm_test

import (
	"encoding/binary"
	"slices"
)

// The parts of a module, as the binary format has them.
const (
	i32, i64 = 0x7f, 0x7e

	typeSection, importSection, functionSection, memorySection = 1, 2, 3, 5
	globalSection, exportSection, startSection, codeSection    = 6, 7, 8, 10
	dataSection                                                = 11

	exportsFunction, exportsMemory = 0, 2
)

func leb(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func vector(items ...[]byte) []byte { return append(leb(len(items)), slices.Concat(items...)...) }

func text(s string) []byte { return append(leb(len(s)), s...) }

func section(id byte, items ...[]byte) []byte {
	body := vector(items...)
	return slices.Concat([]byte{id}, leb(len(body)), body)
}

func module(sections ...[]byte) []byte {
	return append([]byte("\x00asm\x01\x00\x00\x00"), slices.Concat(sections...)...)
}

func signature(params, results []byte) []byte {
	return slices.Concat([]byte{0x60}, leb(len(params)), params, leb(len(results)), results)
}

func export(name string, kind byte, index int) []byte {
	return slices.Concat(text(name), []byte{kind}, leb(index))
}

func body(code ...byte) []byte {
	code = slices.Concat([]byte{0}, code, []byte{0x0b}) // no locals; end
	return append(leb(len(code)), code...)
}

// The types and functions of a reactor that answers with the event.
var (
	reactorTypes     = section(typeSection, signature([]byte{i32}, []byte{i32}), signature([]byte{i32, i32}, []byte{i64}), signature(nil, nil))
	reactorFunctions = section(functionSection, leb(0), leb(1))
	onePage          = section(memorySection, []byte{0, 1})
	reactorExports   = section(exportSection, export("memory", exportsMemory, 0), export("alloc", exportsFunction, 0), export("handle", exportsFunction, 1))
	allocBody        = body(0x41, 16)                                           // 16
	handleBody       = body(0x20, 0, 0xad, 0x42, 32, 0x86, 0x20, 1, 0xad, 0x84) // ptr << 32 | len
	reactorCode      = section(codeSection, allocBody, handleBody)
)

// minimal is a reactor with a memory, and sections put before its code.
func minimal(memory []byte, before ...[]byte) []byte {
	return module(reactorTypes, reactorFunctions, memory, reactorExports, slices.Concat(before...), reactorCode)
}
