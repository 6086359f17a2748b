package pool

import "sync"

// startQueue is the groups that want an instance started, each at most once. Run takes them.
type startQueue struct {
	mu     sync.Mutex
	groups []*group
}

func (q *startQueue) add(groups []*group) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.groups = append(q.groups, groups...)
}

// take empties the queue.
func (q *startQueue) take() []*group {
	q.mu.Lock()
	defer q.mu.Unlock()
	groups := q.groups
	q.groups = nil
	return groups
}

// stopQueue is the instances that are Stopping and to be ended. It is bounded by their number. Run takes them.
type stopQueue struct {
	mu        sync.Mutex
	instances []*instance
}

func (q *stopQueue) add(instances []*instance) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.instances = append(q.instances, instances...)
}

// pop removes the first; nil when there is none.
func (q *stopQueue) pop() *instance {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.instances) == 0 {
		return nil
	}
	in := q.instances[0]
	q.instances[0] = nil
	q.instances = q.instances[1:]
	return in
}
