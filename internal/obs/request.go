package obs

import (
	"context"
	"time"

	"nimbus"
)

// Request is what is known of a request from its arrival on.
type Request struct {
	ID          nimbus.ID
	Arrived     time.Time
	Trace       TraceContext
	Traceparent string // Trace as a header, written once
}

type requestKey struct{}

// WithRequest returns a context that knows the request it is about. Nobody changes r afterwards.
func WithRequest(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// RequestFrom returns what the context knows of its request, the zero Request when there is none.
func RequestFrom(ctx context.Context) Request {
	if r, ok := ctx.Value(requestKey{}).(*Request); ok {
		return *r
	}
	return Request{}
}

// RequestIDFrom returns the request id of the context, zero when it has none.
func RequestIDFrom(ctx context.Context) nimbus.ID {
	if r, ok := ctx.Value(requestKey{}).(*Request); ok {
		return r.ID
	}
	return nimbus.ID{}
}
