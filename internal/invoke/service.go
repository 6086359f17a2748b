package invoke

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"nimbus"
	"nimbus/internal/obs"
	"nimbus/internal/obs/tracing"
	"nimbus/internal/pool"
	"nimbus/internal/store"
)

// Functions finds functions and their versions.
type Functions interface {
	Function(ctx context.Context, id nimbus.ID) (*nimbus.Function, error)
	FunctionByName(ctx context.Context, namespace, name string) (*nimbus.Function, error)
	Version(ctx context.Context, id nimbus.ID, number int64) (*nimbus.Version, error)
}

// Namespaces finds namespaces.
type Namespaces interface {
	Namespace(ctx context.Context, name string) (*nimbus.Namespace, error)
}

// Pool leases instances.
type Pool interface {
	Acquire(ctx context.Context, r pool.Request) (pool.Lease, error)
	// Serve says which version of a function serves from now on, and is to have instances ready.
	Serve(spec *pool.Spec)
	// Forget says that a function takes no calls any more.
	Forget(functionID nimbus.ID)
}

// Logs receives the platform's own lines about calls that got no instance.
type Logs interface {
	Append(lines ...obs.LogLine)
	// DeleteFunction removes what a function printed.
	DeleteFunction(ctx context.Context, id nimbus.ID) error
}

// Deps is what a Service needs.
type Deps struct {
	Functions  Functions
	Catalog    Catalog
	Namespaces Namespaces
	Pool       Pool
	Records    store.Records
	Logs       Logs
	Metrics    *obs.Metrics
	Tracer     *tracing.Tracer // nil = nothing is traced
	Log        *slog.Logger
}

// Config sets a Service's bounds. Zero fields take their default.
type Config struct {
	Limits       nimbus.Limits
	Retention    time.Duration // how long records are kept; 0 = 7 days, below 0 = for ever
	PruneEvery   time.Duration // 0 = 10 minutes
	FlushEvery   time.Duration // how long a record may wait to be written; 0 = 20 ms
	FlushTimeout time.Duration // for the last records when Run is to end; 0 = 5 s
	Buffer       int           // records kept while they cannot be written; 0 = 65,536
	BufferBytes  int64         // and the size of their inputs and outputs; 0 = 64 MiB
	BuildHold    time.Duration // how long a call waits for the first version of its function; 0 = 1 minute
	BuildQueue   int           // calls that wait so at once; 0 = 1000
	// Stopping is closed when the server begins to stop: then nobody waits for a build any more. nil = never.
	Stopping <-chan struct{}
}

func (c Config) withDefaults() Config {
	set(&c.Limits, nimbus.DefaultLimits())
	set(&c.Retention, 7*24*time.Hour)
	set(&c.PruneEvery, 10*time.Minute)
	set(&c.FlushEvery, 20*time.Millisecond)
	set(&c.FlushTimeout, 5*time.Second)
	set(&c.Buffer, 65_536)
	set(&c.BufferBytes, 64*nimbus.MiB)
	set(&c.BuildHold, time.Minute)
	set(&c.BuildQueue, 1000)
	return c
}

// set gives a field its default.
func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Service is the use cases of invocations. Safe for concurrent use.
type Service struct {
	Deps
	config   Config
	routes   *routes
	inflight inflight
	recorder *recorder

	retention atomic.Int64 // time.Duration; Config.Retention

	calls    atomic.Int64 // admitted
	awaiting atomic.Int64 // calls that wait for a build
	draining atomic.Bool
	drained  chan struct{} // closed when draining and the last call has ended
	once     sync.Once     // closes it
}

// New returns the service. Records are written while Run runs.
func New(d Deps, c Config) *Service {
	c = c.withDefaults()
	s := &Service{Deps: d, config: c, drained: make(chan struct{})}
	s.routes = newRoutes(d.Functions, d.Metrics)
	s.retention.Store(int64(c.Retention))
	s.inflight.init()
	s.recorder = newRecorder(d.Records, d.Metrics.RecordsDropped, d.Log, c)
	return s
}

// Run writes and prunes records, and retires the instances of versions that no longer serve, until ctx ends;
// then it writes what is left.
func (s *Service) Run(ctx context.Context) error {
	var tasks errgroup.Group
	tasks.Go(func() error { return s.recorder.run(ctx) })
	tasks.Go(func() error { return s.prune(ctx) })
	tasks.Go(func() error { return s.retire(ctx) })
	return tasks.Wait()
}

// Running is how many calls have been admitted and not ended, held ones included.
func (s *Service) Running() int { return int(s.calls.Load()) }

// Drain refuses new calls with CodeUnavailable, and returns when the last of the others has ended or with
// the error of ctx when that ends first.
func (s *Service) Drain(ctx context.Context) error {
	s.draining.Store(true)
	if s.calls.Load() == 0 {
		s.once.Do(func() { close(s.drained) })
	}
	select {
	case <-s.drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// admit lets a call in. Every call that was let in leaves.
func (s *Service) admit() error {
	s.calls.Add(1)
	if !s.draining.Load() {
		return nil
	}
	s.leave()
	err := nimbus.Errorf(nimbus.CodeUnavailable, "the server is stopping")
	err.RetryAfter = time.Second
	return err
}

func (s *Service) leave() {
	if s.calls.Add(-1) == 0 && s.draining.Load() {
		s.once.Do(func() { close(s.drained) })
	}
}
