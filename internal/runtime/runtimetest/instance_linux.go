// Package runtimetest runs an interpreter with its bootstrap, outside any sandbox, and speaks the agent protocol with
// it: the tests of the bootstraps are made of it.
package runtimetest

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"nimbus/internal/testenv"
	"nimbus/internal/wire"
)

// Patience is how long something may take that will happen.
const Patience = 20 * time.Second

// Instance is an interpreter with the bootstrap and a function's code, outside any sandbox.
type Instance struct {
	Conn   *wire.Conn
	Socket net.Conn // under Conn
	Cmd    *exec.Cmd
	Code   string

	mu     sync.Mutex
	output bytes.Buffer // stdout and stderr
}

// Write takes what the interpreter prints.
func (i *Instance) Write(p []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.output.Write(p)
}

// Printed returns the log so far.
func (i *Instance) Printed() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.output.String()
}

// WantLog waits until the log holds part: it comes by pipes, which nobody drains before a result here.
func (i *Instance) WantLog(t testing.TB, part string) {
	t.Helper()
	testenv.Eventually(t, Patience, func() bool { return strings.Contains(i.Printed(), part) })
}

// Start runs a command that serves the agent protocol, with no code yet.
func Start(t testing.TB, command ...string) *Instance {
	t.Helper()
	ours, theirs := socketPair(t)
	i := &Instance{Conn: wire.NewConn(ours), Socket: ours, Code: t.TempDir()}
	i.Cmd = exec.Command(command[0], command[1:]...)
	i.Cmd.Env = []string{"LANG=C.UTF-8"}
	i.Cmd.ExtraFiles = []*os.File{theirs}
	i.Cmd.Stdout, i.Cmd.Stderr = i, i
	if err := i.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	t.Cleanup(func() {
		_ = i.Conn.Close()
		_ = i.Cmd.Process.Kill()
		_ = i.Cmd.Wait()
		if t.Failed() {
			t.Logf("the instance printed: %s", i.Printed())
		}
	})
	if _, err := i.Conn.Handshake(Context(t)); err != nil {
		t.Fatalf("handshake: %v; the instance printed: %s", err, i.Printed())
	}
	return i
}

// WriteFile adds a file to the code.
func (i *Instance) WriteFile(t testing.TB, name, content string) {
	t.Helper()
	path := filepath.Join(i.Code, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Init sends Init; what msg leaves out gets a value.
func (i *Instance) Init(t testing.TB, msg wire.InitMsg) wire.RespMeta {
	t.Helper()
	if msg.Handler == "" {
		msg.Handler = "handler.handle"
	}
	if msg.MaxResponse == 0 {
		msg.MaxResponse, msg.MaxStream = 6<<20, 200<<20
	}
	msg.CodeDir = i.Code
	msg.FunctionName, msg.FunctionID, msg.FunctionVersion = "greet", "f1", "3"
	msg.Namespace, msg.MemoryMB = "default", 256
	meta, err := i.Conn.Init(Context(t), msg)
	if err != nil {
		t.Fatalf("init: %v", err)
	}
	return meta
}

// Call sends an event and fails the test on an error of the platform's.
func (i *Instance) Call(t testing.TB, event string) (wire.RespMeta, string) {
	t.Helper()
	meta, result, err := i.Conn.Exec(Context(t), ExecMeta(), []byte(event), nil)
	if err != nil {
		t.Fatalf("exec: %v", err)
	}
	return meta, string(result)
}

// Want calls and compares the result.
func (i *Instance) Want(t testing.TB, event, result string) {
	t.Helper()
	meta, got := i.Call(t, event)
	if !meta.OK || got != result {
		t.Errorf("event %.80s: got %.200s %+v, want %.200s", event, got, meta, result)
	}
}

// WantError calls and compares the error.
func (i *Instance) WantError(t testing.TB, event, kind, message string) wire.RespMeta {
	t.Helper()
	meta, result := i.Call(t, event)
	if meta.OK || meta.Type != kind || !strings.Contains(meta.Message, message) || result != "" {
		t.Errorf("event %.80s: got %.200s %+v, want %s: …%s…", event, result, meta, kind, message)
	}
	return meta
}

// Item is one of a stream: its kind and its bytes.
type Item [2]string

// Stream calls and gathers the items.
func (i *Instance) Stream(t testing.TB, event string) (wire.RespMeta, []Item) {
	t.Helper()
	var items []Item
	meta := ExecMeta()
	meta.Stream = true
	resp, _, err := i.Conn.Exec(Context(t), meta, []byte(event), func(kind string, raw []byte) error {
		items = append(items, Item{kind, string(raw)})
		return nil
	})
	if err != nil {
		t.Fatalf("exec: %v", err)
	}
	return resp, items
}

// ExecMeta is of a call with enough time.
func ExecMeta() *wire.ExecMeta {
	return &wire.ExecMeta{
		RequestID: "0197-request", DeadlineMS: time.Now().Add(Patience).UnixMilli(), TraceID: "trace-1",
	}
}

// Context ends when the test does, or Patience.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	t.Cleanup(cancel)
	return ctx
}

// socketPair returns a connected pair: ours for wire, theirs for a child process.
func socketPair(t testing.TB) (net.Conn, *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fds[0]), "platform")
	ours, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	return ours, os.NewFile(uintptr(fds[1]), "runtime")
}

// JSON is what an event is made by.
func JSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Run returns what a command prints.
func Run(t testing.TB, command ...string) string {
	t.Helper()
	out, err := exec.CommandContext(Context(t), command[0], command[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", command, err, out)
	}
	return string(out)
}
