//go:build linux && (amd64 || arm64)

package sandbox_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"nimbus/internal/driver"
	"nimbus/internal/driver/drivertest"
	"nimbus/internal/driver/sandbox"
	"nimbus/internal/runtime"
	"nimbus/internal/testenv"
	"nimbus/internal/wire"
)

// subject is what a benchmark makes instances of.
type subject struct {
	driver  *sandbox.Driver
	runtime runtime.Runtime
	dir     string
	handler string
}

// subjects runs a benchmark for every language.
func subjects(b *testing.B, run func(b *testing.B, s subject)) {
	testenv.RequireSandbox(b)
	set := programs(b)
	for _, language := range []drivertest.Suite{
		drivertest.Python(python(b)),
		drivertest.Node(node(b)),
		drivertest.Native(b),
		drivertest.Custom(b, set.Agent),
		drivertest.Wasm(b, set.Wasm),
	} {
		b.Run(language.Runtime.Name, func(b *testing.B) {
			s := subject{dir: b.TempDir(), runtime: language.Runtime, handler: language.Handler("echo")}
			if err := os.Chmod(s.dir, 0o755); err != nil {
				b.Fatal(err)
			}
			language.Write(b, s.dir)
			s.trivial(b)
			c := config(b, "bench")
			c.Agent = set.Agent
			s.driver = start(b, c)
			run(b, s)
		})
	}
}

// trivial makes the function one that imports nothing, where the suite's own module does.
func (s *subject) trivial(b *testing.B) {
	b.Helper()
	for language, file := range map[runtime.Language][2]string{
		runtime.Python: {"handler.py", "def handle(event):\n    return event\n"},
		runtime.Node:   {"handler.js", "exports.handle = (event) => event;\n"},
	} {
		if s.runtime.Language != language {
			continue
		}
		s.handler = "handler.handle"
		if err := os.WriteFile(filepath.Join(s.dir, file[0]), []byte(file[1]), 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

func (s subject) start(b *testing.B) driver.Instance {
	b.Helper()
	made := spec("bench", s.runtime.Path)
	made.Runtime = s.runtime
	i, err := s.driver.Start(b.Context(), made)
	if err != nil {
		b.Fatal(err)
	}
	return i
}

func (s subject) specialize(b *testing.B, i driver.Instance) driver.Specialized {
	b.Helper()
	took, err := i.Specialize(b.Context(), code(s.dir, s.handler))
	if err != nil {
		b.Fatal(err)
	}
	return took
}

// report adds percentiles to a benchmark's result.
func report(b *testing.B, name string, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	for _, p := range []int{50, 99} {
		b.ReportMetric(float64(took[len(took)*p/100].Microseconds())/1000, name+"-p"+strconv.Itoa(p)+"-ms")
	}
}

func mustInvoke(b *testing.B, i driver.Instance) {
	b.Helper()
	o, err := i.Invoke(b.Context(), &driver.Call{Meta: wire.ExecMeta{RequestID: "id"}, Event: []byte(`{"name":"Ada"}`)})
	if err != nil || !o.Resp.OK {
		b.Fatalf("%+v, %v", o.Resp, err)
	}
}

// BenchmarkClaim measures a waiting blank's way to its first answer, its start before and the stop after, and what
// memory the blank has for itself.
func BenchmarkClaim(b *testing.B) {
	subjects(b, func(b *testing.B, s subject) {
		var starts, claims, attaches, stops []time.Duration
		var memory int64
		for b.Loop() {
			began := time.Now()
			i := s.start(b)
			starts = append(starts, time.Since(began))
			pause(b, 5*time.Millisecond)
			stats, err := i.Stats(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			memory = stats.Memory
			began = time.Now()
			took := s.specialize(b, i)
			mustInvoke(b, i)
			claims = append(claims, time.Since(began))
			attaches = append(attaches, took.Attach)
			began = time.Now()
			if err := i.Stop(b.Context()); err != nil {
				b.Fatal(err)
			}
			stops = append(stops, time.Since(began))
		}
		report(b, "start", starts)
		report(b, "claim", claims)
		report(b, "attach", attaches)
		report(b, "stop", stops)
		b.ReportMetric(float64(memory)/(1<<20), "blank-MiB")
	})
}

// pause lets a machine come to rest between measurements, as sparse traffic does.
func pause(b *testing.B, d time.Duration) {
	b.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

func BenchmarkInvoke(b *testing.B) {
	subjects(b, func(b *testing.B, s subject) {
		i := s.start(b)
		s.specialize(b, i)
		mustInvoke(b, i)
		b.ReportAllocs()
		for b.Loop() {
			mustInvoke(b, i)
		}
	})
}

// BenchmarkStats measures what the pool pays to show an instance.
func BenchmarkStats(b *testing.B) {
	subjects(b, func(b *testing.B, s subject) {
		i := s.start(b)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := i.Stats(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkBurst claims 100 instances at once, waiting ones and ones that must be started.
func BenchmarkBurst(b *testing.B) {
	subjects(b, func(b *testing.B, s subject) {
		for _, ahead := range []string{"waiting", "none"} {
			b.Run(ahead, func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					instances := make([]driver.Instance, 100)
					if ahead == "waiting" {
						for n := range instances {
							instances[n] = s.start(b)
						}
					}
					b.StartTimer()
					s.burst(b, instances)
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
	})
}

func (s subject) burst(b *testing.B, instances []driver.Instance) {
	b.Helper()
	var group sync.WaitGroup
	for n := range instances {
		group.Go(func() {
			if instances[n] == nil {
				made := spec("bench", s.runtime.Path)
				made.Runtime = s.runtime
				i, err := s.driver.Start(b.Context(), made)
				if err != nil {
					b.Error(err)
					return
				}
				instances[n] = i
			}
			if _, err := instances[n].Specialize(b.Context(), code(s.dir, s.handler)); err != nil {
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
