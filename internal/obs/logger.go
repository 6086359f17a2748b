package obs

import (
	"context"
	"io"
	"log/slog"

	"nimbus"
)

// Format is how the platform's own log is written.
type Format string

// The formats.
const (
	FormatText Format = "text" // key=value
	FormatJSON Format = "json" // one object a line
)

// NewLogger returns a logger that adds the context's request_id and trace_id to every record.
func NewLogger(w io.Writer, level slog.Level, format Format) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == FormatJSON {
		return slog.New(contextHandler{slog.NewJSONHandler(w, options)})
	}
	return slog.New(contextHandler{slog.NewTextHandler(w, options)})
}

// contextHandler adds what the context knows about the request.
type contextHandler struct{ slog.Handler }

func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := RequestIDFrom(ctx); !id.IsZero() {
		r.AddAttrs(slog.String("request_id", id.String()))
	}
	if trace := TraceFrom(ctx); trace.Valid() {
		r.AddAttrs(slog.String("trace_id", trace.TraceIDText()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{h.Handler.WithAttrs(attrs)}
}

func (h contextHandler) WithGroup(name string) slog.Handler {
	return contextHandler{h.Handler.WithGroup(name)}
}

type requestIDKey struct{}

// WithRequestID returns a context that carries the id of the request it is about.
func WithRequestID(ctx context.Context, id nimbus.ID) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestIDFrom returns the request id of the context, zero when it has none.
func RequestIDFrom(ctx context.Context) nimbus.ID {
	id, _ := ctx.Value(requestIDKey{}).(nimbus.ID)
	return id
}
