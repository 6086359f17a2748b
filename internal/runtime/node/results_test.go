package node_test

import (
	"fmt"
	"strings"
	"testing"

	"nimbus/internal/runtime/runtimetest"
	"nimbus/internal/testenv"
	"nimbus/internal/wire"
)

// TestResults runs many small handlers in one instance: event.f names the one to call.
func TestResults(t *testing.T) {
	t.Parallel()
	i := function(t, `
const cycle = [];
cycle.push({ back: cycle });
let deep = [];
for (let n = 0; n < 100_000; n++) deep = [deep];
const cases = {
  echo: (x) => x,
  emoji: (x) => 'héllo 🎉 ' + x,
  surrogate: () => ({ s: 'a\ud800b', t: 'é' }),
  nul: () => 'a\0b',
  nothing: () => undefined,
  date: () => ({ at: new Date(0) }),
  buffer: () => Buffer.from('hi'),
  bytes: () => new Uint8Array([1, 2]),
  map: () => [new Map([[1, 2]]), new Set([1])],
  nan: () => [NaN, Infinity, -0],
  holes: () => ({ f() {}, u: undefined, s: Symbol('s'), list: [undefined, () => 1] }),
  own: () => ({ toJSON: () => ({ mine: true }) }),
  boxed: () => [new String('s'), new Number(1), Object(true)],
  big: () => 10n,
  bigInside: () => ({ items: [{ price: 1n }] }),
  func: () => () => 1,
  symbol: () => Symbol('s'),
  cycle: () => cycle,
  deep: () => deep,
  getter: () => ({ get x() { throw new RangeError('getter'); } }),
  toJSON: () => ({ toJSON() { throw new RangeError('toJSON'); } }),
  proxy: () => new Proxy({}, { ownKeys() { throw new RangeError('trap'); } }),
};
exports.handle = (event) => cases[event.f](event.x);
`)
	results := map[string]string{
		`{"f":"echo","x":{"a":[1,2.5,"x",null,true],"b":{}}}`: `{"a":[1,2.5,"x",null,true],"b":{}}`,
		`{"f":"echo","x":"\ud83c\udf89 \u0000 \u00e9"}`:       `"🎉 \u0000 é"`,
		`{"f":"echo","x":"\ud800"}`:                           `"\ud800"`,
		"{\"f\":\"echo\",\"x\":\"\uFFFD\"}":                   "\"\uFFFD\"",
		`{"f":"echo","x":{"__proto__":{"a":1}}}`:              `{"__proto__":{"a":1}}`,
		`{"f":"emoji","x":"日本"}`:                              `"héllo 🎉 日本"`,
		`{"f":"surrogate"}`:                                   `{"s":"a\ud800b","t":"é"}`,
		`{"f":"nul"}`:                                         `"a\u0000b"`,
		`{"f":"nothing"}`:                                     `null`,
		`{"f":"date"}`:                                        `{"at":"1970-01-01T00:00:00.000Z"}`,
		`{"f":"buffer"}`:                                      `{"type":"Buffer","data":[104,105]}`,
		`{"f":"bytes"}`:                                       `{"0":1,"1":2}`,
		`{"f":"map"}`:                                         `[{},{}]`,
		`{"f":"nan"}`:                                         `[null,null,0]`,
		`{"f":"holes"}`:                                       `{"list":[null,null]}`,
		`{"f":"own"}`:                                         `{"mine":true}`,
		`{"f":"boxed"}`:                                       `["s",1,true]`,
	}
	for event, want := range results {
		i.Want(t, event, want)
	}
	failures := map[string]string{
		"big":       "result is a BigInt",
		"bigInside": "result.items[0].price is a BigInt",
		"func":      "the result is a function",
		"symbol":    "the result is a symbol",
		"cycle":     "result[0].back refers back to the result",
		"deep":      "nested too deeply",
		"getter":    "getter",
		"toJSON":    "toJSON",
		"proxy":     "trap",
	}
	for f, message := range failures {
		meta := i.WantError(t, fmt.Sprintf(`{"f":%q}`, f), "Runtime.MarshalError", message)
		if len(meta.Stack) > 0 {
			t.Errorf("%s: a stack of ours was shown: %q", f, meta.Stack)
		}
	}
	i.WantError(t, `{"f":`, "Runtime.UnmarshalError", "Unable to unmarshal input")
	i.WantError(t, "\"\xff\"", "Runtime.UnmarshalError", "Unable to unmarshal input")
	i.Want(t, `{"f":"echo","x":1}`, `1`)
}

