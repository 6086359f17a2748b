// A function's environment, and its handler: which file it is in, how that is loaded, what it exports.

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
