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
// It is one program in several files, which node.go joins in order: a file is read once where each module would
// cost a blank a millisecond. User code shares the interpreter with it and may replace, patch or pollute anything:
// what serving needs is bound to names of its own, below, before user code runs.

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
const [HELLO, INIT, EXEC, RESP, PING, PONG, LOG, CHUNK, CANCEL, STOP, WINDOW] = Array(11).keys();

const HEADER = 13;
const MAX_FRAME = (16 << 20) + 9;
const INITIAL_WINDOW = 1 << 20;
const BUFFER = 16 << 10; // frames up to this size take one read and one write
const LOG_PIECE = 256 << 10; // bytes of the log in a frame
const MAX_MESSAGE = 16 << 10; // characters of an error's message
const MAX_STACK = 100; // lines of a stack, half from either end
const MAX_STACK_LINE = 512; // characters
const MAX_CAUSES = 8; // errors shown of a chain
const MAX_CHECKED = 16; // files searched for what can't be compiled

const LOG_STREAM = randomBytes(8).toString('hex');
const LOCATION = /^(?:file:\/\/)?(\/[^\n]*?:\d+)\n/; // as Node writes it before the line that it can't compile

const OK = '{"ok":true}';
const OK_ENDING = '{"ok":true,"ending":true}';
const UNRUN = '{"ok":false,"ending":true,"unrun":true}';
const STREAMED = '{"ok":true,"streamed":true}';
const STREAMED_ENDING = '{"ok":true,"streamed":true,"ending":true}';

const LOG_OF = { 1: '{"stream":"stdout"}', 2: '{"stream":"stderr"}' };

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
