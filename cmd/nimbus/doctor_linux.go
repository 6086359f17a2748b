package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"nimbus/internal/config"
	"nimbus/internal/driver"
	"nimbus/internal/driver/sandbox"
	"nimbus/internal/obs"
	embedded "nimbus/internal/program"
	"nimbus/internal/runtime"
)

// diagnosis is what `nimbus doctor` prints.
type diagnosis struct {
	Healthy    bool              `json:"healthy"`
	Drivers    []driverDiagnosis `json:"drivers"`
	Runtimes   []runtimeFound    `json:"runtimes"`
	Toolchains []toolchainFound  `json:"toolchains,omitempty"`
	Rejected   []runtimeRejected `json:"rejected_runtimes,omitempty"`
}

type driverDiagnosis struct {
	Name     string             `json:"name"`
	Healthy  bool               `json:"healthy"`
	Reason   string             `json:"reason,omitempty"`
	Features []featureDiagnosis `json:"features"`
}

type featureDiagnosis struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

type runtimeFound struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Path    string   `json:"path"`
	Aliases []string `json:"aliases,omitempty"`
	Trees   []string `json:"trees,omitempty"` // what instances see for it of this machine, beside the system's
}

type toolchainFound struct {
	Language string   `json:"language"`
	Version  string   `json:"version"`
	Path     string   `json:"path"`
	Trees    []string `json:"trees,omitempty"`
}

type runtimeRejected struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// runDoctor probes this machine.
func runDoctor(ctx context.Context, c *cli, sources config.Sources) error {
	cfg, err := config.Load(sources)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "nimbus-doctor-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }() // in the temporary directory
	programs, err := embedded.Unpack(scratch)
	if err != nil {
		programs = embedded.Set{} // the runtimes that need them are reported as rejected
	}
	sb, err := sandbox.New(sandbox.Config{Dir: scratch, Owner: fmt.Sprintf("doctor-%d", os.Getpid()), Agent: programs.Agent,
		AllowMissingLimits: cfg.Driver.Sandbox.AllowMissingLimits, Log: obs.NewLogger(c.err, cfg.Log.Level, cfg.Log.Format)})
	if err != nil {
		return err
	}
	var d diagnosis
	err = c.progress(ctx, "probing this machine", func(ctx context.Context) error {
		d, err = diagnose(ctx, programs, sb)
		return err
	})
	if err != nil {
		return err
	}
	if err := c.print(d, d.rows); err != nil {
		return err
	}
	if !d.Healthy {
		return errReported
	}
	return nil
}

func diagnose(ctx context.Context, programs embedded.Set, drivers ...driver.Driver) (diagnosis, error) {
	found, err := runtime.Discover(ctx, runtime.Config{Programs: programs, Version: buildVersion()})
	if err != nil {
		return diagnosis{}, err
	}
	var d diagnosis
	for _, rt := range found.List() {
		path := rt.Path
		if path == programs.Agent || path == programs.Wasm {
			path = "part of nimbus" // unpacked for this run only
		}
		d.Runtimes = append(d.Runtimes, runtimeFound{
			Name: rt.Name, Version: rt.Version, Path: path, Aliases: rt.Aliases, Trees: rt.Trees,
		})
	}
	for _, t := range found.Toolchains() {
		d.Toolchains = append(d.Toolchains, toolchainFound{
			Language: string(t.Language), Version: t.Version, Path: t.Path, Trees: t.Trees,
		})
	}
	for _, r := range found.Rejected() {
		d.Rejected = append(d.Rejected, runtimeRejected{Path: r.Path, Reason: r.Reason})
	}
	for _, dr := range drivers {
		report := dr.Probe(ctx)
		one := driverDiagnosis{Name: dr.Name(), Healthy: report.Healthy, Reason: report.Reason}
		for _, f := range report.Features {
			one.Features = append(one.Features, featureDiagnosis{Name: f.Name, OK: f.OK, Detail: f.Detail})
		}
		d.Drivers = append(d.Drivers, one)
		d.Healthy = d.Healthy || report.Healthy
	}
	d.Healthy = d.Healthy && len(d.Runtimes) > 0
	return d, nil
}

func (d diagnosis) rows(t *table) {
	t.row("DRIVER", "FEATURE", "OK", "DETAIL")
	for _, dr := range d.Drivers {
		t.row(dr.Name, "", showYes(dr.Healthy), dr.Reason)
		for _, f := range dr.Features {
			t.row(dr.Name, f.Name, showYes(f.OK), f.Detail)
		}
	}
	t.gap()
	t.row("RUNTIME", "VERSION", "PATH", "NEEDS", "WHY NOT")
	for _, rt := range d.Runtimes {
		t.row(rt.Name, rt.Version, rt.Path, strings.Join(rt.Trees, " "), "")
	}
	for _, c := range d.Toolchains {
		t.row(c.Language+" toolchain", c.Version, c.Path, strings.Join(c.Trees, " "), "")
	}
	for _, r := range d.Rejected {
		t.row("", "", r.Path, "", r.Reason)
	}
	if len(d.Runtimes) == 0 {
		t.row("none", "", "", "", "no interpreter was found; on Debian and Ubuntu: apt-get install python3")
	}
}
