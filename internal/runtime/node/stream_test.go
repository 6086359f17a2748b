package node_test

import (
	"slices"
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

func TestStreams(t *testing.T) {
	t.Parallel()
	runtimetest.Streams{
		Function: func(t testing.TB) *runtimetest.Instance { return function(t, streamSource) },
		Bounded: func(t testing.TB, bounds wire.InitMsg) *runtimetest.Instance {
			i := blank(t)
			i.WriteFile(t, "handler.js", streamSource)
			i.Init(t, bounds)
			return i
		},
		Asynchronous: "largeAsynchronous", Stubborn: "RangeError",
	}.Run(t)
}
