package pool

import (
	"context"
	"maps"
	"time"

	"nimbus/internal/scheduler"
)

// view is a snapshot with the instances its numbers stand for.
type view struct {
	snapshot scheduler.Snapshot
	stocks   []*stock
	blanks   [][]*instance
	kept     []*group
	idle     []*instance
	busy     bool // instances are leased: they will be idle at a moment no plan foresees
}

// upkeep asks the scheduler what to do, begins it, and returns when to ask again; zero = when woken.
func (r *runner) upkeep(now time.Time) time.Time {
	v := r.view()
	plan := scheduler.Make(r.pool.config().Policy, v.snapshot, now)
	next := plan.Next
	if v.busy && r.pool.config().Policy.FreezeAfter > 0 {
		if soon := now.Add(r.pool.config().Policy.FreezeAfter / 4); next.IsZero() || soon.Before(next) {
			next = soon
		}
	}
	if !r.apply(v, plan, now) {
		next = now.Add(upkeepPause)
	}
	return next
}

// view takes a snapshot.
func (r *runner) view() view {
	var v view
	waiting := make(map[*stock]int)
	for _, g := range r.pending {
		waiting[g.stock]++
	}
	position := make(map[*stock]int, len(r.pool.stocks))
	for _, s := range r.pool.stocks {
		state, blanks := s.snapshot(waiting[s])
		position[s] = len(v.stocks)
		v.stocks, v.blanks = append(v.stocks, s), append(v.blanks, blanks)
		v.snapshot.Runtimes = append(v.snapshot.Runtimes, state)
	}
	up := r.pool.upKept()
	r.pool.each(func(f *function) {
		f.mu.Lock()
		defer f.mu.Unlock()
		v.busy = v.busy || f.admitted > 0
		if f.kept.group != nil {
			v.kept = append(v.kept, f.kept.group)
			v.snapshot.Kept = append(v.snapshot.Kept, f.kept.describe(up[f.kept.group]))
		}
		for _, g := range f.groups {
			for _, in := range g.idle {
				d := in.describe()
				d.Runtime = position[in.stock]
				if g == f.kept.group {
					d.Kept = len(v.kept)
				}
				v.idle = append(v.idle, in)
				v.snapshot.Idle = append(v.snapshot.Idle, d)
			}
		}
	})
	return v
}

// upKept returns the instances of kept groups that are up, those that run a call included.
func (p *Pool) upKept() map[*group][]*instance {
	wanted := make(map[*group]int)
	p.each(func(f *function) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.kept.group != nil {
			wanted[f.kept.group] = f.kept.min
		}
	})
	up := make(map[*group][]*instance, len(wanted))
	if len(wanted) == 0 {
		return up
	}
	for _, s := range p.stocks {
		maps.Copy(up, s.members(wanted))
	}
	return up
}

// describe is what the scheduler sees of an idle instance. The caller holds the function's mutex.
func (in *instance) describe() scheduler.Idle {
	d := scheduler.Idle{StartedAt: in.startedAt, UsedAt: in.usedAt, SeenAt: in.seenAt, Uses: in.uses,
		Timeout: in.group.spec.Version.Settings.IdleTimeout}
	switch {
	case in.paused:
		d.Pause = scheduler.Frozen
	case in.pauser != nil:
		d.Pause = scheduler.Pausable
	}
	return d
}

// apply begins what the plan says, and reports false when some of it has to wait for hands.
func (r *runner) apply(v view, plan scheduler.Plan, now time.Time) bool {
	all := true
	for _, reclaim := range plan.Reclaim {
		r.reclaim(v.idle[reclaim.Idle], reclaim.Reason)
	}
	for _, drop := range plan.Drop {
		if in := v.blanks[drop.Runtime][drop.Blank]; in.stock.borrow(in) {
			var e effects
			e.stop(in)
			r.pool.do(&e)
		}
	}
	for _, i := range plan.Freeze {
		all = r.chore(func() { r.freeze(v.idle[i], now) }) && all
	}
	for _, i := range plan.Check {
		all = r.chore(func() { r.check(v.idle[i]) }) && all
	}
	for _, ping := range plan.Ping {
		all = r.chore(func() { r.ping(v.blanks[ping.Runtime][ping.Blank]) }) && all
	}
	for _, lack := range plan.Lacking {
		r.keep(v.kept[lack.Kept], lack.Count)
	}
	for _, start := range plan.Start {
		r.refill(v.stocks[start.Runtime], start.Count)
	}
	return all
}

