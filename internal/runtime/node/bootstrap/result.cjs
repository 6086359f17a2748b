// Events and results: from JSON and to JSON, item by item where they are streamed.

// Reports whether a value is awaited.
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
