package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// tryRefused deploys what can't run: the terminal says why, with file and line where there is one.
func tryRefused(t *testing.T, s *server) {
	cat, err := exec.LookPath("cat")
	if err != nil {
		t.Fatal(err)
	}
	native, err := os.ReadFile(cat)
	if err != nil {
		t.Fatal(err)
	}
	foreign := bytes.Clone(native)
	foreign[18], foreign[19] = 183, 0 // e_machine: AArch64
	if native[18] == foreign[18] {
		foreign[18] = 62 // and there, x86-64
	}
	const reactor = "package main\n\n//go:wasmexport handle\nfunc handle(at, size uint32) uint64 { return %s }\n\nfunc main() {}\n"
	for name, c := range map[string]struct {
		file, content string
		flags         []string
		says          string
	}{
		"other-processor": {file: "main", content: string(foreign), says: "main is built for a"},
		"carriage-return": {file: "bootstrap", content: "#!/bin/sh\r\necho\r\n", says: "CR LF"},
		"go-undefined":    {file: "main.go", content: "package main\n\nfunc main() { nothing() }\n", says: "main.go:3:15: undefined: nothing"},
		"go-syntax":       {file: "main.go", content: "package main\n\nfunc main() { ( }\n", says: "main.go:3:17: syntax error"},
		"wasm-undefined":  {file: "main.go", content: fmt.Sprintf(reactor, "nothing"), says: "main.go:4:46: undefined: nothing"},
		"no-module":       {file: "handler.wasm", content: "\x00asm\x01\x00\x00\x00no module", says: "can't be compiled"},
		"no-such-module":  {file: "handler.wasm", content: "\x00asm\x01\x00\x00\x00", flags: []string{"--handler=other.wasm"}, says: `"other.wasm" is no file of the package`},
		"old-python":      {file: "handler.py", content: "def handle(e): return 1\n", flags: []string{"--runtime=python3.5"}, says: "python3.5 is not on this machine; there is python3."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := s.as(t).try(append([]string{"deploy", directory(t, c.file, c.content), "--name", name}, c.flags...)...)
			if err == nil || !strings.Contains(out, c.says) {
				t.Errorf("deploying ends with %v and says %q, want %q", err, out, c.says)
			}
		})
	}
	// What is imported by the interpreter is found wrong when it is called.
	s.run("deploy", directory(t, "handler.js", "exports.handle = () => {\n  return (;\n};\n"), "--name", "js-syntax")
	s.checkDeed("js-syntax", deed{event: "any", status: 500, errorType: "Runtime.UserCodeSyntaxError", says: "handler.js:2"})
	// A program that needs its libraries finds them.
	s.run("deploy", directory(t, "main", string(native)), "--name", "dynamic")
	if a := s.invoke("dynamic", `{"as":"it came"}`); string(a.Body) != `{"as":"it came"}` {
		t.Errorf("a dynamic program answers %+v %s", a, a.Body)
	}
}

// directory makes one with a single file.
func directory(t *testing.T, file, content string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// goAnswering makes a function in Go that answers with a word.
func goAnswering(t *testing.T, word string) string {
	t.Helper()
	return directory(t, "main.go", fmt.Sprintf("package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Printf(\"%%q\", %q) }\n", word))
}

// tryBuilds deploys while others do and while calls run.
func tryBuilds(t *testing.T, s *server) {
	t.Run("at once", func(t *testing.T) {
		t.Parallel()
		s := s.as(t)
		dir := goAnswering(t, "once")
		s.run("deploy", dir, "--name", "shared", "--no-wait") // so that the others update
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if out, err := s.try("deploy", dir, "--name", "shared"); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
		wg.Wait()
		if a := s.invoke("shared", ""); string(a.Body) != `"once"` || a.Version != 1 {
			t.Errorf("it answers %+v %s", a, a.Body)
		}
	})
	t.Run("under load", func(t *testing.T) {
		t.Parallel()
		s := s.as(t)
		s.run("deploy", goAnswering(t, "one"), "--name", "changing")
		s.invoke("changing", "")
		var over atomic.Bool
		var callers sync.WaitGroup
		for range 4 {
			callers.Go(func() {
				for !over.Load() {
					status, _, body := s.request(http.MethodPost, "/api/v1/functions/changing/invoke", "null")
					var a answer
					if err := json.Unmarshal(body, &a); err != nil || status != http.StatusOK || a.StatusCode != http.StatusOK ||
						string(a.Body) != `"one"` && string(a.Body) != `"two"` {
						t.Errorf("while it changes, a call is answered %d %s", status, body)
					}
				}
			})
		}
		if out, err := s.try("deploy", directory(t, "main.go", "package main\n\nfunc main() { nothing() }\n"), "--name", "changing"); err == nil {
			t.Errorf("what can't be compiled is deployed: %s", out)
		}
		if a := s.invoke("changing", ""); string(a.Body) != `"one"` || a.Version != 1 {
			t.Errorf("after a failed build it answers %+v %s", a, a.Body)
		}
		s.run("deploy", goAnswering(t, "two"), "--name", "changing")
		if a := s.invoke("changing", ""); string(a.Body) != `"two"` {
			t.Errorf("after a build it answers %+v %s", a, a.Body)
		}
		over.Store(true)
		callers.Wait()
	})
}
