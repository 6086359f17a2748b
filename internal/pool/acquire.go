package pool

import (
	"context"
	"fmt"
	"time"

	"nimbus"
)

// retryAfter is what a call that could not be held is told.
const retryAfter = time.Second

// Request asks for an instance.
type Request struct {
	Spec  *Spec
	Bytes int64 // size of the event that is held meanwhile
}

// Acquire leases an instance of the version, waiting for one as long as the bounds of held calls allow:
// over one it is CodeTooManyRequests, while stopping CodeUnavailable. A *driver.InitError says that the user's
// code could not be initialised; it goes to one caller for each failed start. When ctx ends first, its
// error is returned. The Lease that comes with an error knows its Phases, and nothing else.
func (p *Pool) Acquire(ctx context.Context, r Request) (Lease, error) {
	for {
		g, w, err := p.claim(r)
		if w != nil {
			g, err = p.hold(ctx, w)
		}
		if err != nil {
			return Lease{phases: g.phases}, err
		}
		lease := p.lease(&g)
		if w != nil {
			lease.began = time.Now() // the grant was on its way
		}
		if !lease.frozen() {
			return lease, nil
		}
		thawing := lease.began
		if err := p.resume(ctx, &lease); err == nil {
			lease.began = time.Now()
			lease.phases.Hold += lease.began.Sub(thawing)
			return lease, nil
		} else if g.instance.alive() {
			p.log.Warn("instance could not be resumed", "instance_id", g.instance.id, "error", err)
		}
		lease.Release(Broken)
	}
}

// claim takes an idle instance, or enters the call among the held ones and returns where it waits.
func (p *Pool) claim(r Request) (grant, *waiter, error) {
	s, err := p.stockFor(r.Spec)
	if err != nil {
		return grant{}, nil, err
	}
	if p.stopping.Load() {
		return grant{}, nil, stoppingError()
	}
	k := p.keyOf(r.Spec)
	for {
		f := p.lookup(r.Spec.FunctionID)
		f.mu.Lock()
		if f.dead { // removed since it was looked up
			f.mu.Unlock()
			continue
		}
		g := f.group(k, r.Spec, s)
		if f.open() && f.gated.length == 0 {
			if in := g.pop(); in != nil {
				f.admitted++
				granted := in.take(nimbus.Phases{}, warm)
				f.mu.Unlock()
				return granted, nil, nil
			}
		}
		w, e, err := p.enter(f, g, r.Bytes)
		dead := err != nil && f.forget(g)
		f.mu.Unlock()
		if dead {
			p.functions.CompareAndDelete(f.id, f)
		}
		p.do(&e)
		return grant{}, w, err
	}
}

// enter makes a call wait, if there is room. The caller holds the function's mutex.
func (p *Pool) enter(f *function, g *group, bytes int64) (*waiter, effects, error) {
	var e effects
	if f.held >= p.config().QueuePerFunction {
		return nil, e, busyError("%d calls of the function are waiting already", f.held)
	}
	if n := p.held.Add(1); n > int64(p.config().QueueSize) {
		p.held.Add(-1)
		return nil, e, busyError("%d calls are waiting already", n-1)
	}
	if n := p.heldBytes.Add(bytes); n > p.config().QueueBytes {
		p.held.Add(-1)
		p.heldBytes.Add(-bytes)
		return nil, e, busyError("the events of waiting calls fill %d MB already", (n-bytes)/nimbus.MiB)
	}
	w := &waiter{granted: make(chan grant, 1), group: g, bytes: bytes, since: time.Now()}
	f.held++
	if f.open() && f.gated.length == 0 {
		f.admitted++
		g.wait(w)
		if g.short() {
			e.want(g)
		}
	} else {
		f.gated.push(w)
		g.gated++
	}
	return w, e, nil
}

// hold waits for the call's grant within its bounds.
func (p *Pool) hold(ctx context.Context, w *waiter) (grant, error) {
	defer func() {
		p.held.Add(-1)
		p.heldBytes.Add(-w.bytes)
	}()
	timer := time.NewTimer(p.config().HoldTimeout)
	defer timer.Stop()
	var reason error
	select {
	case g := <-w.granted:
		return g, g.err
	case <-ctx.Done():
		reason = fmt.Errorf("wait for an instance: %w", context.Cause(ctx))
	case <-timer.C:
		reason = busyError("no instance became free within %s", p.config().HoldTimeout)
	case <-p.closed:
		reason = stoppingError()
	}
	if !p.leave(w) {
		// The grant was on its way. Whoever still waits takes the instance.
		g := <-w.granted
		if g.err == nil {
			lease := p.lease(&g)
			lease.Release(Unused)
		}
		return grant{phases: g.phases}, reason
	}
	return grant{phases: w.waited(nimbus.Phases{}, time.Now())}, reason
}

// leave takes the call out of its queue and reports false when it has been granted already.
func (p *Pool) leave(w *waiter) bool {
	var e effects
	f := w.group.function
	f.mu.Lock()
	if w.queue == nil {
		f.mu.Unlock()
		return false
	}
	if w.queue == &f.gated {
		w.gated = time.Since(w.since)
		w.group.gated--
	} else {
		f.admitted--
	}
	w.queue.remove(w)
	f.held--
	f.admit(&e)
	dead := f.forget(w.group)
	f.mu.Unlock()
	if dead {
		p.functions.CompareAndDelete(f.id, f)
	}
	e.wake = e.wake || p.stopping.Load() // Run may wait for this call
	p.do(&e)
	return true
}

func busyError(format string, args ...any) error {
	err := nimbus.Errorf(nimbus.CodeTooManyRequests, format, args...)
	err.RetryAfter = retryAfter
	return err
}

func stoppingError() error {
	err := nimbus.Errorf(nimbus.CodeUnavailable, "the server is stopping")
	err.RetryAfter = retryAfter
	return err
}
