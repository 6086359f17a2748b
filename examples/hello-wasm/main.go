//go:build wasip1

// Command hello-wasm greets. Compiled to WebAssembly, it exports alloc, which is told of the event's size and says
// where it goes, and handle, which answers it; both are JSON.
package main

import (
	"cmp"
	"encoding/json"
	"unsafe"
)

func main() {} // what is exported is called, not this

// given is what the caller may write to and read from: the collector sees no reference of the caller's.
var given = map[uint32][]byte{}

//go:wasmexport alloc
func alloc(size uint32) uint32 { return give(make([]byte, size)) }

//go:wasmexport handle
func handle(at, size uint32) uint64 {
	var event struct {
		Name  string `json:"name"`
		Query struct {
			Name string `json:"name"`
		} `json:"queryStringParameters"`
	}
	if err := json.Unmarshal(given[at][:size], &event); err != nil {
		panic(err)
	}
	name := cmp.Or(event.Name, event.Query.Name, "world")
	answer, err := json.Marshal(map[string]string{"message": "Hello, " + name + "!"})
	if err != nil {
		panic(err)
	}
	return uint64(give(answer))<<32 | uint64(len(answer))
}

// give keeps b and returns its address.
func give(b []byte) uint32 {
	at := uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
	given[at] = b
	return at
}
