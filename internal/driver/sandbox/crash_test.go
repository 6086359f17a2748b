//go:build linux && (amd64 || arm64)

package sandbox_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/driver/drivertest"
	"nimbus/internal/driver/sandbox"
	"nimbus/internal/runtime"
	"nimbus/internal/testenv"
	"nimbus/internal/wire"
)

// crashEnv makes the test binary a server that is to be killed. Its value is a crasher, as JSON.
const crashEnv = "NIMBUS_TEST_SANDBOX_CRASH"

const patience = 60 * time.Second

// crash starts instances, one of them paused and one in the middle of a call, says so and waits.
func crash() {
	if err := crashing(os.Getenv(crashEnv)); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// crasher is what a server that is to be killed runs.
type crasher struct {
	Dir, Owner, Agent, Handler string
	UIDBase                    uint32
	Runtime                    runtime.Runtime
	Event                      []byte // whose call starts one process and waits
}

func crashing(told string) error {
	var c crasher
	if err := json.Unmarshal([]byte(told), &c); err != nil {
		return err
	}
	d, err := sandbox.New(sandbox.Config{Dir: c.Dir, Owner: c.Owner, UIDBase: c.UIDBase, Agent: c.Agent, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ctx := context.Background()
	go d.Run(ctx)
	var made []driver.Instance
	for n := range 5 {
		s := spec(strconv.Itoa(n), "")
		s.Runtime = c.Runtime
		i, err := d.Start(ctx, s)
		if err != nil {
			return err
		}
		made = append(made, i)
	}
	for _, i := range made[:2] {
		if _, err := i.Specialize(ctx, code(c.Dir, c.Handler)); err != nil {
			return err
		}
	}
	if err := made[1].(driver.Pauser).Pause(ctx); err != nil {
		return err
	}
	go made[0].Invoke(ctx, &driver.Call{Event: c.Event})
	fmt.Println("up")
	select {}
}

func spec(id, python string) driver.Spec {
	return driver.Spec{
		ID: id, Runtime: runtime.Runtime{Name: "python3", Language: runtime.Python, Path: python},
		Resources: resources(), Output: func(driver.Stream, []byte) {},
	}
}

func resources() driver.Resources {
	return driver.Resources{Memory: 128 * nimbus.MiB, CPUMilli: 1000, PIDs: 64, Tmp: 16 * nimbus.MiB}
}

func code(dir, handler string) driver.Code {
	return driver.Code{Dir: dir, Resources: resources(), Init: wire.InitMsg{Handler: handler, CodeDir: "/var/function", MemoryMB: 128,
		MaxResponse: nimbus.MiB, MaxStream: nimbus.MiB}}
}

// handler writes a package of one file and returns its directory.
func handler(t testing.TB, source string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "handler.py"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestNothingSurvivesAKilledServer(t *testing.T) {
	testenv.RequireSandbox(t)
	t.Run("forked", func(t *testing.T) {
		nothingSurvives(t, crasher{Runtime: python(t), Handler: "handler.handle", Event: []byte("null"),
			Dir: handler(t, "import subprocess\ndef handle(e):\n subprocess.run(['sleep', '1000'])\n")})
	})
	t.Run("executed", func(t *testing.T) {
		nothingSurvives(t, crasher{Runtime: drivertest.Native(t).Runtime, Handler: "shell", Event: []byte(`"exec sleep 1000"`),
			Dir: handler(t, ""), Agent: programs(t).Agent})
	})
}

func nothingSurvives(t *testing.T, c crasher) {
	t.Helper()
	c.Owner, c.UIDBase = owner("crash"), uidBase()
	told, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command("/proc/self/exe")
	server.Env = append(os.Environ(), crashEnv+"="+string(told))
	printed, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(printed).ReadString('\n')
	if err != nil && err != io.EOF || line != "up\n" {
		t.Fatalf("the server said %q, %v", line, err)
	}
	// The zygote, five instances, and the child of a call.
	testenv.Eventually(t, patience, func() bool { return len(processes(t)) == 7 })
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = server.Wait() // killed
	killed := time.Now()
	// A paused instance of a v1 freezer can only die once it is thawed: Sweep does that.
	testenv.Eventually(t, patience, func() bool { return len(processes(t)) <= pausedLeft() })
	if took := time.Since(killed); took > 5*time.Second {
		t.Errorf("it took %s until all had ended", took)
	}

	d, err := sandbox.New(config(t, "crash"))
	if err != nil {
		t.Fatal(err)
	}
	swept, err := d.Sweep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if swept.Cgroups == 0 {
		t.Error("swept no cgroups")
	}
	testenv.Eventually(t, patience, func() bool { return len(leftovers(t, owner("crash"))) == 0 })
	if again, err := d.Sweep(t.Context()); err != nil || again != (driver.Swept{}) {
		t.Errorf("a second sweep: %+v, %v", again, err)
	}
}

// pausedLeft is how many processes may wait for Sweep: a frozen instance, and the zygote that the kernel
// keeps until its namespace is empty.
func pausedLeft() int {
	if _, err := os.Stat("/sys/fs/cgroup/freezer"); err == nil {
		return 2
	}
	return 0
}

func TestADeadZygoteIsReplaced(t *testing.T) {
	testenv.RequireSandbox(t)
	t.Run("forked", func(t *testing.T) { deadIsReplaced(t, python(t)) })
	t.Run("executed", func(t *testing.T) { deadIsReplaced(t, drivertest.Native(t).Runtime) })
}

func deadIsReplaced(t *testing.T, rt runtime.Runtime) {
	t.Helper()
	c := config(t, "replace")
	c.Agent = programs(t).Agent
	d := start(t, c)
	named := func(id string) driver.Spec {
		s := spec(id, "")
		s.Runtime = rt
		return s
	}
	first, err := d.Start(t.Context(), named("first"))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(zygotePID(t), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// A start in the very moment, and one after.
	for n := range 3 {
		i, err := d.Start(t.Context(), named(strconv.Itoa(n)))
		if err != nil {
			t.Fatalf("start after the zygote's death: %v", err)
		}
		if err := i.Ping(t.Context()); err != nil && n > 0 {
			t.Errorf("ping: %v", err)
		}
	}
	select {
	case <-first.Done():
	case <-time.After(patience):
		t.Fatal("an instance outlived its zygote")
	}
	if exit := first.Exit(); exit.Signal != int(unix.SIGKILL) || exit.OutOfMemory || exit.Stopped {
		t.Errorf("exit %+v", exit)
	}
}

func TestAnOldZygoteIsRetired(t *testing.T) {
	testenv.RequireSandbox(t)
	c := config(t, "retire")
	c.ZygoteForks = 2
	var logged syncBuffer
	c.Log = slog.New(slog.NewTextHandler(&logged, nil))
	d := start(t, c)
	python := python(t).Path
	old, err := d.Start(t.Context(), spec("old", python))
	if err != nil {
		t.Fatal(err)
	}
	before := zygotePID(t)
	other, err := d.Start(t.Context(), spec("other", python))
	if err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, patience, func() bool { return strings.Count(logged.String(), "zygote takes over") == 2 })
	next, err := d.Start(t.Context(), spec("next", python))
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []driver.Instance{old, other, next} {
		if err := i.Ping(t.Context()); err != nil {
			t.Errorf("ping of %s: %v", i.ID(), err)
		}
	}
	for _, i := range []driver.Instance{old, other} {
		if err := i.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
	// The old one ends with the last of its instances, and not before.
	testenv.Eventually(t, patience, func() bool { z := zygotes(t); return len(z) == 1 && z[0] != before })
	if err := next.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// syncBuffer keeps a log.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// zygotes lists the processes that run zygote.py as the root of their namespace.
func zygotes(t testing.TB) []int {
	t.Helper()
	var pids []int
	for _, pid := range processes(t) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(status), "\nNSpid:")
		line, _, _ := strings.Cut(rest, "\n")
		if len(strings.Fields(line)) == 2 { // instances are one namespace deeper
			pids = append(pids, pid)
		}
	}
	return pids
}

func zygotePID(t testing.TB) int {
	t.Helper()
	z := zygotes(t)
	if len(z) != 1 {
		t.Fatalf("zygotes %v, want one", z)
	}
	return z[0]
}
