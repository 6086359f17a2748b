package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nimbus/internal/problem"
)

func newTestGate() *gate { return newGate(problem.NewWriter(slog.New(slog.DiscardHandler))) }

// knock sends one request to the gate and returns its status.
func knock(ctx context.Context, g *gate) int {
	w := httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
	return w.Code
}

func answering(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
}

func TestGateHoldsRequestsUntilTheNextProgram(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate()
		g.open(answering(201))
		if got := knock(t.Context(), g); got != 201 {
			t.Errorf("the first program answers %d", got)
		}
		if err := g.shut(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := make(chan int, 1)
		go func() { got <- knock(t.Context(), g) }()
		synctest.Wait()
		select {
		case status := <-got:
			t.Fatalf("a shut gate answers %d", status)
		default:
		}
		g.open(answering(202))
		if status := <-got; status != 202 {
			t.Errorf("the request that waited got %d from the second program", status)
		}
	})
}

func TestGateWaitsForThoseInside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, release := newTestGate(), make(chan struct{})
		g.open(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		var wg sync.WaitGroup
		wg.Go(func() { knock(t.Context(), g) })
		synctest.Wait()
		shut := make(chan error, 1)
		go func() { shut <- g.shut(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-shut:
			t.Fatalf("the gate was shut with a request inside: %v", err)
		default:
		}
		close(release)
		if err := <-shut; err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
}

func TestGateBoundsTheWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate()
		ctx, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range maxWaiting {
			wg.Go(func() { knock(ctx, g) })
		}
		synctest.Wait()
		if got := knock(t.Context(), g); got != http.StatusServiceUnavailable {
			t.Errorf("one more is answered with %d", got)
		}
		leave()
		wg.Wait()
		if g.waiting != 0 {
			t.Errorf("%d still wait", g.waiting)
		}
	})
}

// The connection of a request that outlives its grace is cut, whatever the request does.
func TestGateCutsOff(t *testing.T) {
	t.Parallel()
	g := newTestGate()
	inside, ended := make(chan struct{}), make(chan struct{})
	g.open(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(inside)
		<-r.Context().Done()
		close(ended)
	}))
	server := httptest.NewServer(g)
	defer server.Close()
	answered := make(chan error, 1)
	go func() {
		resp, err := http.Get(server.URL)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		answered <- err
	}()
	<-inside
	grace, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := g.shut(grace); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shut: %v", err)
	}
	<-ended
	if err := <-answered; err == nil {
		t.Error("the request that was cut off was answered")
	}
	g.open(answering(204))
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 204 {
		t.Errorf("the next program answers %d", resp.StatusCode)
	}
}
