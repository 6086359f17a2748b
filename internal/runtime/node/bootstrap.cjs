'use strict';
// The runtime of a Node instance: it speaks the agent protocol and runs the user's handler.
//
// `node bootstrap.cjs [FD]`: FD (3) is a connected, blocking stream socket; descriptors 1 and 2 are the log.
// Frames are `u32 length | u8 type | u64 invocation | payload`, as internal/wire describes.
//
// Between calls the process stands still in one blocking read: a timer or a socket that a handler left behind is
// frozen, and goes on during the next call. During a call the event loop turns as in any Node program; where calls
// run at once, it always does.
//
// It is one file, and longer than most, because it travels as one into a sandbox's root. User code shares the
// interpreter with it and may replace, patch or pollute anything: what serving needs is bound to names of its
// own before user code runs.

const { AsyncLocalStorage } = require('node:async_hooks');
const { randomBytes } = require('node:crypto');
const fs = require('node:fs');
const { createRequire } = require('node:module');
const net = require('node:net');
const path = require('node:path');
const { Writable } = require('node:stream');
const { pathToFileURL } = require('node:url');
const { types: { isNativeError, isModuleNamespaceObject }, inspect } = require('node:util');

const VERSION = 1;
const [HELLO, INIT, EXEC, RESP, PING, PONG, , CHUNK, CANCEL, STOP, WINDOW] = Array(11).keys();

const HEADER = 13;
const MAX_FRAME = (16 << 20) + 9;
const INITIAL_WINDOW = 1 << 20;
const BUFFER = 16 << 10; // frames up to this size take one read and one write
const MAX_MESSAGE = 16 << 10; // characters of an error's message
const MAX_STACK = 100; // lines of a stack, half from either end
const MAX_STACK_LINE = 512; // characters
const MAX_CAUSES = 8; // errors shown of a chain
const MAX_CHECKED = 16; // files searched for what can't be compiled

const LOG_STREAM = randomBytes(8).toString('hex');
const LOCATION = /^(?:file:\/\/)?(\/[^\n]*?:\d+)\n/; // as Node writes it before the line that it can't compile

const OK = '{"ok":true}';
const OK_ENDING = '{"ok":true,"ending":true}';
const STREAMED = '{"ok":true,"streamed":true}';
const STREAMED_ENDING = '{"ok":true,"streamed":true,"ending":true}';

const BASE_ENV = { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: '/tmp', TMPDIR: '/tmp', LANG: 'C.UTF-8' };

// What user code may patch, out of its reach.
const unbound = Function.prototype.call.bind(Function.prototype.bind, Function.prototype.call);
const { readSync, writeSync } = fs;
const { parse, stringify } = JSON;
const { apply, ownKeys } = Reflect;
const { freeze, hasOwn } = Object;
const { isView } = ArrayBuffer;
const { isArray } = Array;
const { byteLength, allocUnsafeSlow } = Buffer;
const { min, max } = Math;
const now = Date.now;
const later = setImmediate;
const listeners = unbound(process.listenerCount);
const exit = process.exit.bind(process);
const reallyExit = process.reallyExit.bind(process);
const activeResources = process.getActiveResourcesInfo.bind(process);
const utf8Write = unbound(Buffer.prototype.utf8Write);
const utf8Slice = unbound(Buffer.prototype.utf8Slice);
const copyWithin = unbound(Uint8Array.prototype.copyWithin);
const copyInto = unbound(Uint8Array.prototype.set);
const subarray = unbound(Uint8Array.prototype.subarray);
const slice = unbound(String.prototype.slice);
const split = unbound(String.prototype.split);
const includes = unbound(String.prototype.includes);
const push = unbound(Array.prototype.push);
const join = unbound(Array.prototype.join);
const has = unbound(Array.prototype.includes);
const take = unbound(Array.prototype.slice);
const concat = unbound(Array.prototype.concat);
const { iterator: ITERATOR, asyncIterator: ASYNC_ITERATOR } = Symbol;
const NativePromise = Promise;
const Bytes = Uint8Array;
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const decodeStrictly = strict.decode.bind(strict);
const still = new Int32Array(new SharedArrayBuffer(4));
const { wait } = Atomics;

// An outcome that is the user's to mend, with the type it is reported as.
class UserError extends Error {
  constructor(type, message) {
    super(message);
    this.type = type;
  }
}

// Node's own Buffer.from goes by methods that user code may have replaced.
function encoded(text) {
  const size = byteLength(text);
  const bytes = allocUnsafeSlow(size);
  utf8Write(bytes, text, 0, size);
  return bytes;
}

// Writes all of it, whatever mode a child process has put the descriptor in.
function writeAll(fd, bytes, start, end) {
  while (start < end) {
    try {
      start += writeSync(fd, bytes, start, end - start, null);
    } catch (e) {
      if (e.code === 'EAGAIN') wait(still, 0, 0, 1);
      else if (e.code !== 'EINTR') throw e;
    }
  }
}

