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
		first, second := q.add(nimbus.NewID(), nimbus.NewID()), q.add(nimbus.NewID(), nimbus.NewID())
		if q.add(first.function, first.id) != first {
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
		if late := q.add(nimbus.NewID(), nimbus.NewID()); late.err == nil {
			t.Error("a stopped queue took a job")
		}
	})
}

func TestQueueCancelsWhatRuns(t *testing.T) {
	t.Parallel()
	q := newQueue()
	j := q.add(nimbus.NewID(), nimbus.NewID())
	ctx, _ := q.next(t.Context())
	q.cancelFunction(j.function, errGone)
	<-ctx.Done()
	<-j.done
}
