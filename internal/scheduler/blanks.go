package scheduler

import (
	"cmp"
	"slices"
)

// blanks plans the stock of one runtime: drop what is old or too many, ask the rest, refill.
func (m *maker) blanks(index int, r *Runtime) {
	kept := m.keep(index, r)
	for _, b := range kept {
		if m.due(r.Blanks[b].SeenAt, m.policy.PingEvery) {
			m.plan.Ping = append(m.plan.Ping, BlankRef{index, b})
		}
	}
	if n := refill(r, len(kept)); n > 0 {
		if r.NotBefore.After(m.now) {
			m.due(m.now, r.NotBefore.Sub(m.now))
			return
		}
		m.plan.Start = append(m.plan.Start, Start{Runtime: index, Count: n})
	}
}

// keep drops blanks that are too old, then the oldest of those over the target, and returns the others.
func (m *maker) keep(index int, r *Runtime) []int {
	var kept []int
	for b := range r.Blanks {
		if m.due(r.Blanks[b].StartedAt, m.policy.MaxAge) {
			m.plan.Drop = append(m.plan.Drop, BlankRef{index, b})
			continue
		}
		kept = append(kept, b)
	}
	over := len(kept) - r.target()
	if over <= 0 {
		return kept
	}
	slices.SortStableFunc(kept, func(a, b int) int {
		return cmp.Or(r.Blanks[a].StartedAt.Compare(r.Blanks[b].StartedAt), cmp.Compare(a, b))
	})
	for _, b := range kept[:over] {
		m.plan.Drop = append(m.plan.Drop, BlankRef{index, b})
	}
	return kept[over:]
}

// refill is how many blanks to start when so many are kept. Dropped ones still count against MaxTotal: they
// make room only when they are gone.
func refill(r *Runtime, kept int) int {
	want := r.target()
	if r.Waiting > 0 {
		want = r.MinWarm // calls go first
	}
	n := want - kept - r.Starting
	if r.MaxTotal > 0 {
		n = min(n, r.MaxTotal-r.Total)
	}
	return max(n, 0)
}

func (r *Runtime) target() int { return max(r.MinWarm, r.TargetWarm) }
