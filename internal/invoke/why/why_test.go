package why_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"nimbus"
	"nimbus/internal/invoke/why"
)

const ms = time.Millisecond

var (
	arrived = time.Date(2026, 11, 20, 8, 30, 0, 0, time.UTC)
	now     = arrived.Add(time.Minute)
	id      = nimbus.ID{1, 2, 3}
)

// warm is a call that found an idle instance and took some time in all.
func warm(total, run time.Duration) nimbus.Invocation {
	return nimbus.Invocation{ID: id, Namespace: nimbus.DefaultNamespace, FunctionName: "hello", Version: 3, Status: nimbus.InvocationSuccess,
		CreatedAt: arrived, StartedAt: arrived.Add(total - run), CompletedAt: arrived.Add(total), Duration: run}
}

// cold is one that an instance was started for.
func cold(p nimbus.Phases, run time.Duration) nimbus.Invocation {
	total := p.Route + p.Admit + p.Hold + p.Claim + p.Attach + p.Init + run
	inv := warm(total, run)
	inv.ColdStart, inv.Phases = true, p
	return inv
}

func failed(inv nimbus.Invocation, errorType string) nimbus.Invocation {
	inv.Status, inv.ErrorType, inv.Error = nimbus.InvocationFailed, errorType, "the message"
	if errorType == nimbus.ErrorTypeTimeout {
		inv.Status = nimbus.InvocationTimeout
	}
	return inv
}

func with(inv nimbus.Invocation, change func(*nimbus.Invocation)) nimbus.Invocation {
	change(&inv)
	return inv
}

