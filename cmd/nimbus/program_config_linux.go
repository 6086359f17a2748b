package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nimbus/internal/obs"
	"nimbus/internal/pool"
	"nimbus/internal/scheduler"
)

// Blanks kept of a runtime that the configuration does not name: enough that a burst of first calls does not
// wait for a fork each, few enough that an idle machine notices nothing.
const (
	defaultMinWarm    = 2
	defaultTargetWarm = 5
)

// poolConfig is what the pool keeps: the configured stocks, and the default stock of every other runtime.
func (p *program) poolConfig() pool.Config {
	c := p.cfg.Pool
	out := pool.Config{
		Limits:    p.cfg.Limits,
		QueueSize: p.cfg.Scheduler.QueueSize,
		Grace:     time.Nanosecond, // drain has waited for calls as long as they may take
		Policy: scheduler.Policy{FreezeAfter: c.FreezeAfter, IdleTimeout: c.IdleTimeout, MaxAge: c.MaxVMAge,
			MaxInvocations: c.MaxInvocations, PingEvery: c.HealthCheckInterval},
	}
	for _, rt := range p.runtimes.List() {
		stock := pool.RuntimeConfig{Runtime: rt, MinWarm: defaultMinWarm, TargetWarm: defaultTargetWarm}
		for _, named := range c.Runtimes {
			if found, err := p.runtimes.Resolve(named.Runtime); err == nil && found.Name == rt.Name {
				stock.MinWarm, stock.TargetWarm, stock.MaxTotal = named.MinWarm, named.TargetWarm, named.MaxTotal
			}
		}
		out.Runtimes = append(out.Runtimes, stock)
	}
	return out
}

// checkRuntimes refuses a stock of a runtime that is not on this machine, and a second one of the same: python3
// may be python3.11.
func (p *program) checkRuntimes() error {
	var errs []error
	seen := make(map[string]int)
	for i, named := range p.cfg.Pool.Runtimes {
		found, err := p.runtimes.Resolve(named.Runtime)
		if err != nil {
			errs = append(errs, fmt.Errorf("pool.runtimes[%d].runtime: %w", i, err))
			continue
		}
		if first, twice := seen[found.Name]; twice {
			errs = append(errs, fmt.Errorf("pool.runtimes[%d].runtime: %s is %s, as is that of [%d]: leave one out",
				i, named.Runtime, found.Name, first))
		}
		seen[found.Name] = i
	}
	return errors.Join(errs...)
}

func (p *program) logConfig() obs.LogConfig {
	return obs.LogConfig{MaxAge: p.cfg.Retention.Logs, MaxBytes: p.cfg.Retention.LogBytes}
}

// watch lets the metrics see the pool.
func (p *program) watch() {
	p.metrics.WatchPool(func() []obs.PoolGauge {
		var gauges []obs.PoolGauge
		for _, stock := range p.pool.Stats().Stocks {
			g := obs.PoolGauge{Runtime: stock.Runtime}
			for state, n := range stock.States {
				g.Size += n
				switch state {
				case pool.Blank, pool.Idle, pool.Frozen:
					g.Warm += n
				case pool.Leased:
					g.Busy += n
				}
			}
			gauges = append(gauges, g)
		}
		return gauges
	})
	p.metrics.WatchQueue(func() obs.QueueGauge {
		held := int(p.pool.Stats().Held)
		return obs.QueueGauge{Held: held, Workers: max(0, p.invokes.Running()-held)}
	})
}

// printFirstKey makes the key that everything else can be made with, when there is none, and shows it this
// once.
func (p *program) printFirstKey(ctx context.Context, c *cli) error {
	secret, err := p.keys.EnsureAdmin(ctx)
	if err != nil {
		return fmt.Errorf("make the first API key: %w", err)
	}
	if secret == "" {
		return nil
	}
	_, err = fmt.Fprintf(c.out, "The admin key of this installation, shown this once:\n\n    %s\n\n"+
		"Give it to the command line as NIMBUS_API_KEY, and make others with `nimbus apikey create`.\n", secret)
	return err
}

// close gives back what newProgram opened.
func (p *program) close() error {
	if err := p.store.Close(); err != nil {
		return fmt.Errorf("close the store: %w", err)
	}
	return nil
}
