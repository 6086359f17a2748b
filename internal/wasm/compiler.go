package wasm

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/tetratelabs/wazero/experimental"

	"nimbus/internal/wasm/compilemsg"
	"nimbus/internal/wire"
)

// maxWords bounds what is kept of what a crash prints, in bytes.
const maxWords = 64 << 10

// Compiler compiles modules ahead, over the agent protocol, as package compilemsg says. It implements wire.Handler.
//
// Each is compiled by a process of its own: wazero believes the counts that a module claims, and memory that isn't
// there ends a Go program.
type Compiler struct {
	command []string
	tmpDir  string
	codeDir string
}

// NewCompiler returns a compiler that puts what it makes below tmpDir meanwhile. command starts a process that calls
// CompileFile with the two arguments behind it, prints a *Failure to stdout and exits with FailureStatus.
func NewCompiler(tmpDir string, command ...string) *Compiler {
	return &Compiler{tmpDir: tmpDir, command: command}
}

// FailureStatus is what the process exits with when the module is to blame.
const FailureStatus = 3

// CompileFile compiles the module in a file into a cache directory. A *Failure is the module's.
func CompileFile(ctx context.Context, path, cacheDir string) error {
	binary, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the module: %w", err)
	}
	engine, err := NewEngine(ctx, cacheDir)
	if err != nil {
		return err
	}
	ctx = experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0))
	_, err = engine.Compile(ctx, binary)
	return errors.Join(err, engine.Close(ctx))
}

// Init implements wire.Handler.
func (c *Compiler) Init(_ context.Context, msg wire.InitMsg) wire.RespMeta {
	c.codeDir = msg.CodeDir
	return wire.RespMeta{OK: true}
}

// Exec implements wire.Handler.
func (c *Compiler) Exec(ctx context.Context, call *wire.Call) (wire.RespMeta, []byte) {
	err := c.compile(ctx, call)
	if failure := (*Failure)(nil); errors.As(err, &failure) {
		return wire.RespMeta{Type: compilemsg.Failed, Message: failure.Message}, nil
	}
	if err != nil {
		return wire.RespMeta{Type: "CompilerError", Message: err.Error()}, nil
	}
	return wire.RespMeta{OK: true, Streamed: true}, nil
}

func (c *Compiler) compile(ctx context.Context, call *wire.Call) (err error) {
	var request compilemsg.Request
	if err := json.Unmarshal(call.Event, &request); err != nil {
		return fmt.Errorf("decode the request: %w", err)
	}
	if !call.Meta.Stream {
		return errors.New("the request must ask for a stream")
	}
	path, err := modulePath(c.codeDir, request.Module)
	if err != nil {
		return err
	}
	cache, err := newCacheDir(c.tmpDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cache.remove()) }()
	if err := c.run(ctx, path, cache.path); err != nil {
		return err
	}
	return writeTar(chunks{call}, cache.path)
}

// run starts the process that compiles.
func (c *Compiler) run(ctx context.Context, arguments ...string) error {
	cmd := exec.CommandContext(ctx, c.command[0], append(c.command[1:len(c.command):len(c.command)], arguments...)...)
	cmd.WaitDelay = time.Second
	var said, crash bounded
	cmd.Stdout, cmd.Stderr = &said, &crash
	err := cmd.Run()
	exit := (*exec.ExitError)(nil)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil || !errors.As(err, &exit):
		return fmt.Errorf("run the compiler: %w", err)
	case exit.ExitCode() == FailureStatus:
		return invalid("%s", said.String())
	}
	words := lastWords{to: io.Discard}
	_, _ = words.Write(crash.Bytes()) // can't fail
	return invalid("the module has made the compiler fail: %s: %s", exit, words.reason())
}

// bounded keeps the beginning of what is written.
type bounded struct{ bytes.Buffer }

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), maxWords-b.Len())])
	return len(p), nil
}

// chunks is a call's stream as a writer.
type chunks struct{ call *wire.Call }

// Write implements io.Writer.
func (c chunks) Write(p []byte) (int, error) {
	if err := c.call.Chunk(wire.KindBytes, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// writeTar writes the directories and files below dir. The same files make the same bytes.
func writeTar(w io.Writer, dir string) error {
	out := tar.NewWriter(w)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: filepath.ToSlash(name) + "/", Mode: 0o755})
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: filepath.ToSlash(name), Mode: 0o644, Size: int64(len(content))}); err != nil {
			return err
		}
		_, err = out.Write(content)
		return err
	})
	return errors.Join(err, out.Close())
}
