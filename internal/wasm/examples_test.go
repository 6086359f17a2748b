package wasm_test

import (
	"os"
	"path/filepath"
	"testing"

	"nimbus/internal/wire"
)

func TestExamples(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"hello-assemblyscript", "hello-wasm-c"} {
		module, err := os.ReadFile(filepath.Join("../../examples", name, "handler.wasm"))
		if err != nil {
			t.Fatal(err)
		}
		w := function(t, module, wire.InitMsg{})
		w.wantResult(t, `{"name":"Ada"}`, `{"message":"Hello, Ada!"}`)
		w.wantResult(t, `{"name":"Zoë","a":1}`, `{"message":"Hello, Zoë!"}`)
		w.wantResult(t, `{"nam":"\"name\""}`, `{"message":"Hello, world!"}`)
		w.wantResult(t, `null`, `{"message":"Hello, world!"}`)
	}
}

func TestAssemblyScriptAborts(t *testing.T) {
	t.Parallel()
	module, err := os.ReadFile("../../examples/hello-assemblyscript/handler.wasm")
	if err != nil {
		t.Fatal(err)
	}
	w := function(t, module, wire.InitMsg{})
	w.wantFailure(t, `{"name":"Ada}`, "Wasm.Abort", "abort: the name has no end (handler.ts:14:5)")
	w.wantResult(t, `{"name":"Ada"}`, `{"message":"Hello, Ada!"}`)
}
