package main

import (
	"context"
	"net/http"
	"sync"
	"time"

	"nimbus"
	"nimbus/internal/problem"
)

// maxWaiting bounds the requests that wait while no program runs.
const maxWaiting = 4096

// gate is the handler of the HTTP server, which outlives the programs behind it: between two of them, after
// a restore, requests wait. Were the server ended instead, it would drop requests that it has read and not
// begun, and idle connections on which the next one is on its way. Shut when new. Safe for concurrent use.
type gate struct {
	problems *problem.Writer

	mu      sync.Mutex
	handler http.Handler                     // nil = shut
	opened  chan struct{}                    // closed when the gate opens
	waiting int                              // requests
	inside  map[http.ResponseWriter]struct{} // requests
	left    chan struct{}                    // closed when the gate is shut and nobody is inside
}

func newGate(problems *problem.Writer) *gate {
	return &gate{problems: problems, opened: make(chan struct{}), inside: make(map[http.ResponseWriter]struct{})}
}

// open lets requests in to the handler. The gate must be shut.
func (g *gate) open(handler http.Handler) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.handler = handler
	close(g.opened)
}

// shut keeps requests out and waits until those inside have left. When ctx ends first their connections are
// cut, and the error of ctx is returned. The gate must be open.
func (g *gate) shut(ctx context.Context) error {
	g.mu.Lock()
	g.handler, g.opened = nil, make(chan struct{})
	left := make(chan struct{})
	g.left = left
	g.noteEmpty()
	g.mu.Unlock()
	select {
	case <-left:
		return nil
	case <-ctx.Done():
		g.cut()
		return ctx.Err()
	}
}

// noteEmpty tells shut that nobody is inside any more. The caller holds the mutex.
func (g *gate) noteEmpty() {
	if g.left != nil && len(g.inside) == 0 {
		close(g.left)
		g.left = nil
	}
}

// cut breaks off the connections of the requests inside, which ends their contexts.
func (g *gate) cut() {
	past := time.Unix(1, 0)
	g.mu.Lock()
	defer g.mu.Unlock() // so that none has gone on to another request
	for w := range g.inside {
		connection := http.NewResponseController(w)
		_ = connection.SetReadDeadline(past) // a connection that is gone needs none
		_ = connection.SetWriteDeadline(past)
	}
	g.inside, g.left = make(map[http.ResponseWriter]struct{}), nil // the next program does not wait for them
}

// ServeHTTP implements http.Handler.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handler, err := g.enter(w, r)
	if err != nil {
		g.problems.Write(w, r, err)
		return
	}
	defer g.leave(w)
	handler.ServeHTTP(w, r)
}

// enter waits until the gate is open.
func (g *gate) enter(w http.ResponseWriter, r *http.Request) (http.Handler, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.handler == nil && g.waiting >= maxWaiting {
		return nil, nimbus.Errorf(nimbus.CodeUnavailable, "the server is restarting, and %d requests wait already", maxWaiting)
	}
	for g.handler == nil {
		if err := g.wait(r.Context()); err != nil {
			return nil, err
		}
	}
	g.inside[w] = struct{}{}
	return g.handler, nil
}

// wait waits without the mutex, which the caller holds, for the next opening.
func (g *gate) wait(ctx context.Context) error {
	opened := g.opened
	g.waiting++
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		g.waiting--
	}()
	select {
	case <-opened:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gate) leave(w http.ResponseWriter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.inside, w)
	g.noteEmpty()
}
