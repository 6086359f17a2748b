package why

import (
	"fmt"
	"math"
	"strings"
	"time"

	"nimbus"
	"nimbus/internal/runtime"
)

// The shares of CPU in a run beyond which it computes, and below which it waits.
const (
	computes = 0.8
	waits    = 0.2
)

// felt is how long a step takes before it is worth a suggestion by itself.
const felt = 100 * time.Millisecond

// suggest returns the one thing most worth trying: first what made the call fail, then what took its time.
func (c *subject) suggest() string {
	for _, rule := range []func() string{c.ofFailure, c.ofWaiting, c.ofStart, c.ofRun, c.ofRest} {
		if text := rule(); text != "" {
			return text
		}
	}
	return "nothing stands out"
}

// ofFailure is about a call that did not succeed.
func (c *subject) ofFailure() string {
	logs := c.command("logs") + " --invocation " + c.inv.ID.String()
	switch c.inv.ErrorType {
	case nimbus.ErrorTypeTimeout:
		if c.waiting() {
			return "it waited rather than computed until its time was up; the log may say for what: " + logs
		}
		return c.raise("it was still running when its time was up", "--timeout-sec",
			int64(c.settings.Timeout/time.Second), int64(c.bounds.TimeoutMax/time.Second))
	case nimbus.ErrorTypeOutOfMemory:
		return c.raiseMemory("over its memory" + megabytes(c.settings.Memory))
	case nimbus.ErrorTypeTooLarge:
		return "yield the result piece by piece, which is streamed and bounded by limits.stream_mb, or store it and return where it is"
	case nimbus.ErrorTypeInitTimeout:
		return c.lighten() + ", or raise limits.init_timeout"
	case nimbus.ErrorTypePlatform:
		return "the platform failed, not the function: the server's log tells of request " + c.inv.ID.String()
	}
	switch c.inv.Status {
	case nimbus.InvocationCancelled:
		if c.inv.StartedAt.IsZero() {
			return c.ofWaitingAtAll()
		}
		return "its caller went away: have callers wait longer, or the function answer sooner"
	case nimbus.InvocationFailed:
		return "the function failed; its log has the cause: " + logs
	}
	return ""
}

// ofWaitingAtAll is about a caller who left before the call had begun.
func (c *subject) ofWaitingAtAll() string {
	if text := c.ofWaiting(); text != "" {
		return text
	}
	return "its caller went away before an instance was ready: have callers wait longer, or set min_instances"
}

// ofWaiting is about a call that others were in the way of.
func (c *subject) ofWaiting() string {
	switch {
	case c.weighs(StepAdmit):
		return c.raise(fmt.Sprintf("waited %s for a place among max_concurrency%s", show(c.took(StepAdmit)), number(c.settings.MaxConcurrency)),
			"--max-concurrency", int64(c.settings.MaxConcurrency), math.MaxInt)
	case c.weighs(StepHold):
		return fmt.Sprintf("waited %s for an instance: raise max_total of its runtime in pool.runtimes, or find out with `nimbus top` who holds them",
			show(c.took(StepHold)))
	}
	return ""
}

// ofStart is about a cold start.
func (c *subject) ofStart() string {
	switch {
	case c.weighs(StepImport):
		return fmt.Sprintf("import took %s of %s: %s, or keep an instance ready: %s --min-instances %d",
			show(c.took(StepImport)), show(c.total), c.lighten(), c.command("function update"), c.settings.MinInstances+1)
	case c.weighs(StepClaim):
		return fmt.Sprintf("starting an instance took %s: raise target_warm of %s in pool.runtimes, so that one is started ahead",
			show(c.took(StepClaim)), c.runtime())
	case c.weighs(StepAttach):
		return fmt.Sprintf("putting the code in place took %s: a smaller package is unpacked sooner", show(c.took(StepAttach)))
	}
	return ""
}

