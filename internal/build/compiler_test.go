package build

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/runtime"
	"nimbus/internal/wasm/compilemsg"
)

const hello = "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(`\"hello\"`) }\n"

// message returns what the source is at fault for.
func message(t testing.TB, err error) string {
	t.Helper()
	var source *CompileError
	if !errors.As(err, &source) {
		t.Fatalf("error = %v, want a CompileError", err)
	}
	return source.Message
}

func TestCompileGo(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, CompilerConfig{})
	made, err := w.compile(t, runtime.Go, "main", member{name: "main.go", body: hello}, member{name: "data/page.html", body: "<p>"},
		member{name: "data/empty/"}, member{name: ".nimbus/wasm-cache/evil", body: "x"},
		member{name: "l", mode: fs.ModeSymlink | 0o777, body: "data/page.html"}, member{name: "dangling", mode: fs.ModeSymlink | 0o777, body: "main.go"})
	if err != nil {
		t.Fatal(err)
	}
	found := w.files(t, made)
	if len(found) != 3 || found["data/page.html"] != "<p>" || found["l"] != "<p>" || !strings.HasPrefix(found["main"], elfMagic) {
		t.Errorf("the package has %q", keys(found))
	}
	if made.Handler != "main" || !strings.HasPrefix(made.Toolchain, "go1.") {
		t.Errorf("made %+v", made)
	}
	dir, err := w.cache.Dir(t.Context(), made.Package)
	if err != nil {
		t.Fatal(err)
	}
	if err := FindHandler(os.DirFS(dir), runtime.Go, "main"); err != nil {
		t.Error(err)
	}
	if !slices.Contains(w.lines, "a line of build-go") || !slices.ContainsFunc(w.lines, func(s string) bool { return strings.HasSuffix(s, "(once)") }) {
		t.Errorf("progress: %q", w.lines)
	}
}

func keys(m map[string]string) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	return all
}

func TestCompiledOnce(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, CompilerConfig{Concurrency: 4})
	r := w.request(t, runtime.Go, "main", member{name: "main.go", body: hello})
	results := make([]Compiled, 5)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() {
			var err error
			if results[i], err = w.Compile(t.Context(), r, func(string) {}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := w.builders.started.Load(); n != 2 { // the seed and the program
		t.Errorf("%d instances were started", n)
	}
	for _, made := range results {
		if made != results[0] {
			t.Errorf("made %+v and %+v", made, results[0])
		}
	}
	// What was made is remembered over restarts, as long as the package is there.
	again, err := NewCompiler(w.Builder, w.builders, w.toolchains, w.Compiler.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if made, err := again.Compile(t.Context(), r, func(string) {}); err != nil || made != results[0] || w.builders.started.Load() != 2 {
		t.Errorf("after a restart: %+v, %v, %d instances", made, err, w.builders.started.Load())
	}
	if err := w.Builder.Collect(t.Context(), map[string]struct{}{r.Source.Hash: {}}); err != nil {
		t.Fatal(err)
	}
	if made, err := again.Compile(t.Context(), r, func(string) {}); err != nil || made != results[0] || w.builders.started.Load() != 3 {
		t.Errorf("once collected: %+v, %v, %d instances", made, err, w.builders.started.Load())
	}
}

func TestStandardLibraryIsPreparedAsAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, CompilerConfig{})
	importing := func(names ...string) member {
		return member{name: "main.go", body: "package main\n\nimport (\n\t_ \"" + strings.Join(names, "\"\n\t_ \"") + "\"\n)\n\nfunc main() {}\n"}
	}
	for _, files := range [][]member{{importing("fmt")}, {importing("os")}, {importing("hash/fnv", "fmt", "unsafe")}, {importing("hash/fnv", "unicode")},
		{importing("fmt"), {name: "vendor/modules.txt", body: "x"}, {name: "vendor/a.b/c/c.go", body: "package c\n\nimport \"math/bits\""}, {name: "go.mod", body: "module f\n"}}} {
		if _, err := w.compile(t, runtime.Go, "main", files...); err != nil && len(files) == 1 {
			t.Fatal(err)
		}
	}
	if _, err := w.compile(t, runtime.Go, "main", importing("cmd/go", "internal/abi", "syscall/js", "nothing/such")); err == nil {
		t.Error("it compiled")
	}
	want := [][]string{seedPackages(), {"hash/fnv"}, {"unicode"}, {"math/bits"}}
	if !slices.EqualFunc(w.builders.seeds, want, slices.Equal) {
		t.Errorf("asked for %v, want %v", w.builders.seeds, want)
	}
}

func TestCompileGoSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	main := func(imports ...string) member {
		return member{name: "main.go", body: "package main\n\nimport (\n\t\"" + strings.Join(imports, "\"\n\t\"") + "\"\n)\n\nfunc main() {}\n"}
	}
	w := newWorkshop(t, CompilerConfig{})
	for name, c := range map[string]struct {
		files []member
		want  string
	}{
		"syntax":              {[]member{{name: "main.go", body: "package main\n\nfunc main() { x }\n"}}, "main.go:3:15: undefined: x"},
		"unused":              {[]member{main("fmt")}, `main.go:4:2: "fmt" imported and not used`},
		"no go.mod":           {[]member{main("example.com/lib")}, "main.go:4:2: the package example.com/lib is not in the standard library and there is no go.mod"},
		"cgo":                 {[]member{main("C")}, "main.go:4:2: import \"C\": programs are built without cgo"},
		"replaced by outside": {[]member{main("fmt"), {name: "go.mod", body: "module f\n\ngo 1.21\n\nreplace a.b/c => ../../etc\n"}}, "go.mod:5: replace a.b/c => ../../etc: the directory is outside"},
		"replaced by host's":  {[]member{main("fmt"), {name: "go.mod", body: "module f\n\nreplace a.b/c => /etc\n"}}, "outside the package"},
		"broken go.mod":       {[]member{main("fmt"), {name: "go.mod", body: "module f\n\nbogus\n"}}, "go.mod:3: unknown directive: bogus"},
		"endless go.mod":      {[]member{main("fmt"), {name: "go.mod", body: "module f\n" + strings.Repeat("//\n", 400_000)}}, "go.mod is over its bound of 1048576 bytes"},
		"too new a Go":        {[]member{main("fmt"), {name: "go.mod", body: "module f\n\ngo 1.99\n"}}, "go.mod requires go >= 1.99"},
		"another toolchain":   {[]member{main("fmt"), {name: "go.mod", body: "module f\n\ngo 1.21\n\ntoolchain go1.99.9\n"}}, `"fmt" imported and not used`},
		"embedded link":       {[]member{{name: "main.go", body: "package main\n\nimport _ \"embed\"\n\n//go:embed l\nvar l string\n\nfunc main() {}\n"}, {name: "l", mode: fs.ModeSymlink | 0o777, body: "main.go"}}, "cannot embed irregular file l"},
		"a data file in its place": {[]member{{name: "cmd/api/main.go", body: hello}, {name: "api/data", body: "x"}, {name: "go.mod", body: "module f\n\ngo 1.21\n"}},
			`the package has "api" besides the source`},
	} {
		t.Run(name, func(t *testing.T) {
			handler := "main"
			if strings.HasPrefix(c.files[0].name, "cmd/") {
				handler = "api"
			}
			_, err := w.compile(t, runtime.Go, handler, c.files...)
			if got := message(t, err); !strings.Contains(got, c.want) {
				t.Errorf("it says %q, want …%s…", got, c.want)
			}
		})
	}
}

