package scheduler_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"nimbus/internal/scheduler"
)

func TestVictim(t *testing.T) {
	t.Parallel()
	idle := func(claim scheduler.Claim, d time.Duration) scheduler.Candidate {
		return scheduler.Candidate{Claim: claim, UsedAt: ago(d)}
	}
	const stale, other, promise = scheduler.Stale, scheduler.Other, scheduler.Promise
	for name, c := range map[string]struct {
		candidates []scheduler.Candidate
		busy       int
		want       int
		recheck    time.Duration
	}{
		"none":                                    {nil, 0, -1, 0},
		"the one that idled longest":              {[]scheduler.Candidate{idle(other, time.Second), idle(other, time.Minute), idle(other, 2*time.Second)}, 0, 1, 0},
		"one's own first":                         {[]scheduler.Candidate{idle(other, time.Hour), idle(stale, 0)}, 3, 1, 0},
		"what was promised last":                  {[]scheduler.Candidate{idle(promise, time.Hour), idle(other, 0)}, 0, 1, 0},
		"what was promised, if it must be":        {[]scheduler.Candidate{idle(promise, time.Hour)}, 0, 0, 0},
		"but not for who has one":                 {[]scheduler.Candidate{idle(promise, time.Hour)}, 1, -1, 0},
		"just used, and there is nothing else":    {[]scheduler.Candidate{idle(other, 0)}, 0, 0, 0},
		"just used, and one can wait for one's":   {[]scheduler.Candidate{idle(other, 30*time.Millisecond)}, 1, -1, 70 * time.Millisecond},
		"used a while ago, though one has others": {[]scheduler.Candidate{idle(other, 100*time.Millisecond)}, 1, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, recheck := scheduler.Victim(c.candidates, c.busy, now)
			if got != c.want || recheck != c.recheck {
				t.Errorf("takes %d and asks again after %s; want %d, %s", got, recheck, c.want, c.recheck)
			}
		})
	}
}

// Nobody is evicted while another has a weaker claim, or the same and has idled longer; and who has nothing to
// wait for gets room whenever anything idles.
func TestVictimIsFair(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var candidates []scheduler.Candidate
		for range rapid.IntRange(0, 6).Draw(t, "idle") {
			candidates = append(candidates, scheduler.Candidate{Claim: scheduler.Claim(rapid.IntRange(0, 2).Draw(t, "claim")),
				UsedAt: ago(time.Duration(rapid.IntRange(0, 200).Draw(t, "idled")) * time.Millisecond)})
		}
		busy := rapid.IntRange(0, 2).Draw(t, "busy")
		i, recheck := scheduler.Victim(candidates, busy, now)
		if i < 0 {
			if len(candidates) > 0 && busy == 0 || recheck < 0 {
				t.Fatalf("no room for who has nothing, of %+v", candidates)
			}
			return
		}
		for _, c := range candidates {
			if v := candidates[i]; c.Claim < v.Claim || c.Claim == v.Claim && c.UsedAt.Before(v.UsedAt) {
				t.Fatalf("%+v is evicted before %+v", v, c)
			}
		}
	})
}
