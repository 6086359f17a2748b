// Package pooltest has a driver without processes, for tests of what sits above the driver contract: its
// instances start late, fail, hang and die as a test says, and it watches that they are used as the contract
// has it.
package pooltest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"nimbus/internal/driver"
)

// Driver is a driver.Driver in memory. Its hooks are set before use and may be nil.
type Driver struct {
	OnStart  func(ctx context.Context, spec driver.Spec) error
	OnInit   func(ctx context.Context, in *Instance) error
	OnInvoke func(ctx context.Context, in *Instance, call *driver.Call) (driver.Outcome, error) // nil = echo
	OnPing   func(ctx context.Context, in *Instance) error
	OnResume func(in *Instance) error
	OnStats  func(ctx context.Context, in *Instance) (driver.Stats, error)

	mu         sync.Mutex
	instances  []*Instance
	violations []error
}

// Name implements driver.Driver.
func (d *Driver) Name() string { return "fake" }

// Probe implements driver.Driver.
func (d *Driver) Probe(context.Context) driver.Report { return driver.Report{Healthy: true} }

// Run implements driver.Driver.
func (d *Driver) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Sweep implements driver.Driver.
func (d *Driver) Sweep(context.Context) (driver.Swept, error) { return driver.Swept{}, nil }

// Start implements driver.Driver.
func (d *Driver) Start(ctx context.Context, spec driver.Spec) (driver.Instance, error) {
	if d.OnStart != nil {
		if err := d.OnStart(ctx, spec); err != nil {
			return nil, err
		}
	}
	in := &Instance{Spec: spec, driver: d, done: make(chan struct{})}
	d.mu.Lock()
	d.instances = append(d.instances, in)
	d.mu.Unlock()
	if spec.Code != nil {
		if _, err := in.Specialize(ctx, *spec.Code); err != nil {
			in.end(driver.Exit{Stopped: true})
			return nil, err
		}
	}
	return in, nil
}

// Started returns every instance that was ever started, oldest first.
func (d *Driver) Started() []*Instance {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]*Instance(nil), d.instances...)
}

// Living counts instances that have not ended.
func (d *Driver) Living() int {
	n := 0
	for _, in := range d.Started() {
		if !in.ended() {
			n++
		}
	}
	return n
}

// Violations returns how the contract was broken, nil when it was not.
func (d *Driver) Violations() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return errors.Join(d.violations...)
}

func (d *Driver) violation(in *Instance, format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.violations = append(d.violations, fmt.Errorf("instance %s: "+format, append([]any{in.Spec.ID}, args...)...))
}

// Sleep waits for d or the end of ctx, whose error it returns.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
