package invoke_test

import (
	"context"
	"testing"

	"nimbus"
	"nimbus/internal/invoke"
	"nimbus/internal/pool/pooltest"
)

// BenchmarkInvoke is a warm call without a process at its end: what the platform itself costs.
func BenchmarkInvoke(b *testing.B) {
	w := open(b, &pooltest.Driver{}, invoke.Config{})
	w.define("f", nil)
	w.call(b, "f", "1")
	ctx, p := context.Background(), nimbus.LocalPrincipal()
	req := &invoke.Request{Trigger: nimbus.TriggerHTTP, Event: []byte(`{"name":"Ada"}`)}
	b.ReportAllocs()
	for b.Loop() {
		target, err := w.Resolve(ctx, p, "", "f", "")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.Invoke(ctx, p, target, req); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInvokeParallel has as many callers as there are processors, of one function.
func BenchmarkInvokeParallel(b *testing.B) {
	w := open(b, &pooltest.Driver{}, invoke.Config{})
	w.define("f", nil)
	target := w.resolve(b, "f", "")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		ctx, p := context.Background(), nimbus.LocalPrincipal()
		req := &invoke.Request{Trigger: nimbus.TriggerHTTP, Event: []byte(`{"name":"Ada"}`)}
		for pb.Next() {
			if _, err := w.Invoke(ctx, p, target, req); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
