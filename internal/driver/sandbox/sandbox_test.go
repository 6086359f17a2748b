//go:build linux && (amd64 || arm64)

package sandbox_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"nimbus/internal/driver"
	"nimbus/internal/driver/drivertest"
	"nimbus/internal/driver/sandbox"
	"nimbus/internal/program"
	"nimbus/internal/runtime"
	"nimbus/internal/testenv"
)

func TestMain(m *testing.M) {
	if sandbox.IsInit() {
		sandbox.Init()
	}
	if os.Getenv(crashEnv) != "" {
		crash()
	}
	goleak.VerifyTestMain(m)
}

// uidSpan is how many user ids a driver may take.
const uidSpan = 64 << 16

// uidBase keeps the ids of this run's instances apart from those of an installation, or of another run, on
// the same machine.
func uidBase() uint32 {
	const first, places = 0x40000000, 192
	return first + uint32(os.Getpid()%places)*uidSpan
}

// owner is a label of this run's own.
func owner(name string) string { return name + "-" + strconv.Itoa(os.Getpid()) }

func config(t testing.TB, name string) sandbox.Config {
	t.Helper()
	return sandbox.Config{Dir: t.TempDir(), Owner: owner(name), UIDBase: uidBase(),
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
}

func python(t testing.TB) runtime.Runtime {
	t.Helper()
	path := testenv.RequirePython(t)
	return runtime.Runtime{Name: "python3", Language: runtime.Python, Path: path}
}

func node(t testing.TB) runtime.Runtime {
	t.Helper()
	return runtime.Runtime{Name: "nodejs", Language: runtime.Node, Path: testenv.RequireNode(t)}
}

// programs are those that run inside instances.
func programs(t testing.TB) program.Set {
	t.Helper()
	set, err := program.Unpack(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestConformance(t *testing.T) {
	testenv.RequireSandbox(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	programs := programs(t)
	drivertest.Run(t, drivertest.Harness{
		New: func(t *testing.T) driver.Driver {
			c := config(t, "conformance")
			c.Agent = programs.Agent
			d, err := sandbox.New(c)
			if err != nil {
				t.Fatal(err)
			}
			return d
		},
		Suites: []drivertest.Suite{drivertest.Python(python(t)), drivertest.Node(node(t)), drivertest.Native(t),
			drivertest.Custom(t, programs.Agent), drivertest.Wasm(t, programs.Wasm)},
		Secret:    secret,
		Leftovers: func(t *testing.T) []string { return leftovers(t, owner("conformance")) },
	})
}

// leftovers lists the cgroups of the owner, the processes of the tests' users, and this process's children
// and mounts that a driver may have made.
func leftovers(t testing.TB, owner string) []string {
	t.Helper()
	var left []string
	for _, pattern := range []string{"/sys/fs/cgroup/*/nimbus/" + owner, "/sys/fs/cgroup/nimbus/" + owner} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, found...)
	}
	for _, p := range processes(t) {
		left = append(left, "process "+strconv.Itoa(p))
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(mounts) {
		if bytes.Contains(line, []byte("/var/function")) {
			left = append(left, "mount "+string(line))
		}
	}
	return left
}

// processes lists those with a user id of the tests'.
func processes(t testing.TB) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(b), "\nUid:\t")
		uid, err := strconv.ParseUint(strings.Fields(rest + " 0")[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if first := uint64(uidBase()); uid >= first && uid < first+uidSpan {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// start runs a driver until the test ends.
func start(t testing.TB, c sandbox.Config) *sandbox.Driver {
	t.Helper()
	d, err := sandbox.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return d
}

func TestProbeTellsEachFeature(t *testing.T) {
	testenv.RequireSandbox(t)
	d, err := sandbox.New(config(t, "probe"))
	if err != nil {
		t.Fatal(err)
	}
	r := d.Probe(t.Context())
	if !r.Healthy {
		t.Errorf("unhealthy: %s", r.Reason)
	}
	names := make(map[string]bool)
	for _, f := range r.Features {
		names[f.Name] = true
		if f.Detail == "" {
			t.Errorf("%s says nothing", f.Name)
		}
	}
	for _, want := range []string{"root", "kernel", "namespaces", "seccomp", "landlock", "memory limit", "cpu limit",
		"process limit", "freezer", driver.FeatureSnapshots} {
		if !names[want] {
			t.Errorf("no word about %s", want)
		}
	}
	if left := leftovers(t, owner("probe")); len(left) > 0 {
		t.Errorf("left behind: %s", left)
	}
}

func TestNewRefusesADirectoryThatFunctionsSee(t *testing.T) {
	c := config(t, "x")
	c.Dir = "/usr/local/nimbus"
	if _, err := sandbox.New(c); err == nil || !strings.Contains(err.Error(), "/usr") {
		t.Errorf("error %v", err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/usr/share", link); err != nil {
		t.Fatal(err)
	}
	c.Dir = link
	if _, err := sandbox.New(c); err == nil || !strings.Contains(err.Error(), "/usr") {
		t.Errorf("error %v of a link", err)
	}
	if _, err := sandbox.New(sandbox.Config{}); err == nil {
		t.Error("an empty Config: no error")
	}
}

func TestAnInterpreterOfItsOwnPrefix(t *testing.T) {
	testenv.RequireSandbox(t)
	rt := python(t)
	prefix, err := os.MkdirTemp("/var/tmp", "nimbus-prefix-") // what is below /tmp is hidden inside
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(prefix) })
	version := filepath.Base(rt.Path) // python3.11
	binary, err := os.ReadFile(rt.Path)
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(prefix, "bin", version)
	for _, err := range []error{
		os.Mkdir(filepath.Join(prefix, "bin"), 0o755),
		os.WriteFile(own, binary, 0o755),
		os.Mkdir(filepath.Join(prefix, "lib"), 0o755),
		os.Symlink("/usr/lib/"+version, filepath.Join(prefix, "lib", version)),
		os.WriteFile(filepath.Join(prefix, "private"), []byte("private"), 0o644),
		os.Chmod(prefix, 0o700), // as below /root
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	d := start(t, config(t, "prefix"))
	prefixed := spec("prefix", own)
	prefixed.Runtime.Trees = []string{filepath.Join(prefix, "bin"), filepath.Join(prefix, "lib")}
	i, err := d.Start(t.Context(), prefixed)
	if err != nil {
		t.Fatal(err)
	}
	dir := handler(t, "import os, sys\ndef handle(e):\n return [sys.executable, os.listdir(e)]\n")
	c := code(dir, "handler.handle")
	c.Init.Env = map[string]string{"PYTHONHASHSEED": "1"} // a fresh process must find it too
	if _, err := i.Specialize(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	o, err := i.Invoke(t.Context(), &driver.Call{Event: []byte(`"` + prefix + `"`)})
	if err != nil {
		t.Fatal(err)
	}
	if want := `["` + own + `",["lib","bin"]]`; string(o.Result) != want && string(o.Result) != `["`+own+`",["bin","lib"]]` {
		t.Errorf("%s, want %s; %+v", o.Result, want, o.Resp)
	}

	c2 := config(t, "prefix-data")
	c2.Dir = filepath.Join(prefix, "lib", "data")
	d = start(t, c2)
	if _, err := d.Start(t.Context(), prefixed); err == nil || !strings.Contains(err.Error(), "would see") {
		t.Errorf("data below the prefix: error %v", err)
	}
}

func TestAStartThatFailsSaysWhy(t *testing.T) {
	testenv.RequireSandbox(t)
	d := start(t, config(t, "fails"))
	python := python(t).Path
	tiny := spec("tiny", python)
	tiny.Resources.Memory = 64 << 10 // too little to set up in
	if _, err := d.Start(t.Context(), tiny); err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("error %v", err)
	}
	missing := spec("missing", "/usr/bin/no-such-python")
	missing.Runtime.Name = "missing"
	if _, err := d.Start(t.Context(), missing); err == nil || !strings.Contains(err.Error(), "no-such-python") {
		t.Errorf("error %v", err)
	}
	// Neither harms what comes after.
	i, err := d.Start(t.Context(), spec("good", python))
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
