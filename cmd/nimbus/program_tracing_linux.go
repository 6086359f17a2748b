package main

import (
	"context"
	"fmt"
	"log/slog"

	"nimbus/internal/config"
	"nimbus/internal/obs"
	"nimbus/internal/obs/tracing"
)

// newTracer returns what records traces, nil when they have nowhere to go.
func newTracer(ctx context.Context, t config.Telemetry, metrics *obs.Metrics, log *slog.Logger) (*tracing.Tracer, error) {
	if t.OTLP.Endpoint == "" {
		return nil, nil
	}
	address, path := t.OTLP.Address()
	exporter, err := tracing.NewExporter(ctx, tracing.Collector{Address: address, Path: path,
		Protocol: tracing.Protocol(t.OTLP.Protocol), Headers: t.OTLP.Headers, Insecure: t.OTLP.Plain()})
	if err != nil {
		return nil, fmt.Errorf("set up the export of traces: %w", err)
	}
	log.Info("traces are exported", "endpoint", t.OTLP.Endpoint, "protocol", t.OTLP.Protocol, "sample_ratio", t.SampleRatio)
	return tracing.New(exporter, metrics.SpansDropped, log,
		tracing.Config{Service: t.ServiceName, Version: buildVersion(), SampleRatio: t.SampleRatio}), nil
}
