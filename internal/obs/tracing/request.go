package tracing

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"nimbus/internal/obs"
)

// Request is the span of an HTTP request. A nil Request records nothing.
type Request struct {
	span   trace.Span
	method string
}

// StartRequest starts the span of a request that arrived at known.Arrived: a child of the caller's that known.Trace
// names, or the first of a new trace. It puts the span's own place into known, and the span into the context.
func (t *Tracer) StartRequest(ctx context.Context, r *http.Request, known *obs.Request) (context.Context, *Request) {
	if t == nil {
		return ctx, nil
	}
	if known.Trace.Valid() {
		state, _ := trace.ParseTraceState(strings.Join(r.Header.Values("Tracestate"), ",")) // of no use: dropped
		ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: known.Trace.TraceID, SpanID: known.Trace.SpanID, TraceFlags: trace.TraceFlags(known.Trace.Flags),
			TraceState: state, Remote: true,
		}))
	}
	method := knownMethod(r.Method)
	ctx, span := t.spans.Start(ctx, method, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(known.Arrived))
	place := span.SpanContext()
	known.Trace = obs.TraceContext{TraceID: place.TraceID(), SpanID: place.SpanID(), Flags: byte(place.TraceFlags())}
	if span.IsRecording() {
		span.SetAttributes(semconv.HTTPRequestMethodKey.String(method), semconv.URLPath(r.URL.Path), semconv.URLScheme(schemeOf(r)),
			semconv.ServerAddress(r.Host), semconv.UserAgentOriginal(r.UserAgent()), requestIDKey.String(known.ID.String()))
	}
	return ctx, &Request{span: span, method: method}
}

// Ended is how a request was answered.
type Ended struct {
	Route  string // as it is declared; "" = none was found
	Status int    // 0 = none was sent
	Broken bool   // the answer was broken off
}

// End ends the span.
func (r *Request) End(e Ended) {
	if r == nil {
		return
	}
	defer r.span.End()
	if !r.span.IsRecording() {
		return
	}
	if e.Route != "" {
		r.span.SetName(r.method + " " + e.Route)
		r.span.SetAttributes(semconv.HTTPRoute(e.Route))
	}
	if e.Status != 0 {
		r.span.SetAttributes(semconv.HTTPResponseStatusCode(e.Status))
	}
	if e.Broken || e.Status >= http.StatusInternalServerError {
		r.span.SetStatus(codes.Error, "")
	}
}

// knownMethod is the method, or what stands for one that a caller made up.
func knownMethod(method string) string {
	if slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace}, method) {
		return method
	}
	return "_OTHER"
}

func schemeOf(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}
