package pool

import (
	"sync"
	"time"

	"nimbus"
	"nimbus/internal/driver"
)

// Spec is the function version that an instance is wanted of. It is shared and never changes.
type Spec struct {
	FunctionID   nimbus.ID
	FunctionName string
	Namespace    string
	Version      *nimbus.Version
	VersionText  string // Version.Number in decimal
}

// key tells instances that can stand in for each other.
type key struct {
	version int64
	size    driver.Resources
}

func (p *Pool) keyOf(spec *Spec) key {
	settings := &spec.Version.Settings
	return key{version: spec.Version.Number, size: driver.Resources{
		Memory: settings.Memory, CPUMilli: settings.CPUMilli, PIDs: p.config().Limits.PIDs, Tmp: settings.Tmp,
	}}
}

// function holds everything of one function: its instances by version, the calls that wait.
type function struct {
	id nimbus.ID

	mu        sync.Mutex
	groups    map[key]*group
	gated     queue // calls that wait because max_concurrency others are admitted
	admitted  int   // calls that run, or wait for an instance
	held      int   // calls that wait, here or in a group
	limit     int   // max_concurrency of the newest version seen; 0 = unbounded
	newest    int64
	starting  int    // cold starts
	instances int    // with code
	epoch     uint64 // counts retirements
	keep      int64  // version the last one kept
	kept      kept
	dead      bool // removed from the pool's map
}

// group is the instances of one version and size. Its function's mutex guards it.
type group struct {
	function  *function
	key       key
	spec      *Spec
	stock     *stock
	seats     int         // calls that one instance takes at once
	idle      []*instance // by usedAt: the last was used last
	roomy     []*instance // in use and with a free seat; the last is the first to be filled
	waiting   queue
	starting  int
	freezing  int // instances that are about to be back
	instances int
	gated     int  // calls that wait for admission
	queued    bool // in the start queue
	pace      pace
}

// lookup returns the function of an id, creating it when it is new.
func (p *Pool) lookup(id nimbus.ID) *function {
	if f, ok := p.functions.Load(id); ok {
		return f.(*function)
	}
	f, _ := p.functions.LoadOrStore(id, &function{id: id, groups: make(map[key]*group)})
	return f.(*function)
}

// each calls do for every function.
func (p *Pool) each(do func(f *function)) {
	p.functions.Range(func(_, f any) bool {
		do(f.(*function))
		return true
	})
}

// group returns the group that serves spec. The caller holds the mutex, as everywhere below.
func (f *function) group(k key, spec *Spec, s *stock) *group {
	g := f.groups[k]
	if g == nil {
		g = &group{function: f, key: k, spec: spec, stock: s, seats: max(1, spec.Version.Settings.InstanceConcurrency)}
		f.groups[k] = g
	}
	if v := spec.Version; v.Number >= f.newest {
		f.newest, f.limit = v.Number, v.Settings.MaxConcurrency
	}
	return g
}

// open reports whether one more call may be admitted.
func (f *function) open() bool { return f.limit == 0 || f.admitted < f.limit }

// admit lets gated calls in as far as max_concurrency allows.
func (f *function) admit(e *effects) {
	for f.gated.length > 0 && f.open() {
		w := f.gated.pop()
		w.gated = time.Since(w.since)
		w.group.gated--
		f.admitted++
		if in := w.group.pop(); in != nil {
			f.held--
			e.grant(w, in.take(nimbus.Phases{}, warm))
			continue
		}
		w.group.wait(w)
		if w.group.short() {
			e.want(w.group)
		}
	}
}

// restart is called when a start has ended: a group of another version may have been passed over because
// StartsPerFunction were going on.
func (f *function) restart(e *effects) {
	for _, g := range f.groups {
		if g.short() {
			e.want(g)
		}
	}
}

// forget drops a group that nothing hangs on, and then the function, which the caller removes from the map
// when forget reports true.
func (f *function) forget(g *group) bool {
	if g.instances > 0 || g.starting > 0 || g.waiting.length > 0 || g.gated > 0 || g.queued || f.kept.group == g {
		return false
	}
	if f.groups[g.key] == g {
		delete(f.groups, g.key)
	}
	f.dead = len(f.groups) == 0 && f.held == 0 && f.admitted == 0
	return f.dead
}

// pop takes the instance that was used last, and of those that are in use already one with a free seat; nil when
// there is none. It is Leased then.
func (g *group) pop() *instance {
	if len(g.roomy) > 0 {
		if in := g.popRoomy(); in != nil {
			return in
		}
	}
	for n := len(g.idle); n > 0; n = len(g.idle) {
		in := g.idle[n-1]
		g.idle[n-1] = nil
		g.idle = g.idle[:n-1]
		// One that has ended by itself is left to its watcher.
		if in.alive() && in.move(Leased) {
			return in
		}
	}
	return nil
}

// put makes the instance wait for a call, behind those that were used after it.
func (g *group) put(in *instance) {
	state := Idle
	if in.paused {
		state = Frozen
	}
	if !in.move(state) {
		return // it has ended meanwhile
	}
	i := len(g.idle)
	g.idle = append(g.idle, in)
	for ; i > 0 && g.idle[i-1].usedAt.After(in.usedAt); i-- {
		g.idle[i] = g.idle[i-1]
	}
	g.idle[i] = in
}

// remove takes the instance out of the idle ones and reports whether it was there.
func (g *group) remove(in *instance) bool {
	for i, other := range g.idle {
		if other == in {
			g.idle = append(g.idle[:i], g.idle[i+1:]...)
			return true
		}
	}
	return false
}

// coming is how many calls the instances that are on their way will take at once.
func (g *group) coming() int { return (g.starting + g.freezing) * g.seats }

// short reports whether more calls wait than instances are on their way for.
func (g *group) short() bool { return g.waiting.length > g.coming() }

// hand gives an instance that is free to the first call that waits, or to as many as share it, else makes it idle.
// The instance is Leased or Specializing.
func (g *group) hand(in *instance, phases nimbus.Phases, start startKind, e *effects) {
	if in.now() != Leased && g.waiting.length > 0 && !in.move(Leased) {
		return // it has ended meanwhile
	}
	if w := g.waiting.pop(); w != nil {
		g.function.held--
		e.grant(w, in.take(phases, start))
		if g.seats > 1 {
			g.offer(in, phases, start, e)
		}
		return
	}
	g.put(in)
}

// retired reports whether a newer version has taken over since the instance was started, and no call waits for
// the old one.
func (g *group) retired(in *instance) bool {
	f := g.function
	return in.born < f.epoch && g.key.version != f.keep && g.waiting.length == 0
}

// spent reports whether an instance is to take no other call.
func (g *group) spent(in *instance, p *Pool, now time.Time) bool {
	_, worn := p.config().Policy.Worn(in.startedAt, in.uses, now)
	return worn || g.retired(in) || g.stock.wants(g.function) || !in.alive()
}

// place decides what becomes of an instance whose call has ended: it is handed on, kept, or stopped.
func (g *group) place(in *instance, p *Pool, now time.Time, e *effects) {
	if g.spent(in, p, now) {
		e.stop(in)
		if g.short() {
			e.want(g)
		}
		return
	}
	g.hand(in, nimbus.Phases{}, warm, e)
	if g.stock.starved.Load() > 0 {
		e.wake = true // it may be evicted for another function
	}
}
