package wasm_test

import (
	"strconv"
	"strings"
	"testing"

	"nimbus/internal/wire"
)

func TestReactorAnswers(t *testing.T) {
	t.Parallel()
	w := function(t, fixture(t, "reactor.wasm"), wire.InitMsg{})
	long := `"` + strings.Repeat("x", 3<<20) + `"`
	for _, event := range []string{"null", `{"a":[1,2.5,"ü"]}`, long, "0"} {
		w.wantResult(t, event, event)
	}
}

func TestReactorHasFreshMemoryEachCall(t *testing.T) {
	t.Parallel()
	w := function(t, fixture(t, "reactor.wasm"), wire.InitMsg{})
	_, pages := w.call(t, `"pages"`)
	for range 3 {
		w.wantResult(t, `"count"`, "1")
		w.wantResult(t, `"overwrite"`, "7")
		if _, grown := w.call(t, `"grow"`); grown == "0" {
			t.Error("nothing could be grown")
		}
		w.wantFailure(t, `"unreachable"`, "Wasm.Trap", "unreachable in handle")
		w.wantResult(t, `"pages"`, pages)
	}
}

func TestReactorTraps(t *testing.T) {
	t.Parallel()
	w := function(t, fixture(t, "reactor.wasm"), wire.InitMsg{MaxResponse: 1 << 19, MemoryMB: 512})
	for event, want := range map[string][2]string{
		`"unreachable"`:   {"Wasm.Trap", "unreachable in handle(i32,i32) i64"},
		`"divide"`:        {"Wasm.Trap", "integer divide by zero in handle"},
		`"bounds"`:        {"Wasm.Trap", "out of bounds memory access in handle"},
		`"indirect"`:      {"Wasm.Trap", "invalid table access in handle"},
		`"recurse"`:       {"Wasm.Trap", "stack overflow"},
		`"negative"`:      {"Wasm.InvalidPointer", "handle has returned 4294967280 for 8 bytes, outside the module's memory of 65536 bytes"},
		`"too long"`:      {"Wasm.InvalidPointer", "for 4294967295 bytes"},
		`"nothing"`:       {"Runtime.MarshalError", "nothing"},
		`"no JSON"`:       {"Runtime.MarshalError", `"hello, {world"`},
		`"two values"`:    {"Runtime.MarshalError", `"1 2"`},
		`"latin"`:         {"Runtime.MarshalError", "not a JSON value"},
		`"large"`:         {"Function.ResponseSizeTooLarge", "has reached 1048576 bytes, over the bound of 524288"},
		`"grow and trap"`: {"Wasm.Trap", "unreachable in handle(i32,i32) i64; before that, its memory was not given more than the "},
		sized(1001):       {"Wasm.InvalidPointer", "alloc(1001) has returned 0"},
		sized(1002):       {"Wasm.InvalidPointer", "alloc has returned 4294967280 for 1002 bytes"},
		sized(1003):       {"Wasm.Trap", "unreachable in alloc"},
	} {
		w.wantFailure(t, event, want[0], want[1])
		w.wantResult(t, `"count"`, "1")
	}
	meta := w.wantFailure(t, `"unreachable"`, "Wasm.Trap", "")
	if len(meta.Stack) != 1 || !strings.HasPrefix(meta.Stack[0], "handle(") {
		t.Errorf("stack %q", meta.Stack)
	}
}

// sized returns an event of that many bytes.
func sized(n int) string { return `"` + strings.Repeat("x", n-2) + `"` }

func TestReactorMemoryIsBounded(t *testing.T) {
	t.Parallel()
	for _, memoryMB := range []int64{128, 256} {
		w := function(t, fixture(t, "reactor.wasm"), wire.InitMsg{MemoryMB: memoryMB})
		_, grown := w.call(t, `"grow"`)
		pages, err := strconv.Atoi(grown)
		if mb := int64(pages) / 16; err != nil || mb >= memoryMB || mb < memoryMB/2 {
			t.Errorf("of %d MB %d could be grown (%v)", memoryMB, mb, err)
		}
		w.wantResult(t, `"count"`, "1")
	}
	// An event that no longer fits.
	w := function(t, fixture(t, "reactor.wasm"), wire.InitMsg{MemoryMB: 8})
	meta := w.wantFailure(t, sized(4<<20), "OutOfMemory", "alloc(4194304) has returned 0; before that, its memory was not given more than the 2 MB")
	if !meta.OverMemory {
		t.Errorf("%+v does not say that it was over its memory", meta)
	}
	w.wantResult(t, `"count"`, "1")
}
