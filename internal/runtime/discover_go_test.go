package runtime_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nimbus"
	"nimbus/internal/runtime"
	"nimbus/internal/testenv"
)

func goCommand(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), testenv.RequireGo(t), arguments...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-ldflags=-s")
	return cmd
}

// TestDiscoverAsksTheGoOfThisMachine finds the toolchain that runs this test by a link to its command.
func TestDiscoverAsksTheGoOfThisMachine(t *testing.T) {
	t.Parallel()
	command, err := filepath.EvalSymlinks(testenv.RequireGo(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	link(t, command, filepath.Join(dir, "bin/go"))
	cfg := config(filepath.Join(dir, "bin"))
	cfg.GoRoots = []string{filepath.Dir(filepath.Dir(command))} // which leads to the same
	set, err := runtime.Discover(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	found, err := set.Toolchain(runtime.Go)
	if err != nil || len(set.Toolchains()) != 1 || len(set.Rejected()) != 0 {
		t.Fatalf("%v; found %+v, rejected %+v", err, set.Toolchains(), set.Rejected())
	}
	out, err := goCommand(t, "env", "GOVERSION").Output()
	if err != nil {
		t.Fatal(err)
	}
	if found.Path != command || "go"+found.Version != strings.TrimSpace(string(out)) || (len(found.Trees) == 0) != strings.HasPrefix(command, "/usr/") {
		t.Errorf("got %+v, want %s", found, out)
	}
	r, err := set.Default(runtime.Go)
	if err != nil || r.Version != found.Version || !strings.HasPrefix(found.Version+".", strings.TrimPrefix(r.Name, "go")+".") ||
		r.Path != cfg.Programs.Agent || !slices.Equal(r.Aliases, []string{"go"}) {
		t.Errorf("got %+v, %v", r, err)
	}
}

// toolchain makes a directory that looks like a Go toolchain of that version.
func toolchain(t *testing.T, root, version string) {
	t.Helper()
	says(t, filepath.Join(root, "bin/go"), version, root)
	write(t, filepath.Join(root, "src/runtime/proc.go"), "package runtime")
}

func TestDiscoverKeepsTheNewestGo(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	toolchain(t, filepath.Join(root, "go1.22"), "go1.22.12")
	toolchain(t, filepath.Join(root, "go1.25"), "go1.25.3 X:nocoverageredesign")
	cfg := config("/nonexistent")
	cfg.GoRoots = []string{filepath.Join(root, "go1.*")}
	set, err := runtime.Discover(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	newest := filepath.Join(root, "go1.25")
	found, err := set.Toolchain(runtime.Go)
	if err != nil || found.Version != "1.25.3" || found.Path != newest+"/bin/go" || !slices.Equal(found.Trees, []string{newest}) {
		t.Errorf("got %+v, %v", found, err)
	}
	const reason = "go1.22.12 is not needed"
	if rejected := set.Rejected(); len(rejected) != 1 || !strings.HasPrefix(rejected[0].Reason, reason) {
		t.Errorf("rejected %+v, want %s", rejected, reason)
	}
}

func TestDiscoverRejectsOtherGos(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		make   func(t *testing.T, root string)
		reason string
	}{
		"too old":     {func(t *testing.T, r string) { toolchain(t, r, "go1.20.14") }, "1.20.14 is too old; 1.21 or later is needed"},
		"a candidate": {func(t *testing.T, r string) { toolchain(t, r, "go1.27rc1") }, "go1.27rc1 is a pre-release"},
		"a build":     {func(t *testing.T, r string) { toolchain(t, r, "devel go1.27-abcdef Mon Jan 5") }, "is a pre-release"},
		"another":     {func(t *testing.T, r string) { says(t, r+"/bin/go", "a board game") }, "does not say its version"},
		"a wrapper":   {func(t *testing.T, r string) { write(t, r+"/bin/go", "#!/bin/sh\n") }, "shim"},
		"dangling":    {func(t *testing.T, r string) { link(t, r+"/nothing", r+"/bin/go") }, "dangling"},
		"incomplete":  {func(t *testing.T, r string) { says(t, r+"/bin/go", "go1.25.0", r) }, "the standard library is not with it"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			tt.make(t, root)
			cfg := config("/nonexistent")
			cfg.GoRoots = []string{root}
			set, err := runtime.Discover(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if rejected := set.Rejected(); len(rejected) != 1 || !strings.Contains(rejected[0].Reason, tt.reason) {
				t.Errorf("rejected %+v, want the reason to hold %q", rejected, tt.reason)
			}
			if _, err := set.Toolchain(runtime.Go); nimbus.CodeOf(err) != nimbus.CodeInvalid || !strings.Contains(err.Error(), "install one") {
				t.Errorf("a toolchain that is not there: %v", err)
			}
		})
	}
}

func goSet(version string) *runtime.Set {
	r := runtime.Runtime{Name: "go1", Language: runtime.Go, Version: "1"}
	if version == "" {
		return runtime.NewSet(r)
	}
	r.Name, r.Version = "go"+version, version+".8"
	return runtime.NewSet(r).WithToolchains(runtime.Toolchain{Language: runtime.Go, Version: r.Version})
}

// TestResolveGo asks for releases of Go: what is older than the machine's is compiled by it.
func TestResolveGo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		machine, name, want string // want "" = refused
	}{
		{"1.26", "go1.24", "go1.26"},
		{"1.26", "go1.26", "go1.26"},
		{"1.26", "go1.9", "go1.26"},
		{"1.26", "go", "go1.26"},
		{"1.26", "go1.27", ""},
		{"1.26", "go1.100", ""},
		{"1.26", "go1", ""},
		{"1.26", "go2.1", ""},
		{"1.26", "go1.24.3", ""},
		{"1.26", "golang", ""},
		{"", "go1.24", "go1"},
		{"", "go", "go1"},
		{"", "go1", "go1"},
		{"", "gone", ""},
	} {
		r, err := goSet(tt.machine).Resolve(tt.name)
		if tt.want == "" {
			offered := "there is go" + tt.machine
			if nimbus.CodeOf(err) != nimbus.CodeInvalid || !strings.Contains(err.Error(), tt.name+" is not on this machine; "+offered) {
				t.Errorf("with Go %s, %s is %s, %v; want a refusal that names %s", tt.machine, tt.name, r.Name, err, offered)
			}
		} else if err != nil || r.Name != tt.want {
			t.Errorf("with Go %s, %s is %s, %v; want %s", tt.machine, tt.name, r.Name, err, tt.want)
		}
	}
}

// TestServes sees that what was deployed goes on running when the machine's toolchain is another, or gone.
func TestServes(t *testing.T) {
	t.Parallel()
	python := runtime.NewSet(runtime.Runtime{Name: "python3.11", Language: runtime.Python, Version: "3.11.2"})
	for _, tt := range []struct {
		set  *runtime.Set
		name string
		want bool
	}{
		{goSet("1.26"), "go1.26", true},
		{goSet("1.26"), "go1.27", true},
		{goSet("1.26"), "go1.24", true},
		{goSet("1.26"), "go1", true},
		{goSet("1.26"), "go", true},
		{goSet(""), "go1.26", true},
		{goSet("1.26"), "go1.26.1", false},
		{goSet("1.26"), "golang", false},
		{goSet("1.26"), "wasm", false},
		{python, "python3.11", true},
		{python, "python3", true},
		{python, "python3.12", false},
		{python, "go1.26", false},
	} {
		if r := tt.set.List()[0]; r.Serves(tt.name) != tt.want {
			t.Errorf("%s serves %s: %t, want %t", r.Name, tt.name, !tt.want, tt.want)
		}
	}
}
