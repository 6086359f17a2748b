package scheduler

import "time"

// Kept is the version of a function that has instances kept ready for it.
type Kept struct {
	Min       int // how many
	Ready     []Life
	Starting  int
	NotBefore time.Time // starts fail: none before this
}

// Life is what an instance has behind it.
type Life struct {
	StartedAt time.Time
	Uses      int
}

// Lack asks for instances of a kept version.
type Lack struct {
	Kept  int
	Count int
}

// wearingTenths says when a kept instance is replaced: when it has served so many tenths of what it may, so
// that the other is up when it goes.
const wearingTenths = 9

// fresh reports whether an instance has long to live. If so, the plan remembers when that ends.
func (m *maker) fresh(l Life) bool {
	if most := m.policy.MaxInvocations; most > 0 && l.Uses*10 >= most*wearingTenths {
		return false
	}
	return !m.due(l.StartedAt, m.policy.MaxAge/10*wearingTenths)
}

// kept plans what a kept version lacks, and returns how many of its instances there are too many of.
func (m *maker) kept(index int, k *Kept) (spare int) {
	fresh := 0
	for _, l := range k.Ready {
		if m.fresh(l) {
			fresh++
		}
	}
	lacking := k.Min - fresh - k.Starting
	switch {
	case lacking <= 0:
	case k.NotBefore.After(m.now):
		m.due(m.now, k.NotBefore.Sub(m.now))
	default:
		m.plan.Lacking = append(m.plan.Lacking, Lack{Kept: index, Count: lacking})
	}
	return fresh - k.Min
}
