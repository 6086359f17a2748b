package scheduler_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"nimbus/internal/scheduler"
)

func TestGrow(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		demand  scheduler.Demand
		starts  int
		recheck time.Duration
	}{
		"nobody waits":                  {scheduler.Demand{Starts: 8}, 0, 0},
		"the first call":                {scheduler.Demand{Waiting: 1, Starts: 8}, 1, 0},
		"one is on its way":             {scheduler.Demand{Waiting: 1, Coming: 1, Starts: 8}, 0, 0},
		"many first calls":              {scheduler.Demand{Waiting: 20, Starts: 8}, 8, 0},
		"nothing is known of the calls": {scheduler.Demand{Waiting: 3, Busy: 1, Starts: 8}, 3, 0},
		"a busy one is free sooner": {scheduler.Demand{Waiting: 4, Busy: 2, CallTime: ms, StartTime: 5 * ms, Starts: 8},
			0, 5 * ms / 2},
		"a start is sooner": {scheduler.Demand{Waiting: 4, Busy: 2, CallTime: 100 * ms, StartTime: 5 * ms, Starts: 8}, 4, ms},
		"as many as bring the wait down to a start": {
			scheduler.Demand{Waiting: 100, Busy: 2, CallTime: ms, StartTime: 20 * ms, Starts: 8}, 3, ms},
		"calls take longer than they used to": {
			scheduler.Demand{Waiting: 1, Busy: 1, CallTime: ms, StartTime: 5 * ms, Stalled: 6 * ms, Starts: 8}, 1, ms},
		"it has been going on for long": {
			scheduler.Demand{Waiting: 4, Busy: 2, CallTime: ms, StartTime: 5 * ms, Lasting: time.Second, Starts: 8}, 1, ms},
		"and one is coming": {
			scheduler.Demand{Waiting: 4, Busy: 2, Coming: 1, CallTime: ms, StartTime: 5 * ms, Lasting: time.Second, Starts: 8}, 0, 5 * ms / 2},
		"crowded: calls would take turns": {scheduler.Demand{Waiting: 100, Busy: 4, CallTime: 4 * ms, LeastTime: ms, StartTime: 5 * ms, Ended: 4,
			Lasting: time.Second, Load: scheduler.Saturated, Starts: 8}, 0, 10 * ms},
		"crowded, and the wait is long": {scheduler.Demand{Waiting: 100, Busy: 4, CallTime: 40 * ms, LeastTime: ms, StartTime: 5 * ms, Ended: 4,
			Load: scheduler.Saturated, Starts: 8}, 1, ms},
		"crowded: one after the other": {scheduler.Demand{Waiting: 100, Busy: 4, Coming: 1, CallTime: 40 * ms, LeastTime: ms, StartTime: 5 * ms, Ended: 4,
			Load: scheduler.Saturated, Starts: 8}, 0, ms},
		"no processor is idle, but the calls wait for something else": {scheduler.Demand{Waiting: 100, Busy: 4, CallTime: 102 * ms, LeastTime: 100 * ms,
			StartTime: 5 * ms, Ended: 4, Load: scheduler.Saturated, Starts: 8}, 4, ms},
		"no processor is idle, and the last ones have not shown what they do": {scheduler.Demand{Waiting: 100, Busy: 4, CallTime: 102 * ms,
			LeastTime: 100 * ms, StartTime: 5 * ms, Ended: 3, Load: scheduler.Saturated, Starts: 8}, 0, ms},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			starts, recheck := scheduler.Grow(c.demand)
			if starts != c.starts || recheck != c.recheck {
				t.Errorf("starts %d and asks again after %s; want %d, %s", starts, recheck, c.starts, c.recheck)
			}
		})
	}
}

// However it stands: no more are started than calls lack one or may be begun, a call that nothing else can serve
// gets a start, and one that waits for a busy instance is looked at again until it has it.
func TestGrowNeverForgetsACall(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		span := rapid.Map(rapid.Int64Range(0, int64(10*time.Second)), func(n int64) time.Duration { return time.Duration(n) })
		d := scheduler.Demand{
			Waiting: rapid.IntRange(0, 3000).Draw(t, "waiting"), Coming: rapid.IntRange(0, 20).Draw(t, "coming"), Ended: rapid.IntRange(0, 300).Draw(t, "ended"),
			Busy: rapid.IntRange(0, 300).Draw(t, "busy"), CallTime: span.Draw(t, "call"), LeastTime: span.Draw(t, "least"),
			StartTime: span.Draw(t, "start"), Lasting: span.Draw(t, "lasting"), Stalled: span.Draw(t, "stalled"),
			Load: scheduler.Load(rapid.IntRange(0, 1).Draw(t, "load")), Starts: rapid.IntRange(1, 8).Draw(t, "starts"),
		}
		lacking := d.Waiting - d.Coming
		starts, recheck := scheduler.Grow(d)
		switch {
		case starts < 0 || starts > max(lacking, 0) || starts > d.Starts:
			t.Fatalf("%+v starts %d", d, starts)
		case lacking > 0 && d.Busy == 0 && starts == 0:
			t.Fatalf("%+v leaves calls without anything to wait for", d)
		case lacking > 0 && starts == 0 && recheck <= 0:
			t.Fatalf("%+v is never looked at again", d)
		}
		// When no instance becomes free, sooner or later one is started.
		d.Stalled, d.Coming = time.Hour, 0
		if starts, _ := scheduler.Grow(d); d.Waiting > 0 && starts == 0 {
			t.Fatalf("%+v waits for ever", d)
		}
	})
}

func TestAverage(t *testing.T) {
	t.Parallel()
	a := scheduler.Average(0, time.Second)
	if a != time.Second {
		t.Errorf("the average of one second is %s", a)
	}
	for range 100 {
		a = scheduler.Average(a, time.Millisecond)
	}
	if a < time.Millisecond || a > 2*time.Millisecond {
		t.Errorf("the average of many milliseconds is %s", a)
	}
	if a := scheduler.Average(0, 0); a == 0 {
		t.Error("a call that took no time is as one that there was not")
	}
}
