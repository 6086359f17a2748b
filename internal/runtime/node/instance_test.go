package node_test

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

	"go.uber.org/goleak"

	"nimbus/internal/runtime/node"
	"nimbus/internal/testenv"
	"nimbus/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// instance is an interpreter with the bootstrap and a function's code, outside any sandbox.
type instance struct {
	conn   *wire.Conn
	socket net.Conn // under conn
	cmd    *exec.Cmd
	code   string

	mu     sync.Mutex
	output bytes.Buffer // stdout and stderr
}

func (i *instance) Write(p []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.output.Write(p)
}

// printed returns the log so far.
func (i *instance) printed() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.output.String()
}

// wantLog waits until the log holds part: it comes by pipes, which nobody drains before a result here.
func (i *instance) wantLog(t testing.TB, part string) {
	t.Helper()
	testenv.Eventually(t, patience, func() bool { return strings.Contains(i.printed(), part) })
}

// blank starts an interpreter that was given no code yet.
func blank(t testing.TB) *instance {
	t.Helper()
	return blankWith(t, append([]string{testenv.RequireNode(t)}, node.Flags()...)...)
}

// blankWith starts one by a command of its own.
func blankWith(t testing.TB, command ...string) *instance {
	t.Helper()
	bootstrap := filepath.Join(t.TempDir(), "bootstrap.cjs")
	if err := os.WriteFile(bootstrap, node.Bootstrap(), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, append(command, bootstrap)...)
}

func start(t testing.TB, command ...string) *instance {
	t.Helper()
	ours, theirs := socketPair(t)
	i := &instance{conn: wire.NewConn(ours), socket: ours, code: t.TempDir()}
	i.cmd = exec.Command(command[0], command[1:]...)
	i.cmd.Env = []string{"LANG=C.UTF-8"}
	i.cmd.ExtraFiles = []*os.File{theirs}
	i.cmd.Stdout, i.cmd.Stderr = i, i
	if err := i.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	t.Cleanup(func() {
		_ = i.conn.Close()
		_ = i.cmd.Process.Kill()
		_ = i.cmd.Wait()
		if t.Failed() {
			t.Logf("the instance printed: %s", i.printed())
		}
	})
	if _, err := i.conn.Handshake(testContext(t)); err != nil {
		t.Fatalf("handshake: %v; the instance printed: %s", err, i.printed())
	}
	return i
}

// function starts an instance with handler.js as its only file.
func function(t testing.TB, source string) *instance {
	t.Helper()
	i := blank(t)
	i.write(t, "handler.js", source)
	if meta := i.init(t, wire.InitMsg{}); !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	return i
}

func (i *instance) write(t testing.TB, name, content string) {
	t.Helper()
	path := filepath.Join(i.code, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// init sends Init; what msg leaves out gets a value.
func (i *instance) init(t testing.TB, msg wire.InitMsg) wire.RespMeta {
	t.Helper()
	if msg.Handler == "" {
		msg.Handler = "handler.handle"
	}
	if msg.MaxResponse == 0 {
		msg.MaxResponse, msg.MaxStream = 6<<20, 200<<20
	}
	msg.CodeDir = i.code
	msg.FunctionName, msg.FunctionID, msg.FunctionVersion = "greet", "f1", "3"
	msg.Namespace, msg.MemoryMB = "default", 256
	meta, err := i.conn.Init(testContext(t), msg)
	if err != nil {
		t.Fatalf("init: %v", err)
	}
	return meta
}

// call sends an event and fails the test on an error of the platform's.
func (i *instance) call(t testing.TB, event string) (wire.RespMeta, string) {
	t.Helper()
	meta, result, err := i.conn.Exec(testContext(t), execMeta(), []byte(event), nil)
	if err != nil {
		t.Fatalf("exec: %v", err)
	}
	return meta, string(result)
}

// want calls and compares the result.
func (i *instance) want(t testing.TB, event, result string) {
	t.Helper()
	meta, got := i.call(t, event)
	if !meta.OK || got != result {
		t.Errorf("event %.80s: got %.200s %+v, want %.200s", event, got, meta, result)
	}
}

// wantError calls and compares the error.
func (i *instance) wantError(t testing.TB, event, kind, message string) wire.RespMeta {
	t.Helper()
	meta, result := i.call(t, event)
	if meta.OK || meta.Type != kind || !strings.Contains(meta.Message, message) || result != "" {
		t.Errorf("event %.80s: got %.200s %+v, want %s: …%s…", event, result, meta, kind, message)
	}
	return meta
}

type item struct{ kind, raw string }

// stream calls and gathers the items.
func (i *instance) stream(t testing.TB, event string) (wire.RespMeta, []item) {
	t.Helper()
	var items []item
	meta := execMeta()
	meta.Stream = true
	resp, _, err := i.conn.Exec(testContext(t), meta, []byte(event), func(kind string, raw []byte) error {
		items = append(items, item{kind, string(raw)})
		return nil
	})
	if err != nil {
		t.Fatalf("exec: %v", err)
	}
	return resp, items
}

func execMeta() *wire.ExecMeta {
	return &wire.ExecMeta{
		RequestID: "0197-request", DeadlineMS: time.Now().Add(patience).UnixMilli(), TraceID: "trace-1",
	}
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
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

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// run returns what a command prints.
func run(t testing.TB, command ...string) string {
	t.Helper()
	out, err := exec.CommandContext(testContext(t), command[0], command[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", command, err, out)
	}
	return string(out)
}
