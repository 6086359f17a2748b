package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/wire"
)

// codeDir is where an instance sees its code.
const codeDir = "/var/function"

// start makes an instance for the group and hands it over, or hands over why there is none. in is a blank,
// or an instance that the driver has yet to make. A failure of the platform's is tried once more.
func (r *runner) start(g *group, in *instance) {
	epoch, began := in.born, time.Now()
	phases, err := r.prepare(g, in)
	if err != nil && !isUsers(err) && r.work.Err() == nil {
		r.pool.log.Warn("instance could not be started, trying once more", "function", g.spec.FunctionID.String(),
			"version", g.key.version, "instance_id", in.id, "error", err)
		r.discard(in)
		in = r.pool.newInstance(g.stock)
		g.stock.replace(in)
		g.stock.assign(in, g, epoch)
		g.grow(1)
		phases, err = r.prepare(g, in)
	}
	if err != nil {
		r.discard(in)
		r.failed(g, phases, err)
		return
	}
	r.ready(g, in, phases, time.Since(began))
}

// ready hands a new instance to the first call that waits, else makes it idle.
func (r *runner) ready(g *group, in *instance, phases nimbus.Phases, took time.Duration) {
	var e effects
	f := g.function
	f.mu.Lock()
	g.starting--
	f.starting--
	g.pace.started(took)
	in.usedAt = time.Now()
	in.seenAt = in.usedAt
	f.kept.started(g)
	f.settleKept(&e)
	if g.retired(in) {
		e.stop(in)
	} else {
		g.hand(in, phases, cold, &e)
	}
	f.restart(&e)
	f.mu.Unlock()
	r.pool.do(&e)
}

// failed tells the first call that waits. The others have starts of their own.
func (r *runner) failed(g *group, phases nimbus.Phases, err error) {
	if !isUsers(err) {
		err = r.platformError(err)
	}
	var e effects
	f := g.function
	f.mu.Lock()
	g.starting--
	f.starting--
	w := g.waiting.pop()
	if w != nil {
		f.held--
		f.admitted--
		e.grant(w, grant{phases: phases, err: err})
	}
	f.kept.failed(g, time.Now())
	f.settleKept(&e)
	promised := f.kept.group == g
	f.admit(&e)
	f.restart(&e)
	dead := f.forget(g)
	f.mu.Unlock()
	if dead {
		r.pool.functions.CompareAndDelete(f.id, f)
	}
	r.pool.do(&e)
	if w == nil && promised {
		r.complain(g, err)
	}
}

// prepare boots the instance, unless it is a blank, and gives it the code.
func (r *runner) prepare(g *group, in *instance) (nimbus.Phases, error) {
	var phases nimbus.Phases
	dir, err := r.pool.packages.Dir(r.work, g.spec.Version.Package)
	if err != nil {
		return phases, fmt.Errorf("unpack the code: %w", err)
	}
	code := r.pool.codeOf(g, dir)
	began := time.Now()
	if in.driver == nil && len(in.stock.runtime.StartSettings(code.Init.Env)) > 0 {
		in.output.serve(g.function.id, g.key.version)
		if err := r.boot(in, &code, r.pool.config().StartTimeout+r.pool.config().Limits.InitTimeout); err != nil {
			phases.Init = time.Since(began)
			return phases, r.initError(err)
		}
		phases.Init = time.Since(began)
		in.move(Specializing)
		return phases, nil
	}
	if in.driver == nil {
		if err := r.boot(in, nil, r.pool.config().StartTimeout); err != nil {
			return phases, fmt.Errorf("start instance %s: %w", in.id, err)
		}
		in.move(Specializing)
	}
	phases.Claim = time.Since(began)
	in.output.serve(g.function.id, g.key.version)
	ctx, cancel := context.WithTimeout(r.work, r.pool.config().Limits.InitTimeout)
	defer cancel()
	given := time.Now()
	done, err := in.driver.Specialize(ctx, code)
	if err != nil {
		phases.Init = time.Since(given)
		return phases, r.initError(err)
	}
	phases.Attach, phases.Init = done.Attach, done.Init
	return phases, nil
}

// boot has the driver make the instance.
func (r *runner) boot(in *instance, code *driver.Code, timeout time.Duration) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(r.work, timeout)
	defer cancel()
	limits, size := &r.pool.config().Limits, in.stock.config()
	made, err := in.stock.driver.Start(ctx, driver.Spec{
		ID: in.id, Runtime: in.stock.runtime, Output: in.output.write, Code: code,
		Resources: driver.Resources{Memory: size.Memory, CPUMilli: size.CPUMilli, PIDs: limits.PIDs, Tmp: limits.Tmp},
	})
	if err != nil {
		return err
	}
	if code == nil {
		r.pool.metrics.ObserveBoot(in.stock.runtime.Name, time.Since(began))
	}
	in.driver = made
	in.pauser, _ = made.(driver.Pauser)
	r.watchers.Go(func() { r.watch(in) })
	return nil
}

// codeOf is what makes a blank serve the group's version.
func (p *Pool) codeOf(g *group, dir string) driver.Code {
	settings := &g.spec.Version.Settings
	atOnce := 0
	if g.seats > 1 {
		atOnce = g.seats
	}
	return driver.Code{Dir: dir, Resources: g.key.size, Init: wire.InitMsg{
		Handler: settings.Handler, CodeDir: codeDir, Env: settings.Env,
		FunctionName: g.spec.FunctionName, FunctionID: g.spec.FunctionID.String(),
		FunctionVersion: g.spec.VersionText, Namespace: g.spec.Namespace,
		MemoryMB:    settings.Memory / nimbus.MiB,
		MaxResponse: p.config().Limits.Response, MaxStream: p.config().Limits.Stream, Concurrency: atOnce,
	}}
}

// initError tells the user's failures to initialise from the platform's: once code is in an instance, its
// end, its silence and its nonsense are the code's.
func (r *runner) initError(err error) error {
	var exit *driver.ExitError
	switch {
	case isUsers(err) || r.work.Err() != nil:
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return &driver.InitError{Type: nimbus.ErrorTypeInitTimeout,
			Message: fmt.Sprintf("the code was not imported within %s", r.pool.config().Limits.InitTimeout)}
	case errors.As(err, &exit) && exit.Exit.OutOfMemory:
		return &driver.InitError{Type: nimbus.ErrorTypeOutOfMemory, Message: "over its memory while the code was imported"}
	case errors.As(err, &exit):
		return &driver.InitError{Type: nimbus.ErrorTypeExited,
			Message: "the runtime ended while the code was imported: " + exit.Exit.String()}
	case errors.Is(err, wire.ErrProtocol):
		return &driver.InitError{Type: nimbus.ErrorTypeProtocol, Message: err.Error()}
	}
	return fmt.Errorf("give the instance its code: %w", err)
}

// isUsers reports whether the user's code is to blame.
func isUsers(err error) bool {
	var init *driver.InitError
	return errors.As(err, &init)
}

// platformError is a failed start as the caller sees it.
func (r *runner) platformError(err error) error {
	if r.work.Err() != nil {
		return stoppingError()
	}
	var known *nimbus.Error
	if errors.As(err, &known) {
		return err
	}
	return nimbus.WrapError(nimbus.CodeInternal, err, "no instance could be started")
}
