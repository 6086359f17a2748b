package scheduler_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nimbus/internal/scheduler"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var policy = scheduler.Policy{
	FreezeAfter: time.Second, IdleTimeout: 2 * time.Minute, MaxAge: time.Hour, MaxInvocations: 1000, PingEvery: 10 * time.Second,
}

// ago is the moment that long before now.
func ago(d time.Duration) time.Time { return now.Add(-d) }

func TestIdle(t *testing.T) {
	t.Parallel()
	fresh := scheduler.Idle{StartedAt: now, UsedAt: now, SeenAt: now, Uses: 1, Pause: scheduler.Pausable}
	for name, c := range map[string]struct {
		change func(*scheduler.Idle)
		want   scheduler.Plan
	}{
		"just used": {func(*scheduler.Idle) {}, scheduler.Plan{Next: now.Add(time.Second)}},
		"to freeze": {func(i *scheduler.Idle) { i.UsedAt, i.SeenAt = ago(time.Second), ago(time.Second) },
			scheduler.Plan{Freeze: []int{0}, Next: now.Add(119 * time.Second)}},
		"frozen": {func(i *scheduler.Idle) {
			i.UsedAt, i.SeenAt, i.Pause = ago(time.Minute), ago(time.Minute), scheduler.Frozen
		},
			scheduler.Plan{Next: now.Add(time.Minute)}},
		"to ask": {func(i *scheduler.Idle) {
			i.UsedAt, i.SeenAt, i.Pause = ago(10*time.Second), ago(10*time.Second), scheduler.Unpausable
		}, scheduler.Plan{Check: []int{0}, Next: now.Add(110 * time.Second)}},
		"idle too long": {func(i *scheduler.Idle) { i.UsedAt, i.Pause = ago(2*time.Minute), scheduler.Frozen },
			scheduler.Plan{Reclaim: []scheduler.Reclaim{{Reason: scheduler.ReasonIdle}}, Next: now.Add(time.Hour)}},
		"idle too long for its function": {func(i *scheduler.Idle) { i.UsedAt, i.Timeout = ago(5*time.Second), 5*time.Second },
			scheduler.Plan{Reclaim: []scheduler.Reclaim{{Reason: scheduler.ReasonIdle}}, Next: now.Add(time.Hour)}},
		"too old":  {func(i *scheduler.Idle) { i.StartedAt = ago(time.Hour) }, scheduler.Plan{Reclaim: []scheduler.Reclaim{{Reason: scheduler.ReasonAge}}}},
		"worn out": {func(i *scheduler.Idle) { i.Uses = 1000 }, scheduler.Plan{Reclaim: []scheduler.Reclaim{{Reason: scheduler.ReasonUses}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := fresh
			c.change(&in)
			got := scheduler.Make(policy, scheduler.Snapshot{Idle: []scheduler.Idle{in}}, now)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBlanks(t *testing.T) {
	t.Parallel()
	blank := func(age time.Duration) scheduler.Blank { return scheduler.Blank{StartedAt: ago(age), SeenAt: now} }
	for name, c := range map[string]struct {
		runtime scheduler.Runtime
		start   int
		drop    []int
	}{
		"nothing wanted":             {scheduler.Runtime{}, 0, nil},
		"none there":                 {scheduler.Runtime{MinWarm: 1, TargetWarm: 3}, 3, nil},
		"some on their way":          {scheduler.Runtime{MinWarm: 1, TargetWarm: 3, Starting: 2}, 1, nil},
		"calls go first":             {scheduler.Runtime{MinWarm: 1, TargetWarm: 3, Waiting: 5}, 1, nil},
		"little room":                {scheduler.Runtime{TargetWarm: 3, MaxTotal: 10, Total: 9}, 1, nil},
		"no room":                    {scheduler.Runtime{TargetWarm: 3, MaxTotal: 10, Total: 11}, 0, nil},
		"starts fail":                {scheduler.Runtime{TargetWarm: 3, NotBefore: now.Add(time.Second)}, 0, nil},
		"starts failed a while ago":  {scheduler.Runtime{TargetWarm: 3, NotBefore: now}, 3, nil},
		"too many: the oldest go":    {scheduler.Runtime{TargetWarm: 1, Total: 3, Blanks: []scheduler.Blank{blank(2), blank(3), blank(1)}}, 0, []int{1, 0}},
		"an old one is replaced":     {scheduler.Runtime{TargetWarm: 1, Total: 1, Blanks: []scheduler.Blank{blank(time.Hour)}}, 1, []int{0}},
		"and counts until it's gone": {scheduler.Runtime{TargetWarm: 1, Total: 1, MaxTotal: 1, Blanks: []scheduler.Blank{blank(time.Hour)}}, 0, []int{0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := scheduler.Make(policy, scheduler.Snapshot{Runtimes: []scheduler.Runtime{c.runtime}}, now)
			start := 0
			for _, s := range plan.Start {
				start += s.Count
			}
			var drop []int
			for _, d := range plan.Drop {
				drop = append(drop, d.Blank)
			}
			if start != c.start || !cmp.Equal(drop, c.drop) {
				t.Errorf("start %d, drop %v; want %d, %v", start, drop, c.start, c.drop)
			}
		})
	}
}

func TestSilentBlanksAreAsked(t *testing.T) {
	t.Parallel()
	plan := scheduler.Make(policy, scheduler.Snapshot{Runtimes: []scheduler.Runtime{{TargetWarm: 2, Total: 2, Blanks: []scheduler.Blank{
		{StartedAt: ago(time.Minute), SeenAt: ago(9 * time.Second)}, {StartedAt: ago(time.Minute), SeenAt: ago(10 * time.Second)},
	}}}}, now)
	if diff := cmp.Diff(scheduler.Plan{Ping: []scheduler.BlankRef{{Blank: 1}}, Next: now.Add(time.Second)}, plan); diff != "" {
		t.Error(diff)
	}
}

// Whatever the snapshot, a plan names what is there, each once, keeps within bounds, and following it until
// Next would change nothing.
func TestPlansAreSound(t *testing.T) {
	t.Parallel()
	past := rapid.Map(rapid.Int64Range(0, int64(2*time.Hour)), func(d int64) time.Time { return ago(time.Duration(d)) })
	rapid.Check(t, func(t *rapid.T) {
		var s scheduler.Snapshot
		for range rapid.IntRange(0, 3).Draw(t, "runtimes") {
			r := scheduler.Runtime{
				MinWarm: rapid.IntRange(0, 4).Draw(t, "min"), TargetWarm: rapid.IntRange(0, 6).Draw(t, "target"),
				MaxTotal: rapid.IntRange(0, 12).Draw(t, "max"), Starting: rapid.IntRange(0, 3).Draw(t, "starting"),
				Waiting: rapid.IntRange(0, 1).Draw(t, "waiting"),
			}
			for range rapid.IntRange(0, 6).Draw(t, "blanks") {
				r.Blanks = append(r.Blanks, scheduler.Blank{StartedAt: past.Draw(t, "started"), SeenAt: past.Draw(t, "seen")})
			}
			r.Ending = rapid.IntRange(0, 2).Draw(t, "ending")
			r.Total = len(r.Blanks) + r.Starting + r.Ending + rapid.IntRange(0, 6).Draw(t, "others")
			s.Runtimes = append(s.Runtimes, r)
		}
		for range rapid.IntRange(0, 2).Draw(t, "kept") {
			k := scheduler.Kept{Min: rapid.IntRange(1, 4).Draw(t, "least"), Starting: rapid.IntRange(0, 2).Draw(t, "starting")}
			for range rapid.IntRange(0, 3).Draw(t, "busy") {
				k.Ready = append(k.Ready, scheduler.Life{StartedAt: past.Draw(t, "started"), Uses: rapid.IntRange(0, 1100).Draw(t, "uses")})
			}
			s.Kept = append(s.Kept, k)
		}
		for range rapid.IntRange(0, 8).Draw(t, "idle") {
			in := scheduler.Idle{
				StartedAt: past.Draw(t, "started"), UsedAt: past.Draw(t, "used"), SeenAt: past.Draw(t, "seen"),
				Uses: rapid.IntRange(0, 1100).Draw(t, "uses"), Pause: scheduler.Pause(rapid.IntRange(0, 2).Draw(t, "pause")),
				Runtime: rapid.IntRange(0, 2).Draw(t, "runtime"), Kept: rapid.IntRange(0, len(s.Kept)).Draw(t, "kept"),
			}
			if in.Kept > 0 {
				k := &s.Kept[in.Kept-1]
				k.Ready = append(k.Ready, scheduler.Life{StartedAt: in.StartedAt, Uses: in.Uses})
			}
			s.Idle = append(s.Idle, in)
		}
		plan := scheduler.Make(policy, s, now)
		wantSound(t, s, plan)
		if plan.Next.IsZero() {
			return
		}
		if !plan.Next.After(now) {
			t.Fatalf("the next plan is due at %s", plan.Next)
		}
		later := scheduler.Make(policy, s, plan.Next.Add(-1))
		later.Next = plan.Next
		if diff := cmp.Diff(plan, later); diff != "" {
			t.Fatalf("the plan changes before its time: %s", diff)
		}
	})
}

func wantSound(t *rapid.T, s scheduler.Snapshot, plan scheduler.Plan) {
	used := make(map[any]bool)
	use := func(what any) {
		if used[what] {
			t.Fatalf("%v is named twice", what)
		}
		used[what] = true
	}
	for _, i := range append(append([]int(nil), plan.Freeze...), plan.Check...) {
		use(i)
	}
	spare := make([]int, len(s.Kept))
	for i, k := range s.Kept {
		for _, l := range k.Ready {
			if now.Sub(l.StartedAt) < policy.MaxAge*9/10 && l.Uses < policy.MaxInvocations*9/10 {
				spare[i]++
			}
		}
		spare[i] -= k.Min
	}
	for _, l := range plan.Lacking {
		if l.Count < 1 || l.Count > s.Kept[l.Kept].Min || l.Count != -spare[l.Kept]-s.Kept[l.Kept].Starting {
			t.Fatalf("%d more are wanted of %+v", l.Count, s.Kept[l.Kept])
		}
	}
	for _, r := range plan.Reclaim {
		use(r.Idle)
		in := s.Idle[r.Idle]
		fresh := now.Sub(in.StartedAt) < policy.MaxAge*9/10 && in.Uses < policy.MaxInvocations*9/10
		if in.Kept > 0 && fresh {
			if spare[in.Kept-1]--; r.Reason == scheduler.ReasonIdle && spare[in.Kept-1] < 0 {
				t.Fatalf("%+v was promised and is reclaimed", in)
			}
		}
	}
	for _, b := range append(append([]scheduler.BlankRef(nil), plan.Drop...), plan.Ping...) {
		use(b)
	}
	for _, i := range plan.Freeze {
		if s.Idle[i].Pause != scheduler.Pausable {
			t.Fatalf("freezes %+v", s.Idle[i])
		}
	}
	for _, start := range plan.Start {
		r := s.Runtimes[start.Runtime]
		if start.Count < 1 || r.MaxTotal > 0 && r.Total+start.Count > r.MaxTotal ||
			r.Starting+start.Count > max(r.MinWarm, r.TargetWarm) {
			t.Fatalf("starts %d for %+v", start.Count, r)
		}
	}
}

func TestYields(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mine, theirs int
		want         bool
	}{{1, 0, false}, {2, 0, true}, {2, 1, false}, {9, 7, true}} {
		if got := scheduler.Yields(c.mine, c.theirs); got != c.want {
			t.Errorf("%d against %d: %t", c.mine, c.theirs, got)
		}
	}
}