// Frames over a descriptor. Reading blocks, or is done by the event loop between follow() and leave().
class Channel {
  constructor(input, output) {
    this.input = input;
    this.output = output;
    this.out = allocUnsafeSlow(BUFFER);
    this.resize(BUFFER);
  }

  resize(size) {
    const old = this.buffer;
    const have = this.end - this.start;
    this.buffer = allocUnsafeSlow(size);
    this.size = size;
    if (have > 0) copyInto(this.buffer, subarray(old, this.start, this.end));
    this.start = 0;
    this.end = have > 0 ? have : 0;
  }

  // Makes room for n bytes at least behind what is unread.
  room(n) {
    if (this.start === this.end) {
      this.start = this.end = 0;
      if (this.size > BUFFER && n <= BUFFER) this.resize(BUFFER);
    }
    if (this.size - this.end >= n) return;
    if (this.end - this.start + n > this.size) {
      this.resize(this.end - this.start + n);
    } else {
      copyWithin(this.buffer, 0, this.start, this.end);
      this.end -= this.start;
      this.start = 0;
    }
  }

  // Returns the next frame if all of it has come, else undefined. Its payload is valid until more is read.
  next() {
    const have = this.end - this.start;
    if (have < HEADER) {
      this.room(HEADER);
      return undefined;
    }
    const b = this.buffer;
    const s = this.start;
    const length = b[s] * 0x1000000 + ((b[s + 1] << 16) | (b[s + 2] << 8) | b[s + 3]);
    if (length < 9 || length > MAX_FRAME) throw new Error(`a frame of length ${length}`);
    if (have < 4 + length) {
      this.room(4 + length - have);
      return undefined;
    }
    this.start += 4 + length;
    let number = 0;
    for (let i = s + 5; i < s + HEADER; i++) number = number * 256 + b[i];
    return { type: b[s + 4], number, start: s + HEADER, end: s + 4 + length };
  }

  // Reads what there is, and waits for something; false = the other side is gone.
  fill() {
    const n = readSync(this.input, this.buffer, this.end, this.size - this.end, null);
    this.end += n;
    return n > 0;
  }

  // Takes in what the event loop has read.
  append(bytes, n) {
    this.room(n);
    copyInto(this.buffer, subarray(bytes, 0, n), this.end);
    this.end += n;
  }

  text(start, end) {
    return utf8Slice(this.buffer, start, end);
  }

  head(type, number, length) {
    const b = this.out;
    b[0] = length >>> 24;
    b[1] = length >>> 16;
    b[2] = length >>> 8;
    b[3] = length;
    b[4] = type;
    let n = number;
    for (let i = HEADER - 1; i > 4; i--) {
      b[i] = n % 256;
      n = (n - b[i]) / 256;
    }
  }

  send(type, number, text) {
    const n = utf8Write(this.out, text, HEADER, BUFFER - HEADER);
    this.head(type, number, 9 + n);
    writeAll(this.output, this.out, 0, HEADER + n);
  }

  // Sends a Resp or a Chunk: raw is text or bytes.
  sendMeta(type, number, meta, raw) {
    const b = this.out;
    const start = HEADER + 4;
    const isText = typeof raw === 'string';
    if (!isText || start + (meta.length + raw.length) * 3 > BUFFER) return this.sendLarge(type, number, meta, raw);
    const m = utf8Write(b, meta, start, BUFFER - start);
    const n = raw === '' ? 0 : utf8Write(b, raw, start + m, BUFFER - start - m);
    this.metaLength(m);
    this.head(type, number, 13 + m + n);
    writeAll(this.output, b, 0, start + m + n);
  }

  sendLarge(type, number, meta, raw) {
    const head = encoded(meta);
    const body = typeof raw === 'string' ? encoded(raw) : raw;
    this.metaLength(head.byteLength);
    this.head(type, number, 13 + head.byteLength + body.byteLength);
    writeAll(this.output, this.out, 0, HEADER + 4);
    writeAll(this.output, head, 0, head.byteLength);
    writeAll(this.output, body, 0, body.byteLength);
  }

  metaLength(n) {
    const b = this.out;
    b[HEADER] = n >>> 24;
    b[HEADER + 1] = n >>> 16;
    b[HEADER + 2] = n >>> 8;
    b[HEADER + 3] = n;
  }
}

// The connection to the platform, which the event loop reads while a result is streamed.
class Connection extends Channel {
  constructor(fd, received) {
    super(fd, fd);
    const callback = (n, bytes) => {
      this.append(bytes, n);
      received();
    };
    const onread = { buffer: allocUnsafeSlow(BUFFER), callback };
    const socket = new net.Socket({ fd, manualStart: true, writable: false, allowHalfOpen: true, onread });
    const gone = () => reallyExit(0);
    socket.on('end', gone).on('error', gone).unref();
    // The event loop reads when there is something, so that the descriptor may block all the same.
    socket._handle.setBlocking(true);
    this.follow = socket.resume.bind(socket);
    this.leave = socket.pause.bind(socket);
    this.hold = socket.ref.bind(socket); // keeps the loop turning until something comes
    this.release = socket.unref.bind(socket);
    this.share = () => {
      socket._handle.setBlocking(false); // else a read that fills the buffer would be followed by one that waits
      this.follow();
      this.hold();
    };
  }
}

