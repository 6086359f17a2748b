package main

import (
	"net"
	"sync"
	"time"
)

// keptListener is a listener that outlives the HTTP servers on it: closing a lease on it ends that server's
// Accept and leaves the socket open, so that while the server restarts in place (after a restore) callers
// wait in the backlog instead of being refused.
type keptListener struct{ *net.TCPListener }

// lease returns a listener for one server.
func (k keptListener) lease() (net.Listener, error) {
	if err := k.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	return &leasedListener{kept: k}, nil
}

type leasedListener struct {
	kept keptListener

	mu     sync.Mutex
	closed bool
}

// Accept implements net.Listener.
func (l *leasedListener) Accept() (net.Conn, error) {
	c, err := l.kept.Accept()
	if err != nil && l.isClosed() {
		return nil, net.ErrClosed
	}
	return c, err
}

// Close implements net.Listener: it ends Accept and keeps the socket.
func (l *leasedListener) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	return l.kept.SetDeadline(time.Unix(1, 0))
}

// Addr implements net.Listener.
func (l *leasedListener) Addr() net.Addr { return l.kept.Addr() }

func (l *leasedListener) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}