func TestCompileGoLayouts(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, CompilerConfig{})
	module := member{name: "go.mod", body: "module f\n\ngo 1.21\n"}
	lib := member{name: "lib/lib.go", body: "package lib\n\nconst Text = `\"hello\"`\n"}
	user := "package main\n\nimport (\n\t\"fmt\"\n\n\t\"f/lib\"\n)\n\nfunc main() { fmt.Println(lib.Text) }\n"
	for name, c := range map[string]struct {
		handler string
		files   []member
	}{
		"a module":                {"main", []member{module, lib, {name: "main.go", body: user}}},
		"a command of a module":   {"api", []member{module, lib, {name: "cmd/api/main.go", body: user}}},
		"a directory":             {"src/api", []member{module, lib, {name: "src/api/main.go", body: user}}},
		"a module in a directory": {"api", []member{{name: "api/main.go", body: user}, {name: "api/go.mod", body: module.body}, {name: "api/lib/lib.go", body: lib.body}}},
		"vendored": {"main", []member{{name: "go.mod", body: module.body + "\nrequire example.com/v v1.0.0\n"}, {name: "main.go", body: strings.ReplaceAll(user, "f/lib", "example.com/v/lib")},
			{name: "vendor/modules.txt", body: "# example.com/v v1.0.0\n## explicit; go 1.21\nexample.com/v/lib\n"}, {name: "vendor/example.com/v/lib/lib.go", body: lib.body}}},
		"replaced by inside": {"main", []member{{name: "go.mod", body: module.body + "\nrequire example.com/v v1.0.0\n\nreplace example.com/v => ./v\n"},
			{name: "main.go", body: strings.ReplaceAll(user, "f/lib", "example.com/v/lib")}, {name: "v/go.mod", body: "module example.com/v\n\ngo 1.21\n"}, {name: "v/lib/lib.go", body: lib.body}}},
		"required and not used": {"main", []member{{name: "go.mod", body: module.body + "\nrequire example.com/v v1.0.0\n\nreplace example.com/v => ./v\n"},
			{name: "main.go", body: hello}, {name: "v/go.mod", body: "module example.com/v\n\ngo 1.21\n"}}},
		"names with spaces and letters": {"main", []member{{name: "main.go", body: hello}, {name: "a b/ü.go", body: "package ü"}}},
		"for one system only":           {"main", []member{{name: "main.go", body: hello}, {name: "x_windows.go", body: "package main\nvar x = y"}}},
	} {
		t.Run(name, func(t *testing.T) {
			made, err := w.compile(t, runtime.Go, c.handler, c.files...)
			if err != nil {
				t.Fatal(err)
			}
			found := w.files(t, made)
			if !strings.HasPrefix(found[c.handler], elfMagic) || len(found) != 1 {
				t.Errorf("the package has %q", keys(found))
			}
		})
	}
}

func TestCompileWasm(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, CompilerConfig{})
	made, err := w.compile(t, runtime.Wasm, "main.wasm", member{name: "main.go", body: hello}, member{name: "data", body: "x"})
	if err != nil {
		t.Fatal(err)
	}
	found := w.files(t, made)
	if !strings.HasPrefix(found["main.wasm"], wasmMagic) || found["data"] != "x" || found[wasmCacheDir+"/wazero/compiled"] != "machine code" || len(found) != 3 {
		t.Errorf("the package has %q", keys(found))
	}
	if !strings.HasPrefix(made.Toolchain, "go1.") || !strings.HasSuffix(made.Toolchain, "wazero v1.12.0") {
		t.Errorf("toolchain %q", made.Toolchain)
	}
	reactor := "package main\n\n//go:wasmexport handle\nfunc handle(p, n uint32) uint64 { return 0 }\n\nfunc main() {}\n"
	if made, err = w.compile(t, runtime.Wasm, "f.wasm", member{name: "main.go", body: reactor}); err != nil {
		t.Fatal(err)
	}
	if module := w.files(t, made)["f.wasm"]; !strings.Contains(module, "_initialize") || strings.Contains(module, "_start\x00") {
		t.Error("it is no reactor")
	}
	made, err = w.compile(t, runtime.Wasm, "x.wasm", member{name: "x.wasm", body: wasmMagic + "\x01\x00\x00\x00"}, member{name: "x.go", body: hello},
		member{name: wasmCacheDir + "/wazero/forged", body: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if found := w.files(t, made); len(found) != 3 || found["x.go"] != hello || found[wasmCacheDir+"/wazero/forged"] != "" {
		t.Errorf("the package has %q", keys(found))
	}
}

func TestBuildersThatFail(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		broken error
		want   string // "" = not the source's fault
	}{
		"over its memory": {&driver.ExitError{Exit: driver.Exit{OutOfMemory: true}}, "more than its bound of 2048 MB (build.memory_mb)"},
		"ended":           {&driver.ExitError{Exit: driver.Exit{Code: 3}}, ""},
		"lost":            {errors.New("lost"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t, CompilerConfig{})
			w.builders.broken = c.broken
			_, err := w.compile(t, runtime.Wasm, "x.wasm", member{name: "x.wasm", body: wasmMagic + "\x01\x00\x00\x00"})
			if c.want != "" {
				if got := message(t, err); !strings.Contains(got, c.want) {
					t.Errorf("it says %q", got)
				}
				return
			}
			var source *CompileError
			if err == nil || errors.As(err, &source) || !errors.Is(err, c.broken) {
				t.Errorf("error = %v", err)
			}
		})
	}
}

