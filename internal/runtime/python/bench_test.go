package python_test

import (
	"testing"

	"nimbus/internal/runtime/runtimetest"
	"nimbus/internal/wire"
)

// BenchmarkCall is a warm call of a trivial handler, without sandbox and pool.
func BenchmarkCall(b *testing.B) {
	i := function(b, "def handle(event, context): return {'hello': event['name']}")
	event := []byte(`{"name":"Ada"}`)
	meta := runtimetest.ExecMeta()
	ctx := runtimetest.Context(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := i.Conn.Exec(ctx, meta, event, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStart is a fresh process until its handler is ready.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		i := blank(b)
		i.WriteFile(b, "handler.py", "def handle(event): return event")
		if meta := i.Init(b, wire.InitMsg{}); !meta.OK {
			b.Fatalf("init: %+v", meta)
		}
	}
}
