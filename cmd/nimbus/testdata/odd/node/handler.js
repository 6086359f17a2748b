// What strangers do in Node: the event says which of it.
const fs = require("fs");
const { spawn } = require("child_process");

if (process.env.AT_IMPORT === "throw") throw new RangeError("not today");
if (process.env.AT_IMPORT === "exit") process.exit(9);

const deeds = {
  value: () => 42,
  trace: (event, context) => context.traceparent,
  promise: async (event, context) => context.functionName,
  async *stream() {
    yield 1;
    yield { two: 2 };
  },
  throw: () => { throw new RangeError("no such thing"); },
  "throw-string": () => { throw "merely text"; },
  reject: () => new Promise(() => { Promise.reject(new Error("nobody waits")); }),
  exit: () => process.exit(7),
  never: () => new Promise(() => { setInterval(() => {}, 1000); }),
  "nothing-left": () => new Promise(() => {}),
  spin: () => { for (;;); },
  memory: () => { for (const all = [];;) all.push(Buffer.alloc(16 << 20, 1)); },
  large: () => "x".repeat(7 << 20),
  "no-json": () => 1n,
  recursion: () => (function f() { return 1 + f(); })(),
  timer: () => { setInterval(() => {}, 1); return "fine"; },
  print: () => { console.log("line of a megabyte\n".repeat(55_000)); return "fine"; },
  kill: () => { process.kill(process.pid, "SIGKILL"); return "fine"; },
  abort: () => process.abort(),
  fork: () => {
    spawn("sleep", ["1234567"], { detached: true, stdio: "ignore" }).unref();
    return "fine";
  },
  disk: () => {
    try {
      for (let i = 0; ; i++) fs.writeFileSync(`/tmp/${i}`, Buffer.alloc(1 << 20, 1));
    } catch (e) {
      return e.code;
    }
  },
  close: () => { fs.closeSync(3); return "fine"; },
  garbage: () => { fs.writeSync(3, Buffer.alloc(64, 0xff)); return "fine"; },
};

exports.handle = (event, context) => deeds[event.do](event, context);
