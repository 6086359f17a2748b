package pool

import (
	"slices"
	"time"

	"nimbus"
	"nimbus/internal/driver"
)

// seat is the place of one call in an instance that takes several at once. Its function's mutex guards what
// changes.
type seat struct {
	since  time.Time
	output *output // what the call prints
	thaws  bool    // the instance is frozen, and the call has to wake it; read by the call, which alone clears it
	left   bool
}

// sit gives a call a seat. The caller holds the function's mutex, as everywhere below but for unseat and thawed.
func (in *instance) sit(phases nimbus.Phases, start startKind) grant {
	g, now := in.group, time.Now()
	if in.seated++; in.seated == 1 {
		in.busyAt = now
	}
	s := &seat{since: now, output: in.output.ofCall(g.function.id, g.key.version), thaws: in.paused}
	if s.thaws {
		g.freezing++ // its other seats are about to be had
	}
	g.began(now)
	g.settleSeats(in)
	return grant{instance: in, seat: s, at: now, start: start, phases: phases}
}

// offer gives the free seats of an instance to calls that wait.
func (g *group) offer(in *instance, phases nimbus.Phases, start startKind, e *effects) {
	for in.seated < g.seats && !in.closing && !in.paused && g.waiting.length > 0 {
		w := g.waiting.pop()
		g.function.held--
		e.grant(w, in.take(phases, start))
	}
	g.settleSeats(in)
}

// settleSeats puts an instance that is in use among those with a free seat, or takes it out. What was full goes to
// the end, where the next call looks first: the other instances become idle the sooner.
func (g *group) settleSeats(in *instance) {
	i := slices.Index(g.roomy, in)
	roomy := in.seated > 0 && in.seated < g.seats && !in.closing && !in.paused
	switch {
	case roomy && i < 0:
		g.roomy = append(g.roomy, in)
	case !roomy && i >= 0:
		g.roomy = slices.Delete(g.roomy, i, i+1)
	}
}

// popRoomy finds an instance in use that has a free seat; nil when there is none.
func (g *group) popRoomy() *instance {
	for n := len(g.roomy); n > 0; n = len(g.roomy) {
		in := g.roomy[n-1]
		if in.alive() && in.now() == Leased {
			return in
		}
		in.closing = true // left to its watcher
		g.settleSeats(in)
	}
	return nil
}

// unseat ends a call of an instance that takes several at once. One that is of no more use takes no other, and is
// stopped when the last of its calls has ended: they are not to blame.
func (p *Pool) unseat(in *instance, s *seat, v Verdict) {
	var e effects
	now := time.Now()
	g := in.group
	f := g.function
	f.mu.Lock()
	if s.left {
		f.mu.Unlock()
		return
	}
	s.left = true
	in.seated--
	f.admitted--
	if s.thaws {
		g.freezing--
	}
	g.ended(s.since, v, now)
	if v == Healthy {
		in.uses++
		in.usedAt, in.seenAt = now, now
	}
	in.closing = in.closing || v == Broken || g.spent(in, p, now)
	switch {
	case !in.closing && in.seated == 0:
		g.settleSeats(in)
		g.place(in, p, now, &e)
	case !in.closing:
		g.offer(in, nimbus.Phases{}, warm, &e)
	case in.seated == 0:
		e.stop(in)
	}
	if in.closing {
		g.settleSeats(in)
	}
	if g.short() {
		e.want(g)
	}
	f.admit(&e)
	f.mu.Unlock()
	s.output.end()
	e.wake = e.wake || p.stopping.Load() // Run may wait for this call
	p.do(&e)
}

// thawed notes that the instance is awake. Its other seats can be had.
func (p *Pool) thawed(in *instance, s *seat) {
	var e effects
	g := in.group
	g.function.mu.Lock()
	s.thaws, in.paused = false, false
	g.freezing--
	g.offer(in, nimbus.Phases{}, warm, &e)
	g.function.mu.Unlock()
	p.do(&e)
}

// Output receives what the call prints where it shares the instance; nil where it does not, and all that the
// instance prints is the call's.
func (l *Lease) Output() driver.Output {
	if l.seat == nil {
		return nil
	}
	return l.seat.output.write
}

// ofCall is the output of one of several calls at once, beside that of their instance.
func (o *output) ofCall(function nimbus.ID, version int64) *output {
	return &output{logs: o.logs, lineMax: o.lineMax, callMax: o.callMax, instance: o.instance,
		left: o.callMax, own: o.callMax, function: function, version: version}
}
