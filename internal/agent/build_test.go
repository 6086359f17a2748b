//go:build linux

package agent_test

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"nimbus/internal/agent/buildmsg"
	"nimbus/internal/testenv"
	"nimbus/internal/wire"
)

// builder is an instance that compiles.
type builder struct {
	*instance
	goCommand string
}

func newBuilder(t testing.TB) builder {
	t.Helper()
	b := builder{goCommand: testenv.RequireGo(t), instance: blank(t, "build-go")}
	meta, err := b.conn.Init(testContext(t), wire.InitMsg{CodeDir: b.code, MaxStream: 1 << 30})
	if err != nil || !meta.OK {
		t.Fatalf("init: %+v, %v", meta, err)
	}
	return b
}

// source writes a file of the code.
func (b builder) source(t testing.TB, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(b.code, name)), 0o755); err != nil {
		t.Fatal(err)
	}
	b.write(t, name, content, 0o644)
}

func (b builder) ask(t testing.TB, r buildmsg.Request) (wire.RespMeta, []byte) {
	t.Helper()
	r.Go = b.goCommand
	if r.GOOS == "" {
		r.GOOS, r.GOARCH = "linux", runtime.GOARCH
	}
	event, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	meta := execMeta()
	meta.Stream = true
	resp, _, err := b.conn.Exec(t.Context(), meta, event, func(kind string, raw []byte) error {
		if kind != wire.KindBytes {
			t.Errorf("an item of kind %s", kind)
		}
		out.Write(raw)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return resp, out.Bytes()
}

// TestBuild makes a build cache of what the programs need, compiles with it, and runs what comes of it.
func TestBuild(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	meta, archive := b.ask(t, buildmsg.Request{Seed: []string{"runtime"}})
	if !meta.OK || !meta.Streamed {
		t.Fatalf("seed: %+v", meta)
	}
	entries := b.unpack(t, archive, "cache")
	const program = "package main\n\n%sfunc main() { print(\"hello \" + %s) }\n"
	b.source(t, "plain/main.go", fmt.Sprintf(program, "", "name"))
	b.source(t, "plain/name.go", "package main\n\nconst name = \"plain\"\n")
	b.source(t, "plain/name_test.go", "package main\n\nfunc broken(\n")
	b.source(t, "module/go.mod", "module example.com/app\n\ngo 1.21\n")
	b.source(t, "module/cmd/main.go", fmt.Sprintf(program, `import ("example.com/app/word"; "example.com/dep"); `, "word.Word + dep.Dep"))
	b.source(t, "module/word/word.go", "package word\n\nconst Word = \"module\"\n")
	b.source(t, "module/vendor/example.com/dep/dep.go", "package dep\n\nconst Dep = \" vendored\"\n")
	b.source(t, "module/vendor/modules.txt", "# example.com/dep v1.0.0\n## explicit\nexample.com/dep\n")
	b.source(t, "module/go.mod", "module example.com/app\n\ngo 1.21\n\nrequire example.com/dep v1.0.0\n")
	for want, r := range map[string]buildmsg.Request{
		"hello plain":           {Dir: "plain"},
		"hello module vendored": {Dir: "module", Package: "./cmd", Mod: "vendor"},
	} {
		r.Cache = "cache"
		meta, file := b.ask(t, r)
		if !meta.OK || !meta.Streamed {
			t.Fatalf("%s: %+v", r.Dir, meta)
		}
		path := filepath.Join(t.TempDir(), "main")
		if err := os.WriteFile(path, file, 0o700); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(path).CombinedOutput(); err != nil || string(out) != want {
			t.Errorf("got %q, %v; want %q", out, err, want)
		}
		if f, err := elf.NewFile(bytes.NewReader(file)); err != nil || f.Section(".symtab") != nil {
			t.Errorf("the symbols were not left out, or %v", err)
		}
	}
	b.source(t, "syntax/main.go", "package main\n\nfunc main() { return 1 +\n}\n")
	b.wantFailure(t, buildmsg.Request{Dir: "syntax", Cache: "cache"}, "main.go:4:1: syntax error: unexpected }")
	b.source(t, "types/sub/sub.go", "package sub\n\nvar One int = true\n")
	b.source(t, "types/go.mod", "module example.com/app\n")
	b.source(t, "types/main.go", "package main\n\nimport _ \"example.com/app/sub\"\n\nfunc main() {}\n")
	b.wantFailure(t, buildmsg.Request{Dir: "types", Cache: "cache"}, "sub/sub.go:3:15: cannot use true")
	b.source(t, "lies/go.mod", "module app\n\ngo 1.21\n\nrequire example.com/lib v1.0.0\n")
	b.source(t, "lies/main.go", "package main\n\nfunc main() {}\n")
	b.source(t, "lies/vendor/modules.txt", "# example.com/other v1.0.0\n")
	b.wantFailure(t, buildmsg.Request{Dir: "lies", Cache: "cache", Mod: "vendor"}, "inconsistent vendoring in .:")
	b.wantPrinted(t, "main.go:4:1: syntax error")
	// A seed on top of one that has it all adds nothing of it.
	meta, archive = b.ask(t, buildmsg.Request{Seed: []string{"errors"}, Cache: "cache"})
	if more := b.unpack(t, archive, "more"); !meta.OK || more >= entries/2 {
		t.Errorf("%+v: %d entries more than %d", meta, more, entries)
	}
}

// wantFailure sees that the source is to blame, in the compiler's words.
func (b builder) wantFailure(t testing.TB, r buildmsg.Request, part string) {
	t.Helper()
	meta, file := b.ask(t, r)
	if meta.OK || meta.Type != buildmsg.Failed || !strings.Contains(meta.Message, part) || strings.Contains(meta.Message, b.code) ||
		len(meta.Message) > 64<<10 || len(file) > 0 {
		t.Errorf("%s: got %.1000v and %d bytes, want %q", r.Dir, meta, len(file), part)
	}
}

// unpack extracts a tar and returns how many files it has.
func (b builder) unpack(t testing.TB, archive []byte, dir string) (files int) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(archive)); ; files++ {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil || !filepath.IsLocal(header.Name) {
			t.Fatalf("%+v, %v", header, err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		b.source(t, filepath.Join(dir, header.Name), string(content))
	}
}

func TestBuildFailures(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	b.source(t, "fetch/go.mod", "module example.com/app\n\ngo 1.21\n\nrequire example.com/dep v1.0.0\n")
	b.source(t, "fetch/main.go", "package main\n\nimport _ \"example.com/dep\"\n\nfunc main() {}\n")
	b.source(t, "newer/go.mod", "module example.com/app\n\ngo 1.999\n")
	b.source(t, "newer/main.go", "package main\n\nfunc main() {}\n")
	b.source(t, "many/go.mod", "module example.com/app\n\ngo 1.21\n")
	b.source(t, "many/main.go", "package main\n"+strings.Repeat("import \"example.com/missing\"\n", 3000))
	b.source(t, "empty/readme", "")
	for dir, part := range map[string]string{
		"fetch": "main.go:3:8: ",
		"newer": "go.mod requires go >= 1.999",
		"many":  "main.go:2:8",
		"empty": "there are no Go files in empty",
	} {
		b.wantFailure(t, buildmsg.Request{Dir: dir}, part)
	}
	if meta, _, err := b.conn.Exec(t.Context(), execMeta(), []byte(`[]`), nil); err != nil || meta.OK || meta.Type != "Runtime.UnmarshalError" {
		t.Errorf("got %+v, %v", meta, err)
	}
	meta, _, err := b.conn.Exec(t.Context(), execMeta(), []byte(`{"go":"/nothing/go","dir":"newer"}`), nil)
	if err != nil || meta.OK || meta.Type == buildmsg.Failed {
		t.Errorf("a toolchain that is not there: %+v, %v", meta, err)
	}
}

// TestBuildCancelled has the platform go away in the middle.
func TestBuildCancelled(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	event, err := json.Marshal(buildmsg.Request{Go: b.goCommand, GOOS: "linux", GOARCH: runtime.GOARCH, Seed: []string{"net/http"}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, _, err := b.conn.Exec(t.Context(), execMeta(), event, nil)
		ended <- err
	}()
	testenv.Eventually(t, patience, func() bool { return len(b.children(t)) > 0 })
	b.conn.Close()
	if err := <-ended; !errors.Is(err, wire.ErrEnded) {
		t.Errorf("got %v", err)
	}
}
