package wire

import (
	"context"
	"strings"
	"testing"
)

// BenchmarkExec calls a runtime that echoes, over a socket pair.
func BenchmarkExec(b *testing.B) {
	for name, size := range map[string]int{"16B": 16, "1KB": 1 << 10, "100KB": 100 << 10, "6MB": 6 << 20} {
		b.Run(name, func(b *testing.B) {
			c := pair(b, echo)
			meta := &ExecMeta{RequestID: "0197a000-0000-7000-8000-000000000000", DeadlineMS: 1_800_000_000_000}
			event := []byte(strings.Repeat("1", size))
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := c.Exec(ctx, meta, event, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
