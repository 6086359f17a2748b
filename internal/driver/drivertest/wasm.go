package drivertest

import (
	"archive/tar"
	"bytes"
	_ "embed" // for the names of the functions
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"nimbus/internal/runtime"
	"nimbus/internal/testenv"
	"nimbus/internal/wasm/compilemsg"
	"nimbus/internal/wire"
)

//go:embed testdata/wasm/main.go
var suiteWasm []byte

// Wasm is the suite as WASI commands, which the wasm worker at the path runs.
func Wasm(t testing.TB, worker string) Suite {
	t.Helper()
	module := testenv.BuildGo(t, programs+"wasm", "GOOS=wasip1", "GOARCH=wasm")
	functions := defined(string(suiteWasm), "\tcase ")
	return Suite{
		Runtime:   runtime.Runtime{Name: "wasm", Language: runtime.Wasm, Version: "1", Path: worker},
		Functions: functions, Frees: true, Processes: 1,
		Broken:  map[string]string{"missing": "Runtime.HandlerNotFound", "malformed": "Wasm.InvalidModule"},
		Handler: func(function string) string { return function + ".wasm" },
		Write: func(t testing.TB, dir string) {
			t.Helper()
			binary, err := os.ReadFile(module)
			if err != nil {
				t.Fatal(err)
			}
			for _, function := range functions {
				writeFile(t, filepath.Join(dir, function+".wasm"), string(binary))
			}
			writeFile(t, filepath.Join(dir, "malformed.wasm"), "not a module")
			compileAhead(t, worker, dir, functions[0]+".wasm")
		},
	}
}

// compileAhead fills a package's cache, as a build does: to compile takes longer than a case.
func compileAhead(t testing.TB, worker, dir, module string) {
	t.Helper()
	conn, end := startCompiler(t, worker)
	defer end()
	if _, err := conn.Handshake(t.Context()); err != nil {
		t.Fatal(err)
	}
	if meta, err := conn.Init(t.Context(), wire.InitMsg{CodeDir: dir}); err != nil || !meta.OK {
		t.Fatalf("%+v, %v", meta, err)
	}
	event, err := json.Marshal(compilemsg.Request{Module: module})
	if err != nil {
		t.Fatal(err)
	}
	var compiled bytes.Buffer
	meta, _, err := conn.Exec(t.Context(), &wire.ExecMeta{Stream: true}, event, func(_ string, raw []byte) error {
		_, err := compiled.Write(raw)
		return err
	})
	if err != nil || !meta.OK {
		t.Fatalf("compile the suite: %+v, %v", meta, err)
	}
	unpack(t, &compiled, filepath.Join(dir, compilemsg.CacheDir))
}

// startCompiler runs the worker as a compiler, on this machine and in no sandbox, until end is called.
func startCompiler(t testing.TB, worker string) (conn *wire.Conn, end func()) {
	t.Helper()
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	theirs, err := net.Dial("unix", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	file, err := theirs.(*net.UnixConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ours, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(worker, "compile")
	cmd.Env, cmd.ExtraFiles, cmd.Stderr = []string{}, []*os.File{file}, t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	conn = wire.NewConn(ours)
	return conn, func() {
		if err := errors.Join(conn.Close(), cmd.Wait()); err != nil {
			t.Error(err)
		}
	}
}

func unpack(t testing.TB, from io.Reader, dir string) {
	t.Helper()
	for archive := tar.NewReader(from); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, header.Name)
		if header.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o755)
		} else if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			b, readErr := io.ReadAll(archive)
			err = errors.Join(readErr, os.WriteFile(path, b, 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
