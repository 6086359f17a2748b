package build

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"

	"nimbus"
)

const (
	wasmMagic   = "\x00asm"
	wasmVersion = 1
	wasmLayer   = 1 << 16 // in the version's upper half: a component, not a module
)

// checkModule refuses, on the field "code" and in words, what is no WebAssembly module (WebAssembly Core
// Specification, 5.5.16). Whether it is a good one is the compiler's to say.
func checkModule(tree fs.FS, name string) error {
	head, err := readHead(tree, name, len(wasmMagic)+4)
	if err != nil {
		return fmt.Errorf("look at %s: %w", name, err)
	}
	why := ""
	switch {
	case bytes.HasPrefix(bytes.TrimSpace(head), []byte("(")):
		why = "is WebAssembly's text format: turn it into the binary one with wat2wasm"
	case !bytes.HasPrefix(head, []byte(wasmMagic)) || len(head) < len(wasmMagic)+4:
		why = "is no WebAssembly"
	default:
		switch version := binary.LittleEndian.Uint32(head[len(wasmMagic):]); {
		case version == wasmVersion:
			return nil
		case version >= wasmLayer:
			why = "is a WebAssembly component; a core module is needed (target wasip1, not wasip2)"
		default:
			why = fmt.Sprintf("is WebAssembly of version %d; only version %d can be run", version, wasmVersion)
		}
	}
	var v nimbus.Invalid
	v.Add("code", "%s %s", name, why)
	return v.Err()
}