// A blank's rehearsal reads frames from a file and answers nobody.
class Rehearsal extends Channel {
  follow() {}
  leave() {}
  hold() {}
  release() {}
  share() {}
}

// What a handler is told about its call: our names, and AWS's.
class Context {
  constructor(fn, meta) {
    const deadline = meta.deadline_ms;
    const remaining = () => max(0, deadline - now());
    this.callbackWaitsForEmptyEventLoop = true;
    this.request_id = this.awsRequestId = meta.request_id;
    this.function_name = this.functionName = fn.name;
    this.function_version = this.functionVersion = fn.version;
    this.namespace = fn.namespace;
    this.invokedFunctionArn = fn.arn;
    this.memory_limit_mb = fn.memory;
    this.memoryLimitInMB = `${fn.memory}`;
    this.logGroupName = fn.logGroup;
    this.logStreamName = fn.logStream;
    this.deadline_ms = deadline;
    this.trace_id = meta.trace_id ?? '';
    this.traceparent = meta.traceparent ?? '';
    this.get_remaining_time_in_millis = this.getRemainingTimeInMillis = remaining;
  }
}

// One Exec, from its event to its answer.
class Call {
  constructor(number, meta, context) {
    this.number = number;
    this.streams = hasOwn(meta, 'stream') && meta.stream;
    this.context = context;
    this.meta = ''; // of the answer; '' = there is none yet
    this.raw = '';
    this.credit = INITIAL_WINDOW;
    this.cancelled = false;
    this.wake = undefined; // goes on with a stream that waits for credit
    this.held = undefined; // gives the result of a callback once the event loop is empty
    this.callback = false;
  }
}

// Serves the frames of one instance. Its calls are found by number, never by being the only one.
class Runtime {
  constructor(channel, ended) {
    this.channel = channel;
    this.ended = ended;
    this.calls = { __proto__: null };
    this.running = 0;
    this.streaming = 0; // calls that send a stream
    this.waiting = 0; // and of these, those that wait for credit
    this.scopes = undefined; // tells calls apart; made when something could be mistaken
    this.ending = false; // user code has broken the process: it ends after what it owes
    this.owesInit = false;
    this.shared = false; // several calls run at once
    this.serve = () => this.listen();
    this.answer = (call) => this.give(call);
  }

  // Waits for frames and acts on them, until a call is under way.
  listen() {
    try {
      for (;;) {
        const frame = this.channel.next();
        if (frame === undefined) {
          if (!this.channel.fill()) return this.ended();
        } else if (this.act(frame)) {
          return;
        }
      }
    } catch (e) {
      if (e.code === 'EINTR') return void later(this.serve); // lets the signal's listeners run
      this.fatal(e);
    }
  }

  // Acts on what the event loop has read.
  drain() {
    try {
      for (let frame; (frame = this.channel.next()) !== undefined; ) this.act(frame);
    } catch (e) {
      this.fatal(e);
    }
  }

  fatal(error) {
    if (error.code === 'ECONNRESET' || error.code === 'EPIPE') reallyExit(0); // the platform is gone
    writeSync(2, `the connection to the platform: ${error.stack}\n`);
    reallyExit(1);
  }

  // Reports whether the event loop must turn now.
  act({ type, number, start, end }) {
    const channel = this.channel;
    switch (type) {
      case EXEC:
        this.exec(number, start, end);
        return true;
      case INIT:
        this.owesInit = true;
        this.init(parse(channel.text(start, end)));
        return true;
      case PING:
        channel.send(PONG, number, '');
        break;
      case WINDOW:
      case CANCEL: {
        const call = this.calls[number]; // none when the stream has ended
        if (call === undefined) break;
        if (type === CANCEL) call.cancelled = true;
        else call.credit += parse(channel.text(start, end)).bytes;
        call.wake?.();
        break;
      }
      case STOP:
        exit(0);
        break;
      case HELLO:
        if (parse(channel.text(start, end)).version !== VERSION) reallyExit(1);
    }
    return false;
  }

  async init(msg) {
    let meta = OK;
    try {
      await this.become(msg);
    } catch (e) {
      meta = failure(describeInit(e, msg.code_dir), false);
    }
    later(() => this.initialised(meta));
  }

  // Answers Init, once: the module's import may have been given up before.
  initialised(meta) {
    if (!this.owesInit) return;
    this.owesInit = false;
    this.channel.sendMeta(RESP, 0, meta, '');
    this.left();
    this.proceed();
  }

  // Goes on with what the platform wants next.
  proceed() {
    if (this.shared) this.drain();
    else this.listen();
  }

