//go:build linux && (amd64 || arm64)

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/wire"
)

// Specialize attaches the code, sets the limits and initialises the runtime.
func (i *instance) Specialize(ctx context.Context, code driver.Code) (driver.Specialized, error) {
	if code.Init.CodeDir == "" {
		code.Init.CodeDir = codeDir
	}
	if code.Init.CodeDir != codeDir {
		return driver.Specialized{}, fmt.Errorf("specialize: code is shown at %s, not at %s", codeDir, code.Init.CodeDir)
	}
	if err := i.canTakeOn(code.Init.Env); err != nil {
		return driver.Specialized{}, fmt.Errorf("specialize: %w", err)
	}
	i.busy.Lock()
	defer i.busy.Unlock()
	began := time.Now()
	if err := i.attach(ctx, code); err != nil {
		return driver.Specialized{}, fmt.Errorf("specialize: %w", err)
	}
	attached := time.Now()
	resp, err := i.conn.Init(ctx, code.Init)
	i.output.drain()
	took := driver.Specialized{Attach: attached.Sub(began), Init: time.Since(attached)}
	if err != nil {
		return took, i.translate(ctx, err)
	}
	if !resp.OK {
		return took, &driver.InitError{Type: resp.Type, Message: resp.Message, Stack: resp.Stack}
	}
	if atOnce := code.Init.Concurrency; atOnce > 1 {
		i.mux.Store(i.conn.Mux(atOnce))
	}
	return took, nil
}

// canTakeOn refuses settings that came too late for this process. A forked one executes its interpreter anew.
func (i *instance) canTakeOn(env map[string]string) error {
	if i.zygote.forks {
		return nil
	}
	for name, value := range i.zygote.runtime.StartSettings(env) {
		if had, ok := i.settings[name]; !ok || had != value {
			return fmt.Errorf("%s: %w", name, driver.ErrFreshProcess)
		}
	}
	return nil
}

// attach mounts the code and sets the limits; the blank becomes someone's with that.
func (i *instance) attach(ctx context.Context, code driver.Code) error {
	pidfd, old, err := i.claim(code.Resources)
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	if err := i.driver.canHold(code.Resources); err != nil {
		return err
	}
	tree, err := openTree(code.Dir, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	tmp := code.Resources.Tmp
	if tmp == old.Tmp {
		tmp = 0
	}
	if err := i.driver.attacher.attach(ctx, pidfd, tree, tmp); err != nil {
		if errors.Is(err, unix.ESRCH) { // setns to a process that is gone
			return i.exitError(ctx)
		}
		return err
	}
	if limits(code.Resources) == limits(old) {
		return nil
	}
	return i.group.SetLimits(limits(code.Resources))
}

// claim makes sure that an instance is given code once only. The descriptor is a copy: the instance may end
// at any moment.
func (i *instance) claim(r driver.Resources) (pidfd int, old driver.Resources, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.claimed {
		return -1, old, errors.New("the instance has code already")
	}
	if i.pidfd < 0 {
		return -1, old, &driver.ExitError{Exit: i.exit}
	}
	pidfd, err = unix.FcntlInt(uintptr(i.pidfd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, old, fmt.Errorf("copy a descriptor: %w", err)
	}
	i.claimed, old, i.resources = true, i.resources, r
	return pidfd, old, nil
}

// Invoke hands an event to the function and waits for the outcome.
func (i *instance) Invoke(ctx context.Context, call *driver.Call) (driver.Outcome, error) {
	if i.hasEnded() {
		return driver.Outcome{}, fmt.Errorf("%w: %w", driver.ErrNotSent, &driver.ExitError{Exit: i.Exit()})
	}
	if mux := i.mux.Load(); mux != nil {
		return i.invokeShared(ctx, mux, call)
	}
	outcome, err := i.exec(ctx, call)
	if errors.Is(err, wire.ErrEnded) && errors.Is(err, unix.EPIPE) && ctx.Err() == nil {
		// The runtime was gone before all of the event was written, and it runs no half of one. (Without
		// ErrEnded the broken pipe is that of whom the stream goes to.)
		return driver.Outcome{}, fmt.Errorf("%w: %w", driver.ErrNotSent, i.exitError(ctx))
	}
	if err != nil {
		return outcome, i.translate(ctx, err)
	}
	return outcome, nil
}

func (i *instance) exec(ctx context.Context, call *driver.Call) (driver.Outcome, error) {
	i.busy.Lock()
	defer i.busy.Unlock()
	i.meter.Begin()
	resp, result, err := i.conn.Exec(ctx, &call.Meta, call.Event, call.Chunk)
	used := i.meter.End()
	i.output.drain()
	return driver.Outcome{
		Resp: resp, Result: result, CPU: used.CPU,
		Memory: nimbus.MemoryUse{Peak: used.Peak, Instance: used.Instance},
	}, err
}

// Ping asks for a sign of life.
func (i *instance) Ping(ctx context.Context) error {
	if i.hasEnded() {
		return &driver.ExitError{Exit: i.Exit()}
	}
	if mux := i.mux.Load(); mux != nil {
		return i.translate(ctx, mux.Ping(ctx))
	}
	i.busy.Lock()
	err := i.conn.Ping(ctx)
	i.busy.Unlock()
	return i.translate(ctx, err)
}

// Stats reads what the instance uses.
func (i *instance) Stats(context.Context) (driver.Stats, error) {
	if i.hasEnded() {
		return driver.Stats{}, &driver.ExitError{Exit: i.Exit()}
	}
	u, err := i.group.Usage()
	if err != nil {
		return driver.Stats{}, fmt.Errorf("instance %s: %w", i.id, err)
	}
	return driver.Stats{Memory: u.Memory, MemoryPeak: u.MemoryPeak, CPU: u.CPU, PIDs: u.PIDs}, nil
}

// Pause freezes the instance.
func (i *instance) Pause(ctx context.Context) error {
	i.freezing.Lock()
	defer i.freezing.Unlock()
	if i.isStopping() || i.hasEnded() {
		return fmt.Errorf("pause instance %s: it is ending", i.id)
	}
	if err := i.group.Freeze(ctx); err != nil {
		return fmt.Errorf("pause instance %s: %w", i.id, err)
	}
	return nil
}

// Resume thaws the instance.
func (i *instance) Resume(context.Context) error {
	i.freezing.Lock()
	defer i.freezing.Unlock()
	if i.hasEnded() {
		return fmt.Errorf("resume instance %s: %w", i.id, &driver.ExitError{Exit: i.Exit()})
	}
	if err := i.group.Thaw(); err != nil {
		return fmt.Errorf("resume instance %s: %w", i.id, err)
	}
	return nil
}
