package scheduler

import "time"

// Demand is the calls of one version that wait for an instance, and what may come to serve them.
type Demand struct {
	Waiting   int           // calls
	Coming    int           // instances that are being started, or about to be free
	Busy      int           // instances that run a call, and then take another
	Ended     int           // calls that have ended since an instance came up last
	CallTime  time.Duration // how long a call keeps its instance, on average; 0 = not known
	LeastTime time.Duration // how long one does at best, lately
	StartTime time.Duration // how long a start takes, on average; 0 = not known
	Lasting   time.Duration // since when there have always been calls that wait
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
	// lasting is how long calls wait before an instance is added that does not come in time for any of them.
	lasting = 100 * time.Millisecond
	// crowding is how many times its best a call takes when calls get in each other's way.
	crowding = 3
	// crowdedCost is how much dearer a start is then: it takes its time from the calls that run.
	crowdedCost = 10
	// leastCrowded is the wait that is put up with then before an instance is added.
	leastCrowded = 250 * time.Millisecond
)

// Grow says how many instances to start now. A call that gets a busy instance sooner than a new one would be
// up does not need one, unless that has been going on for long; and where calls take turns at the processors
// already, one more instance would only lengthen the turns. When calls wait and no start is due, recheck is when
// to ask again if nothing has happened till then: the busy ones may take longer than they used to.
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
		// What the last ones did to the time a call takes is to be seen first.
		if lacking = min(lacking, d.Busy-d.Coming); lacking <= 0 || d.Ended < d.Busy && d.Stalled <= worth {
			return 0, leastStart
		}
	}
	if d.crowded() {
		if d.Coming > 0 {
			return 0, leastStart
		}
		lacking, worth = 1, max(worth*crowdedCost, leastCrowded)
	}
	// Every busy instance has been so for as long as none became free.
	call := max(d.CallTime, d.Stalled)
	longest := max(call*time.Duration(d.Waiting)/time.Duration(d.Busy), d.Stalled)
	if longest <= worth {
		if d.Lasting > lasting && d.Coming == 0 && !d.crowded() {
			return 1, leastStart
		}
		return 0, max(worth*time.Duration(d.Busy)/time.Duration(d.Waiting)-d.Stalled, leastStart)
	}
	enough := max(int((call*time.Duration(d.Waiting)+worth-1)/worth), d.Busy+1)
	return max(min(lacking, enough-d.Busy-d.Coming), 0), leastStart
}

// crowded reports whether calls take long for want of a processor. One that waits for something else takes as
// long as it does at best, however many there are.
func (d *Demand) crowded() bool {
	return d.Load == Saturated && d.CallTime > crowding*d.LeastTime
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
