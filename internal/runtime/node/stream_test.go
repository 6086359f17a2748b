package node_test

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
const { Readable } = require('stream');
const closed = [];
const pause = () => new Promise((go) => setTimeout(go, 1));
const cases = {
  * mixed() {
    yield { statusCode: 200 };
    yield 'text é \ud800';
    yield Buffer.from([0, 255]);
    yield new Uint16Array([0x4141]).subarray(0, 1);
    yield [1, null];
    yield 7;
    yield undefined;
  },
  async* asynchronous(n) { for (let i = 0; i < n; i++) { await pause(); yield [i]; } },
  async promised(n) { return cases.text(n); },
  readable: () => Readable.from([Buffer.from('a'), Buffer.from('b')], { objectMode: false }),
  web: () => new Response('from the web').body,
  iterator: () => [1, 2].values(),
  async* waits() { yield 1; await new Promise(() => {}); },
  * fails() { yield 1; throw new TypeError('halfway'); },
  * unserializable() { yield 1; yield 10n; },
  * large(n) { try { for (let i = 0; i < n; i++) yield String(i % 10).repeat(300_000); } finally { closed.push('large'); } },
  async* largeAsynchronous(n) {
    try { for (let i = 0; i < n; i++) yield String(i % 10).repeat(300_000); } finally { closed.push('largeAsynchronous'); }
  },
  * huge(n) { for (let i = 0; i < n; i++) yield 'x'.repeat(3_000_000); },
  * stubborn() { for (;;) try { yield 'x'; } finally { throw new RangeError('not closed'); } },
  * empty() {},
  report: () => closed,
  * text() { yield 'a'; yield 'b'; },
  * raw() { yield Buffer.from('a'); },
};
exports.handle = (event) => cases[event[0]](event[1]);
`

func TestStream(t *testing.T) {
	t.Parallel()
	i := function(t, streamSource)
	tests := map[string][]runtimetest.Item{
		`["mixed",0]`: {
			{"json", `{"statusCode":200}`}, {"text", "text é \uFFFD"}, {"bytes", "\x00\xff"}, {"bytes", "AA"},
			{"json", `[1,null]`}, {"json", `7`}, {"json", `null`},
		},
		`["asynchronous",2]`: {{"json", `[0]`}, {"json", `[1]`}},
		`["promised",2]`:     {{"text", "a"}, {"text", "b"}},
		`["readable",0]`:     {{"bytes", "a"}, {"bytes", "b"}},
		`["web",0]`:          {{"bytes", "from the web"}},
		`["iterator",0]`:     {{"json", `1`}, {"json", `2`}},
		`["empty",0]`:        nil,
	}
	for event, want := range tests {
		meta, items := i.Stream(t, event)
		if !meta.OK || !meta.Streamed || !slices.Equal(items, want) {
			t.Errorf("%s: got %+v %q, want %q", event, meta, items, want)
		}
	}
	meta, items := i.Stream(t, `["fails",0]`)
	if meta.OK || meta.Type != "TypeError" || meta.Message != "halfway" || len(items) != 1 {
		t.Errorf("a generator that raised: %+v %q", meta, items)
	}
	meta, items = i.Stream(t, `["unserializable",0]`)
	if meta.OK || meta.Type != "Runtime.MarshalError" || len(items) != 1 {
		t.Errorf("a generator's item that is not JSON: %+v %q", meta, items)
	}
	meta, items = i.Stream(t, `["waits",0]`)
	if meta.OK || meta.Type != "Runtime.NeverSettled" || len(items) != 1 {
		t.Errorf("a generator that waits for nothing: %+v %q", meta, items)
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
	i.Want(t, `["asynchronous",2]`, `[[0],[1]]`)
	i.Want(t, `["empty",0]`, `[]`)
	i.WantError(t, `["fails",0]`, "TypeError", "halfway")
	i.WantError(t, `["raw",0]`, "Runtime.MarshalError", "item 0 is bytes")
	i.WantError(t, `["large",100]`, "Function.ResponseSizeTooLarge", "over the bound of 6291456")
	i.Want(t, `["report",0]`, `["large"]`)
}

// TestBackpressure speaks the protocol by hand: a generator gets as far as its credit, and one item further.
func TestBackpressure(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"large", "largeAsynchronous"} {
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
	for _, name := range []string{"large", "largeAsynchronous"} {
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
	i.Want(t, `["report",0]`, `["large","largeAsynchronous"]`)

	meta := runtimetest.ExecMeta()
	meta.Stream = true
	resp, _, err := i.Conn.Exec(runtimetest.Context(t), meta, []byte(`["stubborn",0]`), func(string, []byte) error { return gone })
	if !errors.Is(err, gone) || resp.OK || resp.Type != "RangeError" {
		t.Errorf("a generator that ignores being closed: %+v, %v", resp, err)
	}
	i.Want(t, `["text",0]`, `["a","b"]`)
}

func TestStreamOverItsBound(t *testing.T) {
	t.Parallel()
	i := blank(t)
	i.WriteFile(t, "handler.js", streamSource)
	i.Init(t, wire.InitMsg{MaxResponse: 1000, MaxStream: 1_000_000})
	meta, items := i.Stream(t, `["large",100]`)
	if meta.OK || meta.Type != "Function.ResponseSizeTooLarge" || !strings.Contains(meta.Message, "over the bound of 1000000") || len(items) != 3 {
		t.Errorf("got %+v, %d items", meta, len(items))
	}
}
