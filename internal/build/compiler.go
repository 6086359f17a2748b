package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/semaphore"

	"nimbus"
	"nimbus/internal/blob"
	"nimbus/internal/driver"
	"nimbus/internal/program"
	"nimbus/internal/runtime"
)

// Starter makes the instances that compile: a driver, as far as compiling is concerned.
type Starter interface {
	Start(ctx context.Context, spec driver.Spec) (driver.Instance, error)
}

// Toolchains finds what compiles a language on this machine; CodeInvalid on the field "runtime" when nothing
// does.
type Toolchains interface {
	Toolchain(language runtime.Language) (runtime.Toolchain, error)
}

// CompilerConfig sets up a Compiler.
type CompilerConfig struct {
	Dir         string        // its own, on the disk that packages are unpacked on
	Programs    program.Set   // what runs inside the instances
	Timeout     time.Duration // of one build, once its turn has come; 0 = 5 minutes
	Memory      int64         // bytes, of the instance that compiles, its files included; 0 = 2 GiB
	Concurrency int           // programs at once, and one module beside them; 0 = 1
	GoProxy     string        // where Go's modules come from; "" = the toolchain's own proxy
	GoSumDB     string        // what verifies modules whose sums go.sum lacks; "" = the toolchain's own, off = nothing
	FetchEnv    []string      // added to the environment of what fetches: HTTPS_PROXY, SSL_CERT_FILE
	Log         *slog.Logger  // nil = none
}

func (c CompilerConfig) withDefaults() CompilerConfig {
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Minute
	}
	if c.Memory == 0 {
		c.Memory = 2 * nimbus.GiB
	}
	if c.Concurrency == 0 {
		c.Concurrency = 1
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Compiler makes packages that run from packages of source. What it compiles runs in instances of a driver,
// without a network; it builds the same source once. Safe for concurrent use.
//
//	<dir>/work/<…>      a build under way; of a killed process, removed when the next one starts
//	<dir>/made/<key>    which package came of a request
//	<dir>/modules/<key> Go modules, vendored for the requests that ask for the same
//	<dir>/go/<…>        the compiled standard library of a toolchain and a target
type Compiler struct {
	packages   *Builder
	starter    Starter
	toolchains Toolchains
	cfg        CompilerConfig
	turns      map[Effort]*semaphore.Weighted // first come, first served
	keys       keyLocks
}

// NewCompiler returns a compiler of what packages holds. It removes what a killed process left under way.
func NewCompiler(packages *Builder, starter Starter, toolchains Toolchains, cfg CompilerConfig) (*Compiler, error) {
	cfg = cfg.withDefaults()
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open compiler: %w", err)
	}
	cfg.Dir = dir
	c := &Compiler{packages: packages, starter: starter, toolchains: toolchains, cfg: cfg,
		turns: map[Effort]*semaphore.Weighted{Short: semaphore.NewWeighted(1), Long: semaphore.NewWeighted(int64(cfg.Concurrency))},
		keys:  keyLocks{held: make(map[string]chan struct{})}}
	if err := errors.Join(removeTree(c.place("work")), sweepStages(dir)); err != nil {
		return nil, fmt.Errorf("open compiler: %w", err)
	}
	for _, sub := range []string{"work", "made", "modules", "go"} {
		if err := os.MkdirAll(c.place(sub), 0o700); err != nil {
			return nil, fmt.Errorf("open compiler: %w", blob.DiskError(err))
		}
	}
	return c, nil
}

// Compile makes the package that runs, unless it was made before from the same. Lines that tell how it goes are
// handed to progress, one at a time. A *CompileError is the source's fault, any other error is not;
// CodeInsufficientStorage says that the disk is full.
func (c *Compiler) Compile(ctx context.Context, r Request, progress func(line string)) (Compiled, error) {
	dir, err := c.packages.cache.Dir(ctx, r.Source)
	if err != nil {
		return Compiled{}, err
	}
	prebuilt, err := isFile(os.DirFS(dir), r.Handler)
	if err != nil {
		return Compiled{}, err
	}
	plan, err := c.plan(r, prebuilt)
	if err != nil {
		return Compiled{}, err
	}
	key := plan.key()
	leave, err := c.keys.enter(ctx, key)
	if err != nil {
		return Compiled{}, err
	}
	defer leave()
	if made, ok := c.made(ctx, key); ok {
		return made, nil
	}
	turn := c.turns[plan.effort()]
	if !turn.TryAcquire(1) {
		progress("waiting for another build to end")
		if err := turn.Acquire(ctx, 1); err != nil {
			return Compiled{}, err
		}
	}
	defer turn.Release(1)
	made, err := c.build(ctx, plan, dir, progress)
	if err != nil {
		return Compiled{}, err
	}
	return made, c.remember(key, made)
}

// build makes a package, in a directory that is removed afterwards.
func (c *Compiler) build(ctx context.Context, p plan, source string, progress func(line string)) (_ Compiled, err error) {
	limited, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	work, err := os.MkdirTemp(c.place("work"), "")
	if err != nil {
		return Compiled{}, fmt.Errorf("make the directory of a build: %w", blob.DiskError(err))
	}
	defer func() { err = errors.Join(err, removeTree(work)) }()
	j := &job{Compiler: c, plan: p, dir: work, source: os.DirFS(source), sourceDir: source, progress: progress}
	pkg, err := j.run(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return Compiled{}, &CompileError{Message: fmt.Sprintf("the build took longer than its bound of %s (build.timeout)", c.cfg.Timeout)}
	}
	if err != nil {
		return Compiled{}, blob.DiskError(err) // whichever of the many writes found it full
	}
	return Compiled{Package: pkg, Handler: p.Handler, Toolchain: p.toolchain()}, nil
}

// job is one build under way.
type job struct {
	*Compiler
	plan      plan
	dir       string // its own
	source    fs.FS  // the user's
	sourceDir string // and where it is
	progress  func(line string)
}

// run compiles, and stores the package that comes of it.
func (j *job) run(ctx context.Context) (nimbus.Package, error) {
	out := newOutput()
	if err := out.addSource(j.sourceDir, j.plan.fromGo); err != nil {
		return nimbus.Package{}, err
	}
	if j.plan.fromGo {
		program, err := j.compileGo(ctx)
		if err != nil {
			return nimbus.Package{}, err
		}
		if err := out.addProgram(j.plan.Handler, program); err != nil {
			return nimbus.Package{}, err
		}
	}
	if j.plan.Runtime.Language == runtime.Wasm {
		module := filepath.Join(j.sourceDir, filepath.FromSlash(j.plan.Handler))
		if j.plan.fromGo {
			module = j.path(programFile)
		}
		compiled, err := j.compileWasm(ctx, module)
		if err != nil {
			return nimbus.Package{}, err
		}
		if err := out.addDir(compiled, wasmCacheDir); err != nil {
			return nimbus.Package{}, err
		}
	}
	return j.packages.keep(ctx, out)
}

func (j *job) path(elements ...string) string {
	return filepath.Join(append([]string{j.dir}, elements...)...)
}

func (c *Compiler) place(elements ...string) string {
	return filepath.Join(append([]string{c.cfg.Dir}, elements...)...)
}

// fail is a CompileError.
func fail(format string, args ...any) error {
	return &CompileError{Message: fmt.Sprintf(format, args...)}
}

// discard ends a reader's life where nothing more can be done about its error.
func discard(c io.Closer) { _ = c.Close() }
