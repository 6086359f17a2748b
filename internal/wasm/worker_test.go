package wasm_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nimbus/internal/wasm"
	"nimbus/internal/wire"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == compileMode {
		os.Exit(compileFile(os.Args[2], os.Args[3]))
	}
	goleak.VerifyTestMain(m)
}

const patience = 20 * time.Second

// worker is one that serves the agent protocol, in this process.
type worker struct {
	conn *wire.Conn
	code string // the package
	tmp  string

	mu     sync.Mutex
	output bytes.Buffer // stdout and stderr
}

func (w *worker) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.output.Write(p)
}

// printed returns the log so far.
func (w *worker) printed() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.output.String()
}

// connect serves a handler and returns the platform's end.
func connect(t testing.TB, h wire.Handler) *wire.Conn {
	t.Helper()
	ours, theirs := socketPair(t)
	served := make(chan error, 1)
	go func() { served <- wire.Serve(theirs, wire.HelloMsg{Runtime: "wasm"}, h) }()
	conn := wire.NewConn(ours)
	t.Cleanup(func() {
		_ = conn.Close()
		<-served
	})
	if _, err := conn.Handshake(limited(t)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func socketPair(t testing.TB) (ours, theirs net.Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ends := make([]net.Conn, 2)
	for i, fd := range fds {
		if ends[i], err = wire.Inherited(uintptr(fd)); err != nil {
			t.Fatal(err)
		}
	}
	return ends[0], ends[1]
}

func blank(t testing.TB) *worker {
	t.Helper()
	w := &worker{code: t.TempDir(), tmp: t.TempDir()}
	handler, err := wasm.NewWorker(t.Context(), wasm.WorkerConfig{Stdout: w, Stderr: w, TmpDir: w.tmp})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := handler.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the worker printed: %s", w.printed())
		}
	})
	w.conn = connect(t, handler)
	return w
}

func limited(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// init makes the worker one of a function whose package is one module. What msg leaves out gets a value.
func (w *worker) init(t testing.TB, module []byte, msg wire.InitMsg) wire.RespMeta {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.code, "handler.wasm"), module, 0o644); err != nil {
		t.Fatal(err)
	}
	if msg.Handler == "" {
		msg.Handler = "handler.wasm"
	}
	if msg.MemoryMB == 0 {
		msg.MemoryMB = 128
	}
	if msg.FunctionName == "" {
		msg.FunctionName = "hello"
	}
	msg.CodeDir = w.code
	meta, err := w.conn.Init(limited(t), msg)
	if err != nil {
		t.Fatal(err)
	}
	return meta
}

// function returns a worker that serves the module.
func function(t testing.TB, module []byte, msg wire.InitMsg) *worker {
	t.Helper()
	w := blank(t)
	if meta := w.init(t, module, msg); !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	return w
}

func (w *worker) call(t testing.TB, event string) (wire.RespMeta, string) {
	t.Helper()
	meta, result, err := w.conn.Exec(limited(t), &wire.ExecMeta{RequestID: "r"}, []byte(event), nil)
	if err != nil {
		t.Fatal(err)
	}
	return meta, string(result)
}

// wantResult calls and compares.
func (w *worker) wantResult(t testing.TB, event, want string) {
	t.Helper()
	if meta, got := w.call(t, event); !meta.OK || got != want {
		t.Errorf("%.50s: got %+v %.200s, want %.200s", event, meta, got, want)
	}
}

// wantFailure calls and looks for the type and for a part of the message.
func (w *worker) wantFailure(t testing.TB, event, kind, part string) wire.RespMeta {
	t.Helper()
	meta, result := w.call(t, event)
	if meta.OK || result != "" || meta.Type != kind || !strings.Contains(meta.Message, part) {
		t.Errorf("%.50s: got %+v %.200s, want %s: …%s…", event, meta, result, kind, part)
	}
	return meta
}

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	module, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return module
}
