package pool

import (
	"time"

	"nimbus"
	"nimbus/internal/scheduler"
)

// Serve says which version of a function serves from now on; it is called for each function at the start, and
// after each change. The function's min_instances are kept ready of that version. Instances of its other
// versions are stopped: idle ones at once, or when the kept ones are up, those that run a call when it ends.
// Calls that wait for another version are served.
func (p *Pool) Serve(spec *Spec) {
	s, err := p.stockFor(spec)
	if err != nil {
		p.Forget(spec.FunctionID) // its calls are told why
		return
	}
	p.note(spec.FunctionID, s)
	least := spec.Version.Settings.MinInstances
	f, known := p.functions.Load(spec.FunctionID)
	if !known && least == 0 {
		return
	}
	for {
		if f == nil {
			f = p.lookup(spec.FunctionID)
		}
		if p.serve(f.(*function), spec, s, least) {
			return
		}
		f = nil
	}
}

// serve does it for a function, and reports false when the pool has forgotten it meanwhile.
func (p *Pool) serve(f *function, spec *Spec, s *stock, least int) bool {
	var e effects
	f.mu.Lock()
	if f.dead {
		f.mu.Unlock()
		return false
	}
	before := f.kept.group
	f.kept = kept{serving: spec.Version.Number, retiring: true}
	if least > 0 {
		f.kept.group, f.kept.min = f.group(p.keyOf(spec), spec, s), least
		e.wake = true
	}
	f.settleKept(&e)
	dead := before != nil && f.forget(before)
	f.mu.Unlock()
	if dead {
		p.functions.CompareAndDelete(f.id, f)
	}
	p.do(&e)
	return true
}

// Forget says that a function takes no calls any more: it was deleted, or is to rest. Its instances are
// stopped, idle ones at once, the others when their calls end. Calls that wait are served.
func (p *Pool) Forget(id nimbus.ID) {
	p.note(id, nil)
	found, ok := p.functions.Load(id)
	if !ok {
		return
	}
	f := found.(*function)
	var e effects
	f.mu.Lock()
	before := f.kept.group
	f.kept = kept{retiring: true}
	f.settleKept(&e)
	dead := before != nil && f.forget(before)
	f.mu.Unlock()
	if dead {
		p.functions.CompareAndDelete(f.id, f)
	}
	p.do(&e)
}

// note remembers which runtime a function's calls want; nil = none.
func (p *Pool) note(id nimbus.ID, s *stock) {
	p.servingMu.Lock()
	defer p.servingMu.Unlock()
	before := p.serving[id]
	if before == s {
		return
	}
	if before != nil {
		before.use(-1)
		delete(p.serving, id)
	}
	if s != nil {
		s.use(1)
		p.serving[id] = s
	}
	p.wake()
}

// lastKeptBackOff is the longest pause between starts of kept instances that fail: mostly the code is to blame,
// and other code is tried at once.
const lastKeptBackOff = 5 * time.Minute

// kept is what a function is promised: instances of the version that serves. Its function's mutex guards it.
type kept struct {
	serving   int64  // the version
	group     *group // of it; nil = none are kept
	min       int
	retiring  bool // instances of other versions have not been told to go
	failures  int  // of starts, in a row
	notBefore time.Time
}

// started notes that an instance of the group is up. The caller holds the function's mutex, as everywhere
// below.
func (k *kept) started(g *group) {
	if k.group == g {
		k.failures, k.notBefore = 0, time.Time{}
	}
}

// failed makes the next start wait, longer each time.
func (k *kept) failed(g *group, now time.Time) {
	if k.group == g {
		k.notBefore = now.Add(min(firstBackOff<<min(k.failures, 16), lastKeptBackOff))
		k.failures++
	}
}

// up reports whether every kept instance is there, or cannot be.
func (k *kept) up() bool {
	return k.group == nil || k.group.instances-k.group.starting >= k.min || k.failures > 0
}

// settleKept retires the instances of other versions once those that are kept are up.
func (f *function) settleKept(e *effects) {
	if f.kept.retiring && f.kept.up() {
		f.retire(e)
	}
}

// retire ends instances of every version but the one that serves.
func (f *function) retire(e *effects) {
	f.kept.retiring = false
	f.epoch++
	f.keep = f.kept.serving
	for _, g := range f.groups {
		if g.key.version == f.keep {
			continue
		}
		for _, in := range g.idle {
			e.stop(in)
		}
		g.idle = nil
	}
}

// describe is what the scheduler sees of a kept group whose instances those are.
func (k *kept) describe(up []*instance) scheduler.Kept {
	d := scheduler.Kept{Min: k.min, Starting: k.group.starting, NotBefore: k.notBefore}
	for _, in := range up {
		d.Ready = append(d.Ready, scheduler.Life{StartedAt: in.startedAt, Uses: in.uses})
	}
	return d
}
