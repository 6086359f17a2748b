// A WASI command that does what its event says, well or badly. Made with Debian's clang and lld 14:
//
//	clang --target=wasm32 -O1 -g0 -nostdlib -fno-builtin -Wl,--no-entry -Wl,-z,stack-size=16384 -o command.wasm command.c

typedef unsigned int u32;
typedef unsigned long long u64;

#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
typedef struct { const char *at; u32 size; } span;
WASI(fd_read) u32 fd_read(u32 fd, const span *spans, u32 count, u32 *done);
WASI(fd_write) u32 fd_write(u32 fd, const span *spans, u32 count, u32 *done);
WASI(proc_exit) _Noreturn void proc_exit(u32 status);
WASI(random_get) u32 random_get(char *at, u32 size);
WASI(args_get) u32 args_get(char **at, char *text);
WASI(args_sizes_get) u32 args_sizes_get(u32 *count, u32 *size);
WASI(environ_get) u32 environ_get(char **at, char *text);
WASI(environ_sizes_get) u32 environ_sizes_get(u32 *count, u32 *size);

static char event[1 << 15];
static char *words[64];
static char text[1 << 14];

static u32 length(const char *s) {
  u32 size = 0;
  while (s[size]) size++;
  return size;
}

static void print(u32 fd, const char *at, u32 size) {
  span s = {at, size};
  u32 done;
  fd_write(fd, &s, 1, &done);
}

static void say(u32 fd, const char *s) { print(fd, s, length(s)); }

static int is(u32 size, const char *word) {
  if (size != length(word)) return 0;
  for (u32 i = 0; i < size; i++)
    if (event[i] != word[i]) return 0;
  return 1;
}

__attribute__((export_name("_start"))) void start(void) {
  u32 size = 0, done = 1, count;
  while (done > 0 && size < sizeof event) {
    span s = {event + size, sizeof event - size};
    if (fd_read(0, &s, 1, &done) != 0) proc_exit(71);
    size += done;
  }
  if (is(size, "\"exit 3\"")) {
    say(2, "it went\n");
    say(2, "wrong badly\n\n");
    proc_exit(3);
  }
  if (is(size, "\"exit -1\"")) proc_exit(-1);
  if (is(size, "\"trap\"")) __builtin_trap();
  if (is(size, "\"panic\"")) {
    say(2, "panic: oh no\n\ngoroutine 1 [running]:\n");
    proc_exit(2);
  }
  if (is(size, "\"silent\"")) return;
  if (is(size, "\"no JSON\"")) return say(1, "hello");
  if (is(size, "\"exit 0\"")) {
    say(1, "{\"done\":true}\n");
    proc_exit(0);
  }
  if (is(size, "\"log\"")) {
    say(2, "to the log\n");
    return say(1, "1");
  }
  if (is(size, "\"flood\"")) for (;;) say(1, "11111111111111111111111111111111");
  if (is(size, "\"loop\"")) for (;;) say(2, "");
  if (is(size, "\"random\"")) {
    random_get(text, 8);
    say(1, "\"");
    for (u32 i = 0; i < 8; i++) {
      char hex[2] = {"0123456789abcdef"[text[i] >> 4 & 15], "0123456789abcdef"[text[i] & 15]};
      print(1, hex, 2);
    }
    return say(1, "\"");
  }
  if (is(size, "\"args\"")) {
    args_sizes_get(&count, &done);
    args_get(words, text);
    say(1, "[\"");
    for (u32 i = 0; i < count; i++) say(1, words[i]);
    return say(1, "\"]");
  }
  if (is(size, "\"env\"")) {
    environ_sizes_get(&count, &done);
    environ_get(words, text);
    say(1, "\"");
    for (u32 i = 0; i < count; i++) {
      say(1, words[i]);
      say(1, ";");
    }
    return say(1, "\"");
  }
  print(1, event, size);
}
