// The start of a blank.

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
  let runtime;
  replaceStreams((fd, bytes) => {
    if (runtime?.shared) runtime.print(fd, bytes);
    else writeAll(fd, bytes, 0, bytes.byteLength);
  });
  await rehearse();
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
