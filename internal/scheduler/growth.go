package scheduler

import "time"

// Demand is the calls of one version that wait for an instance, and what may come to serve them.
type Demand struct {
	Waiting   int           // calls
	Coming    int           // instances that are being started, or about to be free
	Busy      int           // instances that run a call, and then take another
	CallTime  time.Duration // how long a call keeps its instance, lately; 0 = not known
	StartTime time.Duration // how long a start takes, lately; 0 = not known
	Stalled   time.Duration // since an instance became free, or the first one became busy
	Load      Load          // of the machine
	Starts    int           // that may be begun
}

// Load says whether the machine has processor time to spare.
type Load uint8

// The loads.
const (
	Spare Load = iota
	Saturated
)

const (
	// leastStart is what a start costs in any case, beside the time it takes.
	leastStart = time.Millisecond
	// saturatedCost is how much dearer a start is on a machine without processor time to spare: it takes
	// that time from the calls that run.
	saturatedCost = 10
	// leastSaturated is the wait that is put up with on such a machine before an instance is added.
	leastSaturated = 100 * time.Millisecond
)

// Grow says how many instances to start now. A call that gets a busy instance sooner than a new one would be
// up does not need one. When calls wait and no start is due, recheck is when to ask again if nothing has
// happened till then: the busy ones may take longer than they used to.
func Grow(d Demand) (starts int, recheck time.Duration) {
	lacking := min(d.Waiting-d.Coming, d.Starts)
	if lacking <= 0 {
		return 0, 0
	}
	if d.Busy == 0 || d.CallTime == 0 {
		return lacking, 0
	}
	worth := max(d.StartTime, leastStart)
	if d.Load == Saturated {
		if d.Coming > 0 {
			return 0, leastStart
		}
		worth = max(worth*saturatedCost, leastSaturated)
		lacking = 1
	}
	// Every busy instance has been so for as long as none became free.
	call := max(d.CallTime, d.Stalled)
	longest := call * time.Duration(d.Waiting) / time.Duration(d.Busy)
	if longest <= worth {
		return 0, max(worth*time.Duration(d.Busy)/time.Duration(d.Waiting)-d.Stalled, leastStart)
	}
	enough := int((call*time.Duration(d.Waiting) + worth - 1) / worth)
	return max(min(lacking, enough-d.Busy-d.Coming), 0), leastStart
}

// averageShare is the weight of a new value in an average: about the last eight count.
const averageShare = 8

// Average is a moving average of durations. The first value stands for itself.
func Average(average, value time.Duration) time.Duration {
	if average == 0 {
		return max(value, 1)
	}
	return max(average+(value-average)/averageShare, 1)
}
