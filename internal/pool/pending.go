package pool

import (
	"math"
	"time"

	"nimbus/internal/scheduler"
)

// startPending begins a start for each group in turn, until none is short, the bound of starts at once is
// reached, or there is no room. A group without room evicts an instance of another, and waits; one whose
// calls get a busy instance sooner than a new one is looked at again later.
func (r *runner) startPending(now time.Time) {
	p := r.pool
	r.pending = append(append(r.pending, r.deferred...), p.starts.take()...)
	r.deferred, r.recheck = r.deferred[:0], time.Time{}
	if len(r.pending) == 0 {
		r.publish(nil)
		return
	}
	room := newRoom(p, now)
	load := p.machine.Load(now)
	var parked []*group
	for len(r.pending) > 0 && r.starting.Load() < int64(p.config().Starts) {
		g := r.pending[0]
		r.pending = r.pending[1:]
		b := r.begin(g, now, load)
		switch b.found {
		case begun:
			r.task(&r.starting, func() { r.start(g, b.instance) })
			r.pending = append(r.pending, g)
		case full:
			r.again(now, room.make(g))
			parked = append(parked, g)
		case soon:
			r.again(now, b.recheck)
			r.deferred = append(r.deferred, g)
		}
	}
	r.pending = append(parked, r.pending...)
	r.publish(parked)
}

// again has startPending called once more after a while; 0 = when something has happened.
func (r *runner) again(now time.Time, after time.Duration) {
	if at := now.Add(after); after > 0 && (r.recheck.IsZero() || at.Before(r.recheck)) {
		r.recheck = at
	}
}

// beginning is what became of the wish for one more instance.
type beginning struct {
	found    finding
	instance *instance     // when begun
	recheck  time.Duration // when soon
}

// finding says it in a word.
type finding uint8

const (
	enough finding = iota // no more are needed
	begun
	full // there is no room
	soon // a busy instance will be free sooner
)

// begin finds an instance that is to become one of the group: a blank, or a new one if there is room.
func (r *runner) begin(g *group, now time.Time, load scheduler.Load) beginning {
	p, f := r.pool, g.function
	f.mu.Lock()
	if !g.short() || f.starting >= p.config().StartsPerFunction {
		g.queued = false // whoever makes it short again, or ends a start, enters it anew
		dead := f.forget(g)
		f.mu.Unlock()
		if dead {
			p.functions.CompareAndDelete(f.id, f)
		}
		return beginning{}
	}
	if n, recheck := scheduler.Grow(g.demand(now, load, p.config().StartsPerFunction-f.starting)); n == 0 {
		f.mu.Unlock()
		return beginning{found: soon, recheck: recheck}
	}
	epoch := g.reserve()
	f.mu.Unlock()
	if in := p.enlist(g, epoch); in != nil {
		return beginning{found: begun, instance: in}
	}
	return beginning{found: full}
}

// reserve counts one more instance of the group, and returns the function's epoch. The caller holds the
// function's mutex, and calls enlist when it is released.
func (g *group) reserve() (epoch uint64) {
	f := g.function
	g.starting++
	f.starting++
	g.instances++
	f.instances++
	return f.epoch
}

// enlist finds the instance that was reserved: a blank, or one that is yet to be made. When there is no room
// for it, the reservation is undone and nil returned.
func (p *Pool) enlist(g *group, epoch uint64) *instance {
	var in *instance
	if len(g.stock.runtime.StartSettings(g.spec.Version.Settings.Env)) == 0 {
		in = g.stock.claim(g, epoch)
	}
	if in == nil {
		fresh := p.newInstance(g.stock)
		if g.stock.add(fresh) {
			in = fresh
			g.stock.assign(in, g, epoch)
		}
	}
	if in == nil {
		f := g.function
		f.mu.Lock()
		g.starting--
		f.starting--
		g.instances--
		f.instances--
		f.mu.Unlock()
	}
	return in
}

// grow counts instances of the group.
func (g *group) grow(n int) {
	f := g.function
	f.mu.Lock()
	defer f.mu.Unlock()
	g.instances += n
	f.instances += n
}

// room evicts instances for groups whose runtime is full, one for each, less those that are ending already.
type room struct {
	pool    *Pool
	now     time.Time
	freeing map[*stock]int
}

func newRoom(p *Pool, now time.Time) *room {
	return &room{pool: p, now: now, freeing: make(map[*stock]int)}
}

// make evicts a blank, or else the instance that the scheduler picks among the idle ones of other groups. When
// there is none, the group gets the next that is released. A duration says when to ask again.
func (m *room) make(g *group) (recheck time.Duration) {
	s := g.stock
	freeing, counted := m.freeing[s]
	if !counted {
		freeing = s.count(Stopping)
	}
	m.freeing[s] = freeing - 1
	if freeing > 0 {
		return 0
	}
	var e effects
	victim := s.blank()
	if victim != nil {
		e.stop(victim)
	} else if victim, recheck = s.victim(g, m.now); victim != nil {
		f := victim.group.function
		f.mu.Lock()
		if victim.group.remove(victim) {
			e.stop(victim)
		}
		f.mu.Unlock()
	}
	m.pool.do(&e)
	return recheck
}

// publish tells the stocks for whom functions are to give up instances.
func (r *runner) publish(parked []*group) {
	for _, s := range r.pool.stocks {
		starved, neediest := int64(0), int64(math.MaxInt64)
		for _, g := range parked {
			if g.stock == s {
				g.function.mu.Lock()
				starved, neediest = starved+1, min(neediest, int64(g.function.instances))
				g.function.mu.Unlock()
			}
		}
		s.neediest.Store(neediest)
		s.starved.Store(starved)
	}
}

// count is how many instances are in the state.
func (s *stock) count(state State) int {
	n := 0
	for _, in := range s.instances() {
		if in.now() == state {
			n++
		}
	}
	return n
}

// blank takes the oldest blank off the shelf; nil when there is none.
func (s *stock) blank() *instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.blanks) == 0 {
		return nil
	}
	in := s.blanks[0]
	s.blanks = s.blanks[1:]
	return in
}

// victim finds the idle instance of another group that makes room for one of g; nil when there is none, or
// none before the recheck.
func (s *stock) victim(g *group, now time.Time) (*instance, time.Duration) {
	g.function.mu.Lock()
	busy := g.pace.busy
	g.function.mu.Unlock()
	var idle []*instance
	var candidates []scheduler.Candidate
	for _, in := range s.instances() {
		if state := in.now(); state != Idle && state != Frozen || in.group == g {
			continue
		}
		f := in.group.function
		f.mu.Lock()
		c := scheduler.Candidate{UsedAt: in.usedAt, Claim: scheduler.Other}
		switch {
		case f == g.function && f.kept.group != in.group:
			c.Claim = scheduler.Stale
		case f.kept.group == in.group && in.group.instances <= f.kept.min:
			c.Claim = scheduler.Promise
		}
		f.mu.Unlock()
		idle, candidates = append(idle, in), append(candidates, c)
	}
	i, recheck := scheduler.Victim(candidates, busy, now)
	if i < 0 {
		return nil, recheck
	}
	return idle[i], 0
}
