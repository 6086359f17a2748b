// A reactor made by Go's compiler, with -buildmode=c-shared.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"unsafe"
)

var (
	memory  = map[uint32][]byte{} // what alloc gave is not to be collected
	started bool
	calls   int
)

func init() { started = true }

func main() {}

//go:wasmexport alloc
func alloc(size uint32) uint32 {
	b := make([]byte, max(size, 1))
	at := uint32(uintptr(unsafe.Pointer(&b[0])))
	memory[at] = b
	return at
}

//go:wasmexport handle
func handle(at, size uint32) uint64 {
	calls++
	var event struct{ Do string }
	if err := json.Unmarshal(memory[at][:size], &event); err != nil {
		panic(err)
	}
	switch event.Do {
	case "panic":
		var none *int
		*none = 1
	case "exit":
		fmt.Fprintln(os.Stderr, "giving up")
		os.Exit(4)
	}
	fmt.Println("printed")
	result, err := json.Marshal(map[string]any{"started": started, "calls": calls, "context": fileText(os.Getenv("NIMBUS_CONTEXT_FILE"))})
	if err != nil {
		panic(err)
	}
	out := alloc(uint32(len(result)))
	copy(memory[out], result)
	return uint64(out)<<32 | uint64(len(result))
}

func fileText(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(content)
}
