package pool

import (
	"math"

	"nimbus/internal/scheduler"
)

// startPending begins a start for each group in turn, until none is short, the bound of starts at once is
// reached, or there is no room. A group without room evicts an instance of another, and waits.
func (r *runner) startPending() {
	p := r.pool
	r.pending = append(r.pending, p.starts.take()...)
	room := newRoom(p)
	var parked []*group
	for len(r.pending) > 0 && r.starting.Load() < int64(p.config().Starts) {
		g := r.pending[0]
		r.pending = r.pending[1:]
		in, more := r.begin(g)
		switch {
		case in != nil:
			r.task(&r.starting, func() { r.start(g, in) })
			r.pending = append(r.pending, g)
		case more:
			room.make(g)
			parked = append(parked, g)
		}
	}
	r.pending = append(parked, r.pending...)
	room.publish(parked)
}

// begin finds an instance that is to become one of the group: a blank, or a new one if there is room. more
// reports whether the group is short all the same.
func (r *runner) begin(g *group) (in *instance, more bool) {
	p, f := r.pool, g.function
	f.mu.Lock()
	if !g.short() || f.starting >= p.config().StartsPerFunction {
		g.queued = false // whoever makes it short again, or ends a start, enters it anew
		dead := f.forget(g)
		f.mu.Unlock()
		if dead {
			p.functions.CompareAndDelete(f.id, f)
		}
		return nil, false
	}
	g.starting++
	f.starting++
	g.instances++
	f.instances++
	epoch := f.epoch
	f.mu.Unlock()

	if !needsFreshProcess(g.spec.Version.Settings.Env) {
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
		f.mu.Lock()
		g.starting--
		f.starting--
		g.instances--
		f.instances--
		f.mu.Unlock()
	}
	return in, true
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
	freeing map[*stock]int
}

func newRoom(p *Pool) *room { return &room{pool: p, freeing: make(map[*stock]int)} }

// make evicts the instance that has idled longest among those of other groups. When none is idle, the group
// gets the next that is released.
func (m *room) make(g *group) {
	s := g.stock
	freeing, counted := m.freeing[s]
	if !counted {
		freeing = s.count(Stopping)
	}
	m.freeing[s] = freeing - 1
	if freeing > 0 {
		return
	}
	var e effects
	if victim := s.blank(); victim != nil {
		e.stop(victim)
	} else if victim := s.oldestIdle(g); victim != nil {
		f := victim.group.function
		f.mu.Lock()
		if victim.group.remove(victim) {
			e.stop(victim)
		}
		f.mu.Unlock()
	}
	m.pool.do(&e)
}

// publish tells the stocks for whom functions are to give up instances.
func (m *room) publish(parked []*group) {
	for _, s := range m.pool.stocks {
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

// oldestIdle finds the instance of another group that has idled longest; nil when there is none.
func (s *stock) oldestIdle(but *group) *instance {
	var candidates []*instance
	var idle []scheduler.Idle
	for _, in := range s.instances() {
		if state := in.now(); state != Idle && state != Frozen || in.group == but {
			continue
		}
		f := in.group.function
		f.mu.Lock()
		usedAt := in.usedAt
		f.mu.Unlock()
		candidates = append(candidates, in)
		idle = append(idle, scheduler.Idle{UsedAt: usedAt})
	}
	if i := scheduler.Oldest(idle); i >= 0 {
		return candidates[i]
	}
	return nil
}
