package transport

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"nimbus/internal/obs"
	"nimbus/internal/obs/tracing"
	"nimbus/internal/problem"
)

// keeper is an exporter that keeps spans.
type keeper struct {
	mu    sync.Mutex
	spans []sdktrace.ReadOnlySpan
}

func (k *keeper) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.spans = append(k.spans, spans...)
	return nil
}

func (k *keeper) Shutdown(context.Context) error { return nil }

func TestRequestsAreTraced(t *testing.T) {
	t.Parallel()
	const caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/functions/{id}", func(w http.ResponseWriter, r *http.Request) {
		known := obs.RequestFrom(r.Context())
		if known.Trace.String() != known.Traceparent || known.Traceparent[:36] != caller[:36] || known.Traceparent == caller {
			t.Errorf("the handler is at %s", known.Traceparent)
		}
	})
	mux.HandleFunc("GET /panics", func(http.ResponseWriter, *http.Request) { panic("boom") })
	mux.HandleFunc("GET /aborts", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/", http.NotFound)
	broken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })

	kept, log, metrics := &keeper{}, slog.New(slog.DiscardHandler), obs.NewMetrics()
	tracer := tracing.New(kept, metrics.SpansDropped, log, tracing.Config{SampleRatio: 1})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- tracer.Run(ctx) }()
	h := New(mux, broken, Deps{Problems: problem.NewWriter(log), Requests: metrics, Tracer: tracer, Log: log})
	for _, path := range []string{"/api/v1/functions/hello", "/panics", "/aborts", "/fn/default/hello/and/more", "/nothing", "/health", "/health/ready", "/metrics"} {
		func() {
			defer func() { _ = recover() }()
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("traceparent", caller)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if got := w.Header().Get("Traceparent"); path[1] != 'h' && path[1] != 'm' && (got == caller || got[:36] != caller[:36]) {
				t.Errorf("%s answers at %s", path, got)
			}
		}()
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	want := map[string]bool{"GET /api/v1/functions/{id}": false, "GET /panics": true, "GET /aborts": true, "GET /fn/{namespace}/{name}": true, "GET": false}
	for _, s := range kept.spans {
		failed, expected := want[s.Name()]
		if !expected || (s.Status().Code.String() == "Error") != failed {
			t.Errorf("%s ended with %v", s.Name(), s.Status())
		}
		delete(want, s.Name())
	}
	if len(want) > 0 {
		t.Errorf("there is no span of %v", want)
	}
}
