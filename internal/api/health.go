package api

import (
	"errors"
	"net/http"
	"time"

	"nimbus"
)

// healthJSON says how the server is.
type healthJSON struct {
	Status  string `json:"status" enum:"ok,not_ready"`
	Version string `json:"version,omitempty"`
	Reason  string `json:"reason,omitempty" doc:"Why calls can't be served."`
	// StartedAt tells a client that waits for a restart when it is over.
	StartedAt *time.Time `json:"started_at,omitempty" doc:"When the server started, or took a restored installation."`
}

const statusOK = "ok"

// health tells people; 200 as long as the server answers at all.
func (a *api) health(w http.ResponseWriter, r *http.Request, _ nimbus.Principal) error {
	out := healthJSON{Status: statusOK, Version: a.cfg.Version, StartedAt: &a.cfg.StartedAt}
	if err := a.Ready(r.Context()); err != nil {
		out.Status, out.Reason = "not_ready", reason(err)
	}
	return writeJSON(w, http.StatusOK, out)
}

// live tells a supervisor not to restart the server.
func (a *api) live(w http.ResponseWriter, _ *http.Request, _ nimbus.Principal) error {
	return writeJSON(w, http.StatusOK, healthJSON{Status: statusOK})
}

// ready tells a load balancer whether calls can be served.
func (a *api) ready(w http.ResponseWriter, r *http.Request, _ nimbus.Principal) error {
	if err := a.Ready(r.Context()); err != nil {
		return nimbus.Errorf(nimbus.CodeUnavailable, "not ready: %s", reason(err))
	}
	return writeJSON(w, http.StatusOK, healthJSON{Status: statusOK})
}

// reason says why the server is not ready.
func reason(err error) string {
	if e, ok := errors.AsType[*nimbus.Error](err); ok {
		return e.Detail
	}
	return err.Error()
}

func (a *api) metrics(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	if err := p.RequireInstallation(nimbus.ScopeRead); err != nil {
		return err
	}
	a.Metrics.ServeHTTP(w, r)
	return nil
}
