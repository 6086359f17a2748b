package function

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"nimbus"
)

// TestQueue: a job that is to be tried again keeps its place, and lets others pass until it is due.
func TestQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		first, second := q.add("a", nimbus.NewID(), nimbus.NewID()), q.add("a", nimbus.NewID(), nimbus.NewID())
		if q.add("a", first.function, first.id) != first {
			t.Error("a build is in the queue twice")
		}
		take := func(want *job) {
			t.Helper()
			if _, j := q.next(t.Context()); j != want {
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
		if _, j := q.next(ctx); j != nil {
			t.Errorf("an empty queue gave %v", j)
		}
		q.stop(errGone)
		if late := q.add("a", nimbus.NewID(), nimbus.NewID()); late.err == nil {
			t.Error("a stopped queue took a job")
		}
	})
}

// TestQueueGoesByTurns: however many builds a namespace asks for, another's next is after one of them.
func TestQueueGoesByTurns(t *testing.T) {
	t.Parallel()
	q := newQueue()
	add := func(namespace string) *job { return q.add(namespace, nimbus.NewID(), nimbus.NewID()) }
	a1, a2, a3, b1, b2 := add("a"), add("a"), add("a"), add("b"), add("b")
	for i, want := range []*job{a1, b1, a2, b2, a3} {
		if _, j := q.next(t.Context()); j != want {
			t.Errorf("number %d is %s of %s, want %s of %s", i, j.id, j.namespace, want.id, want.namespace)
		}
	}
	for _, j := range []*job{a1, a2, a3, b1, b2} {
		q.end(j, nil)
	}
	if len(q.turns) > 0 {
		t.Errorf("turns are kept: %v", q.turns)
	}
}

func TestQueueCancelsWhatRuns(t *testing.T) {
	t.Parallel()
	q := newQueue()
	j := q.add("a", nimbus.NewID(), nimbus.NewID())
	ctx, _ := q.next(t.Context())
	q.cancelFunction(j.function, errGone)
	<-ctx.Done()
	<-j.done
}
