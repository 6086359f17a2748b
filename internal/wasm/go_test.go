package wasm_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nimbus/internal/testenv"
	"nimbus/internal/wire"
)

// goModule compiles a program below testdata as the platform does.
func goModule(t testing.TB, name string, flags ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".wasm")
	args := append([]string{"build", "-trimpath", "-ldflags=-s -w", "-o", path}, flags...)
	cmd := exec.Command(testenv.RequireGo(t), append(args, "./testdata/"+name)...)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	module, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func TestGoCommand(t *testing.T) {
	t.Parallel()
	w := served(t, goModule(t, "gocommand"), wire.InitMsg{
		FunctionName: "greeter", FunctionVersion: "3", Namespace: "default", MemoryMB: 256, Env: map[string]string{"A": "b"}})
	for range 3 {
		w.wantResult(t, `{"text":"Ada"}`, `"Hello, Ada"`)
	}
	w.wantFailure(t, `{"do":"panic"}`, "Runtime.ExitError", "exit status 2: panic: oh no")
	w.wantFailure(t, `nonsense`, "Runtime.ExitError", "exit status 1: invalid character")
	w.wantFailure(t, `{"do":"memory"}`, "Runtime.ExitError", "exit status 2: fatal error: out of memory; before that, its memory was not given more than the 2")
	w.wantResult(t, `{"text":"again"}`, `"Hello, again"`)

	_, context := w.call(t, `{"do":"context"}`)
	var about map[string]any
	if err := json.Unmarshal([]byte(context), &about); err != nil || about["request_id"] != "r" || about["function_name"] != "greeter" ||
		about["memory_limit_mb"] != 256.0 || about["invoked_function_arn"] != "arn:nimbus:lambda:local:default:function:greeter:3" {
		t.Errorf("context %s, %v", context, err)
	}
}

func TestGoCommandFiles(t *testing.T) {
	t.Parallel()
	w := served(t, goModule(t, "gocommand"), wire.InitMsg{MemoryMB: 256})
	if err := os.WriteFile(filepath.Join(w.code, "data.txt"), []byte("as deployed"), 0o644); err != nil {
		t.Fatal(err)
	}
	event := func(do, path, text string) string {
		b, err := json.Marshal(map[string]string{"do": do, "path": path, "text": text})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	w.wantResult(t, event("read", filepath.Join(w.code, "data.txt"), ""), `"as deployed"`)
	w.wantResult(t, event("list", w.code, ""), `"data.txt handler.wasm"`)
	if _, got := w.call(t, event("write", filepath.Join(w.code, "data.txt"), "changed")); !strings.HasPrefix(got, `"error: `) {
		t.Errorf("a write to the code: %s", got)
	}
	w.wantResult(t, event("read", filepath.Join(w.code, "data.txt"), ""), `"as deployed"`)
	tmp, err := os.MkdirTemp("/tmp", "nimbus-wasm-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(tmp) })
	w.wantResult(t, event("write", filepath.Join(tmp, "new.txt"), "kept"), `null`)
	w.wantResult(t, event("read", filepath.Join(tmp, "new.txt"), ""), `"kept"`)
	if _, got := w.call(t, event("read", "/etc/hostname", "")); !strings.HasPrefix(got, `"error: `) {
		t.Errorf("what is not shown can be read: %s", got)
	}
}

func TestGoReactor(t *testing.T) {
	t.Parallel()
	w := served(t, goModule(t, "goreactor", "-buildmode=c-shared"), wire.InitMsg{MemoryMB: 256})
	for range 2 {
		meta, result := w.call(t, `{}`)
		var got struct {
			Started bool
			Calls   int
			Context string
		}
		if err := json.Unmarshal([]byte(result), &got); err != nil || !got.Started || got.Calls != 1 || !strings.Contains(got.Context, `"request_id":"r"`) {
			t.Errorf("%+v %s, %v", meta, result, err)
		}
	}
	testenv.Eventually(t, patience, func() bool { return w.printed() == "printed\nprinted\n" })
	w.wantFailure(t, `{"do":"exit"}`, "Runtime.ExitError", "exit status 4: giving up")
	w.wantFailure(t, `{"do":"panic"}`, "Wasm.Trap", ": panic: runtime error: invalid memory address or nil pointer dereference")
}
