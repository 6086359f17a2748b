//go:build linux && (amd64 || arm64)

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"nimbus/internal/driver"
	"nimbus/internal/driver/sandbox/cgroup"
)

// teardownGrace bounds what Run and Sweep wait for when they remove cgroups.
const teardownGrace = 20 * time.Second

// Driver makes instances of Linux namespaces. Safe for concurrent use.
type Driver struct {
	config  Config
	log     *slog.Logger
	system  *cgroup.System
	groups  *groups
	slots   *slots
	buffers *buffers

	running  chan struct{} // closed when Run takes Starts
	attacher *attacher     // and spawner, ctx: set before running is closed
	spawner  *spawner
	ctx      context.Context // of the nurseries; Run's
	cleanups sync.WaitGroup  // releases of instances

	mu        sync.Mutex
	nurseries map[string]*nursery // by runtime name; nil once stopped
	keepers   sync.WaitGroup      // their goroutines
	starts    sync.WaitGroup      // Starts under way
}

// New returns a driver. It changes nothing yet; Sweep and Run do the work.
func New(c Config) (*Driver, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	dir, err := resolve(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if seen := under(dir, shown()); seen != "" {
		return nil, fmt.Errorf("sandbox: %s is under %s, which every function sees; keep the data elsewhere", dir, seen)
	}
	c.Dir = dir
	system, err := cgroup.Detect()
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	log := c.Log.With("driver", "sandbox")
	return &Driver{
		config: c, log: log, system: system, groups: newGroups(system.NewTree(c.Owner), log),
		slots: newSlots(c.UIDBase, c.Owner), buffers: newBuffers(),
		running: make(chan struct{}), nurseries: make(map[string]*nursery),
	}, nil
}

// resolve follows links as far as the path exists.
func resolve(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return dir, nil
	}
	return real, err
}

// Name returns "sandbox".
func (d *Driver) Name() string { return "sandbox" }

// Sweep ends what an earlier process of the same owner left behind.
func (d *Driver) Sweep(ctx context.Context) (driver.Swept, error) {
	ctx, cancel := context.WithTimeout(ctx, teardownGrace)
	defer cancel()
	swept, err := d.groups.tree.Sweep(ctx)
	if err != nil {
		return driver.Swept{}, fmt.Errorf("sandbox: %w", err)
	}
	return driver.Swept{Processes: swept.Processes, Cgroups: swept.Groups}, nil
}

// Run keeps zygotes alive until ctx ends; then it stops every instance and zygote and removes the cgroups.
func (d *Driver) Run(ctx context.Context) error {
	if err := d.groups.tree.Setup(); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	d.spawner, d.attacher, d.ctx = newSpawner(), newAttacher(), ctx
	d.keepers.Go(func() { d.groups.run(ctx) })
	close(d.running)

	<-ctx.Done()
	d.mu.Lock()
	d.nurseries = nil // no Start begins any more
	d.mu.Unlock()
	d.keepers.Wait() // every zygote is dead, and so is every instance
	d.starts.Wait()
	d.cleanups.Wait()
	d.attacher.stop()
	d.spawner.stop()
	tearing, cancel := context.WithTimeout(context.WithoutCancel(ctx), teardownGrace)
	defer cancel()
	if err := d.groups.teardown(tearing); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	return nil
}

var (
	_ driver.Driver   = (*Driver)(nil)
	_ driver.Instance = (*instance)(nil)
	_ driver.Pauser   = (*instance)(nil)
)
