package wasm_test

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nimbus/internal/program"
	"nimbus/internal/wasm"
	"nimbus/internal/wasm/compilemsg"
	"nimbus/internal/wire"
)

// compileMode makes the test binary the process that a compiler starts.
const compileMode = "compile-file"

func compileFile(path, cacheDir string) int {
	const address = 4 << 30 // bytes; what a module claims is not to be had
	if err := unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: address, Max: address}); err != nil {
		return 1
	}
	err := wasm.CompileFile(context.Background(), path, cacheDir)
	if failure := (*wasm.Failure)(nil); errors.As(err, &failure) {
		fmt.Print(failure.Message)
		return wasm.FailureStatus
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// compile asks a compiler, which has the modules in a package.
func compile(t testing.TB, event string, modules map[string][]byte) (wire.RespMeta, []byte) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	code, tmp := t.TempDir(), t.TempDir()
	for name, module := range modules {
		if err := os.WriteFile(filepath.Join(code, name), module, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	conn := connect(t, wasm.NewCompiler(tmp, self, compileMode))
	if meta, err := conn.Init(limited(t), wire.InitMsg{CodeDir: code}); err != nil || !meta.OK {
		t.Fatalf("%+v, %v", meta, err)
	}
	var made bytes.Buffer
	meta, _, err := conn.Exec(limited(t), &wire.ExecMeta{RequestID: "r", Stream: true}, []byte(event), func(kind string, raw []byte) error {
		if kind != wire.KindBytes {
			t.Errorf("a chunk of %s", kind)
		}
		_, err := made.Write(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left in /tmp: %v, %v", left, err)
	}
	return meta, made.Bytes()
}

// unpack writes what a compiler has made into a package, changed by edit, and returns how many files there were.
func unpack(t testing.TB, made []byte, dir string, edit func(content []byte) []byte) int {
	t.Helper()
	files := 0
	for in := tar.NewReader(bytes.NewReader(made)); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil || !filepath.IsLocal(header.Name) {
			t.Fatalf("%v, %v", header, err)
		}
		path := filepath.Join(dir, compilemsg.CacheDir, header.Name)
		if header.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o755)
		} else {
			var content []byte
			if content, err = io.ReadAll(in); err == nil {
				err = os.WriteFile(path, edit(content), 0o444)
			}
			files++
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestCompileAhead(t *testing.T) {
	t.Parallel()
	reactor := fixture(t, "reactor.wasm")
	meta, made := compile(t, `{"module":"handler.wasm"}`, map[string][]byte{"handler.wasm": reactor})
	if !meta.OK || !meta.Streamed {
		t.Fatalf("%+v", meta)
	}
	if _, again := compile(t, `{"module":"handler.wasm"}`, map[string][]byte{"handler.wasm": reactor}); !bytes.Equal(again, made) {
		t.Error("the same module was compiled to something else")
	}
	for name, c := range map[string]struct {
		edit func([]byte) []byte
		log  string
	}{
		"as it is":  {func(b []byte) []byte { return b }, ""},
		"damaged":   {func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, "compiled ahead is of no use: the module can't be compiled: compilationcache: "},
		"cut short": {func(b []byte) []byte { return b[:len(b)/3] }, "compiled ahead is of no use: the module can't be compiled: compilationcache: "},
		"empty":     {func([]byte) []byte { return nil }, "compiled ahead is of no use: the module can't be compiled: compilationcache: "},
		"of another version": {func(b []byte) []byte {
			// Test binaries know no versions.
			return bytes.Replace(b, []byte("dev"), []byte("old"), 1)
		}, "for another version"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := blank(t)
			if unpack(t, made, w.code, c.edit) != 1 {
				t.Error("it is not one file")
			}
			if meta := w.init(t, reactor, wire.InitMsg{}); !meta.OK {
				t.Fatalf("%+v", meta)
			}
			w.wantResult(t, "1", "1")
			if got := w.printed(); !strings.Contains(got, c.log) || (c.log == "") != (got == "") {
				t.Errorf("printed %q, want …%s…", got, c.log)
			}
			if left, err := filepath.Glob(filepath.Join(w.tmp, ".*", "*", "*")); err != nil || len(left) > 0 {
				t.Errorf("left in /tmp: %v, %v", left, err)
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	claims := []byte{1, 6, 1, 0x60, 0xff, 0xff, 0xff, 0xff, 0x0f}                                        // a function of 4 G parameters
	locals := slices.Concat(leb(9), []byte{1, 0xf0, 0xff, 0xff, 0xff, 0x0f, i32, 0x20, 0}, []byte{0x0b}) // and one of as many variables
	modules := map[string][]byte{"claims.wasm": module(claims), "locals.wasm": module(reactorTypes, reactorFunctions, onePage, reactorExports, section(codeSection, locals, handleBody)), "good.wasm": minimal(onePage), "bad.wasm": []byte("\x00asm\x0d\x00\x01\x00")}
	for event, want := range map[string][2]string{
		`{"module":"bad.wasm"}`:     {compilemsg.Failed, "component model"},
		`{"module":"claims.wasm"}`:  {compilemsg.Failed, "has made the compiler fail: exit status 2: fatal error: "},
		`{"module":"locals.wasm"}`:  {compilemsg.Failed, "has made the compiler fail: exit status 2: fatal error: "},
		`{"module":"absent.wasm"}`:  {compilemsg.Failed, "the package has no absent.wasm"},
		`{"module":"../good.wasm"}`: {compilemsg.Failed, "is no file of the package"},
		`nonsense`:                  {"CompilerError", "decode the request"},
	} {
		if meta, _ := compile(t, event, modules); meta.OK || meta.Type != want[0] || !strings.Contains(meta.Message, want[1]) {
			t.Errorf("%s: got %+v, want %v", event, meta, want)
		}
	}
}

func TestToolchainIsWhatIsLinked(t *testing.T) {
	t.Parallel()
	programs, err := program.Unpack(t.TempDir())
	if err != nil {
		t.Fatal(err) // make programs builds them
	}
	info, err := buildinfo.ReadFile(programs.Wasm)
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range info.Deps {
		if dep.Path == "github.com/tetratelabs/wazero" && "wazero "+dep.Version == compilemsg.Toolchain {
			return
		}
	}
	t.Errorf("nimbus-wasm is not built with %s", compilemsg.Toolchain)
}
