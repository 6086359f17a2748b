// Package why explains an invocation from its record: where the time went from the request's arrival to the
// answer, which bounds it met, and the one thing most worth trying. It looks at nothing else and changes nothing.
package why

import (
	"time"

	"nimbus"
)

// Report is what there is to say of one invocation.
type Report struct {
	Total      time.Duration // from the request's arrival to the answer written, or until now
	Steps      []Step        // in the order of time; together they are Total
	Start      string        // how it got its instance, and why so
	Limits     []Limit       // the bounds it met, if any
	Suggestion string
}

// Step is a part of the way of an invocation.
type Step struct {
	Name  StepName
	Took  time.Duration
	Share float64 // of the total, 0 to 1
}

// StepName names a step.
type StepName string

// The steps. Other is what is not measured by itself: reading the request, checking its key, handing over.
const (
	StepRoute  StepName = "route"
	StepAdmit  StepName = "admit"
	StepHold   StepName = "hold"
	StepClaim  StepName = "claim"
	StepAttach StepName = "attach"
	StepImport StepName = "import"
	StepRun    StepName = "run"
	StepWrite  StepName = "write"
	StepOther  StepName = "other"
)

// StepNames lists them.
func StepNames() []StepName {
	return []StepName{StepRoute, StepAdmit, StepHold, StepClaim, StepAttach, StepImport, StepRun, StepWrite, StepOther}
}

// Limit is a bound that the invocation met.
type Limit struct {
	Name   LimitName
	Detail string
}

// LimitName names a bound, by its setting where it has one.
type LimitName string

// The bounds.
const (
	LimitConcurrency LimitName = "max_concurrency"
	LimitInstances   LimitName = "instances"
	LimitTimeout     LimitName = "timeout_sec"
	LimitMemory      LimitName = "memory_mb"
	LimitResponse    LimitName = "limits.response_kb"
	LimitInit        LimitName = "limits.init_timeout"
	LimitLog         LimitName = "limits.log_call_kb"
)

// LimitNames lists them.
func LimitNames() []LimitName {
	return []LimitName{LimitConcurrency, LimitInstances, LimitTimeout, LimitMemory, LimitResponse, LimitInit, LimitLog}
}

// Explain returns the report on an invocation, one that still goes on included. s is the settings of its version,
// nil when that is gone; limits bound what may be suggested.
func Explain(inv *nimbus.Invocation, s *nimbus.Settings, limits nimbus.Limits, now time.Time) Report {
	c := newSubject(inv, s, now)
	c.bounds = limits
	return Report{Total: c.total, Steps: c.steps, Start: c.start(), Limits: c.limits(), Suggestion: c.suggest()}
}

// subject is an invocation that is being explained.
type subject struct {
	inv      *nimbus.Invocation
	settings nimbus.Settings // zero when they are gone
	bounds   nimbus.Limits
	steps    []Step
	total    time.Duration
}

func newSubject(inv *nimbus.Invocation, s *nimbus.Settings, now time.Time) *subject {
	c := &subject{inv: inv}
	if s != nil {
		c.settings = *s
	}
	end, run := inv.CompletedAt, inv.Duration
	if end.IsZero() {
		end = now
		if !inv.StartedAt.IsZero() {
			run = max(now.Sub(inv.StartedAt), 0)
		}
	}
	p := &inv.Phases
	var known time.Duration
	for _, step := range []Step{{Name: StepRoute, Took: p.Route}, {Name: StepAdmit, Took: p.Admit}, {Name: StepHold, Took: p.Hold},
		{Name: StepClaim, Took: p.Claim}, {Name: StepAttach, Took: p.Attach}, {Name: StepImport, Took: p.Init},
		{Name: StepRun, Took: run}, {Name: StepWrite, Took: p.Write}} {
		known += step.Took
		c.steps = append(c.steps, step)
	}
	c.total = max(end.Sub(inv.CreatedAt)+p.Write, known)
	c.steps = append(c.steps, Step{Name: StepOther, Took: c.total - known})
	for i := range c.steps {
		if c.total > 0 {
			c.steps[i].Share = float64(c.steps[i].Took) / float64(c.total)
		}
	}
	return c
}

// took returns how long a step took.
func (c *subject) took(name StepName) time.Duration { return c.step(name).Took }

// weighs reports whether a step is worth a word: a fifth of the time, and long enough to be felt.
func (c *subject) weighs(name StepName) bool {
	s := c.step(name)
	return s.Share >= 0.2 && s.Took >= 5*time.Millisecond
}

func (c *subject) step(name StepName) Step {
	for _, s := range c.steps {
		if s.Name == name {
			return s
		}
	}
	return Step{Name: name}
}
