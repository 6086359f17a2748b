package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"nimbus"
	"nimbus/internal/api"
	"nimbus/internal/auth"
	"nimbus/internal/backup"
	"nimbus/internal/blob"
	"nimbus/internal/blob/dir"
	"nimbus/internal/build"
	"nimbus/internal/config"
	"nimbus/internal/driver"
	"nimbus/internal/driver/sandbox"
	"nimbus/internal/function"
	"nimbus/internal/gateway"
	"nimbus/internal/invoke"
	"nimbus/internal/obs"
	"nimbus/internal/obs/tracing"
	"nimbus/internal/pool"
	"nimbus/internal/problem"
	embedded "nimbus/internal/program"
	"nimbus/internal/runtime"
	"nimbus/internal/store/sqlite"
	"nimbus/internal/transport"
)

// program is a server on an open data directory, wired from its parts. It runs once; after a restore
// another one is made.
type program struct {
	cfg      config.Config // as it was at the start
	settings *liveSettings
	data     *dataDirectory
	log      *slog.Logger
	programs embedded.Set
	runtimes *runtime.Set
	driver   driver.Driver
	store    *sqlite.Store
	metrics  *obs.Metrics
	tracer   *tracing.Tracer // nil = traces have nowhere to go
	logs     *obs.LogStore
	pool     *pool.Pool
	invokes  *invoke.Service
	funcs    *function.Service
	keys     *auth.Service
	handler  http.Handler

	started  time.Time
	warmed   atomic.Bool   // a blank has been up since the start
	stopping chan struct{} // closed when it begins to stop
	restored chan struct{} // gets a token when a restore is staged
}

// newProgram opens the stores and wires everything. Nothing runs before run. Close it when done.
func newProgram(ctx context.Context, settings *liveSettings, data *dataDirectory, log *slog.Logger) (_ *program, err error) {
	cfg := settings.config()
	p := &program{cfg: cfg, settings: settings, data: data, log: log, metrics: obs.NewMetrics(), started: time.Now(),
		stopping: make(chan struct{}), restored: make(chan struct{}, 1)}
	if p.programs, err = embedded.Unpack(data.programDir()); err != nil {
		// What needs them is not among the runtimes then, and doctor says why.
		log.Warn("only interpreted functions can run", "error", err)
	} else if err := p.programs.RemoveOthers(data.programDir()); err != nil {
		log.Warn("programs of another version stay on the disk", "error", err)
	}
	if p.runtimes, err = runtime.Discover(ctx, runtime.Config{Programs: p.programs, Version: buildVersion()}); err != nil {
		return nil, fmt.Errorf("look for runtimes: %w", err)
	}
	if err := checkStocks(cfg.Pool, p.runtimes); err != nil {
		return nil, err
	}
	sandboxes, err := newSandbox(cfg, data, p.programs, log)
	if err != nil {
		return nil, err
	}
	p.driver = &prober{Driver: sandboxes}
	report := p.driver.Probe(ctx)
	if !report.Healthy {
		return nil, fmt.Errorf("the %s driver can't run here: %s (nimbus doctor tells more)", p.driver.Name(), report.Reason)
	}
	warnMissing(log, p.driver.Name(), report)
	if cfg.Pool.UseSnapshots {
		noteSnapshots(log, p.driver.Name(), report)
	}
	if p.tracer, err = newTracer(ctx, cfg.Telemetry, p.metrics, log); err != nil {
		return nil, err
	}
	if p.store, err = sqlite.Open(ctx, sqlite.Config{Dir: data.storeDir(), Logger: log}); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.store.Close())
		}
	}()
	return p, p.wire()
}

// warnMissing says what a driver does without, so that nobody has less than they think and isn't told.
func warnMissing(log *slog.Logger, name string, report driver.Report) {
	for _, f := range report.Features {
		if !f.OK && !f.Luxury {
			log.Warn("instances go without a protection", "driver", name, "feature", f.Name, "detail", f.Detail)
		}
	}
}

func newSandbox(cfg config.Config, data *dataDirectory, programs embedded.Set, log *slog.Logger) (driver.Driver, error) {
	owner, err := data.owner()
	if err != nil {
		return nil, err
	}
	return sandbox.New(sandbox.Config{Dir: data.scratchDir(), Owner: owner, Agent: programs.Agent, Log: log,
		AllowMissingLimits: cfg.Driver.Sandbox.AllowMissingLimits})
}

