'use strict';
// The functions that the driver conformance suite runs, one a case.

const { execFileSync, spawn } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const zlib = require('node:zlib');
const { Worker } = require('node:worker_threads');

// What came of an action: its value, or the name of its error.
function attempt(action) {
  try {
    return { value: action() };
  } catch (e) {
    return { error: e.code || e.name, text: e.message };
  }
}

let calls = 0;

exports.echo = (event) => event;

exports.count = () => ++calls;

exports.exit = (event) => {
  console.log('last words');
  process.exit(event);
};

exports.last = () => {
  fs.writeSync(1, 'x'.repeat(60000) + 'end');
  process.reallyExit(0);
};

exports.abort = () => process.abort();

exports.loop = () => {
  console.log('looping');
  for (;;);
};

exports.raises = () => {
  throw new RangeError('not today');
};

exports.hog = () => {
  for (const kept = []; ;) kept.push(Buffer.alloc(1 << 20, 'x'));
};

exports.allocate = (event) => Buffer.alloc(event, 'x').length;

exports.say = (event) => {
  for (let i = 0; i < event; i++) console.log('line %d', i);
  fs.writeSync(2, 'raw to stderr\n');
  return 'said';
};

exports.stream = async function* (event) {
  for (let i = 0; i < event.items; i++) yield 'x'.repeat(event.size);
};

function environment(block) {
  return Object.fromEntries(block.split('\0').filter(Boolean).map((e) => [e.slice(0, e.indexOf('=')), e.slice(e.indexOf('=') + 1)]));
}

exports.facts = () => {
  const status = {};
  for (const line of fs.readFileSync('/proc/self/status', 'utf8').split('\n')) {
    const [key, ...rest] = line.split(':');
    status[key] = rest.join(':').trim();
  }
  const files = {};
  for (const fd of fs.readdirSync('/proc/self/fd')) {
    const a = attempt(() => fs.readlinkSync('/proc/self/fd/' + fd));
    files[fd] = a.value || '';
  }
  return {
    pid: process.pid, uid: process.getuid(), gid: process.getgid(),
    groups: process.getgroups().filter((g) => g !== process.getgid()), // getgroups counts the effective one
    status, files,
    environment: process.env, started: environment(fs.readFileSync('/proc/self/environ', 'utf8')),
    processes: fs.readdirSync('/proc').filter((p) => /^\d+$/.test(p)).map(Number),
    directory: process.cwd(),
  };
};

exports.settings = () => Error.stackTraceLimit;

exports.read = (event) => attempt(() => {
  const b = Buffer.alloc(4096);
  const fd = fs.openSync(event);
  try {
    return b.toString('latin1', 0, fs.readSync(fd, b));
  } finally {
    fs.closeSync(fd);
  }
});

exports.write = (event) => attempt(() => {
  const fd = fs.openSync(event.path, 'w');
  try {
    for (let left = event.bytes || 1; left > 0;) left -= fs.writeSync(fd, Buffer.alloc(Math.min(left, 1 << 20), 'x'));
  } finally {
    fs.closeSync(fd);
  }
  return null;
});

exports.listdir = (event) => attempt(() => fs.readdirSync(event).sort());

// Leaves processes that hold on to stdout.
exports.background = (event) => {
  for (let i = 0; i < event; i++) spawn('/bin/sleep', ['1000'], { detached: true, stdio: ['ignore', 'inherit', 'inherit'] }).unref();
  return event;
};

exports.serve = (event) => new Promise((resolve) => {
  net.createServer().listen(event, '0.0.0.0', () => resolve('listening'));
});

exports.connect = (event) => new Promise((resolve) => {
  const socket = net.connect(event, '127.0.0.1');
  socket.on('connect', () => resolve({ tcp: { value: null } }));
  socket.on('error', (e) => resolve({ tcp: { error: e.code, text: e.message } }));
});

exports.kill = (event) => attempt(() => process.kill(event, 'SIGKILL'));

exports.random_bytes = () => [Math.random(), crypto.randomUUID(), crypto.randomBytes(16).toString('hex')];

exports.shell = (event) => execFileSync('/bin/sh', ['-c', event], { encoding: 'utf8' });

exports.forbidden = () => ({
  setuid: attempt(() => process.setuid(0)),
  setgid: attempt(() => process.setgid(0)),
  priority: attempt(() => os.setPriority(-5)),
  mknod: attempt(() => execFileSync('/bin/mknod', ['/tmp/device', 'c', '1', '3'], { stdio: 'pipe' })),
  unshare: attempt(() => execFileSync('/usr/bin/unshare', ['-U', 'true'], { stdio: 'pipe' })),
});

module.exports.instanceConcurrency = 100;

const met = [];

// Waits until as many calls as the event says are there, then does what it says.
exports.meet = async ({ calls, name, then }) => {
  console.log('%s arrives', name);
  await new Promise((go) => met.push(go) === calls && met.splice(0).forEach((go) => go()));
  if (then === 'exit') process.exit(7);
  if (then === 'abort') process.abort();
  if (then === 'hog') exports.hog();
  if (then === 'throw') setTimeout(() => { throw new RangeError('not today'); }, 1);
  if (then === 'stay' || then === 'throw') await new Promise(() => {});
  if (then === 'linger') await new Promise((go) => setTimeout(go, 50));
  console.error('%s leaves', name);
  return name;
};

let ticks = 0;

// Counts in another thread; the event says whether to start or to read.
exports.tick = (event) => {
  if (event === 'start') {
    const shared = new Int32Array(new SharedArrayBuffer(4));
    ticks = shared;
    const worker = new Worker('const { workerData } = require("node:worker_threads");' +
      'setInterval(() => Atomics.add(workerData, 0, 1), 1);', { eval: true, workerData: shared });
    worker.unref();
  }
  return Atomics.load(ticks, 0);
};

// Uses what handlers rely on; returns what each part answered.
exports.runtime = async () => {
  const loopback = () => new Promise((resolve, reject) => {
    const server = net.createServer((peer) => peer.end('hello'));
    server.listen(0, '127.0.0.1', () => {
      net.connect(server.address().port, 'localhost').setEncoding('utf8').on('error', reject)
        .on('data', (text) => server.close(() => resolve(text)));
    });
  });
  const thread = () => new Promise((resolve, reject) => {
    new Worker('require("node:worker_threads").parentPort.postMessage(6 * 7)', { eval: true })
      .on('message', resolve).on('error', reject);
  });
  // (module (func (export "f") (result i32) i32.const 42))
  const wasm = Buffer.from('0061736d010000000105016000017f03020100070501016600000a06010400412a0b', 'hex');
  return {
    loopback: await loopback(),
    thread: await thread(),
    wasm: (await WebAssembly.instantiate(wasm)).instance.exports.f(),
    gzip: zlib.gunzipSync(zlib.gzipSync('text')).toString(),
    hash: crypto.createHash('sha256').update('').digest('hex').slice(0, 8),
    file: (fs.writeFileSync('/tmp/file', 'x'), fs.readFileSync('/tmp/file', 'utf8')),
    asynchronous: (await fs.promises.readFile('/etc/hostname', 'utf8')).trim(),
    compiled: new Function('a', 'let s = 0; for (let i = 0; i < 1e6; i++) s += a; return s')(1), // the JIT needs its pages
  };
};
