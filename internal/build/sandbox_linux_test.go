//go:build linux && (amd64 || arm64)

package build

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nimbus"
	"nimbus/internal/driver/sandbox"
	"nimbus/internal/program"
	"nimbus/internal/runtime"
	"nimbus/internal/testenv"
)

func TestMain(m *testing.M) {
	if sandbox.IsInit() {
		sandbox.Init()
	}
	goleak.VerifyTestMain(m)
}

// newSandboxed is a workshop whose builders run in instances of the sandbox driver.
func newSandboxed(t testing.TB, cfg CompilerConfig) *workshop {
	t.Helper()
	testenv.RequireSandbox(t)
	goCommand := testenv.RequireGo(t)
	programs, err := program.Unpack(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d, err := sandbox.New(sandbox.Config{Dir: t.TempDir(), Owner: "build-" + strconv.Itoa(os.Getpid()), Agent: programs.Agent,
		UIDBase: 0x50000000 + uint32(os.Getpid()%192)*(64<<16),
		Log:     slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))})
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
	w := &workshop{bench: newBench(t, nimbus.DefaultLimits())}
	cfg.Dir, cfg.Programs = filepath.Join(w.root, "build"), programs
	w.Compiler, err = NewCompiler(w.Builder, d, toolchain{path: goCommand, trees: []string{goRoot(t, goCommand)}}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func goRoot(t testing.TB, goCommand string) string {
	t.Helper()
	out, err := exec.Command(goCommand, "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// Everything that needs instances, in one installation: the standard library is prepared once.
func TestCompileInInstances(t *testing.T) {
	w := newSandboxed(t, CompilerConfig{})
	timed := func(what string, language runtime.Language, handler string, files ...member) (Compiled, error) {
		began := time.Now()
		made, err := w.compile(t, language, handler, files...)
		t.Logf("%s: %s", what, time.Since(began).Round(time.Millisecond))
		return made, err
	}
	main := member{name: "main.go", body: hello}
	first, err := timed("go, nothing prepared", runtime.Go, "main", main)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := timed("the same", runtime.Go, "main", main); err != nil || again != first {
		t.Errorf("made %+v and %+v, %v", first, again, err)
	}
	t.Run("it runs", func(t *testing.T) {
		dir, err := w.cache.Dir(t.Context(), first.Package)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(filepath.Join(dir, "main")).Output(); err != nil || string(out) != "\"hello\"\n" {
			t.Errorf("it says %q, %v", out, err)
		}
	})
	t.Run("a change", func(t *testing.T) {
		if _, err := timed("go, prepared", runtime.Go, "main", member{name: "main.go", body: hello + "\n// changed\n"}); err != nil {
			t.Error(err)
		}
	})
	t.Run("the compiler's message", func(t *testing.T) {
		_, err := timed("go, wrong", runtime.Go, "main", member{name: "main.go", body: "package main\n\nfunc main() { x }\n"})
		if got := message(t, err); !strings.Contains(got, "main.go:3:15: undefined: x") || strings.Contains(got, codeDir) {
			t.Errorf("it says %q", got)
		}
	})
	t.Run("modules", func(t *testing.T) {
		p := newProxy(t)
		w.Compiler.cfg.GoProxy = p.URL
		if _, err := timed("go, with a module", runtime.Go, "main", usingLib(libSum(t))...); err != nil {
			t.Error(err)
		}
	})
	t.Run("more of the standard library", func(t *testing.T) {
		files := []member{{name: "main.go", body: "package main\n\nimport \"net/url\"\n\nfunc main() { println(url.PathEscape(\"a b\")) }\n"}}
		if _, err := timed("go, with net/url", runtime.Go, "main", files...); err != nil {
			t.Error(err)
		}
	})
	t.Run("a vendored module that lies", func(t *testing.T) {
		files := append(usingLib("")[:2], member{name: "vendor/modules.txt", body: "# example.com/other v1.0.0\n"})
		_, err := w.compile(t, runtime.Go, "main", files...)
		if got := message(t, err); !strings.Contains(got, "inconsistent vendoring in .:") {
			t.Errorf("it says %q", got)
		}
	})
	t.Run("a module with a toolchain of its own", func(t *testing.T) {
		if _, err := w.compile(t, runtime.Go, "main", main, member{name: "go.mod", body: "module f\n\ngo 1.21\n\ntoolchain go1.99.9\n"}); err != nil {
			t.Error(err)
		}
	})
	t.Run("generate is not run", func(t *testing.T) {
		if _, err := w.compile(t, runtime.Go, "main", member{name: "main.go", body: "//go:generate sh -c 'exit 1'\n" + hello}); err != nil {
			t.Error(err)
		}
	})
	t.Run("wasm", func(t *testing.T) {
		made, err := timed("wasm from go, nothing prepared", runtime.Wasm, "main.wasm", main)
		if err != nil {
			t.Fatal(err)
		}
		found := w.files(t, made)
		if !strings.HasPrefix(found["main.wasm"], wasmMagic) || len(found) < 2 {
			t.Errorf("the package has %q", keys(found))
		}
		if _, err := timed("wasm alone", runtime.Wasm, "x.wasm", member{name: "x.wasm", body: found["main.wasm"]}); err != nil {
			t.Error(err)
		}
	})
	t.Run("no wasm", func(t *testing.T) {
		_, err := w.compile(t, runtime.Wasm, "x.wasm", member{name: "x.wasm", body: wasm})
		if got := message(t, err); got == "" {
			t.Error("it says nothing")
		}
	})
	t.Run("thousands of packages", func(t *testing.T) {
		files := []member{main, {name: "go.mod", body: "module f\n\ngo 1.21\n"}}
		for i := range 3000 {
			n := strconv.Itoa(i)
			files = append(files, member{name: "p" + n + "/p.go", body: "package p" + n + "\n"})
		}
		if _, err := timed("go, 3000 packages beside", runtime.Go, "main", files...); err != nil {
			t.Error(err)
		}
	})
	t.Run("a program without end", func(t *testing.T) {
		w.Compiler.cfg.Timeout = 100 * time.Millisecond
		defer func() { w.Compiler.cfg.Timeout = 5 * time.Minute }()
		_, err := w.compile(t, runtime.Go, "main", member{name: "main.go", body: bomb()})
		if got := message(t, err); !strings.Contains(got, "longer than its bound of 100ms") {
			t.Errorf("it says %q", got)
		}
	})
	t.Run("a program that takes all memory", func(t *testing.T) {
		w.Compiler.cfg.Memory = 160 * nimbus.MiB
		defer func() { w.Compiler.cfg.Memory = 2 * nimbus.GiB }()
		_, err := timed("go, out of memory", runtime.Go, "main", member{name: "main.go", body: bomb()})
		if got := message(t, err); !strings.Contains(got, "more than its bound of 160 MB (build.memory_mb)") {
			t.Errorf("it says %q", got)
		}
	})
	t.Run("left behind", func(t *testing.T) {
		if left, err := os.ReadDir(w.place("work")); err != nil || len(left) > 0 {
			t.Errorf("under way: %v, %v", left, err)
		}
		seed := w.place("go", first.Toolchain+"-linux-"+machine(), "cache")
		t.Logf("the seed has %d MB", dirSize(seed)/nimbus.MiB)
		err := filepath.WalkDir(seed, func(path string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				info, infoErr := e.Info()
				if err = infoErr; err == nil && info.Mode().Perm() != sharedFile {
					err = errors.New(path + " can be written")
				}
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// bomb is a program that is dear to compile: a large table that has to be laid out at compile time.
func bomb() string {
	var b strings.Builder
	b.WriteString("package main\n\nvar table = [...]func(int) int{\n")
	for i := range 20_000 {
		n := strconv.Itoa(i)
		b.WriteString("func(x int) int { for i := range x { x += i*" + n + "; if x > " + n + " { x /= 3 } }; return x },\n")
	}
	b.WriteString("}\n\nfunc main() { println(table[len(table)-1](1)) }\n")
	return b.String()
}
