package function

import (
	"context"
	"slices"
	"sync"
	"time"

	"nimbus"
)

// job is a build that waits or is being worked off.
type job struct {
	id        nimbus.ID // of the build
	function  nimbus.ID
	namespace string // of the function
	lane      lane
	done      chan struct{} // closed when the build has ended, whatever came of it
	err       error         // why nobody will know what came of it; read after done

	attempts int
	failure  *failure           // what the attempts came to, once trying again makes no sense
	due      time.Time          // not before; zero = at once
	cancel   context.CancelFunc // of the running attempt; nil = it waits
}

// failure is what the user is told of a build that failed, and how long that took.
type failure struct {
	message string
	took    time.Duration
}

// newJob returns a build of a function as a job.
func newJob(namespace string, function, id nimbus.ID, l lane) *job {
	return &job{id: id, function: function, namespace: namespace, lane: l, done: make(chan struct{})}
}

// lane is what a job waits in, so that what is short does not wait behind what is long. Each has workers of its own.
type lane int

const (
	longLane  lane = iota // programs
	shortLane             // modules, and what turns out to need no compiling
	lanes
)

// line is the jobs that wait in a lane.
type line struct {
	wake    chan struct{}     // somebody had better look
	waiting []*job            // by the build's id, which is ordered by time
	turn    uint64            // counts the jobs that were taken
	turns   map[string]uint64 // by namespace, the turn of its last; emptied when nothing is left to do
}

// queue holds the builds that are to be worked off: in each lane those of a namespace in the order of asking, and
// namespaces by turns, so that one with many or long builds does not hold up the others. A build that is tried again
// keeps its place.
type queue struct {
	bounds bounds

	mu      sync.Mutex
	jobs    map[nimbus.ID]*job // by build
	lines   [lanes]line
	stopped error // why none is taken any more
}

// bounds are how many builds may be pending.
type bounds struct{ all, namespace int }

func newQueue(b bounds) *queue {
	q := &queue{bounds: b, jobs: make(map[nimbus.ID]*job)}
	for l := range q.lines {
		q.lines[l] = line{wake: make(chan struct{}, 1), turns: make(map[string]uint64)}
	}
	return q
}

// add puts a build that was accepted before into the queue, unless it is there already, and returns the job it is.
func (q *queue) add(j *job) *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	if there := q.jobs[j.id]; there != nil {
		return there
	}
	if q.enter(j) {
		q.wait(j)
	}
	return j
}

// reserve keeps a place for a new build, which nobody works off before start. It is refused when too many are
// pending, unless it takes the place of another of its function.
func (q *queue) reserve(j *job, replaces nimbus.ID) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if replaces.IsZero() {
		if err := q.full(j.namespace); err != nil {
			return err
		}
	}
	q.enter(j)
	return nil
}

// start lets a reserved job be worked off, unless it was cancelled meanwhile.
func (q *queue) start(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.jobs[j.id] == j {
		q.wait(j)
	}
}

// enter takes a job on, or ends it where none is taken any more. mu is held.
func (q *queue) enter(j *job) bool {
	if q.stopped != nil {
		j.err = q.stopped
		close(j.done)
		return false
	}
	q.jobs[j.id] = j
	return true
}

// full says why no other build of a namespace is taken now. mu is held.
func (q *queue) full(namespace string) error {
	own := 0
	for _, j := range q.jobs {
		if j.namespace == namespace {
			own++
		}
	}
	var err *nimbus.Error
	switch {
	case own >= q.bounds.namespace:
		err = nimbus.Errorf(nimbus.CodeTooManyRequests, "%d builds of namespace %q are pending, and no more may be: "+
			"deploy again when some have ended", own, namespace)
	case len(q.jobs) >= q.bounds.all:
		err = nimbus.Errorf(nimbus.CodeTooManyRequests, "%d builds are pending on this server, and no more may be: "+
			"deploy again when some have ended", len(q.jobs))
	default:
		return nil
	}
	err.RetryAfter = fullRetry
	return err
}

// fullRetry is when a build that was refused may be asked for again.
const fullRetry = 10 * time.Second

// wait puts a job in its place. mu is held.
func (q *queue) wait(j *job) {
	l := &q.lines[j.lane]
	at, _ := slices.BinarySearchFunc(l.waiting, j, func(a, b *job) int { return slices.Compare(a.id[:], b.id[:]) })
	l.waiting = slices.Insert(l.waiting, at, j)
	l.nudge()
}

func (l *line) nudge() {
	select {
	case l.wake <- struct{}{}:
	default: // somebody is to look already
	}
}

// next waits for a job of a lane that is due and takes it. The job's context ends with ctx, or when the job is
// cancelled. It returns nil when ctx has ended.
func (q *queue) next(ctx context.Context, l lane) (context.Context, *job) {
	for {
		run, j, pause := q.take(ctx, l, time.Now())
		if j != nil {
			return run, j
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx, nil
		case <-q.lines[l].wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// idlePause is how long a worker sleeps when nothing waits; it is woken when something does.
const idlePause = time.Hour

// take returns the job whose turn it is in a lane, else how long it is until one is due.
func (q *queue) take(ctx context.Context, of lane, now time.Time) (context.Context, *job, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := &q.lines[of]
	pause, at := idlePause, -1
	for i, j := range l.waiting {
		if left := j.due.Sub(now); left > 0 {
			pause = min(pause, left)
		} else if at < 0 || l.turns[j.namespace] < l.turns[l.waiting[at].namespace] {
			at = i
		}
	}
	if at < 0 {
		return nil, nil, pause
	}
	j := l.waiting[at]
	l.waiting = slices.Delete(l.waiting, at, at+1)
	if len(l.waiting) > 0 {
		l.nudge() // there may be another worker
	}
	l.turn++
	l.turns[j.namespace] = l.turn
	run, cancel := context.WithCancel(ctx)
	j.cancel = cancel
	return run, j, 0
}

// again lets a job wait for its next attempt.
func (q *queue) again(j *job, due time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.jobs[j.id] != j { // it was cancelled meanwhile
		return
	}
	j.cancel()
	j.cancel, j.due = nil, due
	q.wait(j)
}

// end takes a job off and tells all who wait for it. err is nil when the store says what came of the build.
func (q *queue) end(j *job, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.finish(j, err)
}

// finish is end with mu held.
func (q *queue) finish(j *job, err error) {
	if q.jobs[j.id] != j {
		return
	}
	if delete(q.jobs, j.id); len(q.jobs) == 0 {
		for l := range q.lines {
			clear(q.lines[l].turns)
		}
	}
	l := &q.lines[j.lane]
	l.waiting = slices.DeleteFunc(l.waiting, func(w *job) bool { return w == j })
	if j.cancel != nil {
		j.cancel()
	}
	j.err = err
	close(j.done)
}

// cancel ends a build, if it is here.
func (q *queue) cancel(id nimbus.ID, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if j := q.jobs[id]; j != nil {
		q.finish(j, err)
	}
}

// cancelFunction ends what is here of a function.
func (q *queue) cancelFunction(function nimbus.ID, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, j := range q.jobs {
		if j.function == function {
			q.finish(j, err)
		}
	}
}

// stop ends every job, and all that are added from now on.
func (q *queue) stop(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = err
	for _, j := range q.jobs {
		q.finish(j, err)
	}
}
