package main

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"nimbus/internal/config"
	"nimbus/internal/driver"
	"nimbus/internal/function"
	"nimbus/internal/obs"
	"nimbus/internal/pool"
	"nimbus/internal/runtime"
	"nimbus/internal/scheduler"
)

// poolConfig is what the pool keeps: the configured stocks, and the default stock of every other runtime.
func poolConfig(cfg config.Config, found *runtime.Set) pool.Config {
	c := cfg.Pool
	out := pool.Config{
		Limits:    cfg.Limits,
		QueueSize: cfg.Scheduler.QueueSize,
		Grace:     time.Nanosecond, // drain has waited for calls as long as they may take
		Policy: scheduler.Policy{FreezeAfter: c.FreezeAfter, IdleTimeout: c.IdleTimeout, MaxAge: c.MaxVMAge,
			MaxInvocations: c.MaxInvocations, PingEvery: c.HealthCheckInterval},
	}
	for i, rt := range found.List() {
		stock := defaultStock(rt)
		if newestPython := i == slices.IndexFunc(found.List(), func(r runtime.Runtime) bool { return r.Language == runtime.Python }); newestPython {
			stock.Blanks = pool.BlanksAlways
		}
		if named := namedStock(c.Runtimes, rt); named != nil {
			stock = pool.RuntimeConfig{Runtime: rt, MinWarm: named.MinWarm, TargetWarm: named.TargetWarm, MaxTotal: named.MaxTotal,
				Memory: named.Memory, CPUMilli: named.CPUMilli}
		}
		out.Runtimes = append(out.Runtimes, stock)
	}
	return out
}

// defaultStock is the blanks kept of a runtime that the configuration does not name, once there is a function of
// it: enough that a burst of first calls does not wait for a start each, few enough that an idle machine notices
// nothing. A blank of Python's is a fork, one of Node's a process with 7 MB of its own.
func defaultStock(rt runtime.Runtime) pool.RuntimeConfig {
	stock := pool.RuntimeConfig{Runtime: rt, MinWarm: 1, TargetWarm: 2, Blanks: pool.BlanksWhenUsed}
	if rt.Language == runtime.Python {
		stock.MinWarm, stock.TargetWarm = 2, 5
	}
	return stock
}

// namedStock finds the entry of the configuration that is about the runtime; nil when there is none.
func namedStock(named []config.PoolRuntime, rt runtime.Runtime) *config.PoolRuntime {
	i := slices.IndexFunc(named, func(n config.PoolRuntime) bool { return rt.Serves(n.Runtime) })
	if i < 0 {
		return nil
	}
	return &named[i]
}

// checkStocks refuses a stock of a runtime that is not on this machine, and a second one of the same: python3
// may be python3.11.
func checkStocks(c config.Pool, found *runtime.Set) error {
	var errs []error
	seen := make(map[string]int)
	for i, named := range c.Runtimes {
		at := slices.IndexFunc(found.List(), func(rt runtime.Runtime) bool { return rt.Serves(named.Runtime) })
		if at < 0 {
			_, err := found.Resolve(named.Runtime)
			errs = append(errs, fmt.Errorf("pool.runtimes[%d].runtime: %w", i, err))
			continue
		}
		name := found.List()[at].Name
		if first, twice := seen[name]; twice {
			errs = append(errs, fmt.Errorf("pool.runtimes[%d].runtime: %s is %s, as is that of [%d]: leave one out",
				i, named.Runtime, name, first))
		}
		seen[name] = i
	}
	return errors.Join(errs...)
}

// noteSnapshots names a driver that can't do what pool.use_snapshots asks for.
func noteSnapshots(log *slog.Logger, name string, report driver.Report) {
	for _, f := range report.Features {
		if f.Name == driver.FeatureSnapshots && !f.OK {
			log.Info("pool.use_snapshots is not obeyed by a driver", "driver", name, "detail", f.Detail)
		}
	}
}

// functionDefaults is what functions get that do not say, and the most that they can have kept ready.
func functionDefaults(cfg config.Config, found *runtime.Set) map[string]function.Defaults {
	defaults := make(map[string]function.Defaults)
	for _, stock := range poolConfig(cfg, found).WithDefaults().Runtimes {
		d := function.Defaults{MinInstances: stock.MaxTotal}
		if named := namedStock(cfg.Pool.Runtimes, stock.Runtime); named != nil {
			d.Memory, d.CPUMilli = named.Memory, named.CPUMilli
			defaults[named.Runtime] = d
		}
		defaults[stock.Runtime.Name] = d
	}
	return defaults
}

// watch lets the metrics see the pool.
func (p *program) watch() {
	p.metrics.WatchPool(func() []obs.PoolGauge { return poolGauges(p.pool.Stats()) })
	p.metrics.WatchQueue(func() obs.QueueGauge {
		held := int(p.pool.Stats().Held)
		return obs.QueueGauge{Held: held, Workers: max(0, p.invokes.Running()-held)}
	})
}

// poolGauges counts instances by runtime, whichever driver they are on.
func poolGauges(stats pool.Stats) []obs.PoolGauge {
	var gauges []obs.PoolGauge
	for _, stock := range stats.Stocks { // in the order of their runtimes
		if n := len(gauges); n == 0 || gauges[n-1].Runtime != stock.Runtime {
			gauges = append(gauges, obs.PoolGauge{Runtime: stock.Runtime})
		}
		g := &gauges[len(gauges)-1]
		for state, n := range stock.States {
			g.Size += n
			switch {
			case slices.Contains(pool.WarmStates(), state):
				g.Warm += n
			case state == pool.Leased:
				g.Busy += n
			}
		}
	}
	return gauges
}
