package pool

import "time"

// effects is what a step under a function's mutex causes, to be done when the mutex is released.
type effects struct {
	grants []delivery
	ending []*instance
	short  []*group
	wake   bool
}

// delivery is a grant on its way.
type delivery struct {
	to    *waiter
	grant grant
}

func (e *effects) grant(w *waiter, g grant) {
	g.phases = w.waited(g.phases, time.Now())
	e.grants = append(e.grants, delivery{w, g})
}

func (e *effects) stop(in *instance) {
	if in.move(Stopping) {
		e.ending = append(e.ending, in)
	}
}

func (e *effects) want(g *group) {
	if !g.queued {
		g.queued = true
		e.short = append(e.short, g)
	}
}

// do carries the effects out. No mutex is held.
func (p *Pool) do(e *effects) {
	for _, d := range e.grants {
		d.to.granted <- d.grant // never blocks: there is room for the one grant a waiter gets
	}
	if len(e.ending) > 0 {
		p.stops.add(e.ending)
		e.wake = true
	}
	if len(e.short) > 0 {
		p.starts.add(e.short)
		e.wake = true
	}
	if e.wake {
		p.wake()
	}
}
