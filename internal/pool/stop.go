package pool

import (
	"context"
	"sync"
	"time"
)

// stopPause is how long a stop that failed rests before it is tried again.
const stopPause = time.Second

// watch waits for the instance's end, whoever brings it about.
func (r *runner) watch(in *instance) {
	select {
	case <-in.driver.Done():
		r.ended(in)
	case <-r.gone:
	}
}

// ended takes an instance of which nothing is left out of everything. It does so once.
func (r *runner) ended(in *instance) {
	before := in.now()
	if !in.move(Stopped) {
		return
	}
	in.output.close()
	g := in.stock.remove(in)
	if g == nil {
		r.pool.wake() // a blank less
		return
	}
	if before == Idle || before == Frozen {
		r.pool.log.Warn("idle instance ended by itself", "instance_id", in.id, "function", g.function.id.String(),
			"exit", in.driver.Exit().String())
	}
	var e effects
	f := g.function
	f.mu.Lock()
	g.remove(in)
	in.closing = true
	g.settleSeats(in)
	g.instances--
	f.instances--
	if g.short() {
		e.want(g)
	}
	dead := f.forget(g)
	f.mu.Unlock()
	if dead {
		r.pool.functions.CompareAndDelete(f.id, f)
	}
	e.wake = true // there is room for another
	r.pool.do(&e)
}

// discard ends an instance whose start has failed.
func (r *runner) discard(in *instance) {
	if in.driver == nil {
		r.ended(in)
		return
	}
	var e effects
	e.stop(in)
	r.pool.do(&e)
}

// stop ends an instance, trying until nothing of it is left or the pool ends.
func (r *runner) stop(in *instance) {
	for {
		ctx, cancel := context.WithTimeout(r.base, r.pool.config().StopTimeout)
		err := in.driver.Stop(ctx)
		cancel()
		if err == nil {
			return
		}
		r.pool.log.Error("instance could not be stopped", "instance_id", in.id, "error", err)
		select {
		case <-in.driver.Done():
			return
		case <-r.work.Done():
			return
		case <-time.After(stopPause):
		}
	}
}

// stopAll ends every instance there is. Nothing is started any more.
func (r *runner) stopAll() {
	queue := make(chan *instance)
	var workers sync.WaitGroup
	for range r.pool.config().Chores {
		workers.Go(func() {
			for in := range queue {
				in.move(Stopping)
				r.stop(in)
			}
		})
	}
	for _, s := range r.pool.stocks {
		for _, in := range s.instances() {
			queue <- in
		}
	}
	close(queue)
	workers.Wait()
}
