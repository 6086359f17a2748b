//go:build linux

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"nimbus/internal/agent/buildmsg"
	"nimbus/internal/wire"
)

const (
	maxCompilerOutput = 64 << 10
	chunkSize         = 256 << 10
	typeBadRequest    = "Runtime.UnmarshalError"
)

// Build compiles Go for the platform at the other end of conn, as buildmsg has it, until that goes away or
// says stop (then it returns nil).
func Build(conn net.Conn, cfg Config) error {
	b := &builder{config: cfg.WithDefaults(), children: newSupervisor()}
	var owned sync.WaitGroup
	owned.Go(b.children.run)
	err := wire.Serve(conn, wire.HelloMsg{Runtime: "build-go"}, b)
	b.children.stop()
	owned.Wait()
	return err
}

// builder is the handler of an instance that compiles. One call at a time.
type builder struct {
	config   Config
	children *supervisor
	codeDir  string
}

// Init takes note of where the sources are.
func (b *builder) Init(_ context.Context, msg wire.InitMsg) wire.RespMeta {
	b.codeDir = msg.CodeDir
	return wire.RespMeta{OK: true}
}

// Exec does one buildmsg.Request.
func (b *builder) Exec(ctx context.Context, call *wire.Call) (wire.RespMeta, []byte) {
	var r buildmsg.Request
	if err := json.Unmarshal(call.Event, &r); err != nil {
		return wire.RespMeta{Type: typeBadRequest, Message: err.Error()}, nil
	}
	err := b.build(ctx, &r, call)
	var failed *compileError
	switch {
	case errors.As(err, &failed):
		return wire.RespMeta{Type: buildmsg.Failed, Message: failed.message}, nil
	case err != nil:
		return wire.RespMeta{Type: "Runtime.BuildError", Message: err.Error()}, nil
	}
	return wire.RespMeta{OK: true, Streamed: true}, nil
}

// compileError says what the compiler found wrong with the source.
type compileError struct{ message string }

// Error implements error.
func (e *compileError) Error() string { return e.message }

func (b *builder) build(ctx context.Context, r *buildmsg.Request, call *wire.Call) error {
	work, err := os.MkdirTemp("", "build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work) // the instance's /tmp ends with it
	t := &toolchain{builder: b, request: r, cache: filepath.Join(work, "cache"), work: work}
	if err := linkCache(b.path(r.Cache), t.cache); err != nil {
		return fmt.Errorf("take on the build cache: %w", err)
	}
	if len(r.Seed) > 0 {
		if err := t.run(ctx, work, append([]string{"build", "-trimpath"}, r.Seed...)); err != nil {
			return err
		}
		return sendCache(t.cache, call)
	}
	out := filepath.Join(work, "out")
	dir := b.path(r.Dir)
	if dir == "" {
		dir = b.codeDir
	}
	arguments, err := arguments(r, dir, out)
	if err != nil {
		return err
	}
	if err := t.run(ctx, dir, arguments); err != nil {
		return err
	}
	return sendFile(out, call)
}

// path returns where a path of a request is, "" for none.
func (b *builder) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(b.codeDir, p)
}

// arguments are those of go build.
func arguments(r *buildmsg.Request, dir, out string) ([]string, error) {
	ldflags := r.LDFlags
	if ldflags == "" {
		ldflags = "-s -w"
	}
	args := []string{"build", "-trimpath", "-buildvcs=false", "-o", out, "-ldflags=" + ldflags}
	if r.Tags != "" {
		args = append(args, "-tags="+r.Tags)
	}
	if r.BuildMode != "" {
		args = append(args, "-buildmode="+r.BuildMode)
	}
	if !inModule(dir) {
		files, err := goFiles(dir)
		return append(args, files...), err
	}
	if r.Mod != "" {
		args = append(args, "-mod="+r.Mod)
	}
	if r.Package == "" {
		return append(args, "."), nil
	}
	return append(args, "--", r.Package), nil
}

// inModule reports whether there is a go.mod in dir or above.
func inModule(dir string) bool {
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return false
		}
		dir = parent
	}
}

// goFiles names the sources of a package without a module, which go build wants one by one.
func goFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && e.Type().IsRegular() {
			files = append(files, "./"+name)
		}
	}
	if len(files) == 0 {
		return nil, &compileError{"there are no Go files in " + filepath.Base(dir)}
	}
	return files, nil
}

// sendFile streams a file.
func sendFile(path string, call *wire.Call) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(&sink{call: call, kind: wire.KindBytes}, struct{ io.Reader }{f}, make([]byte, chunkSize))
	return err
}
