// A module that does what its event says, well or badly. Made with Debian's clang and lld 14:
//
//	clang --target=wasm32 -O1 -g0 -nostdlib -fno-builtin -Wl,--no-entry -Wl,-z,stack-size=16384 -o reactor.wasm reactor.c

typedef unsigned int u32;
typedef unsigned long long u64;

extern char __heap_base;
static char *next = &__heap_base;
static u32 calls;
static char digits[16];

static u32 pages(void) { return __builtin_wasm_memory_size(0); }

__attribute__((export_name("alloc"))) u32 alloc(u32 size) {
  if (size == 1001) return 0;
  if (size == 1002) return 0xfffffff0;
  if (size == 1003) __builtin_trap();
  char *at = next;
  next += (size + 15) & ~15u;
  if ((u32)next > pages() << 16 &&
      __builtin_wasm_memory_grow(0, (((u32)next - (pages() << 16)) + 65535) >> 16) == (u32)-1)
    return 0;
  return (u32)at;
}

static u64 result(const char *text) {
  u32 size = 0;
  while (text[size]) size++;
  return (u64)(u32)text << 32 | size;
}

static u64 number(u32 n) {
  char *at = digits + 15;
  do *--at = '0' + n % 10;
  while (n /= 10);
  return (u64)(u32)at << 32 | (u32)(digits + 15 - at);
}

static int is(const char *event, u32 size, const char *word) {
  for (u32 i = 0; i < size; i++)
    if (event[i] != word[i]) return 0;
  return word[size] == 0;
}

__attribute__((noinline)) u32 deeper(u32 n) { return n == 0 ? 0 : (deeper(n + 1) * 3) ^ deeper(n + 2); }

typedef u32 (*function)(u32, u32, u32);

__attribute__((export_name("handle"))) u64 handle(char *event, u32 size) {
  volatile u32 zero = 0, one = 1;
  if (is(event, size, "\"count\"")) return number(++calls);
  if (is(event, size, "\"pages\"")) return number(pages());
  if (is(event, size, "\"unreachable\"")) __builtin_trap();
  if (is(event, size, "\"divide\"")) return number(one / zero);
  if (is(event, size, "\"bounds\"")) return *(volatile u64 *)0xfffffff0;
  if (is(event, size, "\"indirect\"")) return ((function)(zero + 1000))(1, 2, 3);
  if (is(event, size, "\"recurse\"")) return number(deeper(1 - zero));
  if (is(event, size, "\"loop\"")) for (;;) zero++;
  if (is(event, size, "\"grow\"")) {
    u32 grown = 0;
    while (__builtin_wasm_memory_grow(0, 16) != (u32)-1) grown += 16;
    for (u32 at = (u32)next; at < pages() << 16; at += 4096) *(volatile char *)at = 1;
    return number(grown);
  }
  if (is(event, size, "\"grow and trap\"")) {
    while (__builtin_wasm_memory_grow(0, 1) != (u32)-1);
    __builtin_trap();
  }
  if (is(event, size, "\"overwrite\"")) {
    for (u32 at = 0; at < pages() << 16; at++) *(volatile char *)at = '7';
    return (u64)(u32)event << 32 | 1;
  }
  if (is(event, size, "\"negative\"")) return (u64)0xfffffff0 << 32 | 8;
  if (is(event, size, "\"too long\"")) return (u64)(u32)event << 32 | 0xffffffff;
  if (is(event, size, "\"nothing\"")) return 0;
  if (is(event, size, "\"no JSON\"")) return result("hello, {world");
  if (is(event, size, "\"two values\"")) return result("1 2");
  if (is(event, size, "\"latin\"")) return result("\"caf\xe9\"");
  if (is(event, size, "\"large\"")) {
    u32 at = alloc(1 << 20);
    for (u32 i = 0; i < 1 << 20; i++) ((char *)at)[i] = '1';
    return (u64)at << 32 | 1 << 20;
  }
  return (u64)(u32)event << 32 | size;
}
