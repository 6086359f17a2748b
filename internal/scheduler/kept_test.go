package scheduler_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nimbus/internal/scheduler"
)

func TestKept(t *testing.T) {
	t.Parallel()
	life := func(age time.Duration, uses int) scheduler.Life {
		return scheduler.Life{StartedAt: ago(age), Uses: uses}
	}
	for name, c := range map[string]struct {
		kept    scheduler.Kept
		lacking int
		next    time.Duration
	}{
		"none there":           {scheduler.Kept{Min: 2}, 2, 0},
		"some on their way":    {scheduler.Kept{Min: 3, Starting: 2}, 1, 0},
		"all there":            {scheduler.Kept{Min: 1, Ready: []scheduler.Life{life(0, 0)}}, 0, 54 * time.Minute},
		"more than are kept":   {scheduler.Kept{Min: 1, Ready: []scheduler.Life{life(0, 0), life(0, 0)}}, 0, 54 * time.Minute},
		"one is growing old":   {scheduler.Kept{Min: 1, Ready: []scheduler.Life{life(54*time.Minute, 0)}}, 1, 0},
		"one is wearing out":   {scheduler.Kept{Min: 1, Ready: []scheduler.Life{life(0, 900)}}, 1, 0},
		"its successor is up":  {scheduler.Kept{Min: 1, Ready: []scheduler.Life{life(0, 900), life(0, 3)}}, 0, 54 * time.Minute},
		"starts fail":          {scheduler.Kept{Min: 1, NotBefore: now.Add(time.Second)}, 0, time.Second},
		"starts failed before": {scheduler.Kept{Min: 1, NotBefore: now}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := scheduler.Make(policy, scheduler.Snapshot{Kept: []scheduler.Kept{c.kept}}, now)
			want := scheduler.Plan{}
			if c.lacking > 0 {
				want.Lacking = []scheduler.Lack{{Count: c.lacking}}
			}
			if c.next > 0 {
				want.Next = now.Add(c.next)
			}
			if diff := cmp.Diff(want, plan); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Of instances that have idled too long, as many stay as are kept: those used last.
func TestKeptInstancesIdleOn(t *testing.T) {
	t.Parallel()
	idle := func(uses int, idled time.Duration) scheduler.Idle {
		return scheduler.Idle{Kept: 1, StartedAt: ago(30 * time.Minute), UsedAt: ago(idled), SeenAt: now, Uses: uses, Pause: scheduler.Frozen}
	}
	s := scheduler.Snapshot{
		Kept: []scheduler.Kept{{Min: 1, Ready: []scheduler.Life{{ago(30 * time.Minute), 950}, {ago(30 * time.Minute), 1}, {ago(30 * time.Minute), 2}}}},
		Idle: []scheduler.Idle{idle(950, 20*time.Minute), idle(1, 10*time.Minute), idle(2, 5*time.Minute)},
	}
	var reclaimed []int
	for _, r := range scheduler.Make(policy, s, now).Reclaim {
		reclaimed = append(reclaimed, r.Idle)
	}
	if diff := cmp.Diff([]int{0, 1}, reclaimed); diff != "" {
		t.Errorf("reclaimed (-want +got):\n%s", diff)
	}
}

// A total that was lowered is reached by stopping what idles, what was promised last.
func TestATotalThatIsPassed(t *testing.T) {
	t.Parallel()
	idle := func(kept int, idled time.Duration) scheduler.Idle {
		return scheduler.Idle{Kept: kept, StartedAt: ago(time.Minute), UsedAt: ago(idled), SeenAt: now}
	}
	s := scheduler.Snapshot{
		Runtimes: []scheduler.Runtime{{MaxTotal: 4, Total: 8, Ending: 1, Blanks: []scheduler.Blank{{StartedAt: now, SeenAt: now}}}},
		Kept:     []scheduler.Kept{{Min: 1, Ready: []scheduler.Life{{StartedAt: ago(time.Minute)}}}},
		Idle:     []scheduler.Idle{idle(1, 50*time.Second), idle(0, 10*time.Second), idle(0, 20*time.Second)},
	}
	plan := scheduler.Make(policy, s, now)
	want := []scheduler.Reclaim{{Idle: 1, Reason: scheduler.ReasonFull}, {Idle: 2, Reason: scheduler.ReasonFull}}
	if diff := cmp.Diff(want, plan.Reclaim); diff != "" || len(plan.Drop) != 1 {
		t.Errorf("drops %d, reclaims (-want +got):\n%s", len(plan.Drop), diff)
	}
}
