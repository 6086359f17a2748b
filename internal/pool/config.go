package pool

import (
	"errors"
	"fmt"
	"time"

	"nimbus"
	"nimbus/internal/runtime"
	"nimbus/internal/scheduler"
)

// Config says how many instances to keep, and for how long. Zero fields take their default.
type Config struct {
	Policy   scheduler.Policy
	Runtimes []RuntimeConfig
	Limits   nimbus.Limits

	QueueSize        int           // calls held at once
	QueuePerFunction int           // of one function
	QueueBytes       int64         // bytes of their events
	HoldTimeout      time.Duration // how long one is held

	Starts            int // cold starts at once
	StartsPerFunction int // of one function
	Refills           int // blanks started at once
	Chores            int // freezes, pings and stops at once

	StartTimeout time.Duration // to make a blank
	PingTimeout  time.Duration
	PauseTimeout time.Duration
	StopTimeout  time.Duration
	Grace        time.Duration // for running and held calls when Run is to end
}

// RuntimeConfig is the stock of one runtime.
type RuntimeConfig struct {
	Runtime    runtime.Runtime
	Driver     string // where its blanks are kept; "" = the first
	MinWarm    int    // blanks to have at any price
	TargetWarm int    // blanks to have when no call waits for a start
	MaxTotal   int    // instances in all; 0 = 1000
	Blanks     Blanks // when there are to be any
	Memory     int64  // bytes a blank may use, which may become a function of another size; 0 = Limits.Memory
	CPUMilli   int    // thousandths of a core a blank may use; 0 = no limit
}

// Blanks says when a runtime's blanks are kept.
type Blanks uint8

// The times.
const (
	BlanksAlways   Blanks = iota
	BlanksWhenUsed        // while there is a function of the runtime
)

// The defaults.
const (
	defaultMaxTotal  = 1000
	defaultQueueSize = 2048
)

// WithDefaults returns the configuration with what is unset filled in.
func (c Config) WithDefaults() Config {
	set(&c.Policy.FreezeAfter, time.Second)
	set(&c.Policy.IdleTimeout, 2*time.Minute)
	set(&c.Policy.MaxAge, time.Hour)
	set(&c.Policy.MaxInvocations, 1000)
	set(&c.Policy.PingEvery, 10*time.Second)
	set(&c.Limits, nimbus.DefaultLimits())
	set(&c.QueueSize, defaultQueueSize)
	set(&c.QueuePerFunction, max(c.QueueSize/2, 1))
	set(&c.QueueBytes, 256*nimbus.MiB)
	set(&c.HoldTimeout, time.Minute)
	set(&c.Starts, 128)
	set(&c.StartsPerFunction, 8)
	set(&c.Refills, 2)
	set(&c.Chores, 16)
	set(&c.StartTimeout, 20*time.Second)
	set(&c.PingTimeout, 2*time.Second)
	set(&c.PauseTimeout, 2*time.Second)
	set(&c.StopTimeout, 10*time.Second)
	set(&c.Grace, 30*time.Second)
	c.Runtimes = append([]RuntimeConfig(nil), c.Runtimes...)
	for i := range c.Runtimes {
		set(&c.Runtimes[i].MaxTotal, defaultMaxTotal)
		set(&c.Runtimes[i].Memory, c.Limits.Memory)
	}
	return c
}

// set gives a field its default.
func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate reports every setting that makes no sense.
func (c Config) validate() error {
	var errs []error
	for name, n := range map[string]int{
		"queue size": c.QueueSize, "queue per function": c.QueuePerFunction, "starts": c.Starts,
		"starts per function": c.StartsPerFunction, "refills": c.Refills, "chores": c.Chores,
	} {
		if n < 1 {
			errs = append(errs, fmt.Errorf("pool: %s must be above 0", name))
		}
	}
	for _, r := range c.Runtimes {
		if r.MinWarm < 0 || r.TargetWarm < 0 || r.MaxTotal < 1 || max(r.MinWarm, r.TargetWarm) > r.MaxTotal {
			errs = append(errs, fmt.Errorf("pool: runtime %s: min_warm %d and target_warm %d must be 0 to max_total %d",
				r.Runtime.Name, r.MinWarm, r.TargetWarm, r.MaxTotal))
		}
	}
	return errors.Join(errs...)
}
