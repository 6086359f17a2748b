// Package tracing records what happens to a request as OpenTelemetry spans, from its arrival into the function,
// and exports them by OTLP. Names and attributes follow OpenTelemetry's conventions for HTTP and FaaS.
//
// An installation that exports nothing has a nil *Tracer. Everything on it, and on the nil spans it starts, does
// nothing and costs a comparison.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Config says what is exported, and where to.
type Config struct {
	Service     string        // service.name; "" = nimbus
	Version     string        // service.version
	SampleRatio float64       // of the traces that begin here; those that callers began go by the caller's flag
	Queue       int           // spans that may wait for export; 0 = 4096
	Batch       int           // spans of one export; 0 = 512
	Every       time.Duration // the longest that a span waits for others; 0 = 1 s
	Timeout     time.Duration // of one export; 0 = 10 s
	Flush       time.Duration // for what is left when Run is to end; 0 = 5 s
}

func (c Config) withDefaults() Config {
	set(&c.Service, "nimbus")
	set(&c.Queue, 4096)
	set(&c.Batch, 512)
	set(&c.Every, time.Second)
	set(&c.Timeout, 10*time.Second)
	set(&c.Flush, 5*time.Second)
	return c
}

// set gives a field its default.
func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Dropped counts spans that were recorded and not exported.
type Dropped interface{ Add(spans float64) }

// Tracer starts spans. They are exported while Run runs. Safe for concurrent use.
type Tracer struct {
	provider *sdktrace.TracerProvider
	spans    trace.Tracer
	batches  *batcher
}

// New returns a tracer whose spans go to the exporter.
func New(exporter sdktrace.SpanExporter, dropped Dropped, log *slog.Logger, c Config) *Tracer {
	c = c.withDefaults()
	b := newBatcher(exporter, dropped, log, c)
	attributes := resource.NewWithAttributes(semconv.SchemaURL, semconv.ServiceName(c.Service), semconv.ServiceVersion(c.Version))
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.SampleRatio))),
		sdktrace.WithResource(attributes),
		sdktrace.WithSpanProcessor(b),
	)
	return &Tracer{provider: provider, batches: b,
		spans: provider.Tracer("nimbus", trace.WithInstrumentationVersion(c.Version), trace.WithSchemaURL(semconv.SchemaURL))}
}

// Run exports spans until ctx ends, then what is left as long as Config.Flush allows, and closes the exporter.
func (t *Tracer) Run(ctx context.Context) error {
	if t == nil {
		<-ctx.Done()
		return nil
	}
	life, end := outlive(ctx, t.batches.config.Flush)
	defer end()
	t.batches.run(ctx, life)
	err := errors.Join(t.provider.Shutdown(life), t.batches.exporter.Shutdown(life))
	if err != nil && life.Err() == nil { // else the collector is away, which has been told
		return fmt.Errorf("close the exporter of traces: %w", err)
	}
	return nil
}

// outlive returns a context with ctx's values that ends a while after ctx.
func outlive(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, end)
		context.AfterFunc(life, func() { timer.Stop() })
	})
	return life, func() { stop(); end() }
}
