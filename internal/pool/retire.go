package pool

import "nimbus"

// Retire stops the instances of a function's other versions, now that keep serves: idle ones at once, those
// that run a call when it ends. With keep 0 the function was deleted: all go. Calls that wait are served.
func (p *Pool) Retire(functionID nimbus.ID, keep int64) {
	found, ok := p.functions.Load(functionID)
	if !ok {
		return
	}
	f := found.(*function)
	var e effects
	f.mu.Lock()
	f.epoch++
	f.keep = keep
	for _, g := range f.groups {
		if g.key.version == keep {
			continue
		}
		for _, in := range g.idle {
			e.stop(in)
		}
		g.idle = nil
	}
	f.mu.Unlock()
	p.do(&e)
}
