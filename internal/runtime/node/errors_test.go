package node_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"nimbus/internal/runtime/runtimetest"
	"nimbus/internal/wire"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	i := function(t, `
class MyError extends Error {}
class Named extends Error { constructor(m) { super(m); this.name = 'Renamed'; } }
class Unprintable extends Error { get message() { throw new RangeError('no'); } }
const zero = () => { throw new TypeError('zero'); };
const cases = {
  zero,
  own() { throw new MyError('own'); },
  named() { throw new Named('named'); },
  caused() { try { zero(); } catch (e) { throw new MyError('outer', { cause: e }); } },
  cyclic() { const e = new MyError('circle'); e.cause = e; throw e; },
  cyclicObject() { const o = { self: null, words: 'here' }; o.self = o; throw o; },
  recursion() { return cases.recursion(); },
  long() { throw new MyError('x'.repeat(1_000_000)); },
  deep() { const e = new MyError('deep'); e.stack = 'MyError: deep\n' + '    at x\n'.repeat(5000); throw e; },
  surrogate() { throw new MyError('\ud800'); },
  text() { throw 'words'; },
  nothing() { throw undefined; },
  empty() { throw null; },
  number() { throw 42; },
  big() { throw 10n; },
  symbol() { throw Symbol('s'); },
  func() { throw () => 1; },
  bare() { throw Object.create(null); },
  proxy() { throw new Proxy({}, { get() { throw new Error('trap'); }, getPrototypeOf() { throw new Error('trap'); } }); },
  unprintable() { throw new Unprintable(); },
  stackless() { const e = new MyError('no stack'); e.stack = undefined; throw e; },
  prepared() { Error.prepareStackTrace = () => 42; try { throw new MyError('prepared'); } finally { process.nextTick(() => delete Error.prepareStackTrace); } },
  rejects: async () => { throw new MyError('rejected'); },
  rejectsText: () => Promise.reject('words'),
  later: () => new Promise((_, reject) => setTimeout(() => reject(new MyError('later')), 1)),
  thenThrows: () => ({ then() { throw new MyError('then'); } }),
  thenGetter: () => ({ get then() { throw new MyError('getter'); } }),
  never: () => new Promise(() => {}),
  aggregate: () => Promise.any([Promise.reject(new MyError('one'))]),
  syntax() { eval('a b'); },
  json() { JSON.parse('{'); },
  required() { require('./nowhere'); },
};
exports.handle = (event) => (event ? cases[event]() : 'well');
`)
	tests := map[string][2]string{
		"zero":         {"TypeError", "zero"},
		"own":          {"MyError", "own"},
		"named":        {"Renamed", "named"},
		"caused":       {"MyError", "outer"},
		"cyclic":       {"MyError", "circle"},
		"cyclicObject": {"object", "words: 'here'"},
		"recursion":    {"RangeError", "Maximum call stack size exceeded"},
		"long":         {"MyError", "xxxxx"},
		"deep":         {"MyError", "deep"},
		"surrogate":    {"MyError", "\uFFFD"}, // as Go's decoder shows a lone surrogate
		"text":         {"string", "words"},
		"nothing":      {"undefined", "undefined"},
		"empty":        {"object", "null"},
		"number":       {"number", "42"},
		"big":          {"bigint", "10"},
		"symbol":       {"symbol", "Symbol(s)"},
		"func":         {"function", "Function"},
		"bare":         {"object", "{}"},
		"proxy":        {"object", "description failed"},
		"unprintable":  {"object", "description failed"},
		"stackless":    {"MyError", "no stack"},
		"prepared":     {"MyError", "prepared"},
		"rejects":      {"MyError", "rejected"},
		"rejectsText":  {"string", "words"},
		"later":        {"MyError", "later"},
		"thenThrows":   {"MyError", "then"},
		"thenGetter":   {"MyError", "getter"},
		"never":        {"Runtime.NeverSettled", "can never settle"},
		"aggregate":    {"AggregateError", "All promises were rejected"},
		"syntax":       {"SyntaxError", "Unexpected identifier"},
		"json":         {"SyntaxError", "JSON"},
		"required":     {"Error", "Cannot find module './nowhere'"},
	}
	for event, want := range tests {
		meta := i.WantError(t, runtimetest.JSON(t, event), want[0], want[1])
		if len(meta.Message) > 20_000 || len(meta.Stack) > 120 {
			t.Errorf("%s: a message of %d bytes and a stack of %d lines are not bounded", event, len(meta.Message), len(meta.Stack))
		}
		if meta.Ending {
			t.Errorf("%s: a thrown value ended the runtime", event)
		}
		for _, line := range meta.Stack {
			if strings.Contains(line, "bootstrap.cjs") || strings.Contains(line, "node:internal") {
				t.Errorf("%s: the stack shows our frames: %q", event, meta.Stack)
			}
		}
		i.Want(t, `null`, `"well"`)
	}

	meta := i.WantError(t, `"caused"`, "MyError", "outer")
	stack := strings.Join(meta.Stack, "\n")
	for _, part := range []string{"Error: outer\n", "at Object.caused", "handler.js:10:", "Caused by: TypeError: zero", "at zero", "handler.js:5:"} {
		if !strings.Contains(stack, part) {
			t.Errorf("the stack lacks %q:\n%s", part, stack)
		}
	}
	if got := i.Printed(); got != "" {
		t.Errorf("the bootstrap printed what the platform logs:\n%s", got)
	}
}

