package function

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"nimbus"
	"nimbus/internal/blob/dir"
	"nimbus/internal/build"
	"nimbus/internal/driver"
	"nimbus/internal/runtime"
	"nimbus/internal/store"
	"nimbus/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a service over a real store and real packages.
type bench struct {
	*Service
	control store.Control
	blobs   *dir.Store
	routes  *changes
	driver  *prober

	builder  *build.Builder
	compiler *compiler
	printed  *printed
}

// changes remembers what it was told.
type changes struct {
	told func(nimbus.ID) // also called, when set

	mu  sync.Mutex
	ids []nimbus.ID
}

func (c *changes) Changed(id nimbus.ID) {
	if c.told != nil {
		c.told(id)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids = append(c.ids, id)
}

// take returns what was told since it was last asked.
func (c *changes) take() []nimbus.ID {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := c.ids
	c.ids = nil
	return ids
}

type prober struct{ report driver.Report }

func (p *prober) Probe(context.Context) driver.Report { return p.report }

func newBench(t testing.TB) *bench {
	t.Helper()
	root := t.TempDir()
	db, err := sqlite.Open(t.Context(), sqlite.Config{Dir: filepath.Join(root, "store")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	blobs, err := dir.Open(filepath.Join(root, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := build.NewCache(filepath.Join(root, "code"), blobs)
	if err != nil {
		t.Fatal(err)
	}
	limits := nimbus.DefaultLimits()
	builder, err := build.New(blobs, cache, build.Config{Limits: limits, TempDir: filepath.Join(root, "tmp"), Grace: 1})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{control: db.Control(), blobs: blobs, routes: &changes{}, builder: builder, compiler: newCompiler(builder), printed: &printed{}, driver: &prober{driver.Report{Healthy: true}}}
	b.Service = b.service()
	return b
}

func (b *bench) service() *Service {
	return New(Deps{Functions: b.control, Packages: b.builder, Compiler: b.compiler, Runtimes: runtimes(),
		Drivers: map[string]Prober{
			"sandbox": b.driver,
			"broken":  &prober{driver.Report{Reason: "this kernel has no user namespaces"}},
		}, Routes: b.routes, Logs: b.printed}, Config{Limits: nimbus.DefaultLimits(), Driver: "sandbox", Keep: 3})
}

// restarted is what another process finds.
func (b *bench) restarted() *bench {
	next := *b
	next.Service = b.service()
	return &next
}

func runtimes() *runtime.Set {
	return runtime.NewSet(
		runtime.Runtime{Name: "python3.9", Language: runtime.Python, Version: "3.9.2", DefaultHandler: "handler.handle"},
		runtime.Runtime{Name: "go1.26", Language: runtime.Go, Version: "1.26.8", DefaultHandler: "main"},
		runtime.Runtime{Name: "wasm", Language: runtime.Wasm, DefaultHandler: "handler.wasm"},
		runtime.Runtime{Name: "nodejs22", Language: runtime.Node, Version: "22.1.0", DefaultHandler: "handler.handle"},
		runtime.Runtime{Name: "python3.11", Language: runtime.Python, Version: "3.11.2", DefaultHandler: "handler.handle"},
	)
}

// blobCount counts stored packages.
func (b *bench) blobCount(t *testing.T) int {
	t.Helper()
	n := 0
	for _, err := range b.blobs.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func (b *bench) create(t *testing.T, name string, in Input) *nimbus.Function {
	t.Helper()
	f, err := b.Create(t.Context(), owner(), "", name, in)
	if err != nil {
		t.Fatal(err)
	}
	b.routes.take()
	return f
}

func (b *bench) update(t *testing.T, f *nimbus.Function, in Input) *nimbus.Function {
	t.Helper()
	next, err := b.Update(t.Context(), owner(), byID(f), in)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func owner() nimbus.Principal { return nimbus.LocalPrincipal() }

func byID(f *nimbus.Function) Ref { return Ref{Function: f.ID.String()} }

func text(code string) Input { return Input{Code: &code} }

const echo = "def handle(event):\n    return event\n"

func zipOf(t testing.TB, pairs ...string) io.Reader {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for i := 0; i < len(pairs); i += 2 {
		f, err := w.Create(pairs[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &buf
}

// fields returns the names that an error finds at fault, sorted and once each.
func fields(err error) []string {
	var names []string
	for _, f := range fieldErrors(err) {
		names = append(names, f.Field)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func wantCode(t *testing.T, err error, want nimbus.Code) {
	t.Helper()
	if got := nimbus.CodeOf(err); got != want {
		t.Errorf("error = %v, want code %q", err, want)
	}
}

func ptr[T any](v T) *T { return &v }
