package tracing_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"

	"nimbus"
	"nimbus/internal/obs"
	"nimbus/internal/obs/tracing"
	"nimbus/internal/obs/tracing/tracingtest"
)

// drops counts dropped spans.
type drops struct {
	mu sync.Mutex
	n  float64
}

func (d *drops) Add(n float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n += n
}

func (d *drops) count() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.n
}

// run runs the tracer until stop.
func run(t *testing.T, tracer *tracing.Tracer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- tracer.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// arrive is a request as it arrives.
func arrive(traceparent string) (*http.Request, *obs.Request) {
	r := httptest.NewRequest(http.MethodPost, "/fn/default/hello?secret=1", nil)
	known := &obs.Request{ID: nimbus.NewID(), Arrived: time.Now()}
	known.Trace, _ = obs.ParseTraceparent(traceparent)
	return r, known
}

var moment = time.Date(2026, 11, 20, 8, 30, 0, 0, time.UTC)

// record is a cold call that failed in its handler.
func record(id nimbus.ID) *nimbus.Invocation {
	return &nimbus.Invocation{ID: id, Namespace: "default", FunctionName: "hello", Version: 3, TriggerType: nimbus.TriggerHTTP,
		Status: nimbus.InvocationFailed, ErrorType: "ValueError", Error: "the secret is 42", ColdStart: true, InstanceID: "i-1",
		StartedAt: moment.Add(20 * time.Millisecond), Duration: 5 * time.Millisecond,
		Phases: nimbus.Phases{Route: time.Millisecond, Hold: 4 * time.Millisecond, Claim: 2 * time.Millisecond, Attach: 3 * time.Millisecond, Init: 10 * time.Millisecond}}
}

// A call's trace arrives at a collector, over both protocols, as it was.
func TestExport(t *testing.T) {
	t.Parallel()
	for _, protocol := range tracing.Protocols() {
		t.Run(string(protocol), func(t *testing.T) {
			t.Parallel()
			collector := tracingtest.Start(t)
			address := map[tracing.Protocol]string{tracing.ProtocolHTTP: collector.HTTP, tracing.ProtocolGRPC: collector.GRPC}[protocol]
			exporter, err := tracing.NewExporter(t.Context(), tracing.Collector{Address: address, Protocol: protocol, Insecure: true,
				Headers: map[string]string{"x-key": "sesame"}})
			if err != nil {
				t.Fatal(err)
			}
			var dropped drops
			tracer := tracing.New(exporter, &dropped, slog.New(slog.DiscardHandler), tracing.Config{Service: "here", SampleRatio: 1, Every: time.Hour})
			stop := run(t, tracer)

			const caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
			r, known := arrive(caller)
			ctx, request := tracer.StartRequest(t.Context(), r, known)
			call := tracer.StartCall(ctx)
			handler := call.Run(moment.Add(20 * time.Millisecond))
			if again := call.Run(moment); again != handler {
				t.Errorf("the run moved from %s to %s", handler, again)
			}
			call.End(record(known.ID), tracing.Times{Routed: moment.Add(-time.Millisecond), Begun: moment, Ran: moment.Add(20 * time.Millisecond), Ended: moment.Add(25 * time.Millisecond)})
			call.Written(time.Millisecond)
			request.End(tracing.Ended{Route: "/fn/{namespace}/{name}", Status: 502})
			stop() // which sends what is left

			spans := map[string]tracingtest.Span{}
			for _, s := range collector.Spans() {
				spans[s.Name] = s
			}
			server := spans["POST /fn/{namespace}/{name}"]
			if server.ParentID != "00f067aa0ba902b7" || server.Kind != tracev1.Span_SPAN_KIND_SERVER || !server.Failed || server.Service != "here" ||
				server.SpanID != known.Trace.String()[36:52] || server.Attributes["url.path"] != "/fn/default/hello" {
				t.Errorf("the request's span is %+v", server)
			}
			run := spans["run"]
			if run.SpanID != handler[36:52] || !strings.HasSuffix(handler, "-01") || !run.Start.Equal(moment.Add(20*time.Millisecond)) || !run.End.Equal(moment.Add(25*time.Millisecond)) {
				t.Errorf("the run's span is %+v, the handler's place %s", run, handler)
			}
			for _, s := range []tracingtest.Span{server, run} {
				for key, want := range map[string]string{"faas.name": "hello", "faas.version": "3", "faas.invocation_id": known.ID.String(),
					"faas.coldstart": "bool_value:true", "faas.trigger": "http", "faas.instance": "i-1", "error.type": "ValueError"} {
					if s.Attributes[key] != want {
						t.Errorf("%s of %s is %q, want %q", key, s.Name, s.Attributes[key], want)
					}
				}
			}
			at := moment
			for _, phase := range []struct {
				name string
				took time.Duration
			}{{"hold", 4 * time.Millisecond}, {"claim", 2 * time.Millisecond}, {"attach", 3 * time.Millisecond}, {"import", 10 * time.Millisecond}} {
				s := spans[phase.name]
				if !s.Start.Equal(at) || s.End.Sub(s.Start) != phase.took || s.ParentID != server.SpanID || s.Failed {
					t.Errorf("%s is %+v, want from %s for %s", phase.name, s, at, phase.took)
				}
				at = at.Add(phase.took)
			}
			for _, name := range []string{"route", "write"} {
				if s := spans[name]; s.End.Sub(s.Start) != time.Millisecond || s.TraceID != caller[3:35] {
					t.Errorf("%s is %+v", name, s)
				}
			}
			if len(spans) != 8 || dropped.count() != 0 {
				t.Errorf("%d spans arrived, %g were dropped", len(spans), dropped.count())
			}
			for _, s := range spans {
				for key, value := range s.Attributes {
					if strings.Contains(value, "secret") {
						t.Errorf("%s of %s tells a secret: %s", key, s.Name, value)
					}
				}
			}
			if keys := collector.Keys(); len(keys) != 1 || keys[0] != "sesame" {
				t.Errorf("the exports' headers are %q", keys)
			}
		})
	}
}

// Code that can't be imported fails in the import, and there is no run.
func TestAFailedImportIsTraced(t *testing.T) {
	t.Parallel()
	spans := &memory{}
	tracer := tracing.New(spans, &drops{}, slog.New(slog.DiscardHandler), tracing.Config{SampleRatio: 1})
	stop := run(t, tracer)
	r, known := arrive("")
	ctx, request := tracer.StartRequest(t.Context(), r, known)
	if !known.Trace.Valid() || known.Trace.Flags&obs.FlagSampled == 0 {
		t.Errorf("the request's place is %s", known.Trace)
	}
	failed := record(known.ID)
	failed.StartedAt, failed.Duration, failed.Phases.Route = time.Time{}, 0, 0
	tracer.StartCall(ctx).End(failed, tracing.Times{Begun: moment, Ended: moment.Add(19 * time.Millisecond)})
	request.End(tracing.Ended{Status: 200})
	stop()
	want := map[string]bool{"hold": false, "claim": false, "attach": false, "import": true, "POST": true}
	for _, s := range spans.all() {
		failed, expected := want[s.Name()]
		if !expected || (s.Status().Code.String() == "Error") != failed {
			t.Errorf("%s ended with %v", s.Name(), s.Status())
		}
		delete(want, s.Name())
	}
	if len(want) > 0 {
		t.Errorf("there is no %v", want)
	}
}

// Whether a trace is recorded is the caller's to say, and else a matter of the ratio.
func TestSampling(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		traceparent string
		ratio       float64
		recorded    bool
	}{
		"the caller records":      {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 0, true},
		"the caller does not":     {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", 1, false},
		"it begins here, all":     {"", 1, true},
		"it begins here, nothing": {"", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spans := &memory{}
			tracer := tracing.New(spans, &drops{}, slog.New(slog.DiscardHandler), tracing.Config{SampleRatio: c.ratio})
			stop := run(t, tracer)
			r, known := arrive(c.traceparent)
			ctx, request := tracer.StartRequest(t.Context(), r, known)
			if call := tracer.StartCall(ctx); (call != nil) != c.recorded {
				t.Errorf("the call is recorded: %t", call != nil)
			}
			if !known.Trace.Valid() || (known.Trace.Flags&obs.FlagSampled != 0) != c.recorded {
				t.Errorf("what is passed on is %s", known.Trace)
			}
			request.End(tracing.Ended{})
			stop()
			if got := len(spans.all()) > 0; got != c.recorded {
				t.Errorf("it was recorded: %t", got)
			}
		})
	}
}

