package build

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"nimbus"
	"nimbus/internal/agent/buildmsg"
	"nimbus/internal/driver"
	"nimbus/internal/program"
	"nimbus/internal/runtime"
	"nimbus/internal/testenv"
	"nimbus/internal/wasm/compilemsg"
	"nimbus/internal/wire"
)

// workshop is a compiler over real directories, whose builders run outside of instances.
type workshop struct {
	*bench
	*Compiler
	builders *fakeBuilders
	lines    []string
}

func newWorkshop(t testing.TB, cfg CompilerConfig) *workshop {
	t.Helper()
	goCommand := testenv.RequireGo(t)
	w := &workshop{bench: newBench(t, nimbus.DefaultLimits()), builders: &fakeBuilders{cache: sharedGoCache(t)}}
	cfg.Dir = filepath.Join(w.root, "build")
	cfg.Programs = program.Set{Agent: "/agent", Wasm: "/wasm"}
	var err error
	w.Compiler, err = NewCompiler(w.Builder, w.builders, toolchain{path: goCommand}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left, err := os.ReadDir(w.place("work")); err != nil || len(left) > 0 {
			t.Errorf("left under way: %v, %v", left, err)
		}
		if left, err := filepath.Glob(filepath.Join(os.TempDir(), stagePrefix(w.Compiler.cfg.Dir)+"*")); err != nil || len(left) > 0 {
			t.Errorf("stages left: %v, %v", left, err)
		}
	})
	return w
}

// sharedGoCache is go's own build cache: builders that don't isolate need no other.
func sharedGoCache(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

type toolchain struct {
	path  string
	trees []string
}

func (c toolchain) Toolchain(runtime.Language) (runtime.Toolchain, error) {
	out, err := exec.Command(c.path, "env", "GOVERSION").Output()
	return runtime.Toolchain{Language: runtime.Go, Version: strings.TrimPrefix(strings.TrimSpace(string(out)), "go"), Path: c.path, Trees: c.trees}, err
}

// compile makes a package of the files and compiles it.
func (w *workshop) compile(t testing.TB, language runtime.Language, handler string, files ...member) (Compiled, error) {
	t.Helper()
	return w.Compile(t.Context(), w.request(t, language, handler, files...), func(line string) { w.lines = append(w.lines, line) })
}

func (w *workshop) request(t testing.TB, language runtime.Language, handler string, files ...member) Request {
	t.Helper()
	return Request{Source: w.bench.build(t, files...), Handler: handler, Runtime: runtime.Runtime{Language: language, Path: "/agent"}}
}

// files lists what a package has.
func (w *workshop) files(t testing.TB, made Compiled) map[string]string {
	t.Helper()
	tree, err := w.Tree(t.Context(), made.Package)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	err = fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			var text []byte
			text, err = fs.ReadFile(tree, name)
			found[name] = string(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// fakeBuilders does what builders do, in the test's own process.
type fakeBuilders struct {
	cache   string
	hold    chan struct{} // when set, builds wait until it is closed
	started atomic.Int32
	broken  error // what every call comes to

	mu    sync.Mutex
	seeds [][]string // what was asked for of the standard library
}

func (b *fakeBuilders) Start(_ context.Context, spec driver.Spec) (driver.Instance, error) {
	b.started.Add(1)
	return &fakeBuilder{fakeBuilders: b, spec: spec}, nil
}

type fakeBuilder struct {
	driver.Instance // what a compiler has no use for
	*fakeBuilders
	spec driver.Spec
}

func (b *fakeBuilder) Stop(context.Context) error { return nil }

func (b *fakeBuilder) Invoke(ctx context.Context, call *driver.Call) (driver.Outcome, error) {
	if b.hold != nil {
		select {
		case <-b.hold:
		case <-ctx.Done():
			return driver.Outcome{}, ctx.Err()
		}
	}
	if b.broken != nil {
		return driver.Outcome{}, b.broken
	}
	if !call.Meta.Stream || b.spec.Code.Init.CodeDir != codeDir {
		return driver.Outcome{}, errors.New("not asked as builders are")
	}
	var made []byte
	var said string
	if b.spec.Runtime.Language == runtime.WasmCompiler {
		made = oneFileTar("wazero/compiled", "machine code")
		var request compilemsg.Request
		if err := json.Unmarshal(call.Event, &request); err != nil {
			return driver.Outcome{}, err
		}
		if _, err := os.Stat(filepath.Join(b.spec.Code.Dir, request.Module)); err != nil {
			return driver.Outcome{}, err
		}
	} else {
		var request buildmsg.Request
		err := json.Unmarshal(call.Event, &request)
		if err == nil {
			made, said, err = b.goBuild(ctx, request)
		}
		if err != nil {
			return driver.Outcome{}, err
		}
	}
	if said != "" {
		return driver.Outcome{Resp: wire.RespMeta{Type: buildmsg.Failed, Message: said}}, nil
	}
	b.spec.Output(driver.Stderr, []byte("a line of "+b.spec.Runtime.Name+"\n"))
	for part := range slices.Chunk(made, 1<<20) {
		if err := call.Chunk(wire.KindBytes, part); err != nil {
			return driver.Outcome{}, err
		}
	}
	return driver.Outcome{Resp: wire.RespMeta{OK: true, Streamed: true}}, nil
}

func (b *fakeBuilder) goBuild(ctx context.Context, r buildmsg.Request) (made []byte, said string, err error) {
	if len(r.Seed) > 0 {
		b.mu.Lock()
		b.seeds = append(b.seeds, r.Seed)
		b.mu.Unlock()
		return oneFileTar("00/seeded", r.GOOS), "", nil
	}
	if _, err := os.Stat(filepath.Join(b.spec.Code.Dir, r.Cache, "00", "seeded")); err != nil {
		return nil, "", err
	}
	out, err := os.CreateTemp("", "nimbus-test-")
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = os.Remove(out.Name()) }()
	args := []string{"build", "-o", out.Name(), "-trimpath", "-mod=" + r.Mod}
	if r.BuildMode != "" {
		args = append(args, "-buildmode="+r.BuildMode)
	}
	cmd := exec.CommandContext(ctx, r.Go, append(args, r.Package)...)
	cmd.Dir = filepath.Join(b.spec.Code.Dir, r.Dir)
	cmd.Env = []string{"GOCACHE=" + b.cache, "GOPROXY=off", "GOFLAGS=-buildvcs=false", "CGO_ENABLED=0", "GOTOOLCHAIN=local",
		"GOOS=" + r.GOOS, "GOARCH=" + r.GOARCH, "GOMODCACHE=/nonexistent", "HOME=/nonexistent", "GOWORK=off"}
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, string(text), nil
	}
	made, err = os.ReadFile(out.Name())
	return made, "", errors.Join(err, out.Close())
}

func oneFileTar(name, text string) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	_ = w.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o644, Typeflag: tar.TypeReg})
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return buf.Bytes()
}
