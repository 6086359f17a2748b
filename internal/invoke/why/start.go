package why

import (
	"fmt"
	"time"

	"nimbus"
	"nimbus/internal/runtime"
)

// forked is what claiming takes at least when no blank was waiting.
const forked = time.Millisecond

// start says how the invocation got its instance, and whether it had that to itself.
func (c *subject) start() string {
	if n := c.settings.InstanceConcurrency; n > 1 && !c.inv.StartedAt.IsZero() {
		return fmt.Sprintf("%s; shared by up to %d calls at once, so what this one used of memory and CPU is not known", c.got(), n)
	}
	return c.got()
}

func (c *subject) got() string {
	switch {
	case c.inv.ColdStart:
		return "cold: " + c.coldBecause()
	case c.inv.StartedAt.IsZero() && c.inv.Status.Ended():
		return "none: it ended before it got an instance"
	case c.inv.StartedAt.IsZero():
		return "none yet: it waits for an instance"
	case c.took(StepAdmit)+c.took(StepHold) > 0:
		return "warm: it waited for an instance that was busy, or frozen"
	}
	if c.settings.InstanceConcurrency > 1 {
		return "warm: an instance had a place for it"
	}
	return "warm: an idle instance was waiting"
}

// coldBecause says why an instance had to be started, and how that went.
func (c *subject) coldBecause() string {
	why := "no instance of version %d was idle"
	if c.settings.MinInstances > 0 {
		why = fmt.Sprintf("no instance of version %%d was idle, though %d are kept", c.settings.MinInstances)
	}
	why = fmt.Sprintf(why, c.inv.Version)
	switch p := c.inv.Phases; {
	case p.Claim == 0 && p.Attach == 0 && p.Init > 0 && c.ownProcess():
		return why + "; its environment needs a process of its own, so none that was started ahead could be used"
	case p.Claim >= forked:
		return why + ", and none was started ahead"
	}
	return why + "; one that was started ahead was claimed"
}

// ownProcess reports whether the environment has settings that act when a process starts.
func (c *subject) ownProcess() bool {
	for _, language := range []runtime.Language{runtime.Python, runtime.Node} {
		if c.runs(language) {
			return len(runtime.Runtime{Language: language}.StartSettings(c.settings.Env)) > 0
		}
	}
	return false
}

// limits lists the bounds that the invocation met.
func (c *subject) limits() []Limit {
	var met []Limit
	add := func(name LimitName, format string, args ...any) {
		met = append(met, Limit{Name: name, Detail: fmt.Sprintf(format, args...)})
	}
	if d := c.took(StepAdmit); d > 0 {
		add(LimitConcurrency, "waited %s for a place among max_concurrency%s", show(d), number(c.settings.MaxConcurrency))
	}
	if d := c.took(StepHold); d >= forked && !c.inv.ColdStart {
		add(LimitInstances, "waited %s for an instance: all were busy", show(d))
	}
	switch c.inv.ErrorType {
	case nimbus.ErrorTypeTimeout:
		add(LimitTimeout, "it ran %s, and was stopped", show(c.took(StepRun)))
	case nimbus.ErrorTypeOutOfMemory:
		add(LimitMemory, "over its memory%s", megabytes(c.settings.Memory))
	case nimbus.ErrorTypeTooLarge:
		add(LimitResponse, "%s", c.inv.Error)
	case nimbus.ErrorTypeInitTimeout:
		add(LimitInit, "%s", c.inv.Error)
	}
	if c.inv.LogCut {
		add(LimitLog, "it printed more than is kept of one call; the rest is lost")
	}
	return met
}

// number is a count that is known, with a space before it.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" %d", n)
}

// megabytes is a size that is known, with what goes before it.
func megabytes(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" of %d MB", n/nimbus.MiB)
}

// show writes a duration as people say it: 350 µs, 81.2 ms, 2.1 s.
func show(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
