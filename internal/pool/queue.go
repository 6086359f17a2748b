package pool

import (
	"time"

	"nimbus"
)

// waiter is a held call.
type waiter struct {
	granted chan grant // room for the one grant it gets
	group   *group
	bytes   int64
	since   time.Time

	// Guarded by the function's mutex.
	gated      time.Duration // how long it waited for admission
	queue      *queue        // where it waits; nil once it was granted or gave up
	prev, next *waiter
}

// waited tells where the time of the call's wait went, given what the start of its instance took. A start may
// have begun before the call came: what it took until then is not the call's.
func (w *waiter) waited(start nimbus.Phases, now time.Time) nimbus.Phases {
	left := max(now.Sub(w.since)-w.gated, 0)
	clip := func(d time.Duration) time.Duration {
		d = min(d, left)
		left -= d
		return d
	}
	p := nimbus.Phases{Admit: w.gated}
	p.Init = clip(start.Init)
	p.Attach = clip(start.Attach)
	p.Claim = clip(start.Claim)
	p.Hold = left
	return p
}

// queue is a list of waiters, first in, first out; any of them can be removed.
type queue struct {
	first, last *waiter
	length      int
}

func (q *queue) push(w *waiter) {
	w.queue, w.prev, w.next = q, q.last, nil
	if q.last == nil {
		q.first = w
	} else {
		q.last.next = w
	}
	q.last = w
	q.length++
}

// pop removes the first waiter; nil when there is none.
func (q *queue) pop() *waiter {
	w := q.first
	if w != nil {
		q.remove(w)
	}
	return w
}

func (q *queue) remove(w *waiter) {
	if w.prev == nil {
		q.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.queue, w.prev, w.next = nil, nil, nil
	q.length--
}
