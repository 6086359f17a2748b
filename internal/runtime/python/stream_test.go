package python_test

import (
	"slices"
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

func TestStreams(t *testing.T) {
	t.Parallel()
	runtimetest.Streams{
		Function: func(t testing.TB) *runtimetest.Instance { return function(t, streamSource) },
		Bounded: func(t testing.TB, bounds wire.InitMsg) *runtimetest.Instance {
			i := blank(t)
			i.WriteFile(t, "handler.py", streamSource)
			i.Init(t, bounds)
			return i
		},
		Asynchronous: "large_asynchronous", Stubborn: "RuntimeError",
	}.Run(t)
}
