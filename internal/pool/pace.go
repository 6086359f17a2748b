package pool

import (
	"time"

	"nimbus/internal/scheduler"
)

// pace is how fast a group's instances serve, which says whether one more would help.
type pace struct {
	busy      int           // calls that run
	ended     int           // calls, since an instance came up last
	callTime  time.Duration // average
	startTime time.Duration // average
	moved     time.Time     // when an instance became free last, or the first one busy
	best      best
	queuedAt  time.Time // since when there have always been calls that wait, while there are
}

// bestSpan is how long the best time of a call counts, at least.
const bestSpan = 30 * time.Second

// best is the least time that a call took lately: in this span, or the one before.
type best struct {
	began    time.Time // of this span
	now, old time.Duration
}

func (b *best) add(took time.Duration, at time.Time) {
	if at.Sub(b.began) > bestSpan {
		b.began, b.now, b.old = at, took, b.now
	}
	b.now = min(b.now, took)
}

func (b *best) least() time.Duration {
	if b.old == 0 {
		return b.now
	}
	return min(b.now, b.old)
}

// started notes that an instance has come up.
func (p *pace) started(took time.Duration) {
	p.startTime = scheduler.Average(p.startTime, took)
	p.ended = 0
}

// began notes that a call has got one of the group's instances. The caller holds the function's mutex, as
// everywhere below.
func (g *group) began(now time.Time) {
	if g.pace.busy == 0 {
		g.pace.moved = now
	}
	g.pace.busy++
}

// wait has a call that is admitted wait for an instance.
func (g *group) wait(w *waiter) {
	if g.waiting.length == 0 {
		g.pace.queuedAt = w.since.Add(w.gated)
	}
	g.waiting.push(w)
}

// ended notes that a call has given it back which had it since then.
func (g *group) ended(since time.Time, v Verdict, now time.Time) {
	g.pace.busy--
	g.pace.ended++
	g.pace.moved = now
	if v != Unused {
		took := now.Sub(since)
		g.pace.callTime = scheduler.Average(g.pace.callTime, took)
		g.pace.best.add(took, now)
	}
}

// demand describes the group for the scheduler, to which a seat is as good as an instance. starts is how many may
// be begun.
func (g *group) demand(now time.Time, load scheduler.Load, starts int) scheduler.Demand {
	return scheduler.Demand{
		Waiting: g.waiting.length, Coming: g.coming(), Busy: g.pace.busy, Ended: g.pace.ended,
		CallTime: g.pace.callTime, LeastTime: g.pace.best.least(), StartTime: g.pace.startTime, Stalled: now.Sub(g.pace.moved),
		Lasting: now.Sub(g.pace.queuedAt),
		Load:    load, Starts: starts,
	}
}
