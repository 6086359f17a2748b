package obs

import (
	"context"
	"io"
	"log/slog"
)

// Format is how the platform's own log is written.
type Format string

// The formats.
const (
	FormatText Format = "text" // key=value
	FormatJSON Format = "json" // one object a line
)

// NewLogger returns a logger that adds the context's request_id and trace_id to every record.
func NewLogger(w io.Writer, level slog.Leveler, format Format) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == FormatJSON {
		return slog.New(contextHandler{slog.NewJSONHandler(w, options)})
	}
	return slog.New(contextHandler{slog.NewTextHandler(w, options)})
}

// contextHandler adds what the context knows about the request.
type contextHandler struct{ slog.Handler }

func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	request := RequestFrom(ctx)
	if !request.ID.IsZero() {
		r.AddAttrs(slog.String("request_id", request.ID.String()))
	}
	if id := TraceIDOf(request.Traceparent); id != "" {
		r.AddAttrs(slog.String("trace_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{h.Handler.WithAttrs(attrs)}
}

func (h contextHandler) WithGroup(name string) slog.Handler {
	return contextHandler{h.Handler.WithGroup(name)}
}
