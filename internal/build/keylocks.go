package build

import (
	"context"
	"sync"
)

// keyLocks lets one caller at a time do the work of a key. Whoever waited looks whether it is done by then.
type keyLocks struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when left
}

// enter waits for the key to be free, or ctx to end.
func (l *keyLocks) enter(ctx context.Context, key string) (leave func(), err error) {
	for {
		leave, busy := l.try(key)
		if busy == nil {
			return leave, nil
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// try enters a key that is free; busy is closed when one that is not may be.
func (l *keyLocks) try(key string) (leave func(), busy chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if busy, taken := l.held[key]; taken {
		return nil, busy
	}
	done := make(chan struct{})
	l.held[key] = done
	return func() { l.leave(key, done) }, nil
}

func (l *keyLocks) leave(key string, done chan struct{}) {
	l.mu.Lock()
	delete(l.held, key)
	l.mu.Unlock()
	close(done)
}
