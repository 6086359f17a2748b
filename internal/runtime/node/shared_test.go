package node_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"nimbus/internal/runtime/runtimetest"
	"nimbus/internal/testenv"
	"nimbus/internal/wire"
)

// shared is an instance that runs several calls at once.
type shared struct {
	*runtimetest.Instance
	mux *wire.Mux
}

// share starts an instance for ten calls at once, with handler.js as its only file.
func share(t *testing.T, source string) *shared {
	t.Helper()
	i := blank(t)
	i.WriteFile(t, "handler.js", "exports.instanceConcurrency = 10;\n"+source)
	if meta := i.Init(t, wire.InitMsg{Concurrency: 10}); !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	s := &shared{Instance: i, mux: i.Conn.Mux(10)}
	t.Cleanup(func() {
		s.mux.Close()
		s.mux.Wait()
	})
	return s
}

// called is what a call came to, and what it printed.
type called struct {
	meta    wire.RespMeta
	raw     string
	items   []string
	printed string
	err     error
}

// begin calls in the background.
func (s *shared) begin(ctx context.Context, event string) <-chan called {
	done := make(chan called, 1)
	go func() {
		var c called
		var mu sync.Mutex
		to := wire.Sink{Log: func(stream string, p []byte) {
			mu.Lock()
			defer mu.Unlock()
			c.printed += fmt.Sprintf("%s: %s", stream, p)
		}}
		meta := runtimetest.ExecMeta()
		if meta.Stream = strings.Contains(event, "stream"); meta.Stream {
			to.Chunk = func(_ string, raw []byte) error {
				c.items = append(c.items, string(raw))
				return nil
			}
		}
		answer, raw, err := s.mux.Exec(ctx, meta, []byte(event), to)
		mu.Lock()
		defer mu.Unlock()
		c.meta, c.raw, c.err = answer, string(raw), err
		done <- c
	}()
	return done
}

// unread is how much of what was sent the runtime has not read, at least.
func (s *shared) unread(t *testing.T) int {
	t.Helper()
	raw, err := s.Socket.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if failed := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); failed != nil || err != nil {
		t.Fatal(failed, err)
	}
	return n
}

func TestSharedOutputIsItsCalls(t *testing.T) {
	t.Parallel()
	s := share(t, `
const { spawnSync } = require('node:child_process');
const waiting = [];
console.log('while it is imported');
exports.handle = async (name) => {
  console.log('%s begins', name);
  await new Promise((go) => waiting.push(go) === 10 && waiting.forEach((go) => go()));
  process.stdout.write(Buffer.from(name + ' is half done\n'));
  await new Promise((go) => setTimeout(go, 1));
  console.error('%s ends', name);
  if (name === 'n3') {
    spawnSync('/bin/echo', ['a child of', name], { stdio: 'inherit' });
    setTimeout(() => console.log('%s is over', name), 50);
  }
  return name;
};`)
	var calls []<-chan called
	for n := range 10 {
		calls = append(calls, s.begin(runtimetest.Context(t), fmt.Sprintf(`"n%d"`, n)))
	}
	for n, done := range calls {
		got := <-done
		want := fmt.Sprintf("stdout: n%d begins\nstdout: n%d is half done\nstderr: n%d ends\n", n, n, n)
		if got.err != nil || got.raw != fmt.Sprintf(`"n%d"`, n) || got.printed != want {
			t.Errorf("call %d: %+v, want %q printed", n, got, want)
		}
	}
	// What is no call's, or not any more, is the instance's.
	for _, part := range []string{"while it is imported\n", "a child of n3\n", "n3 is over\n"} {
		s.WantLog(t, part)
	}
}

func TestSharedLongOutput(t *testing.T) {
	t.Parallel()
	s := share(t, `exports.handle = (event) => { process.stdout.write('é'.repeat(event)); return 1; };`)
	const letters = 1 << 20
	got := <-s.begin(runtimetest.Context(t), fmt.Sprint(letters))
	printed := strings.ReplaceAll(got.printed, "stdout: ", "")
	if got.err != nil || printed != strings.Repeat("é", letters) {
		t.Errorf("%d bytes printed, %v", len(printed), got.err)
	}
}

func TestSharedCallbacks(t *testing.T) {
	t.Parallel()
	s := share(t, `exports.handle = (event, context, callback) => { setTimeout(() => {}, 1e6); callback(null, event); };`)
	if got := <-s.begin(runtimetest.Context(t), "7"); got.err != nil || got.raw != "7" {
		t.Errorf("got %+v", got) // though the event loop is never empty
	}
}

