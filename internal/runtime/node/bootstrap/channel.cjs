// Frames over the connection to the platform.

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

  // Sends a Resp, a Chunk or a Log: raw is text or bytes.
  sendMeta(type, number, meta, raw) {
    const b = this.out;
    const start = HEADER + 4;
    const isText = typeof raw === 'string';
    const most = isText ? raw.length * 3 : raw.byteLength;
    if (start + meta.length * 3 + most > BUFFER) return this.sendLarge(type, number, meta, raw);
    const m = utf8Write(b, meta, start, BUFFER - start);
    let n = most;
    if (!isText) copyInto(b, raw, start + m);
    else if (raw !== '') n = utf8Write(b, raw, start + m, BUFFER - start - m);
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
