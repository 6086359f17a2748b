package api

import (
	"net/http"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/runtime"
)

// runtimesJSON is what this machine can run, and what it runs it in.
type runtimesJSON struct {
	Items   []runtimeJSON `json:"items"`
	Drivers []driverJSON  `json:"drivers"`
}

type runtimeJSON struct {
	Name           string   `json:"name"`
	Language       string   `json:"language"`
	Version        string   `json:"version"`
	DefaultHandler string   `json:"default_handler"`
	Aliases        []string `json:"aliases,omitempty" doc:"Other names for it."`
}

type driverJSON struct {
	Name     string        `json:"name"`
	Healthy  bool          `json:"healthy"`
	Reason   string        `json:"reason,omitempty" doc:"Why it is not healthy."`
	Features []featureJSON `json:"features" doc:"Each protection and limit on its own."`
}

type featureJSON struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty" doc:"How it is done, or why it is missing and what would help."`
}

func (a *api) listRuntimes(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	if err := p.RequireScope(nimbus.ScopeRead); err != nil {
		return err
	}
	out := runtimesJSON{Items: []runtimeJSON{}, Drivers: []driverJSON{}}
	for _, rt := range a.Runtimes.List() {
		out.Items = append(out.Items, newRuntimeJSON(rt))
	}
	for _, d := range a.Drivers {
		out.Drivers = append(out.Drivers, newDriverJSON(d.Name(), d.Probe(r.Context())))
	}
	return writeJSON(w, http.StatusOK, out)
}

func newRuntimeJSON(rt runtime.Runtime) runtimeJSON {
	return runtimeJSON{Name: rt.Name, Language: string(rt.Language), Version: rt.Version,
		DefaultHandler: rt.DefaultHandler, Aliases: rt.Aliases}
}

func newDriverJSON(name string, report driver.Report) driverJSON {
	out := driverJSON{Name: name, Healthy: report.Healthy, Reason: report.Reason, Features: []featureJSON{}}
	for _, f := range report.Features {
		out.Features = append(out.Features, featureJSON{Name: f.Name, OK: f.OK, Detail: f.Detail})
	}
	return out
}
