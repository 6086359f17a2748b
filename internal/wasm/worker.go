package wasm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"

	"nimbus/internal/wasm/compilemsg"
	"nimbus/internal/wire"
)

// largeModule is from where on the garbage of loading a module is worth collecting at once, in bytes.
const largeModule = 1 << 20

// keepResult is up to what size a result's memory is used again, in bytes.
const keepResult = 1 << 20

// WorkerConfig says what a worker's function gets.
type WorkerConfig struct {
	Stdout io.Writer
	Stderr io.Writer
	TmpDir string // shown to the function; compiled code is there while it is loaded
	// HeapLimit is told how large the worker's own heap should stay, once that is known; nil = nobody is.
	HeapLimit func(bytes int64)
}

// Worker serves a function over the agent protocol. It implements wire.Handler.
type Worker struct {
	cfg      WorkerConfig
	engine   *Engine
	cache    cacheDir
	function *Function
	renewing sync.WaitGroup
	result   []byte
}

// NewWorker returns a worker that has everything ready but the function.
func NewWorker(ctx context.Context, cfg WorkerConfig) (*Worker, error) {
	cache, err := newCacheDir(cfg.TmpDir)
	if err != nil {
		return nil, err
	}
	engine, err := NewEngine(ctx, cache.path)
	if err != nil {
		return nil, errors.Join(err, cache.remove())
	}
	w := &Worker{cfg: cfg, engine: engine, cache: cache}
	if err := errors.Join(w.warm(ctx), cache.clear()); err != nil {
		return nil, errors.Join(err, w.Close(ctx))
	}
	return w, nil
}

// Init implements wire.Handler.
func (w *Worker) Init(ctx context.Context, msg wire.InitMsg) wire.RespMeta {
	err := w.init(ctx, msg)
	if err == nil {
		return wire.RespMeta{OK: true}
	}
	if failure := (*Failure)(nil); errors.As(err, &failure) {
		return failure.Resp()
	}
	return wire.RespMeta{Type: "Runtime.InitError", Message: err.Error()}
}

func (w *Worker) init(ctx context.Context, msg wire.InitMsg) error {
	if msg.Concurrency > 1 {
		return invalid("an instance of a module runs one call at a time, not %d", msg.Concurrency)
	}
	binary, err := readModule(msg.CodeDir, msg.Handler)
	if err != nil {
		return err
	}
	module, err := w.load(ctx, binary, filepath.Join(msg.CodeDir, compilemsg.CacheDir))
	if err != nil {
		return err
	}
	memory := share(msg.MemoryMB<<20, len(binary))
	if w.cfg.HeapLimit != nil {
		w.cfg.HeapLimit(msg.MemoryMB<<20 - memory)
	}
	w.function, err = w.engine.NewFunction(ctx, module, Settings{
		Name: msg.FunctionName, Env: environment(&msg), Context: msg.Context(), CodeDir: msg.CodeDir, TmpDir: w.cfg.TmpDir,
		Memory: memory, MaxResponse: msg.MaxResponse, Stdout: w.cfg.Stdout, Stderr: w.cfg.Stderr,
	})
	if len(binary) >= largeModule {
		debug.FreeOSMemory()
	}
	return err
}

// load compiles a module, or takes what a compiler has made of it.
func (w *Worker) load(ctx context.Context, binary []byte, compiled string) (*Module, error) {
	linked, err := w.cache.link(compiled)
	if err != nil {
		return nil, fmt.Errorf("find the compiled module: %w", err)
	}
	module, refused := w.engine.Compile(ctx, binary)
	made, err := w.cache.made()
	if err := errors.Join(err, w.cache.clear()); err != nil {
		return nil, fmt.Errorf("tidy up after compiling: %w", err)
	}
	switch {
	case linked == 0:
	case refused != nil:
		// It was checked before it was compiled ahead, so it is the compiled form that is at fault.
		w.note("the module that was compiled ahead is of no use: %v; it is compiled again at every start, until it is deployed again", refused)
		module, refused = w.engine.Compile(ctx, binary)
		return module, errors.Join(refused, w.cache.clear())
	case made > 0:
		w.note("the module was compiled ahead for another version or kind of processor; it is compiled again at every start, until it is deployed again")
	}
	return module, refused
}

// note tells whoever reads the function's log.
func (w *Worker) note(format string, args ...any) {
	fmt.Fprintf(w.cfg.Stderr, "nimbus: "+format+"\n", args...)
}

// Exec implements wire.Handler.
func (w *Worker) Exec(ctx context.Context, call *wire.Call) (wire.RespMeta, []byte) {
	w.renewing.Wait()
	result, err := w.function.Call(ctx, call.Meta, call.Event, w.result[:0])
	// It runs when this call has been answered: there is one processor for Go's code.
	w.renewing.Go(func() { w.function.Renew(context.WithoutCancel(ctx)) })
	if failure := (*Failure)(nil); errors.As(err, &failure) {
		return failure.Resp(), nil
	}
	if err != nil {
		return wire.RespMeta{Type: "Wasm.Error", Message: err.Error()}, nil
	}
	if w.result = result; cap(result) > keepResult {
		w.result = nil
	}
	return wire.RespMeta{OK: true}, result
}

// Close ends the function. No call may be under way.
func (w *Worker) Close(ctx context.Context) error {
	w.renewing.Wait()
	var err error
	if w.function != nil {
		err = w.function.Close(ctx)
	}
	return errors.Join(err, w.engine.Close(ctx), w.cache.remove())
}

// readModule reads a file of a package.
func readModule(dir, name string) ([]byte, error) {
	path, err := modulePath(dir, name)
	if err != nil {
		return nil, err
	}
	binary, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the module: %w", err)
	}
	return binary, nil
}

// modulePath returns where a file of a package is.
func modulePath(dir, name string) (string, error) {
	if !filepath.IsLocal(name) {
		return "", &Failure{Type: "Runtime.HandlerNotFound", Message: fmt.Sprintf("the handler %q is no file of the package", name)}
	}
	path := filepath.Join(dir, name)
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", &Failure{Type: "Runtime.HandlerNotFound", Message: fmt.Sprintf("the package has no %s", name)}
	}
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return path, nil
}