  // Turns a blank runtime into one of a function.
  async become(msg) {
    const code = msg.code_dir;
    setEnvironment(environment(msg));
    process.chdir(code);
    this.maxResponse = msg.max_response;
    this.maxStream = msg.max_stream;
    this.fn = freeze({
      name: msg.function_name, version: msg.function_version, namespace: msg.namespace, memory: msg.memory_mb,
      arn: `arn:nimbus:lambda:local:${msg.namespace}:function:${msg.function_name}:${msg.function_version}`,
      logGroup: `/nimbus/${msg.namespace}/${msg.function_name}`,
      logStream: `[${msg.function_version}]${LOG_STREAM}`,
    });
    this.handler = await load(code, msg.handler); // from here on nothing is what it was
    if (msg.concurrency > 1) this.share(msg.concurrency);
  }

  // Takes several calls at once, which a module must say it is written for: its variables are the calls' in common.
  share(concurrency) {
    const { declared } = this.handler;
    if (declared !== true && !(declared >= concurrency)) {
      throw new UserError('Runtime.InitError', `instance_concurrency is ${concurrency}, and the module ${
        declared === undefined ? 'does not export instanceConcurrency' : `exports instanceConcurrency = ${show(declared)}`}`);
    }
    this.shared = true;
    this.scopes ??= new AsyncLocalStorage();
    this.streaming++; // as good as a stream that never ends, and always waits for what comes
    this.waiting++;
    this.channel.share();
  }

  exec(number, start, end) {
    const { channel } = this;
    const b = channel.buffer;
    const middle = start + 4 + b[start] * 0x1000000 + ((b[start + 1] << 16) | (b[start + 2] << 8) | b[start + 3]);
    const meta = parse(channel.text(start + 4, middle));
    const call = new Call(number, meta, new Context(this.fn, meta));
    this.calls[number] = call;
    this.running++;
    let event;
    try {
      event = decode(channel, middle, end);
    } catch (e) {
      return this.fail(call, e);
    }
    if (this.scopes === undefined) this.run(call, event);
    else this.scopes.run(call, () => this.run(call, event));
  }

  async run(call, event) {
    try {
      const { owner, call: handler } = this.handler;
      if (handler.length >= 3) return this.runCallback(call, event);
      let result = apply(handler, owner, [event, call.context]);
      if (isThenable(result)) result = await result;
      await this.finish(call, result);
    } catch (e) {
      this.fail(call, e);
    }
  }

  // Runs a handler of the older style: (event, context, callback).
  runCallback(call, event) {
    const { owner, call: handler } = this.handler;
    call.callback = true;
    const finish = (result) => this.finish(call, result).catch((e) => this.fail(call, e));
    const callback = (error, result) => {
      if (error !== undefined && error !== null) this.fail(call, error);
      else if (call.context.callbackWaitsForEmptyEventLoop) call.held ??= () => finish(result);
      else finish(result);
    };
    const returned = apply(handler, owner, [event, call.context, callback]);
    if (isThenable(returned)) NativePromise.resolve(returned).then(finish, (e) => this.fail(call, e));
  }

  // Makes the handler's result the call's answer.
  async finish(call, result) {
    const items = iterator(result);
    if (items === undefined) {
      this.settle(call, OK, encode(result, this.maxResponse));
    } else if (call.streams) {
      await this.stream(call, items);
      this.settle(call, STREAMED, '');
    } else {
      this.settle(call, OK, await gather(items, this.maxResponse));
    }
  }

  // Sends the items as Chunks, within the platform's credit, until there are no more or it wants no more.
  async stream(call, items) {
    const { channel } = this;
    let total = 0;
    if (this.streaming++ === 0) channel.follow();
    try {
      for await (const item of items) {
        const { meta, raw } = chunk(item);
        const size = typeof raw === 'string' ? byteLength(raw) : raw.byteLength;
        total += size;
        if (total > this.maxStream) throw tooLarge(`the streamed response has reached ${total} bytes`, this.maxStream);
        await new NativePromise(later); // lets the loop read a Cancel
        if (call.credit <= 0 && !call.cancelled) await this.credit(call);
        if (call.cancelled || call.meta !== '') break;
        call.credit -= 4 + meta.length + size;
        channel.sendMeta(CHUNK, call.number, meta, raw);
      }
    } finally {
      if (--this.streaming === 0) channel.leave();
    }
  }

  // Waits until the platform has taken enough of a stream, or wants no more of it.
  async credit(call) {
    if (this.waiting++ === 0) this.channel.hold();
    while (call.credit <= 0 && !call.cancelled && call.meta === '') await new NativePromise((go) => (call.wake = go));
    call.wake = undefined;
    if (--this.waiting === 0) this.channel.release();
  }

  // Chooses the call's answer. It is given a turn of the loop later: what the handler left to the very next
  // turn, a rejection nobody handles above all, still belongs to the call.
  settle(call, meta, raw) {
    if (call.meta !== '') return;
    call.meta = meta;
    call.raw = raw;
    later(this.answer, call);
  }

  fail(call, error) {
    this.settle(call, failure(describe(error), false), '');
  }

  give(call) {
    delete this.calls[call.number];
    let { meta } = call;
    if (this.ending) meta = meta === OK ? OK_ENDING : meta === STREAMED ? STREAMED_ENDING : meta;
    this.channel.sendMeta(RESP, call.number, meta, call.raw);
    if (--this.running > 0) return;
    if (this.ending) exit(1);
    this.left();
    this.proceed();
  }

