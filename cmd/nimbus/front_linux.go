package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"nimbus/internal/problem"
)

// front is the HTTP server. It outlives the programs behind its gate.
type front struct {
	gate   *gate
	url    string
	server *http.Server
	ended  chan error // why it ended by itself, or nil
}

// startFront serves on the listener, which it closes in the end. tlsConfig nil = plain HTTP.
func startFront(l net.Listener, tlsConfig *tls.Config, log *slog.Logger) *front {
	scheme := "http"
	if tlsConfig != nil {
		l, scheme = tls.NewListener(l, tlsConfig), "https"
	}
	g := newGate(problem.NewWriter(log))
	f := &front{gate: g, url: scheme + "://" + l.Addr().String(), ended: make(chan error, 1),
		server: &http.Server{Handler: g, TLSConfig: tlsConfig, ReadHeaderTimeout: 10 * time.Second,
			IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 1 << 20, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}}
	go func() { f.ended <- fmt.Errorf("HTTP server ended: %w", f.server.Serve(l)) }()
	return f
}

// stop takes no request any more and lets those that run end. What still runs when ctx ends is cut off, and
// the error of ctx is returned.
func (f *front) stop(ctx context.Context) error {
	err := f.server.Shutdown(ctx)
	if err != nil {
		_ = f.server.Close() // what outlived its grace
	}
	return err
}

// close ends the server at once, if it still runs, and waits until it has.
func (f *front) close() {
	_ = f.server.Close() // closes connections, of which some are gone
	<-f.ended
}
