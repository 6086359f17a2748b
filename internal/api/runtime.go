package api

import (
	"net/http"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/runtime"
)

// runtimesJSON is what this machine can run, and what it runs it in.
type runtimesJSON struct {
	Items      []runtimeJSON   `json:"items"`
	Toolchains []toolchainJSON `json:"toolchains" doc:"What compiles source on this machine."`
	Rejected   []rejectedJSON  `json:"rejected" doc:"What looked like a runtime or a toolchain and can't be used."`
	Drivers    []driverJSON    `json:"drivers"`
}

type runtimeJSON struct {
	Name           string   `json:"name"`
	Language       string   `json:"language"`
	Version        string   `json:"version"`
	DefaultHandler string   `json:"default_handler"`
	Aliases        []string `json:"aliases,omitempty" doc:"Other names for it."`
	Path           string   `json:"path" doc:"The program on the server's machine that instances execute."`
	Trees          []string `json:"trees,omitempty" doc:"Directories of the server's machine that instances see for it, beside the system's."`
}

type toolchainJSON struct {
	Language string   `json:"language"`
	Version  string   `json:"version"`
	Path     string   `json:"path"`
	Trees    []string `json:"trees,omitempty" doc:"Directories of the server's machine that it needs, beside the system's."`
}

type rejectedJSON struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
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
	out := runtimesJSON{Items: []runtimeJSON{}, Toolchains: []toolchainJSON{}, Rejected: []rejectedJSON{}, Drivers: []driverJSON{}}
	for _, rt := range a.Runtimes.List() {
		out.Items = append(out.Items, newRuntimeJSON(rt))
	}
	for _, t := range a.Runtimes.Toolchains() {
		out.Toolchains = append(out.Toolchains, toolchainJSON{Language: string(t.Language), Version: t.Version, Path: t.Path, Trees: t.Trees})
	}
	for _, r := range a.Runtimes.Rejected() {
		out.Rejected = append(out.Rejected, rejectedJSON{Path: r.Path, Reason: r.Reason})
	}
	for _, d := range a.Drivers {
		out.Drivers = append(out.Drivers, newDriverJSON(d.Name(), d.Probe(r.Context())))
	}
	return writeJSON(w, http.StatusOK, out)
}

func newRuntimeJSON(rt runtime.Runtime) runtimeJSON {
	return runtimeJSON{Name: rt.Name, Language: string(rt.Language), Version: rt.Version,
		DefaultHandler: rt.DefaultHandler, Aliases: rt.Aliases, Path: rt.Path, Trees: rt.Trees}
}

func newDriverJSON(name string, report driver.Report) driverJSON {
	out := driverJSON{Name: name, Healthy: report.Healthy, Reason: report.Reason, Features: []featureJSON{}}
	for _, f := range report.Features {
		out.Features = append(out.Features, featureJSON{Name: f.Name, OK: f.OK, Detail: f.Detail})
	}
	return out
}
