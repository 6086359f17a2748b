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
		l.mu.Lock()
		busy, taken := l.held[key]
		if !taken {
			done := make(chan struct{})
			l.held[key] = done
			l.mu.Unlock()
			return func() { l.leave(key, done) }, nil
		}
		l.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (l *keyLocks) leave(key string, done chan struct{}) {
	l.mu.Lock()
	delete(l.held, key)
	l.mu.Unlock()
	close(done)
}