func TestProgramsOverTheirBound(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, CompilerConfig{})
	large := w.request(t, runtime.Wasm, "x.wasm", member{name: "x.wasm", body: wasm + strings.Repeat("x", 60<<10)},
		member{name: "y", body: strings.Repeat("x", 60<<10)})
	w.Builder.cfg.Limits.Unpacked = 100 << 10
	_, err := w.compile(t, runtime.Go, "main", member{name: "main.go", body: hello})
	if got := message(t, err); got != errTooMuch.Error() {
		t.Errorf("it says %q", got)
	}
	_, err = w.Compile(t.Context(), large, func(string) {})
	if got := message(t, err); !strings.Contains(got, "over its bound of 102400 bytes") {
		t.Errorf("it says %q", got)
	}
}

func TestBuildsThatDoNotEnd(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, CompilerConfig{Timeout: 1})
	w.builders.hold = make(chan struct{})
	_, err := w.compile(t, runtime.Wasm, "x.wasm", member{name: "x.wasm", body: wasmMagic + "\x01\x00\x00\x00"})
	if got := message(t, err); got != "the build took longer than its bound of 1ns (build.timeout)" {
		t.Errorf("it says %q", got)
	}
	w.Compiler.cfg.Timeout = 1 << 40
	r := w.request(t, runtime.Wasm, "y.wasm", member{name: "y.wasm", body: wasmMagic + "\x01\x00\x00\x00"})
	ctx, cancel := context.WithCancel(t.Context())
	_, err = w.Compile(ctx, r, func(string) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
	// Another build is under way: one waits its turn, and can leave.
	if !w.turns[Short].TryAcquire(1) {
		t.Fatal("the cancelled build has not made room")
	}
	ctx, cancel = context.WithCancel(t.Context())
	var said []string
	_, err = w.Compile(ctx, r, func(line string) { said = append(said, line); cancel() })
	if !errors.Is(err, context.Canceled) || !slices.Equal(said, []string{"waiting for another build to end"}) {
		t.Errorf("error = %v, said %q", err, said)
	}
	w.turns[Short].Release(1)
}

// TestModulesHaveATurnOfTheirOwn: one does not wait for a program.
func TestModulesHaveATurnOfTheirOwn(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, CompilerConfig{})
	if !w.turns[Long].TryAcquire(1) {
		t.Fatal("a program is being compiled")
	}
	defer w.turns[Long].Release(1)
	if _, err := w.compile(t, runtime.Wasm, "x.wasm", member{name: "x.wasm", body: wasmMagic + "\x01\x00\x00\x00"}); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := w.request(t, runtime.Wasm, "main.wasm", member{name: "main.go", body: hello})
	if _, err := w.Compile(ctx, r, func(string) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("a program compiled to a module came to %v before its turn", err)
	}
}