func TestSharedStreams(t *testing.T) {
	t.Parallel()
	s := share(t, `
exports.handle = async function* ({ stream, value }) {
  for (let i = 0; i < 30; i++) {
    yield value.repeat(100000); // more than the credit
    console.log('%s.%d', value, i);
  }
};`)
	calls := make(map[string]<-chan called)
	for _, name := range []string{"a", "b", "c"} {
		calls[name] = s.begin(runtimetest.Context(t), fmt.Sprintf(`{"stream":true,"value":%q}`, name))
	}
	for name, done := range calls {
		got := <-done
		total := 0
		for _, one := range got.items {
			if one != strings.Repeat(name, len(one)) {
				t.Errorf("stream %s got %.20q", name, one)
			}
			total += len(one)
		}
		if got.err != nil || !got.meta.Streamed || total != 3_000_000 || strings.Count(got.printed, name+".") != 30 {
			t.Errorf("stream %s: %d bytes, %+v, %v", name, total, got.meta, got.err)
		}
	}
}

// TestSharedFailures has one of two calls break in a way that plain Node does not survive.
func TestSharedFailures(t *testing.T) {
	t.Parallel()
	const failing = "Runtime.UnhandledPromiseRejection"
	for name, tt := range map[string]struct {
		source, kind, message string // of the call that does it
		other                 string // what the other is told; "" = nothing, it ends well
		status                int
	}{
		"a rejection nobody handles": {`Promise.reject(new TypeError('whose?')); await forever;`, failing, "TypeError: whose?", "", 1},
		"a rejection later":          {`setTimeout(async () => { throw new TypeError('whose?'); }, 1); await forever;`, failing, "TypeError: whose?", "", 1},
		"a listener that throws":     {`setTimeout(() => { throw new RangeError('whose?'); }, 1); await forever;`, "RangeError", "whose?", "", 1},
		"an exit": {`process.exit(3);`, "Runtime.ExitError", "exit status 3",
			"exit status 3: the instance was shared, and another call ended it", 3},
		"an exit later": {`setTimeout(() => process.exit(3), 1); await forever;`, "Runtime.ExitError", "exit status 3",
			"exit status 3: the instance was shared, and another call ended it", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := share(t, `
const forever = new Promise(() => {});
let begun;
const other = new Promise((go) => (begun = go));
exports.handle = async (event) => {
  if (event === 'other') { begun(); await new Promise((go) => setTimeout(go, 200)); return event; }
  await other;
  `+tt.source+`
};`)
			one, other := s.begin(runtimetest.Context(t), `"one"`), s.begin(runtimetest.Context(t), `"other"`)
			if got := <-one; got.err != nil || got.meta.Type != tt.kind || got.meta.Message != tt.message || !got.meta.Ending {
				t.Errorf("the call: %+v", got)
			}
			switch got := <-other; {
			case got.err != nil || !got.meta.Ending:
				t.Errorf("the other: %+v", got)
			case tt.other == "" && (!got.meta.OK || got.raw != `"other"`),
				tt.other != "" && (got.meta.Type != tt.kind || got.meta.Message != tt.other):
				t.Errorf("the other: %+v", got)
			}
			if got := <-s.begin(runtimetest.Context(t), `"other"`); !errors.Is(got.err, wire.ErrUnsent) {
				t.Errorf("one more call: %+v", got)
			}
			_ = s.Cmd.Wait()
			if code := s.Cmd.ProcessState.ExitCode(); code != tt.status {
				t.Errorf("exit status %d, want %d", code, tt.status)
			}
		})
	}
}

// TestSharedExitBeforeOthersAreBegun has a call end the process while the next wait to be read.
func TestSharedExitBeforeOthersAreBegun(t *testing.T) {
	t.Parallel()
	s := share(t, `
const fs = require('node:fs');
exports.handle = (event) => {
  if (event !== 'exit') return event;
  fs.writeSync(1, 'it waits');
  while (!fs.existsSync(__dirname + '/go'));
  process.exit(3);
};`)
	exits := s.begin(runtimetest.Context(t), `"exit"`)
	testenv.Eventually(t, runtimetest.Patience, func() bool { return strings.Contains(s.Printed(), "it waits") })
	const others, size = 4, 20_000 // more than is read at once
	var calls []<-chan called
	for range others {
		calls = append(calls, s.begin(runtimetest.Context(t), `"`+strings.Repeat("x", size)+`"`))
	}
	testenv.Eventually(t, runtimetest.Patience, func() bool { return s.unread(t) >= others*size })
	s.WriteFile(t, "go", "")
	if got := <-exits; got.meta.Message != "exit status 3" {
		t.Errorf("the call: %+v", got)
	}
	for n, done := range calls {
		if got := <-done; !errors.Is(got.err, wire.ErrUnsent) {
			t.Errorf("call %d, which was not begun: %+v", n, got)
		}
	}
}

// TestSharedErrorOfNoCall throws in what was begun while the module was imported.
func TestSharedErrorOfNoCall(t *testing.T) {
	t.Parallel()
	s := share(t, `
let throws;
new Promise((go) => (throws = go)).then(() => setTimeout(() => { throw new Error('nobody asked'); }, 1));
exports.handle = async () => { throws(); await new Promise((go) => setTimeout(go, 100)); return 'well'; };`)
	got := <-s.begin(runtimetest.Context(t), "1")
	if got.err != nil || got.raw != `"well"` || !got.meta.Ending {
		t.Errorf("got %+v", got)
	}
	s.WantLog(t, "Error: nobody asked")
}
