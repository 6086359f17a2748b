package pool_test

import (
	"context"
	"log/slog"
	"testing"

	"nimbus/internal/driver"
	"nimbus/internal/obs"
	"nimbus/internal/pool"
	"nimbus/internal/pool/pooltest"
	"nimbus/internal/runtime"
	"nimbus/internal/scheduler"
)

// BenchmarkWarm is a lease of an idle instance and its release: what a warm call costs the pool.
func BenchmarkWarm(b *testing.B) {
	p, err := pool.New(pool.Deps{Drivers: []driver.Driver{&pooltest.Driver{}}, Packages: packages{}, Logs: &logs{},
		Metrics: obs.NewMetrics(), Log: slog.New(slog.DiscardHandler)},
		pool.Config{Runtimes: []pool.RuntimeConfig{{Runtime: runtime.Runtime{Name: python}}}, Policy: scheduler.Policy{MaxInvocations: 1 << 40}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}()
	s := function(1)
	b.ReportAllocs()
	for b.Loop() {
		l, err := p.Acquire(ctx, pool.Request{Spec: s})
		if err != nil {
			b.Fatal(err)
		}
		l.Release(pool.Healthy)
	}
}
