package transport

import (
	"net/http"

	"nimbus"
	"nimbus/internal/obs"
	"nimbus/internal/problem"
)

// identify gives the request its id, a UUIDv7, and its place in a trace: a child of the caller's, or a new
// one. Both are in the context and in the response. An X-Request-Id of the caller's is not taken over: the
// id is that of the invocation, and a caller must not be able to choose it.
func identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := nimbus.NewID()
		trace, ok := obs.ParseTraceparent(r.Header.Get("Traceparent"))
		if ok {
			trace = trace.Child()
		} else {
			trace = obs.NewTrace()
		}
		h := w.Header()
		h.Set(problem.RequestIDHeader, id.String())
		h.Set("Traceparent", trace.String())
		ctx := obs.WithTrace(obs.WithRequestID(r.Context(), id), trace)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
