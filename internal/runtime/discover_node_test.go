package runtime_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nimbus/internal/runtime"
	"nimbus/internal/testenv"
)

func TestDiscoverFindsNodeOnce(t *testing.T) {
	t.Parallel()
	node := testenv.RequireNode(t)
	root := t.TempDir()
	link(t, node, filepath.Join(root, "a/bin/node"))
	link(t, filepath.Join(root, "a/bin/node"), filepath.Join(root, "a/bin/nodejs"))
	link(t, node, filepath.Join(root, "b/bin/node-20"))
	link(t, node, filepath.Join(root, "b/bin/node-gyp"))

	set := discover(t, filepath.Join(root, "*/bin"))
	list := interpreted(set)
	if len(list) != 1 || len(set.Rejected()) != 0 {
		t.Fatalf("got %+v and rejected %+v, want one runtime", list, set.Rejected())
	}
	r := list[0]
	major, _, _ := strings.Cut(r.Version, ".")
	if r.Path != node || r.Language != runtime.Node || r.Name != "nodejs"+major || !slices.Equal(r.Aliases, []string{"nodejs"}) ||
		r.DefaultHandler != "handler.handle" || (len(r.Trees) == 0) != strings.HasPrefix(node, "/usr/") {
		t.Errorf("got %+v", r)
	}
}

// TestDiscoverShowsAnInstallationAside has Node where a version manager puts it: instances are shown its program
// and libraries and nothing around them.
func TestDiscoverShowsAnInstallationAside(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(testenv.RequireNode(t))
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	prefix := filepath.Join(home, ".nvm/versions/node/v20")
	write(t, filepath.Join(prefix, "bin/node"), string(content))
	write(t, filepath.Join(prefix, "lib/node_modules/npm/package.json"), "{}")
	write(t, filepath.Join(prefix, "share/doc/node"), "")

	list := interpreted(discover(t, filepath.Join(home, ".nvm/versions/node/*/bin")))
	want := []string{filepath.Join(prefix, "bin"), filepath.Join(prefix, "lib")}
	if len(list) != 1 || list[0].Path != filepath.Join(prefix, "bin/node") || !slices.Equal(list[0].Trees, want) {
		t.Errorf("got %+v, want the trees %q", list, want)
	}
}

// says makes a program that prints the lines, whatever it is asked.
func says(t *testing.T, path string, lines ...string) {
	t.Helper()
	source := filepath.Join(t.TempDir(), "main.go")
	program := "package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(`" + strings.Join(lines, "\n") + "\n`) }\n"
	write(t, source, program)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	build := goCommand(t, "build", "-o", path, source)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestDiscoverRejectsOtherNodes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		lines  []string
		reason string
	}{
		"Bun":         {[]string{"bun", "v22.6.0"}, "it is bun; only Node is supported"},
		"too old":     {[]string{"node", "v16.20.2"}, "16.20.2 is too old; 18 or later is needed"},
		"a nightly":   {[]string{"node", "v25.0.0-nightly2026"}, "25.0.0-nightly2026 is a pre-release"},
		"no version":  {[]string{"hello"}, "does not say its version"},
		"one a shell": {nil, "shim"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if tt.lines == nil {
				write(t, filepath.Join(dir, "node"), "#!/bin/sh\nexec volta run node \"$@\"\n")
			} else {
				says(t, filepath.Join(dir, "node"), tt.lines...)
			}
			set := discover(t, dir)
			rejected := set.Rejected()
			if len(interpreted(set)) != 0 || len(rejected) != 1 || !strings.Contains(rejected[0].Reason, tt.reason) {
				t.Errorf("rejected %+v, want the reason to hold %q", rejected, tt.reason)
			}
		})
	}
}

func TestDiscoverRejectsWhatOthersMayNotRun(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "node")
	says(t, path, "node", "v22.1.0")
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	set := discover(t, filepath.Dir(path))
	if rejected := set.Rejected(); len(rejected) != 1 || !strings.Contains(rejected[0].Reason, "instances run as other users") {
		t.Errorf("got %+v and rejected %+v", interpreted(set), rejected)
	}
}

func TestResolveNode(t *testing.T) {
	t.Parallel()
	set := runtime.NewSet(
		runtime.Runtime{Name: "nodejs22", Language: runtime.Node, Version: "22.1.0"},
		runtime.Runtime{Name: "nodejs24", Language: runtime.Node, Version: "24.0.0"},
		runtime.Runtime{Name: "python3.11", Language: runtime.Python, Version: "3.11.2"},
	)
	for name, want := range map[string]string{"nodejs": "nodejs24", "nodejs22": "nodejs22", "python3": "python3.11"} {
		if r, err := set.Resolve(name); err != nil || r.Name != want {
			t.Errorf("Resolve(%s) = %s, %v; want %s", name, r.Name, err, want)
		}
	}
	const detail = "nodejs20 is not on this machine; there is python3.11, nodejs24, nodejs22"
	if _, err := set.Resolve("nodejs20"); err == nil || !strings.Contains(err.Error(), detail) {
		t.Errorf("got %v, want %s", err, detail)
	}
	if _, err := set.Resolve("node"); err == nil {
		t.Error("node is no name of a runtime")
	}
}
