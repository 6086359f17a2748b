package node_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"nimbus/internal/runtime/runtimetest"
	"nimbus/internal/wire"
)

// BenchmarkCall is a warm call of a trivial handler, without sandbox and pool.
func BenchmarkCall(b *testing.B) {
	for name, source := range map[string]string{
		"plain":  "exports.handle = (event) => ({ hello: event.name });",
		"async":  "exports.handle = async (event) => ({ hello: event.name });",
		"awaits": "exports.handle = async (event) => ({ hello: await new Promise((go) => setImmediate(go, event.name)) });",
		// What is left behind makes the runtime tell calls apart.
		"scoped": "setInterval(() => {}, 60_000); exports.handle = async (event) => ({ hello: event.name });",
	} {
		b.Run(name, func(b *testing.B) {
			i := function(b, source)
			event := []byte(`{"name":"Ada"}`)
			meta := runtimetest.ExecMeta()
			ctx := runtimetest.Context(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := i.Conn.Exec(ctx, meta, event, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStart is a fresh process until it can be given code.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		blank(b)
	}
}

// BenchmarkClaim is a waiting blank that is given code, and its first call.
func BenchmarkClaim(b *testing.B) {
	for name, file := range map[string]string{"CommonJS": "handler.js", "module": "handler.mjs"} {
		b.Run(name, func(b *testing.B) {
			source := "exports.handle = (event) => ({ hello: event.name });"
			if name == "module" {
				source = "export const handle = (event) => ({ hello: event.name });"
			}
			var inits, calls []time.Duration
			var private int
			for b.Loop() {
				i := blank(b)
				i.WriteFile(b, file, source)
				private = privateDirty(b, i.Cmd.Process.Pid)
				began := time.Now()
				if meta := i.Init(b, wire.InitMsg{}); !meta.OK {
					b.Fatalf("init: %+v", meta)
				}
				ready := time.Now()
				i.Want(b, `{"name":"Ada"}`, `{"hello":"Ada"}`)
				inits, calls = append(inits, ready.Sub(began)), append(calls, time.Since(ready))
				_ = i.Cmd.Process.Kill()
			}
			slices.Sort(inits)
			slices.Sort(calls)
			b.ReportMetric(float64(inits[len(inits)/2].Microseconds()), "init-p50-µs")
			b.ReportMetric(float64(calls[len(calls)/2].Microseconds()), "first-call-p50-µs")
			b.ReportMetric(float64(private), "private-kB")
		})
	}
}

// privateDirty returns how much memory of a process is its own, in kB.
func privateDirty(b *testing.B, pid int) int {
	b.Helper()
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(rollup)) {
		var n int
		if _, err := fmt.Sscanf(line, "Private_Dirty: %d kB", &n); err == nil {
			return n
		}
	}
	b.Fatal("no Private_Dirty")
	return 0
}