// ofRun is about the time in the handler, and what it used.
func (c *subject) ofRun() string {
	if m := c.inv.Memory; !m.Instance && c.settings.Memory > 0 && m.Peak >= c.settings.Memory/10*9 {
		return c.raiseMemory(fmt.Sprintf("it used %d MB of its %d MB of memory, and may soon fail", m.Peak/nimbus.MiB, c.settings.Memory/nimbus.MiB))
	}
	if c.inv.LogCut {
		return "print less, or raise limits.log_call_kb: a part of the log is lost"
	}
	run := c.took(StepRun)
	switch {
	case run < felt || !c.weighs(StepRun):
		return ""
	case c.waiting():
		return fmt.Sprintf("the handler took %s and computed for %s of it: it waits for something, which is what to speed up", show(run), show(c.inv.CPU))
	case c.computing() && c.settings.CPUMilli > 0:
		return c.raise("the handler computed all the time, within its share of CPU", "--cpu-milli", int64(c.settings.CPUMilli), int64(c.bounds.CPUMax))
	case c.computing():
		return fmt.Sprintf("the handler computed for %s: a faster algorithm is what would help", show(c.inv.CPU))
	}
	return fmt.Sprintf("the time went into the handler, %s of %s", show(run), show(c.total))
}

// ofRest is about what is neither the function's nor the pool's.
func (c *subject) ofRest() string {
	switch {
	case c.weighs(StepWrite):
		return fmt.Sprintf("writing the answer took %s: the caller reads slowly, or the answer is large", show(c.took(StepWrite)))
	case c.weighs(StepOther) && c.took(StepOther) >= felt:
		return fmt.Sprintf("%s went by before the call was let in: the caller sent its event slowly, or the machine is busy", show(c.took(StepOther)))
	case c.weighs(StepRoute):
		return fmt.Sprintf("finding its version took %s: it was still being built, or the disk of the store is slow", show(c.took(StepRoute)))
	}
	return "nothing stands out: " + show(c.total) + " in all"
}

// computing reports whether the handler used the CPU nearly all the time, waiting whether it hardly did.
func (c *subject) computing() bool { return c.cpuShare() >= computes }

func (c *subject) waiting() bool { share := c.cpuShare(); return share > 0 && share < waits }

// cpuShare is the share of CPU in the run, 0 when it isn't known. Above 1 several threads computed.
func (c *subject) cpuShare() float64 {
	run := c.took(StepRun)
	if run <= 0 {
		return 0
	}
	if limit := c.settings.CPUMilli; limit > 0 && limit < 1000 {
		run = run * time.Duration(limit) / 1000
	}
	return float64(c.inv.CPU) / float64(run)
}

func (c *subject) raiseMemory(because string) string {
	return c.raise(because, "--memory-mb", c.settings.Memory/nimbus.MiB, c.bounds.MemoryMax/nimbus.MiB)
}

// raise tells how to double a setting, as far as it may go. Without the settings only the flag is known.
func (c *subject) raise(because, flag string, from, most int64) string {
	command := c.command("function update") + " " + flag
	switch {
	case from == 0:
		return because + ": " + command + " …"
	case from >= most:
		return because + ", which is the most that this installation allows: have each call do less"
	}
	return fmt.Sprintf("%s: %s %d", because, command, min(2*from, most))
}

// command is a command about the function.
func (c *subject) command(verb string) string {
	text := "nimbus " + verb + " " + c.inv.FunctionName
	if c.inv.Namespace != nimbus.DefaultNamespace {
		text += " -n " + c.inv.Namespace
	}
	return text
}

// lighten is how the code is made to be ready sooner.
func (c *subject) lighten() string {
	switch {
	case c.runs(runtime.Go), c.runs(runtime.Custom):
		return "have the program do less before it asks for its event"
	case c.runs(runtime.Wasm):
		return "make the module smaller, or have it do less before it reads its event"
	case c.settings.Handler == "":
		return "import less at the top of its code"
	}
	return "import less at the top of its handler's file (" + c.settings.Handler + ")"
}

// runs reports whether the function is of a language's runtime, as far as that is known.
func (c *subject) runs(language runtime.Language) bool {
	return strings.HasPrefix(c.settings.Runtime, string(language))
}

func (c *subject) runtime() string {
	if c.settings.Runtime == "" {
		return "its runtime"
	}
	return c.settings.Runtime
}
