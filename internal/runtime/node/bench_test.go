package node_test

import (
	"testing"

	"nimbus/internal/wire"
)

// BenchmarkCall is a warm call of a trivial handler, without sandbox and pool.
func BenchmarkCall(b *testing.B) {
	i := function(b, "exports.handle = async (event) => ({ hello: event.name });")
	event := []byte(`{"name":"Ada"}`)
	meta := execMeta()
	ctx := testContext(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := i.conn.Exec(ctx, meta, event, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStart is a fresh process until its handler is ready.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		i := blank(b)
		i.write(b, "handler.js", "exports.handle = (event) => event;")
		if meta := i.init(b, wire.InitMsg{}); !meta.OK {
			b.Fatalf("init: %+v", meta)
		}
	}
}
