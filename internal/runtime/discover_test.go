package runtime_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nimbus"
	"nimbus/internal/program"
	"nimbus/internal/runtime"
	"nimbus/internal/testenv"
)

// config finds nothing but what dirs hold, and what Nimbus brings along.
func config(dirs ...string) runtime.Config {
	return runtime.Config{
		SearchDirs: dirs, GoRoots: []string{"/nonexistent"}, Version: "v1.2.3",
		Programs: program.Set{Agent: "/programs/nimbus-agent", Wasm: "/programs/nimbus-wasm"},
	}
}

// interpreted leaves out what Nimbus brings along.
func interpreted(s *runtime.Set) []runtime.Runtime {
	return slices.DeleteFunc(s.List(), func(r runtime.Runtime) bool { return strings.HasPrefix(r.Path, "/programs/") })
}

func discover(t *testing.T, dirs ...string) *runtime.Set {
	t.Helper()
	set, err := runtime.Discover(t.Context(), config(dirs...))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func TestDiscoverFindsTheRealInterpreterOnce(t *testing.T) {
	t.Parallel()
	python := testenv.RequirePython(t)
	root := t.TempDir()
	link(t, python, filepath.Join(root, "a/bin/python3"))
	link(t, filepath.Join(root, "a/bin/python3"), filepath.Join(root, "b/bin/python3.77"))
	link(t, python, filepath.Join(root, "b/bin/python3-config"))

	set := discover(t, filepath.Join(root, "*/bin"))
	list := interpreted(set)
	if len(list) != 1 || len(set.Rejected()) != 0 {
		t.Fatalf("got %+v and rejected %+v, want one runtime", list, set.Rejected())
	}
	r := list[0]
	if r.Path != python || r.Language != runtime.Python || !strings.HasPrefix(r.Version+".", strings.TrimPrefix(r.Name, "python")+".") ||
		!slices.Equal(r.Aliases, []string{"python3"}) || r.DefaultHandler != "handler.handle" || (len(r.Trees) == 0) != strings.HasPrefix(python, "/usr/") {
		t.Errorf("got %+v", r)
	}
}

func TestDiscoverRejectsWithAReason(t *testing.T) {
	t.Parallel()
	python := testenv.RequirePython(t)
	tests := map[string]struct {
		make   func(t *testing.T, dir string)
		reason string
	}{
		"a shim":          {func(t *testing.T, d string) { write(t, d+"/python3", "#!/bin/sh\nexec python3.11 \"$@\"\n") }, "shim"},
		"an empty file":   {func(t *testing.T, d string) { write(t, d+"/python3.9", "") }, "not a program"},
		"a dangling link": {func(t *testing.T, d string) { link(t, d+"/nothing", d+"/python3") }, "dangling"},
		"broken":          {func(t *testing.T, d string) { write(t, d+"/python3", "\x7fELFnot really") }, "does not start"},
		"another program": {func(t *testing.T, d string) { link(t, "/bin/true", d+"/python3") }, "does not say its version"},
		"a second one": {func(t *testing.T, d string) {
			content, err := os.ReadFile(python)
			if err != nil {
				t.Fatal(err)
			}
			link(t, python, d+"/python3")
			write(t, d+"/python3.99", string(content))
		}, "is already " + python},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			tt.make(t, dir)
			rejected := discover(t, dir).Rejected()
			if len(rejected) != 1 || !strings.Contains(rejected[0].Reason, tt.reason) || filepath.Dir(rejected[0].Path) != dir {
				t.Errorf("rejected %+v, want the reason to hold %q", rejected, tt.reason)
			}
		})
	}
}

func TestDiscoverErrors(t *testing.T) {
	t.Parallel()
	if _, err := runtime.Discover(t.Context(), config("[")); err == nil {
		t.Error("a malformed pattern was taken")
	}
	dir := t.TempDir()
	link(t, testenv.RequirePython(t), filepath.Join(dir, "python3"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := runtime.Discover(ctx, config(dir)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	set := runtime.NewSet(
		runtime.Runtime{Name: "python3.9", Language: runtime.Python, Version: "3.9.18"},
		runtime.Runtime{Name: "python3.11", Language: runtime.Python, Version: "3.11.2"},
		runtime.Runtime{Name: "python3.10", Language: runtime.Python, Version: "3.10.13"},
	)
	for name, want := range map[string]string{"python3": "python3.11", "python3.9": "python3.9", "python3.11": "python3.11"} {
		if r, err := set.Resolve(name); err != nil || r.Name != want {
			t.Errorf("Resolve(%s) = %s, %v; want %s", name, r.Name, err, want)
		}
	}
	if r, err := set.Default(runtime.Python); err != nil || r.Name != "python3.11" {
		t.Errorf("Default = %s, %v", r.Name, err)
	}

	_, err := set.Resolve("python3.12")
	const detail = "python3.12 is not on this machine; there is python3.11, python3.10, python3.9"
	var invalid *nimbus.Error
	if !errors.As(err, &invalid) || invalid.Code != nimbus.CodeInvalid || len(invalid.Fields) != 1 ||
		invalid.Fields[0] != (nimbus.FieldError{Field: "runtime", Detail: detail}) {
		t.Errorf("got %v, want field runtime: %s", err, detail)
	}
	for _, unknown := range []string{"", "python", "nodejs20"} {
		if _, err := set.Resolve(unknown); nimbus.CodeOf(err) != nimbus.CodeInvalid {
			t.Errorf("Resolve(%q) = %v", unknown, err)
		}
	}
	if _, err := runtime.NewSet().Default(runtime.Python); nimbus.CodeOf(err) != nimbus.CodeInvalid ||
		!strings.Contains(err.Error(), "install python3") {
		t.Errorf("an empty set's default: %v", err)
	}
}

func TestDiscoverBringsItsOwn(t *testing.T) {
	t.Parallel()
	set := discover(t, "/nonexistent")
	want := []runtime.Runtime{
		{Name: "go1", Language: runtime.Go, Version: "1", Path: "/programs/nimbus-agent", DefaultHandler: "main", Aliases: []string{"go"}},
		{Name: "wasm", Language: runtime.Wasm, Version: "v1.2.3", Path: "/programs/nimbus-wasm", DefaultHandler: "handler.wasm"},
		{Name: "custom", Language: runtime.Custom, Version: "v1.2.3", Path: "/programs/nimbus-agent", DefaultHandler: "bootstrap"},
	}
	if diff := cmp.Diff(want, set.List()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	cfg := config("/nonexistent")
	cfg.Programs = program.Set{}
	set, err := runtime.Discover(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	rejected := set.Rejected()
	if len(set.List()) != 0 || len(rejected) != 2 || rejected[0].Path != "nimbus-agent" || rejected[1].Path != "nimbus-wasm" ||
		!strings.Contains(rejected[0].Reason, "what runs go and custom") {
		t.Errorf("got %+v and rejected %+v", set.List(), rejected)
	}
}
