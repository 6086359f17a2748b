// Package transport is what the HTTP transports, control plane and gateway, have in common. On its way to
// either, a request gets an id and a place in a trace, its panic becomes a problem, and a line of the access
// log tells how it ended. Who asks is told by an Identity, which each of them consults itself, because some
// paths are open to everyone.
package transport

import (
	"log/slog"
	"net/http"
	"strings"

	"nimbus/internal/obs/tracing"
	"nimbus/internal/problem"
)

// GatewayPrefix is where function URLs begin.
const GatewayPrefix = "/fn/"

// Counter counts answers by their status; 0 is an answer that was broken off before it had one.
type Counter interface {
	CountRequest(status int)
}

// Deps is what the way of a request needs.
type Deps struct {
	Problems *problem.Writer
	Requests Counter
	Tracer   *tracing.Tracer // nil = nothing is traced
	Log      *slog.Logger
}

// New returns the handler of the whole server: gateway gets what is below /fn/, control everything else.
func New(control, gateway http.Handler, d Deps) http.Handler {
	answer := logAccess(recoverPanics(split(control, gateway), d.Problems, d.Log), d.Requests, d.Log)
	if d.Tracer != nil {
		answer = traceRequests(answer, d.Tracer)
	}
	return identify(answer)
}

// split is no http.ServeMux, because that would redirect paths with "//" or "..", which are the function's
// business.
func split(control, gateway http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, GatewayPrefix) {
			gateway.ServeHTTP(w, r)
			return
		}
		control.ServeHTTP(w, r)
	})
}