func settings() *nimbus.Settings {
	return &nimbus.Settings{Runtime: "python3.11", Handler: "handler.handle", Memory: 128 * nimbus.MiB, Timeout: 30 * time.Second, MaxConcurrency: 5}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		inv        nimbus.Invocation
		settings   func(*nimbus.Settings) // nil = none are needed
		start      string
		limits     []why.LimitName
		suggestion string
	}{
		"warm and quick": {inv: warm(900*time.Microsecond, 300*time.Microsecond),
			start: "warm: an idle instance was waiting", suggestion: "nothing stands out: 900 µs in all"},
		"shared": {inv: warm(900*time.Microsecond, 300*time.Microsecond),
			settings:   func(s *nimbus.Settings) { s.InstanceConcurrency = 50 },
			start:      "warm: an instance had a place for it; shared by up to 50 calls at once",
			suggestion: "nothing stands out: 900 µs in all"},
		"a slow import": {inv: cold(nimbus.Phases{Hold: ms, Attach: ms, Init: 812 * ms}, 300*ms),
			start: "one that was started ahead was claimed",
			suggestion: "import took 812 ms of 1.1 s: import less at the top of its handler's file (handler.handle), " +
				"or keep an instance ready: nimbus function update hello --min-instances 1"},
		"a slow program": {inv: cold(nimbus.Phases{Init: 812 * ms}, 300*ms),
			settings:   func(s *nimbus.Settings) { s.Runtime = "go1.26" },
			start:      "cold",
			suggestion: "have the program do less before it asks for its event, or keep an instance ready"},
		"a slow module": {inv: cold(nimbus.Phases{Init: 812 * ms}, 300*ms),
			settings:   func(s *nimbus.Settings) { s.Runtime = "wasm" },
			start:      "cold",
			suggestion: "make the module smaller"},
		"a slow import though instances are kept": {inv: cold(nimbus.Phases{Init: 812 * ms}, 300*ms),
			settings: func(s *nimbus.Settings) { s.MinInstances = 2 },
			start:    "though 2 are kept", suggestion: "--min-instances 3"},
		"no blank": {inv: cold(nimbus.Phases{Claim: 40 * ms, Attach: ms, Init: 5 * ms}, 10*ms),
			start: "and none was started ahead", suggestion: "raise target_warm of python3.11 in pool.runtimes"},
		"a process of its own": {inv: cold(nimbus.Phases{Init: 200 * ms}, 10*ms),
			settings: func(s *nimbus.Settings) { s.Env = map[string]string{"PYTHONHASHSEED": "0"} },
			start:    "its environment needs a process of its own", suggestion: "import took 200 ms"},
		"a process of its own, of Node": {inv: cold(nimbus.Phases{Init: 200 * ms}, 10*ms),
			settings: func(s *nimbus.Settings) {
				s.Runtime, s.Env = "nodejs20", map[string]string{"NODE_EXTRA_CA_CERTS": "/var/function/ca.pem"}
			},
			start: "its environment needs a process of its own", suggestion: "import took 200 ms"},
		"an environment for any process": {inv: cold(nimbus.Phases{Init: 200 * ms}, 10*ms),
			settings: func(s *nimbus.Settings) { s.Env = map[string]string{"PYTHONUNBUFFERED": "1"} },
			start:    "one that was started ahead was claimed", suggestion: "import took 200 ms"},
		"large code": {inv: cold(nimbus.Phases{Attach: 900 * ms, Init: 5 * ms}, 10*ms), start: "cold", suggestion: "a smaller package"},
		"max_concurrency": {inv: with(warm(2300*ms, 100*ms), func(i *nimbus.Invocation) { i.Phases.Admit = 2100 * ms }),
			start: "warm: it waited for an instance that was busy, or frozen", limits: []why.LimitName{why.LimitConcurrency},
			suggestion: "waited 2.1 s for a place among max_concurrency 5: nimbus function update hello --max-concurrency 10"},
		"all busy": {inv: with(warm(2300*ms, 100*ms), func(i *nimbus.Invocation) { i.Phases.Hold = 2100 * ms }),
			start: "busy", limits: []why.LimitName{why.LimitInstances}, suggestion: "waited 2.1 s for an instance: raise max_total"},
		"over its memory": {inv: failed(warm(100*ms, 90*ms), nimbus.ErrorTypeOutOfMemory), start: "warm", limits: []why.LimitName{why.LimitMemory},
			suggestion: "over its memory of 128 MB: nimbus function update hello --memory-mb 256"},
		"over the most memory": {inv: failed(warm(100*ms, 90*ms), nimbus.ErrorTypeOutOfMemory),
			settings: func(s *nimbus.Settings) { s.Memory = nimbus.DefaultLimits().MemoryMax },
			start:    "warm", limits: []why.LimitName{why.LimitMemory}, suggestion: "the most that this installation allows"},
		"near the most time": {inv: failed(warm(600*time.Second, 600*time.Second), nimbus.ErrorTypeTimeout),
			settings: func(s *nimbus.Settings) { s.Timeout = 600 * time.Second },
			start:    "warm", limits: []why.LimitName{why.LimitTimeout}, suggestion: "--timeout-sec 900"},
		"out of time, waiting": {inv: with(failed(warm(30*time.Second, 30*time.Second), nimbus.ErrorTypeTimeout),
			func(i *nimbus.Invocation) { i.CPU = 10 * ms }),
			start: "warm", limits: []why.LimitName{why.LimitTimeout}, suggestion: "it waited rather than computed until its time was up"},
		"too large an answer": {inv: failed(warm(100*ms, 90*ms), nimbus.ErrorTypeTooLarge), start: "warm",
			limits: []why.LimitName{why.LimitResponse}, suggestion: "yield the result piece by piece"},
		"out of time to import": {inv: with(failed(cold(nimbus.Phases{Init: 10 * time.Second}, 0), nimbus.ErrorTypeInitTimeout),
			func(i *nimbus.Invocation) { i.StartedAt = time.Time{} }),
			start: "cold", limits: []why.LimitName{why.LimitInit}, suggestion: "raise limits.init_timeout"},
		"an exception": {inv: failed(warm(2*ms, ms), "ValueError"), start: "warm",
			suggestion: "nimbus logs hello --invocation " + id.String()},
		"an exception elsewhere": {inv: with(failed(warm(2*ms, ms), "ValueError"), func(i *nimbus.Invocation) { i.Namespace = "team-a" }),
			start: "warm", suggestion: "nimbus logs hello -n team-a --invocation"},
		"the platform's failure": {inv: failed(warm(2*ms, ms), nimbus.ErrorTypePlatform), start: "warm", suggestion: "the server's log tells of request"},
		"left while it waited": {inv: with(warm(900*ms, 0), func(i *nimbus.Invocation) {
			i.Status, i.StartedAt, i.Phases.Hold = nimbus.InvocationCancelled, time.Time{}, 900*ms
		}), start: "none: it ended before it got an instance", limits: []why.LimitName{why.LimitInstances}, suggestion: "raise max_total"},
		"left at once": {inv: with(warm(ms, 0), func(i *nimbus.Invocation) { i.Status, i.StartedAt = nimbus.InvocationCancelled, time.Time{} }),
			start: "none", suggestion: "set min_instances"},
		"left while it ran": {inv: with(warm(ms, ms), func(i *nimbus.Invocation) { i.Status = nimbus.InvocationCancelled }),
			start: "warm", suggestion: "its caller went away"},
		"little memory left": {inv: with(warm(10*ms, 9*ms), func(i *nimbus.Invocation) { i.Memory.Peak = 120 * nimbus.MiB }),
			start: "warm", suggestion: "it used 120 MB of its 128 MB of memory, and may soon fail: nimbus function update hello --memory-mb 256"},
		"memory of the instance": {inv: with(warm(10*ms, ms), func(i *nimbus.Invocation) { i.Memory = nimbus.MemoryUse{Peak: 120 * nimbus.MiB, Instance: true} }),
			start: "warm", suggestion: "nothing stands out"},
		"a cut log": {inv: with(warm(10*ms, 9*ms), func(i *nimbus.Invocation) { i.LogCut = true }),
			start: "warm", limits: []why.LimitName{why.LimitLog}, suggestion: "print less"},
		"waits":    {inv: with(warm(900*ms, 890*ms), func(i *nimbus.Invocation) { i.CPU = 12 * ms }), start: "warm", suggestion: "computed for 12 ms of it"},
		"computes": {inv: with(warm(900*ms, 890*ms), func(i *nimbus.Invocation) { i.CPU = 880 * ms }), start: "warm", suggestion: "a faster algorithm"},
		"computes within a share": {inv: with(warm(900*ms, 890*ms), func(i *nimbus.Invocation) { i.CPU = 440 * ms }),
			settings: func(s *nimbus.Settings) { s.CPUMilli = 500 }, start: "warm", suggestion: "--cpu-milli 1000"},
		"both":          {inv: with(warm(900*ms, 890*ms), func(i *nimbus.Invocation) { i.CPU = 440 * ms }), start: "warm", suggestion: "the time went into the handler, 890 ms of 900 ms"},
		"a slow reader": {inv: with(warm(10*ms, 5*ms), func(i *nimbus.Invocation) { i.Phases.Write = 2 * time.Second }), start: "warm", suggestion: "the caller reads slowly"},
		"a slow sender": {inv: warm(3*time.Second, 5*ms), start: "warm", suggestion: "3.0 s went by before the call was let in"},
		"a slow store":  {inv: with(warm(60*ms, ms), func(i *nimbus.Invocation) { i.Phases.Route = 50 * ms }), start: "warm", suggestion: "the disk of the store is slow"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := settings()
			if c.settings != nil {
				c.settings(s)
			}
			report := why.Explain(&c.inv, s, nimbus.DefaultLimits(), now)
			if !strings.Contains(report.Start, c.start) {
				t.Errorf("start %q, want %q", report.Start, c.start)
			}
			if !strings.Contains(report.Suggestion, c.suggestion) {
				t.Errorf("suggestion %q, want %q", report.Suggestion, c.suggestion)
			}
			var met []why.LimitName
			for _, l := range report.Limits {
				met = append(met, l.Name)
				if l.Detail == "" {
					t.Errorf("nothing is said of %s", l.Name)
				}
			}
			if len(met) != len(c.limits) || len(met) > 0 && met[0] != c.limits[0] {
				t.Errorf("limits %v, want %v", met, c.limits)
			}
			checkSum(t, report)
		})
	}
}

