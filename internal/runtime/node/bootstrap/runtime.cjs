// What serves the frames: calls, from their event to their answer, and the process around them.

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
        exit(this.ending ? 1 : 0);
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
      else if (call.context.callbackWaitsForEmptyEventLoop && !this.shared) call.held ??= () => finish(result);
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
    // Where several calls run at once, one more may be on its way: the platform says when there is none.
    if (this.ending && !this.shared) exit(1);
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
    // What an earlier call left behind, or is no call's: the calls of today get their answers.
    const text = report.stack.length > 0 ? join(report.stack, '\n') : `${report.type}: ${report.message}`;
    writeLog(2, `${call === undefined && this.shared ? 'outside of any call' : 'after the answer of an earlier call'}: ${text}\n`);
    if (this.running === 0) exit(1);
  }

  only() {
    return this.calls[ownKeys(this.calls)[0]];
  }

  // User code ends the process. Of calls at once, the others are told whose doing it is.
  exits(status) {
    const report = { type: 'Runtime.ExitError', message: `exit status ${status}`, stack: [] };
    if (this.owesInit) this.channel.sendMeta(RESP, 0, failure(report, true), '');
    const own = this.shared ? this.scopes.getStore() : undefined;
    const numbers = ownKeys(this.calls);
    for (let i = 0; i < numbers.length; i++) {
      const call = this.calls[numbers[i]];
      const message = this.shared && call !== own ? `${report.message}: the instance was shared, and another call ended it` : report.message;
      this.channel.sendMeta(RESP, call.number, failure({ ...report, message }, true), '');
    }
    if (this.shared) this.disown();
  }

  // Says of the calls that have come, and were not begun, that they were not: they can run elsewhere.
  disown() {
    const { channel } = this;
    try {
      do {
        for (let frame; (frame = channel.next()) !== undefined; ) {
          if (frame.type === EXEC) channel.sendMeta(RESP, frame.number, UNRUN, '');
        }
      } while (channel.fill());
    } catch {
      // nothing more has come, or nobody listens
    }
  }

  // Prints, where several calls run at once: what a call prints goes in frames of its own.
  print(fd, bytes) {
    const call = this.scopes.getStore();
    const size = bytes.byteLength;
    if (call === undefined || this.calls[call.number] !== call) return writeAll(fd, bytes, 0, size);
    for (let i = 0; i < size; i += LOG_PIECE) {
      this.channel.sendMeta(LOG, call.number, LOG_OF[fd], subarray(bytes, i, min(i + LOG_PIECE, size)));
    }
  }
}
