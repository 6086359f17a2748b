package pool

import (
	"time"

	"nimbus/internal/scheduler"
)

// pace is how fast a group's instances serve, which says whether one more would help.
type pace struct {
	busy      int           // instances that run a call
	callTime  time.Duration // average
	startTime time.Duration // average
	moved     time.Time     // when an instance became free last, or the first one busy
}

// began notes that a call has got one of the group's instances. The caller holds the function's mutex, as
// everywhere below.
func (g *group) began(now time.Time) {
	if g.pace.busy == 0 {
		g.pace.moved = now
	}
	g.pace.busy++
}

// ended notes that the call has given it back.
func (g *group) ended(in *instance, v Verdict, now time.Time) {
	g.pace.busy--
	g.pace.moved = now
	if v != Unused {
		g.pace.callTime = scheduler.Average(g.pace.callTime, now.Sub(in.busyAt))
	}
}

// demand describes the group for the scheduler. starts is how many may be begun.
func (g *group) demand(now time.Time, load scheduler.Load, starts int) scheduler.Demand {
	return scheduler.Demand{
		Waiting: g.waiting.length, Coming: g.starting + g.freezing, Busy: g.pace.busy,
		CallTime: g.pace.callTime, StartTime: g.pace.startTime, Stalled: now.Sub(g.pace.moved),
		Load: load, Starts: starts,
	}
}