  // What a call leaves behind may fail during another: from now on it is known whose it was.
  left() {
    if (this.scopes === undefined && activeResources().length > 0) this.scopes = new AsyncLocalStorage();
  }

  // The event loop is empty: nothing will settle what has not settled.
  idle() {
    if (this.owesInit) {
      const message = 'the import of the handler waits for something that can never happen';
      later(() => this.initialised(failure({ type: 'Runtime.NeverSettled', message, stack: [] }, false)));
    }
    const numbers = ownKeys(this.calls);
    for (let i = 0; i < numbers.length; i++) {
      const call = this.calls[numbers[i]];
      if (call.meta !== '') continue;
      if (call.held !== undefined) {
        later(call.held);
        continue;
      }
      this.fail(call, new UserError('Runtime.NeverSettled', call.callback
        ? 'the handler ended without calling its callback'
        : 'the handler returned a Promise that can never settle: nothing is left that could'));
    }
  }

  // Acts on an error that nothing caught. The process is of no more use, as under plain Node.
  uncaught(error, type) {
    this.ending = true;
    const report = describe(error);
    if (type !== undefined) {
      report.message = cut(`${report.type}: ${report.message}`, MAX_MESSAGE);
      report.type = type;
    }
    const call = this.scopes === undefined ? this.only() : this.scopes.getStore();
    if (call !== undefined && this.calls[call.number] === call) {
      const answered = call.meta !== ''; // chosen, and not given yet
      call.meta = failure(report, true);
      call.raw = '';
      if (!answered) later(this.answer, call);
      call.wake?.();
      return;
    }
    if (this.owesInit) return this.initialised(failure(report, true));
    // What an earlier call left behind: the calls of today get their answers.
    const text = report.stack.length > 0 ? join(report.stack, '\n') : `${report.type}: ${report.message}`;
    writeLog(2, `after the answer of an earlier call: ${text}\n`);
    if (this.running === 0) exit(1);
  }

  only() {
    return this.calls[ownKeys(this.calls)[0]];
  }

  // User code ends the process.
  exits(status) {
    const report = { type: 'Runtime.ExitError', message: `exit status ${status}`, stack: [] };
    if (this.owesInit) this.channel.sendMeta(RESP, 0, failure(report, true), '');
    const numbers = ownKeys(this.calls);
    for (let i = 0; i < numbers.length; i++) {
      this.channel.sendMeta(RESP, this.calls[numbers[i]].number, failure(report, true), '');
    }
  }
}

// All of the environment of a function's process: the user's wins over the defaults, ours over both.
function environment(msg) {
  const env = { __proto__: null, ...BASE_ENV, ...msg.env, NIMBUS_FUNCTION_ID: msg.function_id };
  const ours = {
    FUNCTION_NAME: msg.function_name, FUNCTION_VERSION: msg.function_version, FUNCTION_MEMORY_SIZE: `${msg.memory_mb}`,
  };
  for (const name of ownKeys(ours)) env[`AWS_LAMBDA_${name}`] = env[`NIMBUS_${name}`] = ours[name];
  env.LAMBDA_TASK_ROOT = env.NIMBUS_CODE_DIR = msg.code_dir;
  env._HANDLER = env.NIMBUS_HANDLER = msg.handler;
  env.NIMBUS_NAMESPACE = msg.namespace;
  return env;
}

function setEnvironment(env) {
  for (const name of ownKeys(process.env)) if (!(name in env)) delete process.env[name];
  for (const name of ownKeys(env)) process.env[name] = env[name];
}

// Parts `dir/module.function` wherever a file of the module's name is, and returns the function and what it
// belongs to.
async function load(code, handler) {
  const slash = handler.lastIndexOf('/') + 1;
  const parts = handler.slice(slash).split('.');
  if (parts.length < 2 || parts.includes('') || handler.split('/').includes('..') || slash === 1) {
    throw new UserError('Runtime.HandlerNotFound', `the handler "${handler}" is not of the form module.function`);
  }
  for (let n = parts.length - 1; n > 0; n--) {
    const name = handler.slice(0, slash) + parts.slice(0, n).join('.');
    const file = moduleFile(path.join(code, name));
    if (file === undefined) continue;
    process.argv = [process.execPath, file];
    const names = parts.slice(n);
    const wanted = names.join('.');
    const module = await importFile(code, file);
    const found = find(module, name, names, wanted);
    return { ...found, declared: module.instanceConcurrency ?? module.default?.instanceConcurrency };
  }
  const name = handler.slice(0, slash) + parts.slice(0, -1).join('.');
  const there = fs.readdirSync(code).sort().slice(0, 20).join(', ') || 'nothing';
  throw new UserError('Runtime.ImportModuleError', `Cannot find module '${name}'; the code has ${there}`);
}

const QUIETLY = { throwIfNoEntry: false };

function isFile(file) {
  return fs.statSync(file, QUIETLY)?.isFile() === true;
}

function moduleFile(base) {
  for (const middle of ['', '/index']) {
    for (const suffix of ['.js', '.mjs', '.cjs']) {
      if (isFile(base + middle + suffix)) return base + middle + suffix;
    }
  }
  return undefined;
}