// A tracer that is not there costs nothing and does nothing.
func TestNoTracer(t *testing.T) { // alone, because allocations are counted
	var tracer *tracing.Tracer
	r, known := arrive("")
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		_, request := tracer.StartRequest(ctx, r, known)
		call := tracer.StartCall(ctx)
		call.End(nil, tracing.Times{})
		call.Written(time.Second)
		request.End(tracing.Ended{})
	}); n != 0 {
		t.Errorf("it allocates %g times", n)
	}
	stop := run(t, tracer)
	stop()
}

// memory is an exporter that keeps spans, or does as it is told.
type memory struct {
	do func(ctx context.Context) error

	mu    sync.Mutex
	spans []sdktrace.ReadOnlySpan
}

func (m *memory) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if m.do != nil {
		if err := m.do(ctx); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spans = append(m.spans, spans...)
	return nil
}

func (m *memory) Shutdown(context.Context) error { return nil }

func (m *memory) all() []sdktrace.ReadOnlySpan {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]sdktrace.ReadOnlySpan(nil), m.spans...)
}

// A collector that hangs slows no call, fills no memory, and holds up the end only so long.
func TestACollectorThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := &memory{do: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		var dropped drops
		var logged bytes.Buffer
		tracer := tracing.New(hangs, &dropped, slog.New(slog.NewTextHandler(&logged, nil)),
			tracing.Config{SampleRatio: 1, Queue: 100, Batch: 10, Timeout: 10 * time.Second, Flush: 5 * time.Second})
		stop := run(t, tracer)
		began := time.Now()
		for range 1000 {
			r, known := arrive("")
			_, request := tracer.StartRequest(t.Context(), r, known)
			request.End(tracing.Ended{})
		}
		if time.Since(began) != 0 {
			t.Errorf("the requests were held up for %s", time.Since(began))
		}
		if n := dropped.count(); n < 880 || n >= 1000 {
			t.Errorf("%g spans were dropped", n)
		}
		time.Sleep(35 * time.Second)
		synctest.Wait()
		if n := strings.Count(logged.String(), "could not be exported"); n != 1 {
			t.Errorf("it was told %d times: %s", n, logged.String())
		}
		ending := time.Now()
		stop()
		if took := time.Since(ending); took > 6*time.Second {
			t.Errorf("the end took %s", took)
		}
		if n := dropped.count(); n != 1000 {
			t.Errorf("%g spans were dropped in all", n)
		}
	})
}

func TestACollectorThatRefuses(t *testing.T) {
	t.Parallel()
	collector := tracingtest.Start(t)
	collector.Refuse()
	exporter, err := tracing.NewExporter(t.Context(), tracing.Collector{Address: collector.HTTP, Protocol: tracing.ProtocolHTTP, Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	var dropped drops
	tracer := tracing.New(exporter, &dropped, slog.New(slog.DiscardHandler), tracing.Config{SampleRatio: 1})
	stop := run(t, tracer)
	r, known := arrive("")
	_, request := tracer.StartRequest(t.Context(), r, known)
	request.End(tracing.Ended{})
	stop()
	if dropped.count() != 1 {
		t.Errorf("%g spans were dropped", dropped.count())
	}
}

func TestUnknownProtocol(t *testing.T) {
	t.Parallel()
	if _, err := tracing.NewExporter(t.Context(), tracing.Collector{Protocol: "smoke"}); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
