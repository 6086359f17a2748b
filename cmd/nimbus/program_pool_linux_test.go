package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nimbus"
	"nimbus/internal/config"
	"nimbus/internal/driver"
	"nimbus/internal/function"
	"nimbus/internal/obs"
	"nimbus/internal/pool"
	"nimbus/internal/runtime"
	"nimbus/internal/scheduler"
)

// machine has two Pythons, a Node and a Go.
func machine() *runtime.Set {
	return runtime.NewSet(
		runtime.Runtime{Name: "python3.11", Language: runtime.Python, Version: "3.11.2"},
		runtime.Runtime{Name: "python3.9", Language: runtime.Python, Version: "3.9.1"},
		runtime.Runtime{Name: "nodejs20", Language: runtime.Node, Version: "20.1.0"},
		runtime.Runtime{Name: "go1.26", Language: runtime.Go, Version: "1.26.8"},
	)
}

// named finds a runtime of the machine.
func named(t *testing.T, found *runtime.Set, name string) runtime.Runtime {
	t.Helper()
	rt, err := found.Resolve(name)
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

func TestPoolSettingsReachThePool(t *testing.T) {
	t.Parallel()
	found := machine()
	cfg := config.Config{
		Limits:    nimbus.DefaultLimits(),
		Scheduler: config.Scheduler{QueueSize: 7},
		Pool: config.Pool{HealthCheckInterval: time.Second, MaxVMAge: time.Minute, MaxInvocations: 3,
			IdleTimeout: 4 * time.Second, FreezeAfter: 5 * time.Second,
			Runtimes: []config.PoolRuntime{{Runtime: "nodejs20", MinWarm: 1, TargetWarm: 2, MaxTotal: 3, Memory: nimbus.GiB, CPUMilli: 1500}}},
	}
	got := poolConfig(cfg, found)
	policy := scheduler.Policy{PingEvery: time.Second, MaxAge: time.Minute, MaxInvocations: 3,
		IdleTimeout: 4 * time.Second, FreezeAfter: 5 * time.Second}
	if diff := cmp.Diff(policy, got.Policy); diff != "" || got.QueueSize != 7 || got.Limits != cfg.Limits {
		t.Errorf("policy (-want +got):\n%s\nqueue size %d", diff, got.QueueSize)
	}
	stocks := make(map[string]pool.RuntimeConfig)
	for _, s := range got.Runtimes {
		stocks[s.Runtime.Name] = s
	}
	want := map[string]pool.RuntimeConfig{
		"python3.11": {Runtime: named(t, found, "python3.11"), MinWarm: 2, TargetWarm: 5},
		"python3.9":  {Runtime: named(t, found, "python3.9"), MinWarm: 2, TargetWarm: 5, Blanks: pool.BlanksWhenUsed},
		"nodejs20":   {Runtime: named(t, found, "nodejs20"), MinWarm: 1, TargetWarm: 2, MaxTotal: 3, Memory: nimbus.GiB, CPUMilli: 1500},
		"go1.26":     {Runtime: named(t, found, "go1.26"), MinWarm: 1, TargetWarm: 2, Blanks: pool.BlanksWhenUsed},
	}
	if diff := cmp.Diff(want, stocks); diff != "" {
		t.Errorf("stocks (-want +got):\n%s", diff)
	}
}

func TestSizesOfARuntimeReachItsFunctions(t *testing.T) {
	t.Parallel()
	cfg := config.Config{Limits: nimbus.DefaultLimits(), Pool: config.Pool{Runtimes: []config.PoolRuntime{
		{Runtime: "python3", MaxTotal: 50, Memory: nimbus.GiB, CPUMilli: 1500}, {Runtime: "go1.24", MaxTotal: 5, CPUMilli: 500}}}}
	got := functionDefaults(cfg, machine())
	want := map[string]function.Defaults{
		"python3":    {Memory: nimbus.GiB, CPUMilli: 1500, MinInstances: 50},
		"python3.11": {Memory: nimbus.GiB, CPUMilli: 1500, MinInstances: 50},
		"python3.9":  {MinInstances: 1000},
		"nodejs20":   {MinInstances: 1000},
		"go1.24":     {CPUMilli: 500, MinInstances: 5},
		"go1.26":     {CPUMilli: 500, MinInstances: 5},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStocksThatDoNotFitTheMachineAreRefused(t *testing.T) {
	t.Parallel()
	err := checkStocks(config.Pool{Runtimes: []config.PoolRuntime{{Runtime: "python3.11"}, {Runtime: "cobol"}, {Runtime: "python3"}}}, machine())
	for _, want := range []string{"pool.runtimes[1]", "cobol", "pool.runtimes[2]", "python3.11"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

func TestADriverThatDoesNotUseSnapshotsIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		features []driver.Feature
		want     string
	}{
		{[]driver.Feature{{Name: driver.FeatureSnapshots, Detail: "none here"}, {Name: "seccomp"}}, "driver=sandbox detail=\"none here\""},
		{[]driver.Feature{{Name: driver.FeatureSnapshots, OK: true}}, ""},
	} {
		var out bytes.Buffer
		noteSnapshots(slog.New(slog.NewTextHandler(&out, nil)), "sandbox", driver.Report{Features: c.features})
		if logged := out.String(); !strings.Contains(logged, c.want) || c.want == "" && logged != "" || strings.Contains(logged, "seccomp") {
			t.Errorf("logged %q", logged)
		}
	}
}

// Two drivers of one runtime are one series: Prometheus refuses a series that is there twice.
func TestGaugesCountEveryState(t *testing.T) {
	t.Parallel()
	got := poolGauges(pool.Stats{Stocks: []pool.StockStats{
		{Runtime: "nodejs20", Driver: "sandbox"},
		{Runtime: "python3.11", Driver: "other", States: map[pool.State]int{pool.Blank: 1, pool.Leased: 2}},
		{Runtime: "python3.11", Driver: "sandbox", States: map[pool.State]int{pool.Starting: 1, pool.Blank: 2, pool.Specializing: 4,
			pool.Idle: 8, pool.Frozen: 16, pool.Leased: 32, pool.Stopping: 64}},
	}})
	want := []obs.PoolGauge{{Runtime: "nodejs20"}, {Runtime: "python3.11", Size: 130, Warm: 27, Busy: 34}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
