// Descriptors 1 and 2.

function writeLog(fd, text) {
  const bytes = encoded(text);
  try {
    writeAll(fd, bytes, 0, bytes.byteLength);
  } catch {
    // closed by user code: nobody wants to hear it
  }
}

// A stream over a descriptor of the log. What is written to it has been printed when write returns: Node's
// own streams keep what a full pipe does not take, and an answer would overtake it.
function logStream(fd, print) {
  const stream = new Writable({
    decodeStrings: true,
    write(bytes, _, done) {
      try {
        print(fd, bytes);
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

function replaceStreams(print) {
  for (const [name, fd] of [['stdout', 1], ['stderr', 2]]) {
    const value = logStream(fd, print);
    Object.defineProperty(process, name, { configurable: true, enumerable: true, get: () => value, set: undefined });
  }
}
