package main

import (
	"context"
	"sync"
	"time"

	"nimbus/internal/driver"
)

// probeMemory is how long a probe's answer counts. A machine changes rarely, and a probe starts processes.
const probeMemory = 10 * time.Second

// prober is a driver whose probe is remembered, for those who ask at every request. Safe for concurrent use.
type prober struct {
	driver.Driver

	asking sync.Mutex // held while the driver is asked, so that it is asked once
	mu     sync.Mutex
	report driver.Report
	until  time.Time
}

// Probe implements driver.Driver.
func (p *prober) Probe(ctx context.Context) driver.Report {
	if report, ok := p.remembered(); ok {
		return report
	}
	p.asking.Lock()
	defer p.asking.Unlock()
	if report, ok := p.remembered(); ok {
		return report
	}
	// Whoever asks next gets this answer too, so it must not be cut short because this caller leaves.
	report := p.Driver.Probe(context.WithoutCancel(ctx))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report, p.until = report, time.Now().Add(probeMemory)
	return report
}

func (p *prober) remembered() (driver.Report, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.report, time.Now().Before(p.until)
}
