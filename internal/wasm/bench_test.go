package wasm_test

import (
	"testing"

	"nimbus/internal/wire"
)

func BenchmarkCall(b *testing.B) {
	for name, module := range map[string]string{"reactor": "reactor.wasm", "command": "command.wasm"} {
		b.Run(name, func(b *testing.B) {
			w := function(b, fixture(b, module), wire.InitMsg{})
			event := []byte(`{"name":"you"}`)
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := w.conn.Exec(ctx, &wire.ExecMeta{RequestID: "r"}, event, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
