package wasm

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"nimbus/internal/wasm/compilemsg"
	"nimbus/internal/wire"
)

// Compiler compiles modules ahead, over the agent protocol, as package compilemsg says. It implements wire.Handler.
type Compiler struct {
	tmpDir  string
	codeDir string
}

// NewCompiler returns a compiler that puts what it makes below tmpDir meanwhile.
func NewCompiler(tmpDir string) *Compiler { return &Compiler{tmpDir: tmpDir} }

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
	binary, err := readModule(c.codeDir, request.Module)
	if err != nil {
		return err
	}
	cache, err := newCacheDir(c.tmpDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cache.remove()) }()
	engine, err := NewEngine(ctx, cache.path)
	if err != nil {
		return err
	}
	_, err = engine.Compile(ctx, binary)
	if err := errors.Join(err, engine.Close(ctx)); err != nil {
		return err
	}
	return writeTar(chunks{call}, cache.path)
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
