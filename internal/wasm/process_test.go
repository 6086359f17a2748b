package wasm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"nimbus/internal/program"
	"nimbus/internal/wire"
)

// process starts the program as an instance does, outside any sandbox.
func process(t testing.TB, mode string) (*worker, *exec.Cmd) {
	t.Helper()
	programs, err := program.Unpack(t.TempDir())
	if err != nil {
		t.Fatal(err) // make programs builds them
	}
	ours, theirs := socketPair(t)
	file, err := theirs.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{code: t.TempDir(), conn: wire.NewConn(ours)}
	cmd := exec.Command(programs.Wasm, mode)
	cmd.Env = []string{"LANG=C.UTF-8"}
	cmd.ExtraFiles = []*os.File{file}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	file.Close()
	theirs.Close()
	t.Cleanup(func() {
		_ = w.conn.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the worker printed: %s", w.printed())
		}
	})
	if _, err := w.conn.Handshake(limited(t)); err != nil {
		t.Fatal(err)
	}
	return w, cmd
}

// served returns a process that serves the module: what takes long to compile does so without the race detector.
func served(t testing.TB, module []byte, msg wire.InitMsg) *worker {
	t.Helper()
	w, _ := process(t, "serve")
	if meta := w.init(t, module, msg); !meta.OK {
		t.Fatalf("init: %+v", meta)
	}
	return w
}

func TestProcessServes(t *testing.T) {
	t.Parallel()
	w, cmd := process(t, "serve")
	if meta := w.init(t, fixture(t, "command.wasm"), wire.InitMsg{}); !meta.OK {
		t.Fatalf("%+v", meta)
	}
	w.wantResult(t, `{"a":1}`, `{"a":1}`)
	if private := privateDirty(t, cmd.Process.Pid); private > 12<<20 {
		t.Errorf("an idle worker has %d KB of its own", private>>10)
	}
	if err := w.conn.Stop(limited(t)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after stop: %v", err)
	}
}

func TestProcessEndsWithThePlatform(t *testing.T) {
	t.Parallel()
	w, cmd := process(t, "serve")
	_ = w.conn.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestProcessThatLoops(t *testing.T) {
	t.Parallel()
	for _, module := range []string{"reactor.wasm", "command.wasm"} {
		w, cmd := process(t, "serve")
		if meta := w.init(t, fixture(t, module), wire.InitMsg{}); !meta.OK {
			t.Fatalf("%+v", meta)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, _, err := w.conn.Exec(ctx, &wire.ExecMeta{RequestID: "r"}, []byte(`"loop"`), nil)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v", module, err)
		}
		if err := cmd.Process.Kill(); err != nil { // which is how an instance ends
			t.Error(err)
		}
	}
}

func TestProcessCompiles(t *testing.T) {
	t.Parallel()
	w, _ := process(t, "compile")
	if meta := w.init(t, fixture(t, "reactor.wasm"), wire.InitMsg{}); !meta.OK {
		t.Fatalf("%+v", meta)
	}
	meta, made := w.ask(t, "handler.wasm")
	if files := unpack(t, made, t.TempDir(), bytes.Clone); !meta.OK || files != 1 {
		t.Errorf("got %+v, %d files", meta, files)
	}
	if err := os.WriteFile(w.code+"/text.wasm", []byte("(module)"), 0o644); err != nil {
		t.Fatal(err)
	}
	if meta, _ := w.ask(t, "text.wasm"); meta.Type != "BuildFailed" || !strings.Contains(meta.Message, "WebAssembly text") {
		t.Errorf("got %+v", meta)
	}
}

// ask has a module of the package compiled.
func (w *worker) ask(t testing.TB, module string) (wire.RespMeta, []byte) {
	t.Helper()
	var made bytes.Buffer
	meta, _, err := w.conn.Exec(limited(t), &wire.ExecMeta{RequestID: "r", Stream: true}, fmt.Appendf(nil, `{"module":%q}`, module),
		func(_ string, raw []byte) error { _, err := made.Write(raw); return err })
	if err != nil {
		t.Fatal(err)
	}
	return meta, made.Bytes()
}

// privateDirty returns what memory a process shares with nobody, in bytes.
func privateDirty(t testing.TB, pid int) int64 {
	t.Helper()
	smaps, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(smaps), "Private_Dirty:")
	var kb int64
	if _, err := fmt.Sscan(rest, &kb); !ok || err != nil {
		t.Fatalf("%v: %s", err, smaps)
	}
	return kb << 10
}

// BenchmarkClaim measures a waiting worker's way from Init to its first answer.
func BenchmarkClaim(b *testing.B) {
	for name, c := range map[string]struct {
		module []byte
		event  string
		ahead  bool
	}{
		"small, compiled ahead": {fixture(b, "reactor.wasm"), `1`, true},
		"small":                 {fixture(b, "reactor.wasm"), `1`, false},
		"Go, compiled ahead":    {goModule(b, "gocommand"), `{}`, true},
	} {
		b.Run(name, func(b *testing.B) { benchClaim(b, c.module, c.event, c.ahead) })
	}
}

func benchClaim(b *testing.B, module []byte, event string, ahead bool) {
	compiler, _ := process(b, "compile")
	compiler.init(b, module, wire.InitMsg{})
	_, made := compiler.ask(b, "handler.wasm")
	var claims, calls []time.Duration
	var memory int64
	for b.Loop() {
		w, cmd := process(b, "serve")
		if ahead {
			unpack(b, made, w.code, bytes.Clone)
		}
		began := time.Now()
		if meta := w.init(b, module, wire.InitMsg{MemoryMB: 256}); !meta.OK {
			b.Fatalf("%+v", meta)
		}
		w.call(b, event)
		claims = append(claims, time.Since(began))
		for range 20 {
			began = time.Now()
			if meta, _ := w.call(b, event); !meta.OK {
				b.Fatalf("%+v", meta)
			}
			calls = append(calls, time.Since(began))
		}
		memory = privateDirty(b, cmd.Process.Pid)
		_ = w.conn.Close()
		_ = cmd.Wait()
	}
	for name, took := range map[string][]time.Duration{"claim": claims, "call": calls} {
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, name+"-p50-ms")
		b.ReportMetric(float64(took[0].Microseconds())/1000, name+"-min-ms")
	}
	b.ReportMetric(float64(memory>>10), "private-KB")
}
