// Package pool keeps instances and leases them to calls.
//
// A function version is served by instances of its own, keyed by (version, size); the most recently used is
// leased first. A call that finds none is held, first come first served, until one is released by another
// call or its own new one is ready. A start that nobody waits for any more leaves an idle instance behind.
// Instances that idle are frozen, then reclaimed; blanks, which have no code yet, are started ahead. What
// to do about them is decided by internal/scheduler and done here.
//
// Everything of one function hangs on one mutex, so that functions do not meet on the way to an instance:
// the lookup of a function is lock-free. Nothing is sent, called or waited for while that mutex is held;
// what a step causes is gathered in effects and done afterwards. All goroutines are started by Run, which
// joins them.
package pool

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/obs"
	"nimbus/internal/scheduler"
)

// Packages gives the unpacked tree of a package.
type Packages interface {
	// Dir returns a directory on this machine that is never written to.
	Dir(ctx context.Context, p nimbus.Package) (string, error)
}

// Logs receives what functions print. Append must not block for long.
type Logs interface {
	Append(lines ...obs.LogLine)
}

// Metrics counts blanks.
type Metrics interface {
	ObserveBoot(runtime string, took time.Duration)
}

// Machine knows how busy the machine is. It is asked by one goroutine, when calls wait.
type Machine interface {
	Load(now time.Time) scheduler.Load
}

// spare is a Machine that nothing keeps busy.
type spare struct{}

// Load implements Machine.
func (spare) Load(time.Time) scheduler.Load { return scheduler.Spare }

// Deps is what a Pool needs.
type Deps struct {
	Drivers  []driver.Driver // blanks are kept on the first, unless a runtime's configuration says otherwise
	Packages Packages
	Logs     Logs
	Metrics  Metrics
	Log      *slog.Logger
	Machine  Machine // nil = one that always has processor time to spare
}

// Pool keeps the instances of a server. Create it with New; nothing is started before Run.
type Pool struct {
	packages Packages
	logs     Logs
	metrics  Metrics
	log      *slog.Logger
	machine  Machine
	current  atomic.Pointer[Config]
	stocks   map[stockKey]*stock // by the runtime's own name; never changes
	index    stockIndex          // by every name a runtime is asked for by

	drivers []string // names, the first is where blanks are kept unless told otherwise

	functions sync.Map // nimbus.ID → *function

	servingMu sync.Mutex
	serving   map[nimbus.ID]*stock // of each function that takes calls

	held      atomic.Int64 // calls that wait
	heldBytes atomic.Int64 // and the size of their events
	starts    startQueue
	stops     stopQueue
	kick      chan struct{} // wakes Run
	stopping  atomic.Bool
	closed    chan struct{} // closed when held calls are to give up
}

// New returns a pool, or every reason why the configuration makes none.
func New(d Deps, config Config) (*Pool, error) {
	config = config.WithDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	p := &Pool{
		packages: d.Packages, logs: d.Logs, metrics: d.Metrics, log: d.Log, machine: d.Machine,
		stocks: make(map[stockKey]*stock), serving: make(map[nimbus.ID]*stock),
		kick: make(chan struct{}, 1), closed: make(chan struct{}),
	}
	if p.machine == nil {
		p.machine = spare{}
	}
	for _, d := range d.Drivers {
		p.drivers = append(p.drivers, d.Name())
		for _, r := range config.Runtimes {
			p.stocks[stockKey{d.Name(), r.Runtime.Name}] = newStock(d, r.Runtime)
		}
	}
	p.index.fill(p.stocks)
	if err := p.checkDrivers(config); err != nil {
		return nil, err
	}
	p.configure(config)
	return p, nil
}

// config is what holds at this moment.
func (p *Pool) config() *Config { return p.current.Load() }

// stockFor finds the stock that serves a version, or says why there is none.
func (p *Pool) stockFor(spec *Spec) (*stock, error) {
	settings := &spec.Version.Settings
	s := p.index.find(stockKey{settings.Driver, settings.Runtime})
	if s == nil {
		return nil, nimbus.Errorf(nimbus.CodeConflict, "this server cannot run %s on the driver %q: one of them is not there any more",
			settings.Runtime, settings.Driver)
	}
	return s, nil
}

// wake makes Run look for work.
func (p *Pool) wake() {
	select {
	case p.kick <- struct{}{}:
	default: // it is to wake up already
	}
}
