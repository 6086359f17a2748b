package scheduler

import (
	"cmp"
	"slices"
	"time"
)

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
		m.reclaim(i, in, reason)
		return
	}
	m.due(in.StartedAt, m.policy.MaxAge)
	timeout := in.Timeout
	if timeout <= 0 {
		timeout = m.policy.IdleTimeout
	}
	if m.due(in.UsedAt, timeout) && m.expendable(in) {
		m.reclaim(i, in, ReasonIdle)
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

// expendable reports whether nobody was promised the instance.
func (m *maker) expendable(in *Idle) bool {
	return in.Kept == 0 || m.spare[in.Kept-1] > 0 || !m.fresh(Life{in.StartedAt, in.Uses})
}

func (m *maker) reclaim(i int, in *Idle, reason Reason) {
	m.plan.Reclaim = append(m.plan.Reclaim, Reclaim{Idle: i, Reason: reason})
	if in.Kept > 0 && m.fresh(Life{in.StartedAt, in.Uses}) {
		m.spare[in.Kept-1]--
	}
}

// over finds the idle instances that go because their runtime has more than its total: those that nobody
// was promised first, and of them those that have idled longest.
func (m *maker) over(s *Snapshot) map[int]bool {
	over := make(map[int]bool)
	for r := range s.Runtimes {
		excess := s.Runtimes[r].Total - s.Runtimes[r].Ending - s.Runtimes[r].MaxTotal
		for _, drop := range m.plan.Drop {
			if drop.Runtime == r {
				excess--
			}
		}
		if s.Runtimes[r].MaxTotal == 0 || excess <= 0 {
			continue
		}
		var mine []int
		for i := range s.Idle {
			if s.Idle[i].Runtime == r {
				mine = append(mine, i)
			}
		}
		slices.SortStableFunc(mine, func(a, b int) int {
			return cmp.Or(cmp.Compare(min(s.Idle[a].Kept, 1), min(s.Idle[b].Kept, 1)), s.Idle[a].UsedAt.Compare(s.Idle[b].UsedAt))
		})
		for _, i := range mine[:min(excess, len(mine))] {
			over[i] = true
		}
	}
	return over
}

// Yields reports whether a function that has mine instances of a full runtime gives one up, when it is
// released, to a function that has theirs and waits for room.
func Yields(mine, theirs int) bool { return mine > theirs+1 }