// checkSum wants the steps to be the total.
func checkSum(t *testing.T, r why.Report) {
	t.Helper()
	var sum time.Duration
	shares := 0.0
	for i, s := range r.Steps {
		sum += s.Took
		shares += s.Share
		if s.Name != why.StepNames()[i] || s.Took < 0 {
			t.Errorf("step %d is %+v", i, s)
		}
	}
	if sum != r.Total || len(r.Steps) != len(why.StepNames()) || r.Total > 0 && math.Abs(shares-1) > 1e-9 {
		t.Errorf("the steps of %s are %s and %g of it: %+v", r.Total, sum, shares, r.Steps)
	}
}

func TestExplainWhatGoesOn(t *testing.T) {
	t.Parallel()
	waiting := nimbus.Invocation{FunctionName: "f", Status: nimbus.InvocationPending, CreatedAt: arrived}
	report := why.Explain(&waiting, settings(), nimbus.DefaultLimits(), arrived.Add(3*time.Second))
	if report.Total != 3*time.Second || !strings.HasPrefix(report.Start, "none yet") {
		t.Errorf("a call that waits: %+v", report)
	}
	checkSum(t, report)
	running := nimbus.Invocation{FunctionName: "f", Status: nimbus.InvocationRunning, CreatedAt: arrived, StartedAt: arrived.Add(time.Second)}
	report = why.Explain(&running, settings(), nimbus.DefaultLimits(), arrived.Add(3*time.Second))
	if report.Total != 3*time.Second || report.Steps[6].Took != 2*time.Second {
		t.Errorf("a call that runs: %+v", report)
	}
	checkSum(t, report)
}

// A function can be deleted, and its version pruned; its records stay.
func TestExplainWithoutSettings(t *testing.T) {
	t.Parallel()
	for _, inv := range []nimbus.Invocation{
		failed(warm(100*ms, 90*ms), nimbus.ErrorTypeOutOfMemory), failed(warm(100*ms, 90*ms), nimbus.ErrorTypeTimeout),
		cold(nimbus.Phases{Init: 812 * ms}, 300*ms), cold(nimbus.Phases{Claim: 812 * ms}, 300*ms), warm(0, 0),
		with(warm(2300*ms, 100*ms), func(i *nimbus.Invocation) { i.Phases.Admit = 2100 * ms }),
	} {
		report := why.Explain(&inv, nil, nimbus.DefaultLimits(), now)
		if report.Suggestion == "" || report.Start == "" || strings.HasSuffix(report.Suggestion, " 0") {
			t.Errorf("%+v", report)
		}
		checkSum(t, report)
	}
}
