package obs

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"nimbus"
)

func TestLoggerAddsWhatTheContextKnows(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := NewLogger(&out, slog.LevelInfo, FormatJSON).With("function", "f")
	id, trace := nimbus.NewID(), NewTrace()
	ctx := WithRequest(t.Context(), &Request{ID: id, Traceparent: trace.String()})
	log.DebugContext(ctx, "below the level")
	log.InfoContext(ctx, "it happened")
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%q: %v", out.String(), err)
	}
	if got["msg"] != "it happened" || got["request_id"] != id.String() || got["trace_id"] != TraceIDOf(trace.String()) ||
		got["function"] != "f" {
		t.Errorf("got %v", got)
	}
	out.Reset()
	NewLogger(&out, slog.LevelInfo, FormatText).Info("nothing known", "a", 1)
	if line := out.String(); !strings.Contains(line, `msg="nothing known" a=1`) || strings.Contains(line, "_id") {
		t.Errorf("got %q", line)
	}
}