func TestNoEvent(t *testing.T) {
	t.Parallel()
	i := function(t, "exports.handle = (event) => [event];")
	i.Want(t, ``, `[null]`)
}

func TestSixMegabytesInAndOut(t *testing.T) {
	t.Parallel()
	i := function(t, "exports.handle = (event) => event;")
	for _, text := range []string{strings.Repeat("x", 6<<20-2), strings.Repeat("é", 3<<20-1), strings.Repeat("y", 16<<10)} {
		i.Want(t, `"`+text+`"`, `"`+text+`"`)
		i.Want(t, `1`, `1`)
	}
}

func TestResponseOverItsBound(t *testing.T) {
	t.Parallel()
	i := blank(t)
	i.WriteFile(t, "handler.js", `
function* forever() { for (;;) yield 1; }
exports.handle = (event) => (event === 'generator' ? forever() : event.text.repeat(event.n));
`)
	i.Init(t, wire.InitMsg{MaxResponse: 100, MaxStream: 1000})
	i.Want(t, `{"text":"x","n":98}`, `"`+strings.Repeat("x", 98)+`"`)
	i.Want(t, `{"text":"é","n":49}`, `"`+strings.Repeat("é", 49)+`"`)
	i.WantError(t, `{"text":"x","n":99}`, "Function.ResponseSizeTooLarge", "the response is 101 bytes, over the bound of 100")
	i.WantError(t, `{"text":"é","n":50}`, "Function.ResponseSizeTooLarge", "the response is 102 bytes, over the bound of 100")
	i.WantError(t, `"generator"`, "Function.ResponseSizeTooLarge", "over the bound of 100")
}

func TestManyCallsOneAfterAnother(t *testing.T) {
	t.Parallel()
	i := function(t, "let n = 0; exports.handle = (event) => (event % 2 ? [++n, event] : Promise.resolve([++n, event]));")
	for n := 1; n <= 2000; n++ {
		i.Want(t, fmt.Sprint(n), fmt.Sprintf("[%d,%d]", n, n))
	}
}

func TestPingAndStop(t *testing.T) {
	t.Parallel()
	i := blank(t)
	if err := i.Conn.Ping(runtimetest.Context(t)); err != nil {
		t.Fatalf("ping of a blank: %v", err)
	}
	i.WriteFile(t, "handler.js", `
process.on('exit', () => console.log('said goodbye'));
exports.handle = () => { setInterval(() => {}, 1000); return 1; };
`)
	i.Init(t, wire.InitMsg{})
	i.Want(t, `0`, `1`)
	if err := i.Conn.Ping(runtimetest.Context(t)); err != nil {
		t.Fatalf("ping: %v", err)
	}
	if err := i.Conn.Stop(runtimetest.Context(t)); err != nil {
		t.Fatal(err)
	}
	if err := i.Cmd.Wait(); err != nil {
		t.Errorf("stopped: %v, want exit status 0", err)
	}
	if !strings.Contains(i.Printed(), "said goodbye") {
		t.Errorf("listeners of exit did not run; printed %q", i.Printed())
	}
}

func TestEndsWithThePlatform(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"idle":           "exports.handle = () => 1;",
		"with work left": "setInterval(() => {}, 1000); exports.handle = () => 1;",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := function(t, source)
			i.Want(t, `1`, `1`)
			if err := i.Conn.Close(); err != nil {
				t.Fatal(err)
			}
			if err := i.Cmd.Wait(); err != nil {
				t.Errorf("after the end of the connection: %v", err)
			}
		})
	}
}

func TestSiblingsDiffer(t *testing.T) {
	t.Parallel()
	testenv.RequireNode(t)
	const source = `
const { randomUUID, randomBytes, webcrypto } = require('crypto');
exports.handle = () => [Math.random(), randomUUID(), webcrypto.getRandomValues(new Uint32Array(2)).join(), randomBytes(8).toString('hex')];
`
	_, one := function(t, source).Call(t, `1`)
	_, other := function(t, source).Call(t, `1`)
	drawn := strings.Split(strings.Trim(one, "[]"), ",")
	for _, part := range drawn {
		if strings.Contains(other, part) {
			t.Errorf("both drew %s: %s and %s", part, one, other)
		}
	}
}
