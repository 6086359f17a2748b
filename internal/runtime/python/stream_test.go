package python_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"nimbus/internal/runtime/runtimetest"
	"nimbus/internal/wire"
)

const streamSource = `
import asyncio, contextvars, sys
closed = []
var = contextvars.ContextVar("var")

def mixed(n):
    yield {"statusCode": 200}
    yield "text é \ud800"
    yield b"\x00\xff"
    yield [1, None]
    yield 7
async def asynchronous(n):
    var.set("kept")
    for i in range(n):
        await asyncio.sleep(0)
        yield [i, var.get()]
async def returns_generator(n):
    return (i for i in range(n))
def fails(n):
    yield 1
    raise ValueError("halfway")
def unserializable(n):
    yield 1
    yield object()
def large(n):
    try:
        for i in range(n): yield str(i % 10) * 300_000
    finally: closed.append("large")
async def large_asynchronous(n):
    try:
        for i in range(n): yield str(i % 10) * 300_000
    finally: closed.append("large_asynchronous")
def huge(n):
    for i in range(n): yield "x" * 3_000_000
def stubborn(n):
    while True:
        try: yield "x"
        except GeneratorExit: pass
def empty(n):
    return
    yield
def report(n): return closed
def text(n):
    yield "a"
    yield "b"
def raw(n):
    yield b"a"

def handle(event):
    return globals()[event[0]](event[1])
`

func TestStream(t *testing.T) {
	t.Parallel()
	i := function(t, streamSource)
	tests := map[string][]runtimetest.Item{
		`["mixed",0]`: {
			{"json", `{"statusCode":200}`}, {"text", "text é \uFFFD"}, {"bytes", "\x00\xff"}, {"json", `[1,null]`}, {"json", `7`},
		},
		`["asynchronous",2]`:      {{"json", `[0,"kept"]`}, {"json", `[1,"kept"]`}},
		`["returns_generator",2]`: {{"json", `0`}, {"json", `1`}},
		`["empty",0]`:             nil,
	}
	for event, want := range tests {
		meta, items := i.Stream(t, event)
		if !meta.OK || !meta.Streamed || !slices.Equal(items, want) {
			t.Errorf("%s: got %+v %q, want %q", event, meta, items, want)
		}
	}
	meta, items := i.Stream(t, `["fails",0]`)
	if meta.OK || meta.Type != "ValueError" || meta.Message != "halfway" || len(items) != 1 {
		t.Errorf("a generator that raised: %+v %q", meta, items)
	}
	meta, items = i.Stream(t, `["unserializable",0]`)
	if meta.OK || meta.Type != "Runtime.MarshalError" || len(items) != 1 {
		t.Errorf("a generator's item that is not JSON: %+v %q", meta, items)
	}
	meta, items = i.Stream(t, `["report",0]`)
	if !meta.OK || meta.Streamed || len(items) != 0 {
		t.Errorf("a plain result for a caller that takes streams: %+v %q", meta, items)
	}
}

func TestGeneratorAsArray(t *testing.T) {
	t.Parallel()
	i := function(t, streamSource)
	i.Want(t, `["text",0]`, `["a","b"]`)
	i.Want(t, `["asynchronous",2]`, `[[0,"kept"],[1,"kept"]]`)
	i.Want(t, `["empty",0]`, `[]`)
	i.WantError(t, `["fails",0]`, "ValueError", "halfway")
	i.WantError(t, `["raw",0]`, "Runtime.MarshalError", "Object of type bytes")
	i.WantError(t, `["large",100]`, "Function.ResponseSizeTooLarge", "over the bound of 6291456")
	i.Want(t, `["report",0]`, `["large"]`)
}

// TestBackpressure speaks the protocol by hand: a generator gets as far as its credit, and one item further.
func TestBackpressure(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"large", "large_asynchronous"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := function(t, streamSource)
			frames := wire.NewReader(i.Socket)
			next := func(want wire.Type, number uint64) {
				t.Helper()
				if f, err := frames.Next(); err != nil || f.Type != want || f.Invocation != number {
					t.Fatalf("got type %d number %d, %v; want type %d number %d", f.Type, f.Invocation, err, want, number)
				}
			}
			send := func(kind wire.Type, number uint64, payload string) {
				t.Helper()
				if _, err := i.Socket.Write(wire.AppendFrame(nil, kind, number, []byte(payload))); err != nil {
					t.Fatal(err)
				}
			}
			meta := `{"request_id":"r","deadline_ms":0,"stream":true}`
			send(wire.Exec, 1, string(wire.AppendMeta(nil, []byte(meta), fmt.Appendf(nil, "[%q,1000]", name))))
			for range 4 { // of 300 KB each: the fourth overdraws the credit of 1 MiB
				next(wire.Chunk, 1)
			}
			send(wire.Ping, 9, "")
			next(wire.Pong, 9) // and not a fifth Chunk
			send(wire.Window, 1, `{"bytes":1000}`)
			send(wire.Ping, 10, "")
			next(wire.Pong, 10) // still overdrawn
			send(wire.Window, 1, `{"bytes":200000}`)
			next(wire.Chunk, 1)
			send(wire.Window, 7, `{"bytes":10000000}`) // of another call
			send(wire.Ping, 11, "")
			next(wire.Pong, 11)
			send(wire.Cancel, 1, "")
			next(wire.Resp, 1)
		})
	}
}

// TestItemLargerThanTheWindow sees that such an item passes, though it overdraws the credit.
func TestItemLargerThanTheWindow(t *testing.T) {
	t.Parallel()
	i := function(t, streamSource)
	meta, items := i.Stream(t, `["huge",4]`)
	if !meta.OK || len(items) != 4 || len(items[3][1]) != 3_000_000 {
		t.Errorf("got %+v, %d items", meta, len(items))
	}
}

func TestCancelledStream(t *testing.T) {
	t.Parallel()
	i := function(t, streamSource)
	gone := errors.New("the reader went away")
	for _, name := range []string{"large", "large_asynchronous"} {
		meta := runtimetest.ExecMeta()
		meta.Stream = true
		seen := 0
		_, _, err := i.Conn.Exec(runtimetest.Context(t), meta, fmt.Appendf(nil, `[%q,1000]`, name), func(string, []byte) error {
			if seen++; seen == 5 {
				return gone
			}
			return nil
		})
		if !errors.Is(err, gone) || errors.Is(err, wire.ErrStuck) || seen != 5 {
			t.Errorf("%s: %v after %d items, want %v", name, err, seen, gone)
		}
	}
	i.Want(t, `["report",0]`, `["large","large_asynchronous"]`)

	meta := runtimetest.ExecMeta()
	meta.Stream = true
	resp, _, err := i.Conn.Exec(runtimetest.Context(t), meta, []byte(`["stubborn",0]`), func(string, []byte) error { return gone })
	if !errors.Is(err, gone) || resp.OK || resp.Type != "RuntimeError" {
		t.Errorf("a generator that ignores being closed: %+v, %v", resp, err)
	}
	i.Want(t, `["text",0]`, `["a","b"]`)
}

func TestStreamOverItsBound(t *testing.T) {
	t.Parallel()
	i := blank(t)
	i.WriteFile(t, "handler.py", streamSource)
	i.Init(t, wire.InitMsg{MaxResponse: 1000, MaxStream: 1_000_000})
	meta, items := i.Stream(t, `["large",100]`)
	if meta.OK || meta.Type != "Function.ResponseSizeTooLarge" || !strings.Contains(meta.Message, "over the bound of 1000000") || len(items) != 3 {
		t.Errorf("got %+v, %d items", meta, len(items))
	}
}
