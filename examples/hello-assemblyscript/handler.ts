// The event is JSON: {"name":"Ada"}. AssemblyScript has no JSON of its own, so this finds the one name it needs.

export function alloc(size: u32): usize {
  return heap.alloc(size);
}

export function handle(at: usize, size: u32): u64 {
  const event = String.UTF8.decodeUnsafe(at, size);
  const found = event.indexOf('"name":"');
  let name = "world";
  if (found >= 0) {
    const start = found + 8;
    const end = event.indexOf('"', start);
    assert(end >= 0, "the name has no end");
    name = event.substring(start, end);
  }
  const result = String.UTF8.encode('{"message":"Hello, ' + name + '!"}');
  return ((changetype<usize>(result) as u64) << 32) | result.byteLength;
}