func (p *program) wire() error {
	control := p.store.Control()
	blobs, err := dir.Open(p.data.blobDir())
	if err != nil {
		return fmt.Errorf("open blobs: %w", err)
	}
	cache, err := build.NewCache(p.data.cacheDir(), blobs)
	if err != nil {
		return fmt.Errorf("open the cache of packages: %w", err)
	}
	uploads, err := api.OpenUploads(p.data.uploadDir())
	if err != nil {
		return err
	}
	builder, err := build.New(blobs, cache, build.Config{Limits: p.cfg.Limits, TempDir: p.data.uploadDir()})
	if err != nil {
		return fmt.Errorf("set up packages: %w", err)
	}
	compiler, err := build.NewCompiler(builder, p.driver, p.runtimes, p.compilerConfig())
	if err != nil {
		return fmt.Errorf("set up the compiler: %w", err)
	}
	if p.logs, err = obs.OpenLogStore(p.data.logDir(), p.logConfig(), p.log, p.metrics); err != nil {
		return fmt.Errorf("open the functions' logs: %w", err)
	}
	if p.pool, err = pool.New(pool.Deps{Drivers: []driver.Driver{p.driver}, Packages: cache, Logs: p.logs,
		Metrics: p.metrics, Log: p.log, Machine: pool.NewProcStat()}, poolConfig(p.cfg, p.runtimes)); err != nil {
		return fmt.Errorf("set up the pool: %w", err)
	}
	p.invokes = invoke.New(invoke.Deps{Functions: control, Catalog: control, Namespaces: control, Pool: p.pool, Records: p.store.Records(),
		Logs: p.logs, Metrics: p.metrics, Tracer: p.tracer, Log: p.log},
		invoke.Config{Limits: p.cfg.Limits, Retention: p.cfg.Retention.Records, Stopping: p.stopping})
	p.funcs = function.New(function.Deps{Functions: control, Packages: builder, Compiler: compiler, Runtimes: p.runtimes,
		Drivers: map[string]function.Prober{p.driver.Name(): p.driver}, Routes: p.invokes, Logs: p.logs},
		function.Config{Limits: p.cfg.Limits, Driver: p.cfg.Driver.Default, Keep: p.cfg.Retention.Versions, Builds: p.cfg.Build.Concurrency,
			Defaults: functionDefaults(p.cfg, p.runtimes), Stopping: p.stopping, Log: p.log})
	p.keys = auth.New(control, auth.Config{})
	archive := backup.New(recordedStore{p.store, p.invokes}, control, blobs, backup.Config{DataDir: p.data.path, Version: buildVersion(), Log: p.log,
		RestoreStores: sqlite.Restore, OpenBlobs: func(path string) (blob.Store, error) { return dir.Open(path) },
		Staged: func() { p.restored <- struct{}{} }})
	p.watch()
	p.wireHTTP(archive, uploads)
	return nil
}

// recordedStore is the store with the records of every call that has ended.
type recordedStore struct {
	*sqlite.Store
	invokes *invoke.Service
}

// Snapshot implements store.Snapshotter.
func (s recordedStore) Snapshot(ctx context.Context, dir string) error {
	if err := s.invokes.Flush(ctx); err != nil {
		return err
	}
	return s.Store.Snapshot(ctx, dir)
}

func (p *program) wireHTTP(archive api.Archive, uploads *api.Uploads) {
	problems := problem.NewWriter(p.log)
	identity := p.identity()
	control := api.New(api.Services{
		Functions: p.funcs, Invoker: p.invokes, Invocations: p.invokes, Keys: p.keys, Logs: p.logs,
		Runtimes: p.runtimes, Drivers: []api.Driver{p.driver}, Archive: archive, Pool: p.pool, Settings: p.settings,
		Metrics: p.metrics.Handler(), Ready: p.ready,
	}, identity, problems, api.Config{Version: buildVersion(), Limits: p.cfg.Limits, Uploads: uploads, Stopping: p.stopping, StartedAt: p.started})
	data := gateway.New(p.invokes, identity, problems, gateway.Config{EventLimit: p.cfg.Limits.Event})
	p.handler = transport.New(control, data, transport.Deps{Problems: problems, Requests: p.metrics, Tracer: p.tracer, Log: p.log})
}

// identity says who a request is from: whoever holds a key, anyone at all, or this machine only.
func (p *program) identity() transport.Identity {
	switch {
	case p.cfg.Auth.Enabled:
		return transport.NewKeys(p.keys)
	case p.cfg.Server.Insecure:
		return transport.Anyone{}
	}
	return transport.Loopback{}
}

// ready says why calls can't be served, if they can't.
func (p *program) ready(ctx context.Context) error {
	select {
	case <-p.stopping:
		return nimbus.Errorf(nimbus.CodeUnavailable, "the server is stopping")
	default:
	}
	if err := p.store.Ping(ctx); err != nil {
		return fmt.Errorf("the store does not answer: %w", err)
	}
	return p.checkInstances(p.pool.Stats())
}

// checkInstances says why calls would find no instance: none has been up since the start though some are to be
// kept ahead, or all are gone and no other can be started.
func (p *program) checkInstances(stats pool.Stats) error {
	failing := false
	for _, stock := range stats.Stocks {
		failing = failing || stock.Failing
		for state, n := range stock.States {
			if n > 0 && state != pool.Starting && state != pool.Stopping {
				p.warmed.Store(true)
				return nil
			}
		}
	}
	wanted := slices.ContainsFunc(stats.Stocks, func(s pool.StockStats) bool { return s.Blanks > 0 })
	switch {
	case failing:
		return nimbus.Errorf(nimbus.CodeUnavailable, "no instance can be started; the server's log says why")
	case wanted && !p.warmed.Load():
		return nimbus.Errorf(nimbus.CodeUnavailable, "no instance is up yet")
	}
	return nil
}
