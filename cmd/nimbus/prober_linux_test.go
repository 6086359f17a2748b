package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nimbus/internal/driver"
)

// probes counts.
type probes struct {
	driver.Driver
	mu sync.Mutex
	n  int
}

func (p *probes) Probe(context.Context) driver.Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	return driver.Report{Healthy: p.n == 1}
}

func TestProbeIsRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := &probes{}
		p := &prober{Driver: asked}
		var askers sync.WaitGroup
		for range 20 {
			askers.Go(func() {
				if !p.Probe(t.Context()).Healthy {
					t.Error("the answer is not the first one's")
				}
			})
		}
		askers.Wait()
		if asked.n != 1 {
			t.Errorf("20 askers had the driver probed %d times", asked.n)
		}
		time.Sleep(probeMemory)
		if p.Probe(t.Context()).Healthy {
			t.Error("an old answer counts")
		}
	})
}

func TestAMissingProtectionIsSaidAtTheStart(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	warnMissing(slog.New(slog.NewTextHandler(&out, nil)), "sandbox", driver.Report{Healthy: true, Features: []driver.Feature{
		{Name: "seccomp", OK: true}, {Name: driver.FeatureSnapshots, Luxury: true}, {Name: "landlock", Detail: "the kernel has none"}}})
	logged := out.String()
	if strings.Count(logged, "\n") != 1 || !strings.Contains(logged, "level=WARN") || !strings.Contains(logged, "feature=landlock") {
		t.Errorf("logged %q", logged)
	}
}