// TestNobodyCatches has errors that no handler's result brings out. They are the call's while it has not been
// answered, and the process is of no more use.
func TestNobodyCatches(t *testing.T) {
	t.Parallel()
	const source = `
const pause = (ms) => new Promise((go) => setTimeout(go, ms));
const cases = {
  rejection: async () => { Promise.reject(new TypeError('unheard')); await pause(1000); },
  rejectionAtOnce: () => { Promise.reject(new TypeError('unheard')); return 1; },
  rejectionOfNothing: async () => { Promise.reject(undefined); return 1; },
  rejectionOfText: async () => { Promise.reject('words'); return 1; },
  timer: async () => { setTimeout(() => { throw new RangeError('timer'); }, 1); await pause(1000); },
  tick: async () => { process.nextTick(() => { throw new RangeError('tick'); }); return 1; },
  immediate: async () => { setImmediate(() => { throw new RangeError('immediate'); }); await pause(1000); },
  emitter: async () => { process.nextTick(() => new (require('events'))().emit('error', new RangeError('emitted'))); await pause(1000); },
  streamed: async function* () { yield 1; setTimeout(() => { throw new RangeError('in a stream'); }, 1); await pause(1000); yield 2; },
};
exports.handle = (event) => { console.log('here'); return cases[event](); };
`
	tests := map[string][2]string{
		"rejection":          {"Runtime.UnhandledPromiseRejection", "TypeError: unheard"},
		"rejectionAtOnce":    {"Runtime.UnhandledPromiseRejection", "TypeError: unheard"},
		"rejectionOfNothing": {"Runtime.UnhandledPromiseRejection", "undefined: undefined"},
		"rejectionOfText":    {"Runtime.UnhandledPromiseRejection", "string: words"},
		"timer":              {"RangeError", "timer"},
		"tick":               {"RangeError", "tick"},
		"immediate":          {"RangeError", "immediate"},
		"emitter":            {"RangeError", "emitted"},
		"streamed":           {"RangeError", "in a stream"},
	}
	for event, want := range tests {
		t.Run(event, func(t *testing.T) {
			t.Parallel()
			i := function(t, source)
			var meta wire.RespMeta
			if event == "streamed" {
				var items []runtimetest.Item
				if meta, items = i.Stream(t, runtimetest.JSON(t, event)); len(items) != 1 || meta.OK || meta.Type != want[0] || meta.Message != want[1] {
					t.Errorf("got %+v and %q", meta, items)
				}
			} else {
				meta = i.WantError(t, runtimetest.JSON(t, event), want[0], want[1])
			}
			if !meta.Ending {
				t.Error("the answer does not say that the runtime ends")
			}
			if err := i.Cmd.Wait(); i.Cmd.ProcessState.ExitCode() != 1 {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

// TestLeftovers has errors of what an earlier call left behind: the call under way gets its answer, the platform
// hears that the runtime ends.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	const source = `
const pause = (ms) => new Promise((go) => setTimeout(go, ms));
let fail = setTimeout(() => {}, 0);
const cases = {
  timer: () => { setTimeout(() => { throw new RangeError('left behind'); }, 5); return 'left'; },
  rejection: () => { setTimeout(() => Promise.reject(new RangeError('left behind')), 5); return 'left'; },
  async: async () => { setTimeout(async () => { await pause(1); throw new RangeError('left behind'); }, 5); return 'left'; },
  wait: () => pause(100).then(() => 'unharmed'),
  own: async () => { setTimeout(() => { throw new TypeError('its own'); }, 1); await pause(1000); },
};
exports.handle = (event) => cases[event]();
`
	for _, event := range []string{"timer", "rejection", "async"} {
		t.Run(event, func(t *testing.T) {
			t.Parallel()
			i := function(t, source)
			i.Want(t, runtimetest.JSON(t, event), `"left"`)
			meta, got := i.Call(t, `"wait"`)
			if !meta.OK || !meta.Ending || got != `"unharmed"` {
				t.Errorf("got %s %+v", got, meta)
			}
			i.WantLog(t, "after the answer of an earlier call: RangeError: left behind\n")
			if err := i.Cmd.Wait(); i.Cmd.ProcessState.ExitCode() != 1 {
				t.Errorf("it ended with %v", err)
			}
		})
	}
	i := function(t, source)
	i.Want(t, `"wait"`, `"unharmed"`)
	i.WantError(t, `"own"`, "TypeError", "its own")
}

// TestUsersListeners sees that code which handles such errors itself is left alone.
func TestUsersListeners(t *testing.T) {
	t.Parallel()
	i := function(t, `
const heard = [];
process.on('uncaughtException', (e) => heard.push(e.message));
process.on('unhandledRejection', (e) => heard.push(e.message));
exports.handle = async (event) => {
  if (event === 'heard') return heard;
  Promise.reject(new Error('rejection'));
  setTimeout(() => { throw new Error('timer'); }, 1);
  await new Promise((go) => setTimeout(go, 20));
  return 'well';
};
`)
	i.Want(t, `1`, `"well"`)
	i.Want(t, `"heard"`, `["rejection","timer"]`)
}

func TestTheProcessEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ body, message string }{
		"exits":           {"process.exit(3)", "exit status 3"},
		"exits well":      {"process.exit()", "exit status 0"},
		"exits by code":   {"process.exitCode = 4; process.exit()", "exit status 4"},
		"exits later":     {"setTimeout(() => process.exit(5), 1); return new Promise(() => {})", "exit status 5"},
		"exits in a trap": {"process.on('exit', () => console.log('said goodbye')); process.exit(6)", "exit status 6"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := function(t, "exports.handle = () => {\n  console.log('here');\n  "+tt.body+";\n};\n")
			meta := i.WantError(t, `1`, "Runtime.ExitError", tt.message)
			if !meta.Ending {
				t.Error("the answer does not say that the runtime ends")
			}
			_ = i.Cmd.Wait()
			if got := i.Printed(); !strings.Contains(got, "here\n") || name == "exits in a trap" && !strings.Contains(got, "said goodbye\n") {
				t.Errorf("what was printed before the end is lost: %q", got)
			}
		})
	}
	for name, body := range map[string]string{
		"aborts":                "process.abort()",
		"is killed":             "process.kill(process.pid, 'SIGKILL')",
		"closes the connection": "require('fs').closeSync(3)",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := function(t, "exports.handle = () => {\n  console.log('here');\n  "+body+";\n};\n")
			_, _, err := i.Conn.Exec(runtimetest.Context(t), runtimetest.ExecMeta(), []byte(`1`), nil)
			if !errors.Is(err, wire.ErrEnded) {
				t.Errorf("got %v, want %v", err, wire.ErrEnded)
			}
			_ = i.Cmd.Wait()
			if !strings.Contains(i.Printed(), "here\n") {
				t.Errorf("what was printed before the end is lost: %q", i.Printed())
			}
		})
	}
}

func TestInfiniteLoop(t *testing.T) {
	t.Parallel()
	i := function(t, "exports.handle = () => { for (;;); }")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := i.Conn.Exec(ctx, runtimetest.ExecMeta(), []byte(`1`), nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
}
