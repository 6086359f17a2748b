package transport

import (
	"net/http"
	"time"

	"nimbus"
	"nimbus/internal/obs"
	"nimbus/internal/problem"
)

const traceHeader = "Traceparent"

// identify gives the request its id, a UUIDv7, and its place in a trace: the caller's, or that of a new one. Both
// are in the context and in the response. An X-Request-Id of the caller's is not taken over: the id is that of the
// invocation, and a caller must not be able to choose it.
func identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		known := &obs.Request{ID: nimbus.NewID(), Arrived: time.Now()}
		var ok bool
		if known.Trace, ok = obs.ParseTraceparent(r.Header.Get(traceHeader)); !ok {
			known.Trace = obs.NewTrace()
		}
		known.Traceparent = known.Trace.String()
		h := w.Header()
		h.Set(problem.RequestIDHeader, known.ID.String())
		h.Set(traceHeader, known.Traceparent)
		next.ServeHTTP(w, r.WithContext(obs.WithRequest(r.Context(), known)))
	})
}
