package invoke_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/invoke"
	"nimbus/internal/obs"
	"nimbus/internal/pool"
	"nimbus/internal/pool/pooltest"
	"nimbus/internal/runtime"
)

const python = "python3.11"

// functions is a Functions in memory whose answers can be held up.
type functions struct {
	mu       sync.Mutex
	byID     map[nimbus.ID]*nimbus.Function
	versions map[nimbus.ID]map[int64]*nimbus.Version
	reads    int
	answer   func() // called between reading and answering; nil = nothing
}

func newFunctions() *functions {
	return &functions{byID: make(map[nimbus.ID]*nimbus.Function), versions: make(map[nimbus.ID]map[int64]*nimbus.Version)}
}

// put stores a function and its version, replacing the one that served.
func (f *functions) put(fn nimbus.Function) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byID[fn.ID] = &fn
	if f.versions[fn.ID] == nil {
		f.versions[fn.ID] = make(map[int64]*nimbus.Version)
	}
	v := fn.Version
	f.versions[fn.ID][v.Number] = &v
}

func (f *functions) remove(id nimbus.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.byID, id)
	delete(f.versions, id)
}

func (f *functions) find(match func(*nimbus.Function) bool) (*nimbus.Function, error) {
	f.mu.Lock()
	f.reads++
	var found *nimbus.Function
	for _, fn := range f.byID {
		if match(fn) {
			copied := *fn
			found = &copied
		}
	}
	answer := f.answer
	f.mu.Unlock()
	if answer != nil {
		answer()
	}
	if found == nil {
		return nil, nimbus.Errorf(nimbus.CodeNotFound, "no such function")
	}
	return found, nil
}

func (f *functions) Function(_ context.Context, id nimbus.ID) (*nimbus.Function, error) {
	return f.find(func(fn *nimbus.Function) bool { return fn.ID == id })
}

func (f *functions) FunctionByName(_ context.Context, namespace, name string) (*nimbus.Function, error) {
	return f.find(func(fn *nimbus.Function) bool { return fn.Namespace == namespace && strings.EqualFold(fn.Name, name) })
}

func (f *functions) Version(_ context.Context, id nimbus.ID, number int64) (*nimbus.Version, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v := f.versions[id][number]; v != nil {
		return v, nil
	}
	return nil, nimbus.Errorf(nimbus.CodeNotFound, "no such version")
}

func (f *functions) Namespace(_ context.Context, name string) (*nimbus.Namespace, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fn := range f.byID {
		if fn.Namespace == name {
			return &nimbus.Namespace{Name: name, Tenant: fn.Tenant}, nil
		}
	}
	return nil, nimbus.Errorf(nimbus.CodeNotFound, "no such namespace")
}

func (f *functions) ActiveFunctions(_ context.Context, after nimbus.ID, limit int) ([]nimbus.Function, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var active []nimbus.Function
	for _, fn := range f.byID {
		if fn.Status == nimbus.StatusActive && bytes.Compare(fn.ID[:], after[:]) > 0 {
			active = append(active, *fn)
		}
	}
	slices.SortFunc(active, func(a, b nimbus.Function) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return active[:min(limit, len(active))], nil
}

// packages is a pool.Packages whose every tree is the same.
type packages struct{}

func (packages) Dir(context.Context, nimbus.Package) (string, error) { return "/code", nil }

// logs keeps lines.
type logs struct {
	mu    sync.Mutex
	lines []obs.LogLine
}

func (l *logs) Append(lines ...obs.LogLine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, lines...)
}

func (l *logs) DeleteFunction(_ context.Context, id nimbus.ID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = slices.DeleteFunc(l.lines, func(line obs.LogLine) bool { return line.Function == id })
	return nil
}

// of returns the texts of an invocation's lines.
func (l *logs) of(id nimbus.ID) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var texts []string
	for _, line := range l.lines {
		if line.Invocation == id {
			texts = append(texts, line.Stream+": "+line.Text)
		}
	}
	return texts
}

// world is a service over a pool over a fake driver, running.
type world struct {
	*invoke.Service
	functions *functions
	records   *records
	driver    *pooltest.Driver
	pool      *pool.Pool
	logs      *logs
	metrics   *obs.Metrics
	stop      func()
}

func open(t testing.TB, d *pooltest.Driver, c invoke.Config) *world {
	t.Helper()
	w := &world{functions: newFunctions(), records: newRecords(), driver: d, logs: &logs{}, metrics: obs.NewMetrics()}
	log := slog.New(slog.DiscardHandler)
	var err error
	w.pool, err = pool.New(pool.Deps{
		Drivers: []driver.Driver{d}, Packages: packages{}, Logs: w.logs, Metrics: w.metrics, Log: log,
	}, pool.Config{Runtimes: []pool.RuntimeConfig{{Runtime: runtime.Runtime{Name: python}}}})
	if err != nil {
		t.Fatal(err)
	}
	w.Service = invoke.New(invoke.Deps{
		Functions: w.functions, Catalog: w.functions, Namespaces: w.functions, Pool: w.pool, Records: w.records,
		Logs: w.logs, Metrics: w.metrics, Log: log,
	}, c)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{w.pool.Run, w.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
	w.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if n := d.Living(); n != 0 {
			t.Errorf("%d instances outlived the pool", n)
		}
		if err := d.Violations(); err != nil {
			t.Errorf("the driver's contract was broken: %v", err)
		}
	})
	t.Cleanup(w.stop)
	return w
}

// define stores an active function of the default namespace.
func (w *world) define(name string, change func(*nimbus.Function)) nimbus.Function {
	id := nimbus.NewID()
	f := nimbus.Function{
		ID: id, Tenant: nimbus.DefaultTenant, Namespace: nimbus.DefaultNamespace, Name: name, Status: nimbus.StatusActive,
		Version: nimbus.Version{FunctionID: id, Number: 1, Settings: nimbus.Settings{
			Runtime: python, Driver: "fake", Handler: "handler.handle", Memory: 128 * nimbus.MiB, Timeout: 3 * time.Second,
			Capture: nimbus.CaptureErrors,
		}},
	}
	if change != nil {
		change(&f)
	}
	w.functions.put(f)
	return f
}

func (w *world) resolve(t testing.TB, name, qualifier string) *invoke.Target {
	t.Helper()
	target, err := w.Resolve(context.Background(), nimbus.LocalPrincipal(), "", name, qualifier)
	if err != nil {
		t.Fatalf("resolve %s: %v", name, err)
	}
	return target
}

// call invokes a function that was defined with an event.
func (w *world) call(t testing.TB, name, event string) *invoke.Result {
	t.Helper()
	res, err := w.Invoke(context.Background(), nimbus.LocalPrincipal(), w.resolve(t, name, ""),
		&invoke.Request{Trigger: nimbus.TriggerHTTP, Event: []byte(event), WantLogs: true})
	if err != nil {
		t.Fatalf("invoke %s: %v", name, err)
	}
	return res
}

// record returns the record of an invocation.
func (w *world) record(t testing.TB, id nimbus.ID) *nimbus.Invocation {
	t.Helper()
	r, err := w.Get(context.Background(), nimbus.LocalPrincipal(), id)
	if err != nil {
		t.Fatalf("get %s: %v", id, err)
	}
	return r
}

func wantCode(t testing.TB, err error, code nimbus.Code) {
	t.Helper()
	if nimbus.CodeOf(err) != code {
		t.Errorf("got %v, want %s", err, code)
	}
}
