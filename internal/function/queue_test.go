package function

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nimbus"
)

// TestQueue: a job that is to be tried again keeps its place, and lets others pass until it is due.
func TestQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(bounds{10, 10})
		first, second := q.add(newJob("a", nimbus.NewID(), nimbus.NewID(), longLane)), q.add(newJob("a", nimbus.NewID(), nimbus.NewID(), longLane))
		if q.add(newJob("a", first.function, first.id, longLane)) != first {
			t.Error("a build is in the queue twice")
		}
		take := func(want *job) {
			t.Helper()
			if _, j := q.next(t.Context(), longLane); j != want {
				t.Errorf("took %p, want %p", j, want)
			}
		}
		take(first)
		begun := time.Now()
		q.again(first, begun.Add(time.Minute))
		take(second)
		q.again(second, begun.Add(30*time.Second))
		take(second)
		if waited := time.Since(begun); waited != 30*time.Second {
			t.Errorf("the second was taken after %s", waited)
		}
		q.end(second, nil)
		take(first)
		if waited := time.Since(begun); waited != time.Minute {
			t.Errorf("the first was taken after %s", waited)
		}
		q.cancel(first.id, errGone)
		q.again(first, time.Now())
		q.end(first, nil)
		if <-first.done; !errors.Is(first.err, errGone) {
			t.Errorf("what was cancelled ended with %v", first.err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*idlePause)
		defer cancel()
		if _, j := q.next(ctx, longLane); j != nil {
			t.Errorf("an empty queue gave %v", j)
		}
		q.stop(errGone)
		if late := q.add(newJob("a", nimbus.NewID(), nimbus.NewID(), longLane)); late.err == nil {
			t.Error("a stopped queue took a job")
		}
	})
}

// TestQueueGoesByTurns: however many builds a namespace asks for, another's next is after one of them.
func TestQueueGoesByTurns(t *testing.T) {
	t.Parallel()
	q := newQueue(bounds{10, 10})
	add := func(namespace string) *job { return q.add(newJob(namespace, nimbus.NewID(), nimbus.NewID(), longLane)) }
	a1, a2, a3, b1, b2 := add("a"), add("a"), add("a"), add("b"), add("b")
	for i, want := range []*job{a1, b1, a2, b2, a3} {
		if _, j := q.next(t.Context(), longLane); j != want {
			t.Errorf("number %d is %s of %s, want %s of %s", i, j.id, j.namespace, want.id, want.namespace)
		}
	}
	for _, j := range []*job{a1, a2, a3, b1, b2} {
		q.end(j, nil)
	}
	if len(q.lines[longLane].turns) > 0 {
		t.Errorf("turns are kept: %v", q.lines[longLane].turns)
	}
}

func TestQueueCancelsWhatRuns(t *testing.T) {
	t.Parallel()
	q := newQueue(bounds{10, 10})
	j := q.add(newJob("a", nimbus.NewID(), nimbus.NewID(), longLane))
	ctx, _ := q.next(t.Context(), longLane)
	q.cancelFunction(j.function, errGone)
	<-ctx.Done()
	<-j.done
}

// TestQueueIsBounded: new builds are refused over the bounds; those that take another's place, or were accepted
// by an earlier process, are not.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	q := newQueue(bounds{all: 4, namespace: 2})
	reserve := func(namespace string, replaces nimbus.ID) (*job, error) {
		j := newJob(namespace, nimbus.NewID(), nimbus.NewID(), longLane)
		return j, q.reserve(j, replaces)
	}
	taken := func(namespace string) *job {
		t.Helper()
		j, err := reserve(namespace, nimbus.ID{})
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	refused := func(namespace, want string) {
		t.Helper()
		_, err := reserve(namespace, nimbus.ID{})
		var e *nimbus.Error
		if !errors.As(err, &e) || e.Code != nimbus.CodeTooManyRequests || e.RetryAfter == 0 || !strings.Contains(e.Detail, want) {
			t.Errorf("a build of %s came to %v, want …%s…", namespace, err, want)
		}
	}
	a1 := taken("a")
	q.start(a1)
	q.next(t.Context(), longLane) // what is worked off counts too
	a2 := taken("a")
	refused("a", `2 builds of namespace "a" are pending`)
	if _, err := reserve("a", a2.id); err != nil {
		t.Errorf("what takes another's place is refused: %v", err)
	}
	q.cancel(a2.id, errGone)
	taken("b")
	old := q.add(newJob("c", nimbus.NewID(), nimbus.NewID(), longLane))
	refused("b", "4 builds are pending on this server")
	q.add(newJob("c", nimbus.NewID(), nimbus.NewID(), longLane)) // of an earlier process
	q.cancel(old.id, errGone)
	refused("b", "4 builds are pending on this server")
	q.end(a1, nil)
	taken("b")
}

// TestReservedJobs wait for their start, and for nothing once they were cancelled.
func TestReservedJobs(t *testing.T) {
	t.Parallel()
	q := newQueue(bounds{10, 10})
	var jobs [3]*job
	for i := range jobs {
		jobs[i] = newJob("a", nimbus.NewID(), nimbus.NewID(), longLane)
		if err := q.reserve(jobs[i], nimbus.ID{}); err != nil {
			t.Fatal(err)
		}
	}
	if q.add(newJob("a", jobs[2].function, jobs[2].id, longLane)) != jobs[2] {
		t.Error("a reserved build is in the queue twice")
	}
	q.cancel(jobs[0].id, errGone)
	q.start(jobs[0])
	q.start(jobs[2])
	if _, j := q.next(t.Context(), longLane); j != jobs[2] {
		t.Errorf("took %v", j)
	}
	if _, j, _ := q.take(t.Context(), longLane, time.Now()); j != nil {
		t.Errorf("took %v", j)
	}
	q.stop(errGone)
	late := newJob("a", nimbus.NewID(), nimbus.NewID(), longLane)
	if err := q.reserve(late, nimbus.ID{}); err != nil || late.err == nil {
		t.Errorf("a stopped queue took a job: %v", err)
	}
	for _, j := range append(jobs[:], late) {
		q.start(j)
		<-j.done
	}
}

// TestLanes: what is short is taken though what is long waits, and the other way round.
func TestLanes(t *testing.T) {
	t.Parallel()
	q := newQueue(bounds{10, 10})
	long := q.add(newJob("a", nimbus.NewID(), nimbus.NewID(), longLane))
	short := q.add(newJob("a", nimbus.NewID(), nimbus.NewID(), shortLane))
	if _, j := q.next(t.Context(), shortLane); j != short {
		t.Errorf("the short lane has %v", j)
	}
	if _, j, _ := q.take(t.Context(), shortLane, time.Now()); j != nil {
		t.Errorf("the short lane has %v as well", j)
	}
	if _, j := q.next(t.Context(), longLane); j != long {
		t.Errorf("the long lane has %v", j)
	}
	q.end(long, nil)
	q.end(short, nil)
	for l := range q.lines {
		if len(q.lines[l].turns) > 0 {
			t.Errorf("turns are kept: %v", q.lines[l].turns)
		}
	}
}
