package function

import (
	"context"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"nimbus"
	"nimbus/internal/build"
	"nimbus/internal/obs"
	"nimbus/internal/runtime"
)

// compiler stands for one that takes minutes: each test says what comes of a compilation. What it makes is a
// package of its own, so that the two can be told apart.
type compiler struct {
	packages Packages

	mu        sync.Mutex
	compile   func(ctx context.Context, r build.Request, progress func(string)) error // nil = succeeds at once
	requests  []build.Request
	version   string
	collected int // times
}

func newCompiler(packages Packages) *compiler {
	return &compiler{packages: packages, version: "go1.26.8"}
}

// Effort implements Compiler: Go source is long to compile, a module short.
func (c *compiler) Effort(_ fs.FS, rt runtime.Runtime, _ string) build.Effort {
	switch rt.Language {
	case runtime.Go:
		return build.Long
	case runtime.Wasm:
		return build.Short
	}
	return build.None
}

// Toolchain implements Compiler.
func (c *compiler) Toolchain(fs.FS, runtime.Runtime, string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version
}

func (c *compiler) upgrade(version string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version = version
}

// Compile implements Compiler.
func (c *compiler) Compile(ctx context.Context, r build.Request, progress func(string)) (build.Compiled, error) {
	c.mu.Lock()
	c.requests = append(c.requests, r)
	compile := c.compile
	c.mu.Unlock()
	if compile != nil {
		if err := compile(ctx, r, progress); err != nil {
			return build.Compiled{}, err
		}
	}
	pkg, err := c.packages.Build(ctx, build.Source{Text: "made of " + r.Source.Hash, Name: "main"}, func(fs.FS) error { return nil })
	pkg.Inline = ""
	return build.Compiled{Package: pkg, Handler: r.Handler, Toolchain: c.Toolchain(nil, r.Runtime, r.Handler)}, err
}

// Collect implements Compiler.
func (c *compiler) Collect(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.collected++
	return nil
}

func (c *compiler) set(compile func(ctx context.Context, r build.Request, progress func(string)) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.compile = compile
}

func (c *compiler) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.requests)
}

// printed is the log of all functions.
type printed struct {
	mu    sync.Mutex
	lines []obs.LogLine
}

func (p *printed) Append(lines ...obs.LogLine) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, lines...)
}

func (p *printed) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, l := range p.lines {
		b.WriteString(l.Stream + " " + l.Text + "\n")
	}
	return b.String()
}

// gate holds compilations until it is told what comes of each.
type gate struct {
	begun  chan build.Request
	answer chan error
}

func (b *bench) hold() *gate {
	g := &gate{begun: make(chan build.Request), answer: make(chan error)}
	b.compiler.set(func(ctx context.Context, r build.Request, _ func(string)) error {
		select {
		case g.begun <- r:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case err := <-g.answer:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return g
}

// work works off builds until the test ends. Garbage is left: here, all that is unused is.
func (b *bench) work(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- b.runBuilds(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("runBuilds = %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

const goEcho = "package main\n\nimport (\n\t\"io\"\n\t\"os\"\n)\n\nfunc main() { io.Copy(os.Stdout, os.Stdin) }\n"

func goText(mark string) Input { return text(goEcho + "// " + mark + "\n") }

// get reads the function as it is.
func (b *bench) get(t *testing.T, id nimbus.ID) *nimbus.Function {
	t.Helper()
	f, err := b.Get(t.Context(), owner(), Ref{Function: id.String()})
	if err != nil {
		t.Fatal(err)
	}
	return f
}
