package node_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nimbus/internal/runtime/node"
	"nimbus/internal/runtime/runtimetest"
	"nimbus/internal/testenv"
	"nimbus/internal/wire"
)

func TestEnvironment(t *testing.T) {
	t.Parallel()
	i := blank(t)
	i.WriteFile(t, "lib/main.js", `
const atImport = process.env.GREETING;
exports.handle = (event) => {
  switch (event) {
    case 'env': return { ...process.env };
    case 'process': return [atImport, process.cwd() === process.env.NIMBUS_CODE_DIR, process.argv.slice(1), process.execArgv,
      new Date(0).getHours(), require.main === module, __filename === process.argv[1]];
    case 'change': process.env.GREETING = 'changed'; process.chdir('/'); return process.cwd();
    case 'again': return [process.env.GREETING, process.cwd()];
  }
};
`)
	meta := i.Init(t, wire.InitMsg{Handler: "lib/main.handle", Env: map[string]string{
		"GREETING": "hello 🎉", "TZ": "JST-9", "HOME": "/var/function", "_HANDLER": "forged", "NIMBUS_FUNCTION_NAME": "forged",
		"__proto__": "no trap",
	}})
	if !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	want := map[string]string{
		"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/var/function", "TMPDIR": "/tmp", "LANG": "C.UTF-8",
		"GREETING": "hello 🎉", "TZ": "JST-9", "LAMBDA_TASK_ROOT": i.Code, "__proto__": "no trap",
		"_HANDLER": "lib/main.handle", "NIMBUS_FUNCTION_NAME": "greet", "NIMBUS_FUNCTION_ID": "f1",
		"AWS_LAMBDA_FUNCTION_NAME": "greet", "AWS_LAMBDA_FUNCTION_VERSION": "3", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
		"NIMBUS_FUNCTION_VERSION": "3", "NIMBUS_FUNCTION_MEMORY_SIZE": "256",
		"NIMBUS_CODE_DIR": i.Code, "NIMBUS_HANDLER": "lib/main.handle", "NIMBUS_NAMESPACE": "default",
	}
	_, result := i.Call(t, `"env"`)
	var got map[string]string
	if err := json.Unmarshal([]byte(result), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	i.Want(t, `"process"`, `["hello 🎉",true,[`+runtimetest.JSON(t, filepath.Join(i.Code, "lib/main.js"))+`],`+
		runtimetest.JSON(t, node.Flags())+`,9,false,true]`)
	i.Want(t, `"change"`, `"/"`)
	i.Want(t, `"again"`, `["changed","/"]`)
}

// TestOutput reads the log by hand: everything printed before an answer is in the pipe before it.
func TestOutput(t *testing.T) {
	t.Parallel()
	i := function(t, `
const fs = require('fs');
const { Console } = require('console');
console.log('at import');
const cases = {
  prints() { console.log('line é \ud800 \0'); process.stdout.write('no newline'); process.stderr.write('err'); console.error({ a: [1] }); },
  large() { console.log('x'.repeat(1 << 20)); process.stderr.write('y'.repeat(1 << 20) + '\n'); },
  many() { for (let n = 0; n < 1000; n++) console.log('line', n); },
  callback: () => new Promise((done) => process.stdout.write('by callback\n', 'utf8', done)),
  drained: () => new Promise((done) => { if (process.stdout.write('z'.repeat(100_000))) done('at once'); else process.stdout.once('drain', () => done('drained')); }),
  raw() { fs.writeSync(1, Buffer.from([0, 0, 0, 5, 3, 10])); },
  ended() { process.stdout.end('the end\n'); process.stdout.destroy(); },
  afterEnd() { console.log('after the end'); },
  tty: () => [process.stdout.isTTY, process.stdout.fd, process.stderr.fd, process.stdout.writable],
  own() { new Console(process.stdout, process.stderr).log('own console'); },
  warns() { process.emitWarning('be warned'); return new Promise((go) => setTimeout(go, 5)); },
  replaces() { process.stdout.write = () => true; console.log('swallowed'); delete process.stdout.write; },
  trace() { console.trace('traced'); console.table([{ a: 1 }]); console.dir({ b: 2 }); },
  closes() { fs.closeSync(1); console.log('lost'); },
  afterClose: () => 'still well',
};
exports.handle = (event) => cases[event]();
`)
	i.WantLog(t, "at import\n")
	for _, tt := range []struct{ event, result, log string }{
		{"prints", `null`, "line é \uFFFD \x00\n"},
		{"prints", `null`, "no newline"},
		{"prints", `null`, "err"},
		{"prints", `null`, "{ a: [ 1 ] }\n"},
		{"large", `null`, strings.Repeat("x", 1<<20) + "\n"},
		{"large", `null`, strings.Repeat("y", 1<<20) + "\n"},
		{"many", `null`, "line 0\n"},
		{"many", `null`, "line 999\n"},
		{"callback", `null`, "by callback\n"},
		{"raw", `null`, "\x00\x00\x00\x05\x03\n"},
		{"tty", `[null,1,2,true]`, ""},
		{"own", `null`, "own console\n"},
		{"warns", `null`, "Warning: be warned"},
		{"trace", `null`, "Trace: traced"},
		{"trace", `null`, "{ b: 2 }"},
		{"replaces", `null`, ""},
		{"ended", `null`, "the end\n"},
		{"afterEnd", `null`, ""},
		{"closes", `null`, ""},
		{"afterClose", `"still well"`, ""},
	} {
		i.Want(t, runtimetest.JSON(t, tt.event), tt.result)
		i.WantLog(t, tt.log)
	}
	if strings.Contains(i.Printed(), "swallowed") || strings.Contains(i.Printed(), "lost") {
		t.Error("printed what should not have been")
	}
}

// TestPatchedBuiltinsDoNoHarm has a handler that ruins what it can reach. Its own results may suffer, the protocol
// does not.
func TestPatchedBuiltinsDoNoHarm(t *testing.T) {
	t.Parallel()
	i := function(t, `
const fs = require('fs');
const fake = () => { throw new Error('patched'); };
for (const [owner, names] of [
  [JSON, ['parse', 'stringify']],
  [Math, ['min', 'max', 'floor']],
  [Reflect, ['apply', 'ownKeys', 'get']],
  [Object, ['keys', 'assign', 'defineProperty', 'freeze']],
  [Atomics, ['wait']],
  [Promise, ['resolve', 'reject', 'all']],
  [Promise.prototype, ['then', 'catch', 'finally']],
  [Function.prototype, ['call', 'apply', 'bind']],
  [Array.prototype, ['push', 'join', 'slice', 'map', 'includes', 'splice']],
  [String.prototype, ['slice', 'split', 'includes', 'startsWith', 'repeat']],
  [Map.prototype, ['get', 'set', 'has', 'delete']],
  [Uint8Array.prototype.__proto__, ['set', 'subarray', 'copyWithin', 'slice', 'fill']],
  [Buffer, ['from', 'alloc', 'allocUnsafe', 'byteLength', 'concat']],
  [Buffer.prototype, ['write', 'toString', 'utf8Write', 'utf8Slice', 'writeUInt32BE', 'readUInt32BE', 'copy']],
  [fs, ['readSync', 'writeSync', 'openSync', 'closeSync', 'readFileSync']],
  [TextDecoder.prototype, ['decode']],
  [Date, ['now']],
  [process, ['exit', 'getActiveResourcesInfo', 'listenerCount', 'cwd']],
  [globalThis, ['setImmediate', 'setTimeout', 'Promise', 'Buffer', 'JSON', 'Error', 'Symbol', 'queueMicrotask']],
]) for (const name of names) owner[name] = fake;
Object.prototype.ok = false;
Object.prototype.ending = true;
Object.prototype.streamed = true;
Object.prototype.type = 'Forged';
Object.prototype.length = 3;
Object.prototype.stack = ['forged'];
exports.handle = (event) => {
  if (event === 'throws') throw new TypeError('thrown');
  return event === 'async' ? (async () => 'from an async function')() : event;
};
`)
	for range 2 {
		i.Want(t, `[1,"é"]`, `[1,"é"]`)
		i.Want(t, `"async"`, `"from an async function"`)
		i.Want(t, `"`+strings.Repeat("x", 100_000)+`"`, `"`+strings.Repeat("x", 100_000)+`"`)
		meta := i.WantError(t, `"throws"`, "TypeError", "thrown")
		if meta.Ending {
			t.Errorf("got %+v", meta)
		}
	}
}

// TestAForgedAnswer has a handler that writes frames of its own.
func TestAForgedAnswer(t *testing.T) {
	t.Parallel()
	i := function(t, `
exports.handle = () => {
  require('fs').writeSync(3, Buffer.from([0, 0, 0, 9, 3, 0, 0, 0, 0, 0, 0, 0, 9]));
  return 'too late';
};
`)
	if _, _, err := i.Conn.Exec(runtimetest.Context(t), runtimetest.ExecMeta(), []byte(`1`), nil); err == nil || !strings.Contains(err.Error(), "protocol") {
		t.Errorf("got %v, want a broken protocol", err)
	}
}

func TestProcessesAndThreads(t *testing.T) {
	t.Parallel()
	i := blank(t)
	i.WriteFile(t, "worker.js", `
const { parentPort, workerData } = require('worker_threads');
console.log('from a worker');
parentPort.postMessage(workerData * 2);
`)
	i.WriteFile(t, "child.js", "process.on('message', (m) => { process.send(m * 2); process.disconnect(); }); console.log('from a child');")
	i.WriteFile(t, "handler.js", `
const { Worker } = require('worker_threads');
const { execFileSync, fork, spawn } = require('child_process');
const { once } = require('events');
const path = require('path');
const cases = {
  async worker() {
    const w = new Worker(path.join(__dirname, 'worker.js'), { workerData: 21 });
    const [[result]] = await Promise.all([once(w, 'message'), once(w, 'exit')]);
    return result;
  },
  run: () => execFileSync('echo', ['x']).toString(),
  async fork() { const c = fork(path.join(__dirname, 'child.js')); c.send(21); return (await Promise.all([once(c, 'message'), once(c, 'exit')]))[0][0]; },
  async inherits() { const c = spawn('echo', ['printed by a program'], { stdio: 'inherit' }); return (await once(c, 'exit'))[0]; },
  descriptors: () => execFileSync('ls', ['-l', '/proc/self/fd']).toString().split('\n').filter((l) => /(?!\b[012]\b)\b\d+ -> socket/.test(l)).length,
  async http() {
    const server = require('http').createServer((q, r) => r.end('served')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const text = await (await fetch('http://127.0.0.1:' + server.address().port)).text();
    server.close();
    return text;
  },
  interval() { let n = 0; setInterval(() => n++, 1); cases.ticks = () => n; return 'goes on'; },
  sleep: () => new Promise((go) => setTimeout(go, 20)),
};
exports.handle = (event) => cases[event]();
`)
	if meta := i.Init(t, wire.InitMsg{}); !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	i.Want(t, `"worker"`, `42`)
	i.WantLog(t, "from a worker\n")
	i.Want(t, `"run"`, `"x\n"`)
	i.Want(t, `"fork"`, `42`)
	i.WantLog(t, "from a child\n")
	i.Want(t, `"inherits"`, `0`)
	i.WantLog(t, "printed by a program\n")
	i.Want(t, `"descriptors"`, `0`)
	i.Want(t, `"http"`, `"served"`)
	// What is left behind stands still between calls.
	i.Want(t, `"interval"`, `"goes on"`)
	i.Want(t, `"sleep"`, `null`)
	_, ticks := i.Call(t, `"ticks"`)
	if ticks == "0" {
		t.Error("an interval did not go on during the next call")
	}
	other := function(t, "exports.handle = () => new Promise((go) => setTimeout(go, 50, 'a while in which it would tick'));")
	other.Want(t, `1`, `"a while in which it would tick"`)
	wantOneOf(t, i, `"ticks"`, ticks)
}

// wantOneOf calls and expects what an earlier call answered, or the one tick that was due since.
func wantOneOf(t *testing.T, i *runtimetest.Instance, event, before string) {
	t.Helper()
	var was, is int
	_, after := i.Call(t, event)
	if json.Unmarshal([]byte(before), &was) != nil || json.Unmarshal([]byte(after), &is) != nil || is > was+2 {
		t.Errorf("it ticked between calls: from %s to %s", before, after)
	}
}

func TestModules(t *testing.T) {
	t.Parallel()
	i := blank(t)
	i.WriteFile(t, "node_modules/dep/package.json", `{"name": "dep", "main": "main.js", "exports": {"import": "./main.mjs", "require": "./main.js"}}`)
	i.WriteFile(t, "node_modules/dep/main.js", "exports.kind = 'required';")
	i.WriteFile(t, "node_modules/dep/main.mjs", "export const kind = 'imported';")
	i.WriteFile(t, "a.js", "exports.early = true; exports.seen = require('./b').seen;")
	i.WriteFile(t, "b.js", "exports.seen = require('./a').early;")
	i.WriteFile(t, "data.json", `{"x": 1}`)
	i.WriteFile(t, "util.js", "exports.mine = true;")
	i.WriteFile(t, "handler.js", `
exports.handle = async () => [require('dep').kind, (await import('dep')).kind, require('./a').seen, require('./data.json').x,
  require('./util').mine, typeof require('util').inspect, typeof require('node:test'), Object.keys(require.cache).some((f) => /warm/.test(f))];
`)
	if meta := i.Init(t, wire.InitMsg{}); !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	i.Want(t, `1`, `["required","imported",true,1,true,"function","function",false]`)
}

// TestSourceMaps sees that the option which maps stacks is obeyed when Node was started with it.
func TestSourceMaps(t *testing.T) {
	t.Parallel()
	i := blankWith(t, testenv.RequireNode(t), "--enable-source-maps")
	i.WriteFile(t, "handler.js", "exports.handle = () => { throw new TypeError('mapped'); };\n//# sourceMappingURL=handler.js.map\n")
	i.WriteFile(t, "handler.js.map", `{"version":3,"file":"handler.js","sources":["original.ts"],"names":[],"mappings":"AAAA"}`)
	if meta := i.Init(t, wire.InitMsg{}); !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	meta := i.WantError(t, `1`, "TypeError", "mapped")
	if stack := strings.Join(meta.Stack, "\n"); !strings.Contains(stack, "original.ts:1:1") || strings.Contains(stack, "bootstrap.cjs") {
		t.Errorf("the stack is not mapped:\n%s", stack)
	}
}