// TestNotesGoWithTheirPackages: what is remembered of a build is collected after what it made.
func TestNotesGoWithTheirPackages(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, CompilerConfig{})
	module := func(file string) Compiled {
		t.Helper()
		made, err := w.compile(t, runtime.Wasm, file, member{name: file, body: wasmMagic + "\x01\x00\x00\x00"})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	kept := module("kept.wasm")
	module("gone.wasm")
	if err := os.WriteFile(w.place("made", "torn"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	notes := func(want int) {
		t.Helper()
		if err := w.Compiler.Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(w.place("made")); err != nil || len(left) != want {
			t.Errorf("notes: %v, %v, want %d", left, err, want)
		}
	}
	notes(2) // both packages are there
	if err := w.Builder.Collect(t.Context(), map[string]struct{}{kept.Package.Hash: {}}); err != nil {
		t.Fatal(err)
	}
	notes(1)
	started := w.builders.started.Load()
	if again := module("kept.wasm"); again != kept || w.builders.started.Load() != started {
		t.Errorf("what was kept is compiled again: %+v", again)
	}
	// One that is being written anew is left alone.
	if err := w.Builder.Collect(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(w.place("made"))
	if err != nil || len(left) != 1 {
		t.Fatalf("notes: %v, %v", left, err)
	}
	leave, err := w.keys.enter(t.Context(), left[0].Name())
	if err != nil {
		t.Fatal(err)
	}
	notes(1)
	leave()
	notes(0)
}

// TestFullDiskIsSaidSo: wherever it is noticed.
func TestFullDiskIsSaidSo(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, CompilerConfig{})
	w.builders.broken = &fs.PathError{Op: "write", Path: "program", Err: syscall.ENOSPC}
	_, err := w.compile(t, runtime.Go, "main", member{name: "main.go", body: hello})
	if nimbus.CodeOf(err) != nimbus.CodeInsufficientStorage || w.builders.started.Load() != 1 {
		t.Errorf("preparing the standard library came to %v, in %d instances", err, w.builders.started.Load())
	}
	_, err = w.compile(t, runtime.Wasm, "x.wasm", member{name: "x.wasm", body: wasmMagic + "\x01\x00\x00\x00"})
	if nimbus.CodeOf(err) != nimbus.CodeInsufficientStorage {
		t.Errorf("compiling a module came to %v", err)
	}
}

func TestLeftUnderWay(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, CompilerConfig{})
	s, err := newStage(w.Compiler.cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(w.place("work", "killed", "in"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := NewCompiler(w.Builder, w.builders, w.toolchains, w.Compiler.cfg); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{s.dir, w.place("work", "killed")} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
}

func TestToolchainSaysWhatWouldCompile(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, CompilerConfig{})
	installed, err := w.toolchains.Toolchain(runtime.Go)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"python handler.py": "", "go main": "", "go main.go": "go" + installed.Version,
		"wasm x.wasm": compilemsg.Toolchain, "wasm main.go": "go" + installed.Version + ", " + compilemsg.Toolchain,
	} {
		language, file, _ := strings.Cut(name, " ")
		handler := map[string]string{"go": "main", "wasm": "x.wasm"}[language]
		if got := w.Toolchain(files(file, ""), runtime.Runtime{Language: runtime.Language(language)}, handler); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestEffort(t *testing.T) {
	t.Parallel()
	var c *Compiler
	for name, want := range map[string]Effort{
		"python handler.py": None, "node handler.js": None, "custom bootstrap": None,
		"go main": None, "go main.go": Long, "wasm x.wasm": Short, "wasm main.go": Long,
	} {
		language, file, _ := strings.Cut(name, " ")
		handler := map[string]string{"go": "main", "wasm": "x.wasm"}[language]
		if got := c.Effort(files(file, ""), runtime.Runtime{Language: runtime.Language(language)}, handler); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if code := nimbus.CodeOf(&CompileError{}); code == nimbus.CodeInvalid {
		t.Errorf("a CompileError has the code %s", code)
	}
}
