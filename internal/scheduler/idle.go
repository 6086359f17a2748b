package scheduler

import "time"

// Worn says whether an instance has served long or often enough to be replaced, and which.
func (p Policy) Worn(startedAt time.Time, uses int, now time.Time) (Reason, bool) {
	switch {
	case p.MaxInvocations > 0 && uses >= p.MaxInvocations:
		return ReasonUses, true
	case p.MaxAge > 0 && now.Sub(startedAt) >= p.MaxAge:
		return ReasonAge, true
	}
	return "", false
}

// idle plans for an instance that waits for a call: reclaim it, freeze it, ask it, or let it be.
func (m *maker) idle(i int, in *Idle) {
	if reason, worn := m.policy.Worn(in.StartedAt, in.Uses, m.now); worn {
		m.plan.Reclaim = append(m.plan.Reclaim, Reclaim{Idle: i, Reason: reason})
		return
	}
	m.due(in.StartedAt, m.policy.MaxAge)
	timeout := in.Timeout
	if timeout <= 0 {
		timeout = m.policy.IdleTimeout
	}
	if m.due(in.UsedAt, timeout) {
		m.plan.Reclaim = append(m.plan.Reclaim, Reclaim{Idle: i, Reason: ReasonIdle})
		return
	}
	if in.Pause == Pausable && m.due(in.UsedAt, m.policy.FreezeAfter) {
		m.plan.Freeze = append(m.plan.Freeze, i)
		return
	}
	// A frozen instance cannot answer, and waking it to ask is what freezing is to avoid.
	if in.Pause != Frozen && m.due(in.SeenAt, m.policy.PingEvery) {
		m.plan.Check = append(m.plan.Check, i)
	}
}

// Oldest returns the index of the instance that has idled longest, or -1 when there is none.
func Oldest(idle []Idle) int {
	oldest := -1
	for i := range idle {
		if oldest < 0 || idle[i].UsedAt.Before(idle[oldest].UsedAt) {
			oldest = i
		}
	}
	return oldest
}

// Yields reports whether a function that has mine instances of a full runtime gives one up, when it is
// released, to a function that has theirs and waits for room.
func Yields(mine, theirs int) bool { return mine > theirs+1 }
