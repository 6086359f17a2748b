package pool

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// upkeepPause is the least time between two plans.
const upkeepPause = 20 * time.Millisecond

// Run starts, keeps and stops instances until ctx ends. Then new calls are refused, held and running ones
// have the configured grace to end, every instance is stopped and every goroutine joined.
func (p *Pool) Run(ctx context.Context) error {
	base := context.WithoutCancel(ctx)
	work, cancel := context.WithCancel(base)
	defer cancel()
	r := &runner{pool: p, work: work, base: base, gone: make(chan struct{})}
	r.loop(ctx, func() bool { return false })

	p.stopping.Store(true)
	grace, over := context.WithTimeout(base, p.config().Grace)
	defer over()
	r.loop(grace, p.quiet)

	close(p.closed)
	cancel()
	r.tasks.Wait()
	r.stopAll()
	close(r.gone)
	r.watchers.Wait()
	return nil
}

// quiet reports whether no call runs or waits.
func (p *Pool) quiet() bool {
	busy := 0
	p.each(func(f *function) {
		f.mu.Lock()
		busy += f.admitted + f.gated.length
		f.mu.Unlock()
	})
	return busy == 0
}

// runner owns the pool's goroutines.
type runner struct {
	pool *Pool
	work context.Context // of starts and chores
	base context.Context // of stops, which go on when work has ended

	tasks    sync.WaitGroup // starts, chores and stops
	watchers sync.WaitGroup // one for each instance
	gone     chan struct{}  // closed when watchers are to give up

	starting  atomic.Int64
	refilling atomic.Int64
	chores    atomic.Int64
	ending    atomic.Int64

	pending  []*group  // want an instance started
	deferred []*group  // wait for one of theirs to become free rather than for a start
	recheck  time.Time // when to look at them again; zero = when something has happened
	last     time.Time // of the last plan
	next     time.Time // of the next
}

// loop works until ctx ends or idle reports true.
func (r *runner) loop(ctx context.Context, idle func() bool) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for !idle() {
		select {
		case <-ctx.Done():
			return
		case <-r.pool.kick:
			if soon := r.last.Add(upkeepPause); r.next.IsZero() || soon.Before(r.next) {
				r.next = soon
			}
		case <-timer.C:
		}
		now := time.Now()
		r.dispatch(now)
		if !r.next.IsZero() && !now.Before(r.next) || r.last.IsZero() {
			r.last, r.next = now, r.upkeep(now)
		}
		if at := earliest(r.next, r.recheck); !at.IsZero() {
			timer.Reset(max(at.Sub(now), 0))
		}
	}
}

// dispatch begins what can be begun: stops first, because they make room.
func (r *runner) dispatch(now time.Time) {
	for r.ending.Load() < int64(r.pool.config().Chores) {
		in := r.pool.stops.pop()
		if in == nil {
			break
		}
		r.task(&r.ending, func() { r.stop(in) })
	}
	r.startPending(now)
}

// earliest is the first of two moments; zero stands for never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// task runs do on a goroutine that is counted while it lasts, and looks for work after it.
func (r *runner) task(count *atomic.Int64, do func()) {
	count.Add(1)
	r.tasks.Go(func() {
		do()
		count.Add(-1)
		r.pool.wake()
	})
}
