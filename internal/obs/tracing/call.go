package tracing

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"nimbus"
	"nimbus/internal/obs"
)

// Attributes that no convention has a name for.
const (
	requestIDKey = attribute.Key("nimbus.request_id")
	namespaceKey = attribute.Key("nimbus.namespace")
	statusKey    = attribute.Key("nimbus.invocation.status")
)

// Call is the part of a trace that tells of one invocation: a span for each phase, below the request's. Those
// before the handler are made when the call has ended, of its record; only the run's has to be there before. A nil
// Call records nothing.
type Call struct {
	spans  trace.Tracer
	ctx    context.Context // knows the request's span
	parent trace.Span
	run    trace.Span // nil until it runs
	ended  time.Time  // when there was an answer to write
}

// StartCall returns the recorder of a call of the context's request, nil when its trace is not recorded.
func (t *Tracer) StartCall(ctx context.Context) *Call {
	if t == nil {
		return nil
	}
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return nil
	}
	return &Call{spans: t.spans, ctx: trace.ContextWithSpan(context.Background(), parent), parent: parent}
}

// Run starts the span that the handler runs in and returns its traceparent. It may be called again, when the
// first instance turns out to have ended.
func (c *Call) Run(at time.Time) (traceparent string) {
	if c.run == nil {
		c.run = c.start("run", at)
	}
	place := c.run.SpanContext()
	return obs.TraceContext{TraceID: place.TraceID(), SpanID: place.SpanID(), Flags: byte(place.TraceFlags())}.String()
}

// Times are the moments of a call that its record has only in part.
type Times struct {
	Routed time.Time // when its version began to be looked up, if it was
	Begun  time.Time // when it was let in
	Ran    time.Time // when the handler got the event; zero = never
	Ended  time.Time
}

// End records the phases of a call that has ended.
func (c *Call) End(inv *nimbus.Invocation, t Times) {
	if c == nil {
		return
	}
	c.finish(c.parent, inv)
	if took := inv.Phases.Route; took > 0 {
		c.start("route", t.Routed).End(trace.WithTimestamp(t.Routed.Add(took)))
	}
	c.waited(inv, t.Begun)
	if c.run != nil {
		c.finish(c.run, inv)
		c.run.End(trace.WithTimestamp(t.Ran.Add(inv.Duration)))
	}
	c.ended = t.Ended
}

// waited records what came before the handler ran. A call that never ran failed in the last of it.
func (c *Call) waited(inv *nimbus.Invocation, at time.Time) {
	p := &inv.Phases
	var last trace.Span
	for _, phase := range []struct {
		name string
		took time.Duration
	}{{"admit", p.Admit}, {"hold", p.Hold}, {"claim", p.Claim}, {"attach", p.Attach}, {"import", p.Init}} {
		if phase.took <= 0 {
			continue
		}
		if last != nil {
			last.End(trace.WithTimestamp(at))
		}
		last = c.start(phase.name, at)
		at = at.Add(phase.took)
	}
	if last == nil {
		return
	}
	if c.run == nil {
		c.finish(last, inv)
	}
	last.End(trace.WithTimestamp(at))
}

// Written records how long the answer took to be written.
func (c *Call) Written(took time.Duration) {
	if c != nil && took > 0 {
		c.start("write", c.ended).End(trace.WithTimestamp(c.ended.Add(took)))
	}
}

func (c *Call) start(name string, at time.Time) trace.Span {
	_, span := c.spans.Start(c.ctx, name, trace.WithTimestamp(at))
	return span
}

// finish says on a span what its call came to. Nothing of the payload is said, nor the message of an error, which
// may quote it.
func (c *Call) finish(span trace.Span, inv *nimbus.Invocation) {
	span.SetAttributes(
		semconv.FaaSName(inv.FunctionName), semconv.FaaSVersion(strconv.FormatInt(inv.Version, 10)),
		semconv.FaaSInvocationID(inv.ID.String()), semconv.FaaSColdstart(inv.ColdStart),
		semconv.FaaSTriggerKey.String(string(inv.TriggerType)),
		namespaceKey.String(inv.Namespace), statusKey.String(string(inv.Status)))
	if inv.InstanceID != "" {
		span.SetAttributes(semconv.FaaSInstance(inv.InstanceID))
	}
	if inv.Status != nimbus.InvocationSuccess {
		span.SetAttributes(semconv.ErrorTypeKey.String(cmp.Or(inv.ErrorType, string(inv.Status))))
		span.SetStatus(codes.Error, "")
	}
}