async function importFile(code, file) {
  if (isModule(code, file)) return import(pathToFileURL(file));
  try {
    return createRequire(file)(file);
  } catch (e) {
    if (!isNativeError(e) || e.code !== 'ERR_REQUIRE_ESM' && e.code !== 'ERR_REQUIRE_ASYNC_MODULE') throw e;
    return import(pathToFileURL(file)); // code that says neither what it is nor in the usual words
  }
}

// Reports whether a file is an ES module: by its name, by the package.json above it, else by its text.
function isModule(code, file) {
  const suffix = path.extname(file);
  if (suffix !== '.js') return suffix === '.mjs';
  for (let dir = path.dirname(file); dir.startsWith(code); dir = path.dirname(dir)) {
    const manifest = `${dir}/package.json`;
    if (!isFile(manifest)) continue;
    let type;
    try {
      ({ type } = parse(fs.readFileSync(manifest, 'utf8')));
    } catch (e) {
      throw new UserError('Runtime.ImportModuleError', `${path.relative(code, manifest)}: ${e.message}`);
    }
    if (type === 'module' || type === 'commonjs') return type === 'module';
    break;
  }
  return /^\s*(?:import(?:\s*["'{*]|\s+[\w$])|export(?:\s*[{*]|\s+\w))/m.test(fs.readFileSync(file, 'utf8'));
}

// Returns the function that the names lead to in a module, or in its default export.
function find(module, name, names, wanted) {
  const starts = [module, module.default, module.default?.default]; // the last: an ES module compiled to CommonJS
  for (let i = 0; i < starts.length; i++) {
    let owner;
    let value = starts[i];
    for (let n = 0; n < names.length; n++) {
      owner = value;
      value = owner === null || owner === undefined ? undefined : owner[names[n]];
    }
    if (typeof value === 'function') return { owner: isModuleNamespaceObject(owner) ? undefined : owner, call: value };
    if (value !== undefined) {
      throw new UserError('Runtime.HandlerNotFound', `${name}.${wanted} is of type ${typeof value}, not a function`);
    }
    if (typeof starts[i] === 'function' && starts[i].name === wanted) return { owner: undefined, call: starts[i] };
  }
  throw new UserError('Runtime.HandlerNotFound', `${name} does not export '${wanted}'; it exports ${functionsOf(starts)}`);
}

function functionsOf(starts) {
  const found = { __proto__: null };
  for (let i = 0; i < starts.length; i++) {
    const start = starts[i];
    if (typeof start === 'function') found[start.name || 'default'] = true;
    if (start === null || typeof start !== 'object') continue;
    const keys = ownKeys(start);
    for (let k = 0; k < keys.length; k++) if (typeof start[keys[k]] === 'function') found[keys[k]] = true;
  }
  const names = ownKeys(found);
  if (names.length > 20) names.length = 20;
  return names.length > 0 ? `the functions ${join(names, ', ')}` : 'no functions';
}

function isThenable(value) {
  return value !== null && (typeof value === 'object' || typeof value === 'function') && typeof value.then === 'function';
}

// Returns result if its items are to be taken one by one: an async iterable (streams are), or a generator.
function iterator(result) {
  if (result === null || typeof result !== 'object') return undefined;
  if (typeof result[ASYNC_ITERATOR] === 'function') return result;
  return typeof result.next === 'function' && typeof result[ITERATOR] === 'function' ? result : undefined;
}

// Puts the items into one JSON array, for a caller that wants no stream.
async function gather(items, bound) {
  const texts = [];
  let size = 1;
  for await (const item of items) {
    if (isView(item)) {
      throw new UserError('Runtime.MarshalError', `Unable to marshal response: item ${texts.length} is bytes, which only a streamed answer can carry`);
    }
    const text = encode(item, bound);
    size += byteLength(text) + 1;
    if (size > bound) throw tooLarge(`the response has reached ${size} bytes`, bound);
    push(texts, text);
  }
  return `[${join(texts, ',')}]`;
}

// Reads an event.
function decode(channel, start, end) {
  if (start === end) return null;
  let text = channel.text(start, end);
  try {
    if (includes(text, '\uFFFD')) text = decodeStrictly(subarray(channel.buffer, start, end));
    return parse(text);
  } catch (e) {
    throw new UserError('Runtime.UnmarshalError', `Unable to unmarshal input: ${e.message}`);
  }
}

// Writes a result.
function encode(result, bound) {
  let text;
  try {
    text = stringify(result);
  } catch (e) {
    throw new UserError('Runtime.MarshalError', `Unable to marshal response: ${culprit(result) ?? describe(e).message}`);
  }
  if (text === undefined) {
    if (result === undefined) return 'null';
    throw new UserError('Runtime.MarshalError', `Unable to marshal response: the result is a ${typeof result}`);
  }
  if (text.length * 3 > bound) {
    const size = byteLength(text);
    if (size > bound) throw tooLarge(`the response is ${size} bytes`, bound);
  }
  return text;
}

// Says what in a result is not JSON, and where; undefined when that is not found, or code in it raises.
function culprit(result) {
  try {
    return locate(result);
  } catch {
    return undefined;
  }
}

function locate(value, at = 'result', above = []) {
  if (typeof value === 'bigint') return `${at} is a BigInt`;
  if (value === null || typeof value !== 'object') return undefined;
  if (has(above, value)) return `${at} refers back to ${above[0] === value ? 'the result' : 'what holds it'}`;
  if (above.length > 200) return `${at.slice(0, 80)}… is nested too deeply`;
  if (typeof value.toJSON === 'function') return undefined;
  const path = concat(above, [value]);
  const keys = ownKeys(value);
  for (let i = 0; i < keys.length; i++) {
    if (typeof keys[i] === 'symbol') continue;
    const found = locate(value[keys[i]], at + (isArray(value) ? `[${keys[i]}]` : `.${keys[i]}`), path);
    if (found !== undefined) return found;
  }
  return undefined;
}

// Returns the meta and the content of a Chunk.
function chunk(item) {
  if (typeof item === 'string') return { meta: '{"kind":"text"}', raw: item };
  if (isView(item)) return { meta: '{"kind":"bytes"}', raw: new Bytes(item.buffer, item.byteOffset, item.byteLength) };
  return { meta: '{"kind":"json"}', raw: encode(item, Infinity) };
}

function tooLarge(what, bound) {
  return new UserError('Function.ResponseSizeTooLarge', `${what}, over the bound of ${bound}`);
}

// Writes a RespMeta, whatever user code has done to the prototypes.
function failure({ type, message, stack }, ending) {
  const lines = [];
  for (let i = 0; i < stack.length; i++) lines[i] = stringify(stack[i]);
  return `{"ok":false,"type":${stringify(type)},"message":${stringify(message)},"stack":[${join(lines, ',')}]${ending ? ',"ending":true' : ''}}`;
}

// Describes what was thrown: any value, which may not even let itself be looked at.
function describe(thrown) {
  try {
    if (thrown instanceof UserError) return { type: thrown.type, message: cut(thrown.message, MAX_MESSAGE), stack: [] };
    if (!isError(thrown)) return { type: typeof thrown, message: cut(show(thrown), MAX_MESSAGE), stack: [] };
    return { type: nameOf(thrown), message: cut(`${thrown.message}`, MAX_MESSAGE), stack: stackOf(thrown) };
  } catch {
    return { type: typeof thrown, message: '(its description failed)', stack: [] };
  }
}

function describeInit(error, code) {
  const report = describe(error);
  if (error instanceof UserError || !isError(error)) return report;
  if (error instanceof SyntaxError) {
    const at = whereBroken(error, code);
    if (at === undefined) return report; // thrown by code that runs, such as JSON.parse
    const hint = /import statement|Unexpected token 'export'/.test(error.message)
      ? ' (an ES module is named .mjs, or has "type": "module" in its package.json)' : '';
    return { ...report, type: 'Runtime.UserCodeSyntaxError', message: cut(`${at}: ${error.message}${hint}`, MAX_MESSAGE) };
  }
  if (error.code === 'MODULE_NOT_FOUND' || error.code === 'ERR_MODULE_NOT_FOUND') {
    return { ...report, type: 'Runtime.ImportModuleError', message: cut(`Unable to import the handler: ${split(report.message, '\n')[0]}`, MAX_MESSAGE) };
  }
  return report;
}

// Returns file:line of code that can't be compiled, undefined when error is of another kind.
function whereBroken(error, code) {
  const stack = `${error.stack}`;
  const relative = (found) => path.relative(code, found[1]);
  const named = LOCATION.exec(stack);
  if (named !== null) return relative(named);
  if (stack.includes(`${code}/`)) return undefined;
  // Of an ES module Node shows the place to nobody but a person who runs it.
  const { spawnSync } = require('node:child_process');
  const files = [process.argv[1]];
  for (let n = 0; n < files.length && n < MAX_CHECKED; n++) {
    const { stderr } = spawnSync(process.execPath, ['--check', files[n]], { encoding: 'utf8', timeout: 5000 });
    const found = LOCATION.exec(stderr ?? '');
    if (found !== null) return relative(found);
    for (const [, specifier] of fs.readFileSync(files[n], 'utf8').matchAll(/(?:from|import)\s*["'](\.[^"']*)["']/g)) {
      const file = path.join(path.dirname(files[n]), specifier);
      if (!files.includes(file) && fs.existsSync(file)) files.push(file);
    }
  }
  return path.relative(code, process.argv[1]);
}

function isError(value) {
  return isNativeError(value) || value instanceof Error;
}

function nameOf(error) {
  const { name } = error;
  const { constructor } = error;
  if ((typeof name !== 'string' || name === '' || name === 'Error') && typeof constructor?.name === 'string' && constructor.name !== '') {
    return cut(constructor.name, 256);
  }
  return cut(`${name}`, 256);
}

function show(value) {
  if (value === null || typeof value !== 'object' && typeof value !== 'function') return String(value);
  return inspect(value, { depth: 2, breakLength: Infinity, getters: false });
}

// The stack as lines, with the causes and without our own frames.
function stackOf(error) {
  const lines = [];
  const seen = [];
  for (let e = error, lead = ''; isError(e) && !has(seen, e) && seen.length < MAX_CAUSES; e = e.cause, lead = 'Caused by: ') {
    push(seen, e);
    const own = split(`${e.stack}`, '\n');
    for (let i = 0; i < own.length; i++) {
      if (i > 0 && (includes(own[i], __filename) || includes(own[i], 'node:internal/'))) continue;
      push(lines, cut(i === 0 ? lead + own[i] : own[i], MAX_STACK_LINE));
    }
  }
  if (lines.length <= MAX_STACK) return lines;
  const half = MAX_STACK / 2;
  const first = take(lines, 0, half);
  push(first, `    ... ${lines.length - MAX_STACK} lines left out ...`);
  return concat(first, take(lines, lines.length - half));
}

function cut(text, length) {
  return text.length > length ? slice(text, 0, length) : text;
}

function writeLog(fd, text) {
  const bytes = encoded(text);
  try {
    writeAll(fd, bytes, 0, bytes.byteLength);
  } catch {
    // closed by user code: nobody wants to hear it
  }
}

// A stream over a descriptor of the log. What is written to it has been written when write returns: Node's
// own streams keep what a full pipe does not take, and an answer would overtake it.
function logStream(fd) {
  const stream = new Writable({
    decodeStrings: true,
    write(bytes, _, done) {
      try {
        writeAll(fd, bytes, 0, bytes.byteLength);
        done();
      } catch (e) {
        done(e);
      }
    },
  });
  stream.fd = fd;
  stream._type = 'pipe';
  stream._isStdio = true;
  stream.destroySoon = stream.destroy;
  stream._destroy = (error, done) => done(error);
  return stream;
}

function replaceStreams() {
  for (const [name, fd] of [['stdout', 1], ['stderr', 2]]) {
    const value = logStream(fd);
    Object.defineProperty(process, name, { configurable: true, enumerable: true, get: () => value, set: undefined });
  }
}

// Runs the first calls of dummy functions, so that the real one's finds its way compiled and loaded.
// Everything goes the way a real call goes, and is undone afterwards.
async function rehearse() {
  const code = path.join(BASE_ENV.TMPDIR, `warm-${randomBytes(8).toString('hex')}`);
  const kept = { env: { ...process.env }, directory: process.cwd(), argv: process.argv };
  try {
    fs.mkdirSync(code, 0o700);
  } catch {
    return; // nowhere to write: the first call is slower, and nothing else
  }
  try {
    for (const [file, source] of [['warm.js', 'exports.handle = (event) => event;'], ['warm.mjs', 'export const handle = async (event) => event;']]) {
      fs.writeFileSync(path.join(code, file), source);
      await rehearseWith(code, file);
      fs.unlinkSync(path.join(code, file));
      delete require.cache[path.join(code, file)];
    }
  } finally {
    setEnvironment(kept.env);
    process.chdir(kept.directory);
    process.argv = kept.argv;
    fs.rmSync(code, { recursive: true, force: true });
  }
}

function rehearseWith(code, file) {
  const msg = {
    handler: 'warm.handle', code_dir: code, function_id: '', function_name: '', function_version: '', namespace: '',
    memory_mb: 0, max_response: BUFFER, max_stream: 0,
  };
  const script = path.join(code, 'frames');
  const nowhere = fs.openSync('/dev/null', 'w');
  const writer = new Channel(-1, fs.openSync(script, 'w'));
  writer.send(INIT, 0, stringify(msg));
  for (let n = 1; n <= 3; n++) writer.sendMeta(EXEC, n, '{"request_id":"warm","deadline_ms":0}', '{"name":"warm"}');
  fs.closeSync(writer.output);
  const input = fs.openSync(script, 'r');
  return new Promise((done) => new Runtime(new Rehearsal(input, nowhere), done).listen()).finally(() => {
    fs.closeSync(input);
    fs.closeSync(nowhere);
  });
}

async function main(fd) {
  replaceStreams();
  await rehearse();
  let runtime;
  const channel = new Connection(fd, () => runtime.drain());
  runtime = new Runtime(channel, () => reallyExit(0));
  process.on('beforeExit', () => runtime.idle());
  process.on('uncaughtException', (error) => {
    if (listeners(process, 'uncaughtException') === 1) runtime.uncaught(error, undefined);
  });
  process.on('unhandledRejection', (error) => {
    if (listeners(process, 'unhandledRejection') === 1) runtime.uncaught(error, 'Runtime.UnhandledPromiseRejection');
  });
  process.reallyExit = (status) => {
    runtime.exits(status ?? 0);
    reallyExit(status);
  };
  channel.send(HELLO, 0, stringify({ version: VERSION, runtime: `nodejs${process.versions.node.split('.')[0]}` }));
  later(runtime.serve);
}

main(process.argv.length > 2 ? Number(process.argv[2]) : 3);
