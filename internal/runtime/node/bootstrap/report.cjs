// Errors as the platform is told of them.

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