// chore runs do, if there are hands.
func (r *runner) chore(do func()) bool {
	if r.chores.Load() >= int64(r.pool.config().Chores) {
		return false
	}
	r.task(&r.chores, do)
	return true
}

// reclaim stops an instance that is still idle.
func (r *runner) reclaim(in *instance, reason scheduler.Reason) {
	var e effects
	f := in.group.function
	f.mu.Lock()
	if in.group.remove(in) {
		e.stop(in)
	}
	f.mu.Unlock()
	if len(e.ending) > 0 {
		r.pool.log.Debug("instance reclaimed", "instance_id", in.id, "function", f.id.String(), "reason", string(reason))
	}
	r.pool.do(&e)
}

// freeze pauses an instance that nobody has used meanwhile.
func (r *runner) freeze(in *instance, planned time.Time) {
	g := in.group
	f := g.function
	f.mu.Lock()
	used := in.usedAt.After(planned.Add(-r.pool.config().Policy.FreezeAfter))
	if used || in.now() != Idle || !g.remove(in) || !in.move(Leased) {
		f.mu.Unlock()
		return
	}
	g.freezing++
	f.mu.Unlock()

	ctx, cancel := context.WithTimeout(r.work, r.pool.config().PauseTimeout)
	defer cancel()
	err := in.pauser.Pause(ctx)

	var e effects
	f.mu.Lock()
	g.freezing--
	in.paused = err == nil
	r.giveBack(in, err, &e)
	f.mu.Unlock()
	r.pool.do(&e)
}

// check asks an idle instance for a sign of life.
func (r *runner) check(in *instance) {
	g := in.group
	f := g.function
	f.mu.Lock()
	if in.now() != Idle || !g.remove(in) || !in.move(Leased) {
		f.mu.Unlock()
		return
	}
	f.mu.Unlock()

	ctx, cancel := context.WithTimeout(r.work, r.pool.config().PingTimeout)
	defer cancel()
	err := in.driver.Ping(ctx)

	var e effects
	f.mu.Lock()
	in.seenAt = time.Now()
	r.giveBack(in, err, &e)
	f.mu.Unlock()
	r.pool.do(&e)
}

// giveBack ends the upkeep of an instance. The caller holds the function's mutex.
func (r *runner) giveBack(in *instance, err error, e *effects) {
	g := in.group
	if err != nil {
		r.pool.log.Warn("instance failed its upkeep", "instance_id", in.id, "function", g.function.id.String(), "error", err)
		e.stop(in)
	} else {
		g.place(in, r.pool, time.Now(), e)
	}
	if g.short() {
		e.want(g)
	}
}

// ping asks a blank for a sign of life.
func (r *runner) ping(in *instance) {
	if !in.stock.borrow(in) {
		return
	}
	ctx, cancel := context.WithTimeout(r.work, r.pool.config().PingTimeout)
	defer cancel()
	if err := in.driver.Ping(ctx); err != nil {
		r.pool.log.Warn("blank gave no sign of life", "instance_id", in.id, "error", err)
		r.discard(in)
		return
	}
	in.stock.shelve(in)
}

// refill starts blanks, as many as there are hands for.
func (r *runner) refill(s *stock, count int) {
	for range count {
		if r.pool.stopping.Load() || r.refilling.Load() >= int64(r.pool.config().Refills) {
			return // the end of one asks for a new plan
		}
		in := r.pool.newInstance(s)
		if !s.add(in) {
			return
		}
		s.begin(1)
		r.task(&r.refilling, func() { r.blank(s, in) })
	}
}

// begin counts blanks that are being started.
func (s *stock) begin(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.starting += n
}

// blank starts one.
func (r *runner) blank(s *stock, in *instance) {
	err := r.boot(in, nil, r.pool.config().StartTimeout)
	s.begin(-1)
	if err != nil {
		if r.work.Err() == nil {
			r.pool.log.Warn("blank could not be started", "runtime", s.runtime.Name, "error", err)
		}
		s.failed(time.Now())
		r.ended(in)
		return
	}
	s.shelve(in)
}
