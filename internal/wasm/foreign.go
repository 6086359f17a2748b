package wasm

import (
	"bytes"
	"encoding/binary"
)

// What a module begins with.
const (
	magic          = "\x00asm"
	moduleVersion  = 1
	componentLayer = 1 // in the upper half of the version
)

const memorySection = 5

// The flags of a memory's limits that belong to proposals.
const (
	sharedFlag   = 0x02
	memory64Flag = 0x04
)

// foreign says in words why a binary is none that runs here, for what a decoder would call a wrong byte; "" when it
// knows no reason. It reads no more of a module than how its memory is declared.
func foreign(module []byte) string {
	switch {
	case len(module) == 0:
		return "the module is an empty file"
	case bytes.HasPrefix(module, []byte("\x7fELF")):
		return "the file is an ELF program, not a WebAssembly module"
	case bytes.HasPrefix(bytes.TrimLeft(module, " \t\r\n"), []byte("(module")):
		return "the file is WebAssembly text; it has to be the binary format, as wat2wasm makes it"
	case !bytes.HasPrefix(module, []byte(magic)) || len(module) < 8:
		return "the file is not a WebAssembly module"
	}
	version, layer := binary.LittleEndian.Uint16(module[4:]), binary.LittleEndian.Uint16(module[6:])
	switch {
	case layer == componentLayer:
		return "the file is a component of the component model (WASI preview 2); it has to be a core module, built for WASI preview 1"
	case layer != 0 || version != moduleVersion:
		return "the module is of a version of WebAssembly that isn't known"
	}
	for section := range sections(module[8:]) {
		if section.id != memorySection {
			continue
		}
		count, rest := unsigned(section.body)
		if count > 1 {
			return "the module has more than one memory, which isn't supported"
		}
		if count == 1 && len(rest) > 0 {
			return foreignMemory(rest[0])
		}
	}
	return ""
}

func foreignMemory(flags byte) string {
	switch {
	case flags&memory64Flag != 0:
		return "the module has a memory of 64 bits (the memory64 proposal), which isn't supported; build it for wasm32"
	case flags&sharedFlag != 0:
		return "the module has a shared memory (the threads proposal), which isn't supported; build it without threads"
	}
	return ""
}

type section struct {
	id   byte
	body []byte
}

// sections yields a module's sections up to the first that is cut short.
func sections(module []byte) func(yield func(section) bool) {
	return func(yield func(section) bool) {
		for len(module) > 1 {
			size, rest := unsigned(module[1:])
			if size > uint64(len(rest)) || !yield(section{id: module[0], body: rest[:size]}) {
				return
			}
			module = rest[size:]
		}
	}
}

// unsigned reads a LEB128 number; a broken one is 0 with nothing behind it.
func unsigned(b []byte) (n uint64, rest []byte) {
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return 0, nil
	}
	return n, b[size:]
}
