package tracing

import (
	"context"
	"log/slog"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// complainEvery is how often the log tells that spans can't be exported: an outage has one cause.
const complainEvery = time.Minute

// batcher is a span processor that exports in batches, off the way of calls. What finds no room in its queue
// is dropped and counted: a collector that is slow or away slows no call.
type batcher struct {
	exporter sdktrace.SpanExporter
	dropped  Dropped
	log      *slog.Logger
	config   Config
	queue    chan sdktrace.ReadOnlySpan

	complained time.Time // touched by run only
}

func newBatcher(exporter sdktrace.SpanExporter, dropped Dropped, log *slog.Logger, c Config) *batcher {
	return &batcher{exporter: exporter, dropped: dropped, log: log, config: c, queue: make(chan sdktrace.ReadOnlySpan, c.Queue)}
}

// OnStart implements sdktrace.SpanProcessor.
func (b *batcher) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements sdktrace.SpanProcessor.
func (b *batcher) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	select {
	case b.queue <- s:
	default:
		b.dropped.Add(1)
	}
}

// Shutdown implements sdktrace.SpanProcessor. Run closes the exporter.
func (b *batcher) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdktrace.SpanProcessor.
func (b *batcher) ForceFlush(context.Context) error { return nil }

// run exports until ctx ends, and then what is in the queue, until life ends too.
func (b *batcher) run(ctx, life context.Context) {
	for {
		first, ok := b.next(ctx)
		if !ok {
			break
		}
		batch, more := b.gather(ctx, first)
		b.export(life, batch)
		if !more {
			break
		}
	}
	for len(b.queue) > 0 {
		b.export(life, b.drain(nil))
	}
}

// next waits for a span.
func (b *batcher) next(ctx context.Context) (sdktrace.ReadOnlySpan, bool) {
	select {
	case s := <-b.queue:
		return s, true
	case <-ctx.Done():
		return nil, false
	}
}

// gather waits a while for more spans, and reports false when ctx ended meanwhile.
func (b *batcher) gather(ctx context.Context, first sdktrace.ReadOnlySpan) (batch []sdktrace.ReadOnlySpan, more bool) {
	timer := time.NewTimer(b.config.Every)
	defer timer.Stop()
	batch = append(make([]sdktrace.ReadOnlySpan, 0, b.config.Batch), first)
	for len(batch) < b.config.Batch {
		select {
		case s := <-b.queue:
			batch = append(batch, s)
		case <-timer.C:
			return batch, true
		case <-ctx.Done():
			return b.drain(batch), false
		}
	}
	return batch, true
}

// drain fills a batch with what is in the queue.
func (b *batcher) drain(batch []sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	for len(batch) < b.config.Batch {
		select {
		case s := <-b.queue:
			batch = append(batch, s)
		default:
			return batch
		}
	}
	return batch
}

// export sends a batch. The exporter tries again by itself what may be tried again, as long as it is let.
func (b *batcher) export(ctx context.Context, batch []sdktrace.ReadOnlySpan) {
	ctx, cancel := context.WithTimeout(ctx, b.config.Timeout)
	defer cancel()
	err := b.exporter.ExportSpans(ctx, batch)
	if err == nil {
		return
	}
	b.dropped.Add(float64(len(batch)))
	if now := time.Now(); b.complained.IsZero() || now.Sub(b.complained) >= complainEvery {
		b.complained = now
		b.log.Warn("traces could not be exported; spans are lost", "error", err, "spans", len(batch))
	}
}
