//go:build linux

package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nimbus/internal/agent"
	"nimbus/internal/testenv"
	"nimbus/internal/wire"
)

const (
	roleVariable = "NIMBUS_TEST_AGENT" // makes this test binary an agent
	patience     = 20 * time.Second
	maxResponse  = 1 << 20
	maxStream    = 8 << 20
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(serve(role))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		compiled.remove()
		os.Exit(status)
	}))
}

// serve is what cmd/nimbus-agent does, on a port of its own: these tests share a network.
func serve(role string) int {
	conn, err := wire.Inherited(3)
	if err == nil {
		switch cfg := (agent.Config{Listen: "127.0.0.1:0"}); role {
		case "go":
			err = agent.Serve(conn, agent.Go, cfg)
		case "custom":
			err = agent.Serve(conn, agent.Custom, cfg)
		case "build-go":
			err = agent.Build(conn, cfg)
		}
	}
	switch {
	case err == nil, errors.Is(err, wire.ErrEnded):
		return 0
	case errors.Is(err, agent.ErrKilled):
		return 137
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// instance is an agent that runs in a process of its own, without a sandbox.
type instance struct {
	conn  *wire.Conn
	cmd   *exec.Cmd
	code  string
	ended chan struct{} // the process was waited for

	mu  sync.Mutex
	log bytes.Buffer
}

// Write takes the log.
func (i *instance) Write(p []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.log.Write(p)
}

func (i *instance) printed() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.log.String()
}

// wantPrinted waits for a part of the log: a pipe lies between.
func (i *instance) wantPrinted(t testing.TB, part string) {
	t.Helper()
	testenv.Eventually(t, patience, func() bool { return strings.Contains(i.printed(), part) })
}

// blank starts an agent with an empty code directory. What is behind the role is the command that starts it, if
// that is to be another than itself.
func blank(t testing.TB, role string, by ...string) *instance {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	conn, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	ours.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{conn: wire.NewConn(conn), code: t.TempDir(), ended: make(chan struct{})}
	command := append(by, self)
	i.cmd = exec.Command(command[0], command[1:]...)
	i.cmd.Env = []string{roleVariable + "=" + role, "PATH=" + os.Getenv("PATH")}
	i.cmd.ExtraFiles = []*os.File{theirs}
	i.cmd.Stdout, i.cmd.Stderr = i, i
	i.cmd.WaitDelay = patience
	if err := i.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	go func() {
		defer close(i.ended)
		_ = i.cmd.Wait() // how it ended is in its ProcessState
	}()
	t.Cleanup(func() {
		i.conn.Close()
		select {
		case <-i.ended:
		case <-time.After(patience):
			t.Error("the agent did not end when the platform went away")
			_ = i.cmd.Process.Kill()
			<-i.ended
		}
		if strings.Contains(i.printed(), "DATA RACE") {
			t.Error("the agent has a data race")
		}
		if t.Failed() {
			t.Logf("it printed:\n%s", i.printed())
		}
	})
	hello, err := i.conn.Handshake(testContext(t))
	if err != nil || hello.Runtime != role {
		t.Fatalf("handshake: %+v, %v", hello, err)
	}
	return i
}

func (i *instance) write(t testing.TB, name, content string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(i.code, name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// children lists the processes that the agent has started.
func (i *instance) children(t testing.TB) []string {
	t.Helper()
	lists, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(i.cmd.Process.Pid), "task", "*", "children"))
	if err != nil {
		t.Fatal(err)
	}
	var children []string
	for _, path := range lists {
		list, _ := os.ReadFile(path) // threads come and go
		children = append(children, strings.Fields(string(list))...)
	}
	return children
}

func (i *instance) init(t testing.TB, env map[string]string) wire.RespMeta {
	t.Helper()
	meta, err := i.conn.Init(testContext(t), wire.InitMsg{
		Handler: "main", CodeDir: i.code, Env: env, FunctionName: "hello", FunctionID: "id-1", FunctionVersion: "7",
		Namespace: "default", MemoryMB: 128, MaxResponse: maxResponse, MaxStream: maxStream,
	})
	if err != nil {
		t.Fatalf("init: %v", err)
	}
	return meta
}

func (i *instance) exec(t testing.TB, event string) (wire.RespMeta, string) {
	t.Helper()
	meta, result, err := i.conn.Exec(testContext(t), execMeta(), []byte(event), nil)
	if err != nil {
		t.Fatalf("exec of %.100q: %v", event, err)
	}
	return meta, string(result)
}

func (i *instance) want(t testing.TB, event, result string) {
	t.Helper()
	if meta, got := i.exec(t, event); !meta.OK || got != result {
		t.Errorf("%.100s: got %.300s, %.600v; want %.300s", event, got, meta, result)
	}
}

func (i *instance) wantError(t testing.TB, event, kind, part string) wire.RespMeta {
	t.Helper()
	meta, result := i.exec(t, event)
	if meta.OK || meta.Type != kind || !strings.Contains(meta.Message, part) {
		t.Errorf("%.100s: got %.300s, %.600v; want %s with %q", event, result, meta, kind, part)
	}
	return meta
}

// stream runs a call and returns the items of its result.
func (i *instance) stream(t testing.TB, event string) (wire.RespMeta, string, []string) {
	t.Helper()
	var items []string
	call := execMeta()
	call.Stream = true
	meta, result, err := i.conn.Exec(testContext(t), call, []byte(event), func(kind string, raw []byte) error {
		items = append(items, kind+":"+string(raw))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return meta, string(result), items
}

func execMeta() *wire.ExecMeta {
	return &wire.ExecMeta{
		RequestID: "0197a000-0000-7000-8000-000000000000", DeadlineMS: time.Now().Add(patience).UnixMilli(),
		TraceID: strings.Repeat("ab", 16), Traceparent: "00-" + strings.Repeat("ab", 16) + "-" + strings.Repeat("cd", 8) + "-01",
	}
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// programs are built once.
type programs struct {
	mu    sync.Mutex
	built map[string]string
}

var compiled = &programs{built: map[string]string{}}

func (p *programs) remove() {
	for _, path := range p.built {
		os.RemoveAll(filepath.Dir(path))
	}
}

// build compiles a directory of testdata and returns the program.
func build(t testing.TB, dir string) string {
	t.Helper()
	goCommand := testenv.RequireGo(t)
	compiled.mu.Lock()
	defer compiled.mu.Unlock()
	if path, ok := compiled.built[dir]; ok {
		return path
	}
	into, err := os.MkdirTemp("", "nimbus-agent-test-")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(into, "main")
	cmd := exec.Command(goCommand, "build", "-trimpath", "-o", path, ".")
	cmd.Dir = filepath.Join("testdata", dir)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", dir, err, out)
	}
	compiled.built[dir] = path
	return path
}
