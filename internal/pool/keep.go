package pool

import (
	"errors"
	"time"

	"nimbus/internal/driver"
	"nimbus/internal/obs"
)

// keep starts instances that a function was promised, as many as there are hands and room for.
func (r *runner) keep(g *group, count int) {
	for range count {
		if r.pool.stopping.Load() || r.refilling.Load() >= int64(r.pool.config().Refills) {
			return // the end of one asks for a new plan
		}
		f := g.function
		f.mu.Lock()
		if f.kept.group != g {
			f.mu.Unlock()
			return // another version serves by now
		}
		epoch := g.reserve()
		f.mu.Unlock()
		in := r.pool.enlist(g, epoch)
		if in == nil {
			r.yield(g)
			return
		}
		r.task(&r.refilling, func() { r.start(g, in) })
	}
}

// yield has a function's other versions make room for those it was promised. When that is not enough the
// promise waits: max_total goes first.
func (r *runner) yield(g *group) {
	var e effects
	f := g.function
	f.mu.Lock()
	if f.kept.group == g && f.kept.retiring {
		f.retire(&e)
	}
	f.mu.Unlock()
	r.pool.do(&e)
}

// complain tells in the function's log why an instance it was promised is not there: no call has been told.
func (r *runner) complain(g *group, err error) {
	r.pool.log.Warn("kept instance could not be started", "function", g.function.id.String(), "version", g.key.version, "error", err)
	texts := []string{"an instance that min_instances asks for could not be started"}
	var init *driver.InitError
	if errors.As(err, &init) {
		texts = append([]string{texts[0] + ": " + init.Error()}, init.Stack...)
	}
	for _, text := range texts {
		r.pool.logs.Append(obs.LogLine{Time: time.Now(), Function: g.function.id, Version: g.key.version,
			Stream: obs.StreamPlatform, Text: text})
	}
}
