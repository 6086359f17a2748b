package main

import (
	"context"
	"fmt"
	"os"

	"nimbus/internal/config"
	"nimbus/internal/driver"
	"nimbus/internal/driver/sandbox"
	"nimbus/internal/obs"
	"nimbus/internal/runtime"
)

// diagnosis is what `nimbus doctor` prints.
type diagnosis struct {
	Healthy  bool              `json:"healthy"`
	Drivers  []driverDiagnosis `json:"drivers"`
	Runtimes []runtimeFound    `json:"runtimes"`
	Rejected []runtimeRejected `json:"rejected_runtimes,omitempty"`
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
	Name    string `json:"name"`
	Version string `json:"version"`
	Path    string `json:"path"`
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
	defer func() { _ = os.RemoveAll(scratch) }() // empty, and in the temporary directory
	sb, err := sandbox.New(sandbox.Config{Dir: scratch, Owner: fmt.Sprintf("doctor-%d", os.Getpid()),
		AllowMissingLimits: cfg.Driver.Sandbox.AllowMissingLimits, Log: obs.NewLogger(c.err, cfg.Log.Level, cfg.Log.Format)})
	if err != nil {
		return err
	}
	var d diagnosis
	err = c.progress(ctx, "probing this machine", func(ctx context.Context) error {
		d, err = diagnose(ctx, sb)
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

func diagnose(ctx context.Context, drivers ...driver.Driver) (diagnosis, error) {
	found, err := runtime.Discover(ctx, runtime.Config{}.WithDefaults())
	if err != nil {
		return diagnosis{}, err
	}
	var d diagnosis
	for _, rt := range found.List() {
		d.Runtimes = append(d.Runtimes, runtimeFound{Name: rt.Name, Version: rt.Version, Path: rt.Path})
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
	t.row("RUNTIME", "VERSION", "PATH", "WHY NOT")
	for _, rt := range d.Runtimes {
		t.row(rt.Name, rt.Version, rt.Path, "")
	}
	for _, r := range d.Rejected {
		t.row("", "", r.Path, r.Reason)
	}
	if len(d.Runtimes) == 0 {
		t.row("none", "", "", "no interpreter was found; on Debian and Ubuntu: apt-get install python3")
	}
}
