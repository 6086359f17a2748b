package pool

import (
	"context"
	"time"

	"nimbus"
	"nimbus/internal/driver"
)

// Verdict says in what state a call leaves its instance.
type Verdict uint8

// The verdicts.
const (
	Healthy Verdict = iota // another call may have it
	Unused                 // it was given nothing to do
	Broken                 // it timed out, ended, or broke the protocol or a limit: it is stopped
)

// Keep says whether a call's log lines are kept for its answer.
type Keep uint8

// Whether lines are kept.
const (
	KeepNone Keep = iota
	KeepLines
)

// Lease is the right to run one call on an instance. It is used by one goroutine and must be released.
type Lease struct {
	pool     *Pool
	instance *instance
	output   *output // of the call
	serial   uint64
	seat     *seat // nil when the instance is the call's alone
	began    time.Time
	start    startKind
	phases   nimbus.Phases
}

func (p *Pool) lease(g *grant) Lease {
	l := Lease{pool: p, instance: g.instance, output: g.instance.output, serial: g.serial, seat: g.seat,
		began: g.at, start: g.start, phases: g.phases}
	if l.seat != nil {
		l.output = l.seat.output
	}
	return l
}

// Instance is where the call runs.
func (l *Lease) Instance() driver.Instance { return l.instance.driver }

// InstanceID names the instance.
func (l *Lease) InstanceID() string { return l.instance.id }

// Cold reports whether the call waited for this instance to be started.
func (l *Lease) Cold() bool { return l.start == cold }

// Began is when the instance was the call's, and ready for it.
func (l *Lease) Began() time.Time { return l.began }

// Phases says where the time of getting the instance went.
func (l *Lease) Phases() nimbus.Phases { return l.phases }

// Begin makes what the instance prints from now on, or what Output receives, the invocation's.
func (l *Lease) Begin(invocation nimbus.ID, keep Keep) { l.output.begin(invocation, keep) }

// Print adds lines of the platform's own to the invocation's log: why it ended, a stack.
func (l *Lease) Print(lines ...string) { l.output.print(lines) }

// Lines returns what the invocation has logged so far, if it was to be kept.
func (l *Lease) Lines() []string { return l.output.lines() }

// LogCut reports whether the invocation has printed more than is kept of it, as far as it was read by now.
func (l *Lease) LogCut() bool { return l.output.cut.Load() }

// Release gives the instance back. Releasing twice does nothing.
func (l *Lease) Release(v Verdict) {
	if l.seat != nil {
		l.pool.unseat(l.instance, l.seat, v)
		return
	}
	l.pool.release(l.instance, l.serial, v)
}

// release ends a lease and passes on what it frees: the instance, and the call's place among
// max_concurrency.
func (p *Pool) release(in *instance, serial uint64, v Verdict) {
	if !in.lease.CompareAndSwap(serial, 0) {
		return
	}
	if v == Healthy {
		in.output.end()
	}
	var e effects
	now := time.Now()
	g := in.group
	f := g.function
	f.mu.Lock()
	f.admitted--
	g.ended(in.busyAt, v, now)
	if v == Broken {
		e.stop(in)
		if g.short() {
			e.want(g)
		}
	} else {
		if v == Healthy {
			in.uses++
			in.usedAt, in.seenAt = now, now
		}
		g.place(in, p, now, &e)
	}
	f.admit(&e)
	f.mu.Unlock()
	e.wake = e.wake || p.stopping.Load() // Run may wait for this call
	p.do(&e)
}

// frozen reports whether the call has to wake the instance.
func (l *Lease) frozen() bool {
	if l.seat != nil {
		return l.seat.thaws
	}
	return l.instance.paused
}

// resume wakes a frozen instance that is leased.
func (p *Pool) resume(ctx context.Context, l *Lease) error {
	in := l.instance
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.config().PauseTimeout)
	defer cancel()
	if err := in.pauser.Resume(ctx); err != nil {
		return err
	}
	if l.seat != nil {
		p.thawed(in, l.seat)
	} else {
		in.paused = false
	}
	p.wake() // it will be due for freezing again
	return nil
}
