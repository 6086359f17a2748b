package scheduler

import (
	"cmp"
	"time"
)

// justUsed is how long an idle instance is spared for its function, if the other one can wait.
const justUsed = 100 * time.Millisecond

// Candidate is an idle instance that may make room for one of another version.
type Candidate struct {
	UsedAt time.Time
	Claim  Claim
}

// Claim is what speaks for keeping an idle instance.
type Claim uint8

// The claims, the weakest first.
const (
	Stale   Claim = iota // it is of another version of the function that needs room
	Other                // of another function
	Promise              // of the min_instances of another function
)

// Victim returns the index of the instance that makes room for a function with that many busy instances: the
// one with the weakest claim, and of those the one that has idled longest. It is -1 when there is none; with a
// duration, it is to be asked again then, because the function has instances to wait for and everything
// idle was in use a moment ago.
func Victim(candidates []Candidate, busy int, now time.Time) (index int, recheck time.Duration) {
	index = -1
	for i, c := range candidates {
		if index < 0 || cmp.Or(cmp.Compare(c.Claim, candidates[index].Claim), c.UsedAt.Compare(candidates[index].UsedAt)) < 0 {
			index = i
		}
	}
	if index < 0 || busy == 0 || candidates[index].Claim == Stale {
		return index, 0
	}
	if candidates[index].Claim == Promise {
		return -1, 0 // who has instances of its own does not break a promise made to another
	}
	if idled := now.Sub(candidates[index].UsedAt); idled < justUsed {
		return -1, justUsed - idled
	}
	return index, 0
}
