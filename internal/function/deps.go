package function

import (
	"context"
	"io/fs"
	"log/slog"
	"time"

	"nimbus"
	"nimbus/internal/build"
	"nimbus/internal/driver"
	"nimbus/internal/obs"
	"nimbus/internal/runtime"
	"nimbus/internal/store"
)

// Packages stores code and shows it.
type Packages interface {
	// Build stores the source as a package, once check has seen its files and not objected.
	Build(ctx context.Context, src build.Source, check func(tree fs.FS) error) (nimbus.Package, error)
	// Tree returns the files of a package.
	Tree(ctx context.Context, pkg nimbus.Package) (fs.FS, error)
	// Collect deletes what keep does not name and nobody has used for a while.
	Collect(ctx context.Context, keep map[string]struct{}) error
}

// Runtimes are the runtimes this machine has.
type Runtimes interface {
	// Resolve finds one by name or alias; CodeInvalid on the field "runtime" when it is not there.
	Resolve(name string) (runtime.Runtime, error)
	// Default returns the newest of a language.
	Default(language runtime.Language) (runtime.Runtime, error)
}

// Prober is a driver, as far as deploying is concerned. It is asked on each creation, so its answer had
// better be remembered.
type Prober interface {
	Probe(ctx context.Context) driver.Report
}

// Routes is told which function changed, after the change is durable.
type Routes interface {
	Changed(id nimbus.ID)
}

// Logs receives what a build prints.
type Logs interface {
	Append(lines ...obs.LogLine)
}

// Defaults is what an installation sets for the functions of a runtime. Zero fields set nothing.
type Defaults struct {
	Memory       int64 // when a function says nothing
	CPUMilli     int   // likewise
	MinInstances int   // the most a function may ask for: no more than the runtime's pool holds
}

// Config sets a Service's bounds.
type Config struct {
	Limits           nimbus.Limits
	Defaults         map[string]Defaults // by the runtime's name
	Builds           int                 // worked off at once; 0 = 1
	Pending          int                 // builds that wait or are worked off; 0 = 1000
	NamespacePending int                 // those of one namespace; 0 = 100
	RetryAfter       time.Duration       // until a build that the platform failed is tried again, at first; 0 = 1 s
	Driver           string              // for functions that name none
	Keep             int                 // versions kept of a function besides published ones; 0 = 10
	Collect          time.Duration       // between two collections of garbage; 0 = 1 hour
	Log              *slog.Logger        // nil = none
	// Stopping is closed when the server begins to stop: then nobody waits for a build any more. nil = never.
	Stopping <-chan struct{}
}

func (c Config) withDefaults() Config {
	if c.Builds == 0 {
		c.Builds = 1
	}
	if c.Pending == 0 {
		c.Pending = 1000
	}
	if c.NamespacePending == 0 {
		c.NamespacePending = 100
	}
	if c.RetryAfter == 0 {
		c.RetryAfter = time.Second
	}
	if c.Keep == 0 {
		c.Keep = 10
	}
	if c.Collect == 0 {
		c.Collect = time.Hour
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Deps is what a Service needs.
type Deps struct {
	Functions store.Functions
	Packages  Packages
	Compiler  Compiler
	Runtimes  Runtimes
	Drivers   map[string]Prober // those a function may name
	Routes    Routes
	Logs      Logs
}
