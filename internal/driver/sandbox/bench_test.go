//go:build linux && (amd64 || arm64)

package sandbox_test

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"nimbus/internal/driver"
	"nimbus/internal/driver/sandbox"
	"nimbus/internal/testenv"
	"nimbus/internal/wire"
)

const echo = "def handle(event):\n    return event\n"

// report adds percentiles to a benchmark's result.
func report(b *testing.B, name string, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	for _, p := range []int{50, 99} {
		b.ReportMetric(float64(took[len(took)*p/100].Microseconds())/1000, name+"-p"+strconv.Itoa(p)+"-ms")
	}
}

func benchDriver(b *testing.B) (d *sandbox.Driver, python, dir string) {
	b.Helper()
	testenv.RequireSandbox(b)
	d = start(b, config(b, "bench"))
	return d, testenv.RequirePython(b), handler(b, echo)
}

func mustStart(b *testing.B, d *sandbox.Driver, python string) driver.Instance {
	b.Helper()
	i, err := d.Start(b.Context(), spec("bench", python))
	if err != nil {
		b.Fatal(err)
	}
	return i
}

func mustInvoke(b *testing.B, i driver.Instance) {
	b.Helper()
	o, err := i.Invoke(b.Context(), &driver.Call{Meta: wire.ExecMeta{RequestID: "id"}, Event: []byte(`{"name":"Ada"}`)})
	if err != nil || !o.Resp.OK {
		b.Fatalf("%+v, %v", o.Resp, err)
	}
}

// BenchmarkClaim measures a waiting blank's way to its first answer, the fork before and the stop after.
func BenchmarkClaim(b *testing.B) {
	d, python, dir := benchDriver(b)
	var forks, claims, attaches, stops []time.Duration
	for b.Loop() {
		began := time.Now()
		i := mustStart(b, d, python)
		forks = append(forks, time.Since(began))
		pause(b, 5*time.Millisecond)
		began = time.Now()
		took, err := i.Specialize(b.Context(), code(dir, "handler.handle"))
		if err != nil {
			b.Fatal(err)
		}
		mustInvoke(b, i)
		claims = append(claims, time.Since(began))
		attaches = append(attaches, took.Attach)
		began = time.Now()
		if err := i.Stop(b.Context()); err != nil {
			b.Fatal(err)
		}
		stops = append(stops, time.Since(began))
	}
	report(b, "fork", forks)
	report(b, "claim", claims)
	report(b, "attach", attaches)
	report(b, "stop", stops)
}

// pause lets a machine come to rest between measurements, as sparse traffic does.
func pause(b *testing.B, d time.Duration) {
	b.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

func BenchmarkInvoke(b *testing.B) {
	d, python, dir := benchDriver(b)
	i := mustStart(b, d, python)
	if _, err := i.Specialize(b.Context(), code(dir, "handler.handle")); err != nil {
		b.Fatal(err)
	}
	mustInvoke(b, i)
	b.ReportAllocs()
	for b.Loop() {
		mustInvoke(b, i)
	}
}

// BenchmarkBurst claims 100 instances at once, waiting ones and ones that must be forked.
func BenchmarkBurst(b *testing.B) {
	d, python, dir := benchDriver(b)
	for _, ahead := range []string{"waiting", "none"} {
		b.Run(ahead, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				instances := make([]driver.Instance, 100)
				if ahead == "waiting" {
					for n := range instances {
						instances[n] = mustStart(b, d, python)
					}
				}
				b.StartTimer()
				burst(b, d, python, dir, instances)
				b.StopTimer()
				for _, i := range instances {
					if err := i.Stop(context.Background()); err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
			}
		})
	}
}

func burst(b *testing.B, d *sandbox.Driver, python, dir string, instances []driver.Instance) {
	b.Helper()
	var group sync.WaitGroup
	for n := range instances {
		group.Go(func() {
			if instances[n] == nil {
				i, err := d.Start(b.Context(), spec("bench", python))
				if err != nil {
					b.Error(err)
					return
				}
				instances[n] = i
			}
			if _, err := instances[n].Specialize(b.Context(), code(dir, "handler.handle")); err != nil {
				b.Error(err)
				return
			}
			if _, err := instances[n].Invoke(b.Context(), &driver.Call{Event: []byte("1")}); err != nil {
				b.Error(err)
			}
		})
	}
	group.Wait()
}
