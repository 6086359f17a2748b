package transport

import (
	"net/http"
	"strings"

	"nimbus/internal/obs"
	"nimbus/internal/obs/tracing"
)

// gatewayRoute is the route of every function URL.
const gatewayRoute = GatewayPrefix + "{namespace}/{name}"

// traceRequests records a span of each request. From here on the request's place in the trace is that span. Those
// who ask for the server's health or metrics every few seconds are left out.
func traceRequests(next http.Handler, tracer *tracing.Tracer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" || strings.HasPrefix(r.URL.Path, "/health") {
			next.ServeHTTP(w, r)
			return
		}
		known := obs.RequestFrom(r.Context())
		ctx, span := tracer.StartRequest(r.Context(), r, &known)
		known.Traceparent = known.Trace.String()
		w.Header().Set(traceHeader, known.Traceparent)
		r = r.WithContext(obs.WithRequest(ctx, &known))
		rec := recorderOf(w)
		completed := false
		defer func() {
			span.End(tracing.Ended{Route: routeOf(r), Status: rec.status, Broken: !completed})
		}()
		next.ServeHTTP(rec, r)
		completed = true
	})
}

// routeOf is what the request was found to be for: the control plane's routing notes it in the request.
func routeOf(r *http.Request) string {
	if strings.HasPrefix(r.URL.Path, GatewayPrefix) {
		return gatewayRoute
	}
	_, path, _ := strings.Cut(r.Pattern, " ") // what has no method is there to refuse
	return path
}
