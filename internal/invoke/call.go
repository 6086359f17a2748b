package invoke

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/obs"
	"nimbus/internal/obs/tracing"
	"nimbus/internal/pool"
	"nimbus/internal/wire"
)

// maxSends is how many instances a call may try that turn out to have ended before they were handed anything.
const maxSends = 3

// Invoke runs one event on the target and says what user code came to. The platform's own failures are
// errors: CodeTooLarge and CodeBadRequest for the event, CodeTooManyRequests when too many calls wait,
// CodeUnavailable while stopping. A call whose caller is gone is given up while it waits, with the error of
// ctx; once it runs it runs to its end, unless its answer is streamed to a writer that fails.
func (s *Service) Invoke(ctx context.Context, p nimbus.Principal, t *Target, req *Request) (*Result, error) {
	if p.Tenant != t.Tenant || !p.Reaches(t.Namespace) {
		return nil, noFunction(t.Name)
	}
	if err := p.RequireScope(nimbus.ScopeInvoke); err != nil {
		return nil, err
	}
	event, err := s.event(req)
	if err != nil {
		return nil, err
	}
	if err := s.admit(); err != nil {
		s.Metrics.CountRejection(err)
		return nil, err
	}
	defer s.leave()
	c := s.begin(t, req, event)
	if s.Tracer != nil {
		c.trace(ctx)
	}
	res, err := c.run(ctx)
	s.settle(c)
	return res, err
}

// event checks the request's event.
func (s *Service) event(req *Request) ([]byte, error) {
	if limit := s.config.Limits.Event; int64(len(req.Event)) > limit {
		return nil, nimbus.Errorf(nimbus.CodeTooLarge, "the event has %d bytes; at most %d are taken", len(req.Event), limit)
	}
	if len(req.Event) == 0 {
		return []byte("null"), nil
	}
	if !json.Valid(req.Event) {
		return nil, nimbus.Errorf(nimbus.CodeBadRequest, "the event is not JSON")
	}
	return req.Event, nil
}

// call is one invocation from its admission to its record.
type call struct {
	service *Service
	target  *Target
	request *Request
	exec    driver.Call
	refused error     // the stream writer's error
	begun   time.Time // known when it is traced

	mu sync.Mutex // guards the record, whose id never changes, while the call goes on
	ended
}

// begin enters the call among those that have not ended.
func (s *Service) begin(t *Target, req *Request, event []byte) *call {
	id := req.ID
	if id.IsZero() {
		id = nimbus.NewID()
	}
	arrived := req.Arrived
	if arrived.IsZero() {
		arrived = time.Now()
	}
	traceID := obs.TraceIDOf(req.Traceparent)
	c := &call{service: s, target: t, request: req}
	c.record = nimbus.Invocation{
		ID: id, Namespace: t.Namespace, FunctionID: t.FunctionID, FunctionName: t.Name, Version: t.Version.Number,
		Attempt: 1, TriggerType: req.Trigger, Status: nimbus.InvocationPending, TraceID: traceID,
		CreatedAt: arrived.UTC().Truncate(time.Microsecond), // as the store gives it back
		Phases:    nimbus.Phases{Route: t.lookup.took},
	}
	c.exec = driver.Call{Event: event, Meta: wire.ExecMeta{RequestID: id.String(), TraceID: traceID, Traceparent: req.Traceparent, Stream: req.Stream != nil}}
	if req.Stream != nil {
		c.exec.Chunk = c.chunk
	}
	s.inflight.add(c)
	return c
}

// settle records the call, if it is one that was accepted, and forgets it.
func (s *Service) settle(c *call) {
	if c.record.Status.Ended() {
		// Recorded before it is forgotten, so that it can be seen at every moment.
		s.recorder.add(&c.ended)
	}
	s.inflight.remove(c)
	c.request, c.exec = nil, driver.Call{} // the record lives on, the event need not
}

// snapshot copies the record as it is now.
func (c *call) snapshot() nimbus.Invocation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.record
}

// move changes the record's status. A move the state machine does not have is a bug.
func (c *call) move(next nimbus.InvocationStatus) {
	if !c.record.Status.CanBecome(next) {
		panic(fmt.Sprintf("invocation %s: %s can't become %s", c.record.ID, c.record.Status, next))
	}
	c.record.Status = next
}

// chunk passes an item of a streamed result on and remembers the writer's error.
func (c *call) chunk(kind string, raw []byte) error {
	err := c.request.Stream(kind, raw)
	if err != nil {
		c.refused = err
	}
	return err
}

// run leases an instance and hands it the event. An instance that ended before it was handed anything is
// replaced by another.
func (c *call) run(ctx context.Context) (*Result, error) {
	for sent := 1; ; sent++ {
		lease, err := c.service.Pool.Acquire(ctx, pool.Request{Spec: c.target.spec, Bytes: int64(len(c.exec.Event))})
		if err != nil {
			return c.notStarted(ctx, lease.Phases(), err)
		}
		e := c.execute(ctx, &lease)
		if errors.Is(e.err, driver.ErrNotSent) && sent < maxSends {
			lease.Release(pool.Broken)
			continue
		}
		return c.finish(&lease, e)
	}
}

// execution is what came of handing the event over.
type execution struct {
	outcome  driver.Outcome
	err      error
	timedOut bool
	took     time.Duration
	logCut   bool
}

// execute hands the event over and waits for the outcome, as long as the function may take.
func (c *call) execute(ctx context.Context, lease *pool.Lease) execution {
	timeout := c.target.Version.Settings.Timeout
	started := lease.Began()
	c.started(lease, started)
	if c.spans != nil {
		c.exec.Meta.Traceparent = c.spans.Run(started)
	}
	keep := pool.KeepNone
	if c.request.WantLogs {
		keep = pool.KeepLines
	}
	lease.Begin(c.record.ID, keep)
	if c.request.Begin != nil {
		c.request.Begin(lease.Cold())
	}
	// That the caller is gone does not undo what the function has begun to do.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	c.exec.Meta.DeadlineMS = started.Add(timeout).UnixMilli()
	var e execution
	c.exec.Output = lease.Output()
	e.outcome, e.err = lease.Instance().Invoke(ctx, &c.exec)
	e.took = time.Since(started)
	e.timedOut = e.err != nil && ctx.Err() != nil
	return e
}

// started notes in the record that the call has an instance.
func (c *call) started(lease *pool.Lease, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.record.Status == nimbus.InvocationPending { // else the instance is a replacement
		c.move(nimbus.InvocationRunning)
	}
	c.record.StartedAt = at.UTC()
	c.record.InstanceID = lease.InstanceID()
	c.record.ColdStart = lease.Cold()
	c.waited(lease.Phases())
}

// waited notes where the time went until there was an instance, or none. The caller holds the mutex.
func (c *call) waited(p nimbus.Phases) {
	p.Route = c.target.lookup.took
	c.record.Phases = p
}

// notStarted ends a call that got no instance.
func (c *call) notStarted(ctx context.Context, waited nimbus.Phases, err error) (*Result, error) {
	c.mu.Lock()
	c.waited(waited)
	c.mu.Unlock()
	var init *driver.InitError
	switch {
	case errors.As(err, &init):
		v := initVerdict(init, c.target)
		c.mu.Lock()
		c.record.ColdStart = true // it was one, and ended there
		c.mu.Unlock()
		c.service.Logs.Append(c.platformLines(v.log)...)
		c.end(v, execution{})
		return c.result(v, driver.Outcome{}), nil
	case ctx.Err() != nil:
		c.end(verdict{status: nimbus.InvocationCancelled, message: "the caller went away while the call was waiting"}, execution{})
		return nil, err
	case nimbus.CodeOf(err) == nimbus.CodeTooManyRequests || nimbus.CodeOf(err) == nimbus.CodeUnavailable:
		c.service.Metrics.CountRejection(err)
		return nil, err // it was not accepted, so there is nothing to record
	}
	c.end(verdict{status: nimbus.InvocationFailed, errorType: nimbus.ErrorTypePlatform,
		message: "the platform could not start an instance"}, execution{})
	return nil, err
}

// platformLines makes log lines of a call that has no instance to log through.
func (c *call) platformLines(texts []string) []obs.LogLine {
	limits := c.service.config.Limits
	left := limits.LogCall
	var lines []obs.LogLine
	for _, text := range texts {
		cut := cutText(text, limits.LogLine)
		if left -= int64(len(cut)) + obs.LogLineOverhead; left < 0 {
			break
		}
		lines = append(lines, obs.LogLine{Time: time.Now(), Function: c.target.FunctionID, Version: c.record.Version,
			Invocation: c.record.ID, Stream: obs.StreamPlatform, Text: cut, Truncated: len(cut) < len(text)})
	}
	return lines
}

// finish ends a call that ran: it logs why, gives the instance back, and fills in the record.
func (c *call) finish(lease *pool.Lease, e execution) (*Result, error) {
	v := c.judge(e)
	if len(v.log) > 0 {
		lease.Print(v.log...)
	}
	var lines []string
	if c.request.WantLogs {
		lines = lease.Lines()
	}
	e.logCut = lease.LogCut()
	lease.Release(v.instance)
	c.end(v, e)
	if v.err != nil {
		return nil, v.err
	}
	res := c.result(v, e.outcome)
	res.Logs = lines
	return res, nil
}

// end fills in the record and counts the call.
func (c *call) end(v verdict, e execution) {
	limits := &c.service.config.Limits
	settings := &c.target.Version.Settings
	c.mu.Lock()
	r := &c.record
	ran := r.Status == nimbus.InvocationRunning
	c.move(v.status)
	r.CompletedAt = time.Now().UTC()
	r.Duration = e.took
	r.Memory, r.CPU, r.LogCut = e.outcome.Memory, e.outcome.CPU, e.logCut
	r.Error, r.ErrorType = cutText(v.message, limits.Captured), v.errorType
	if ran {
		r.Billed = billed(e.took, r.Phases.Init)
	}
	if captures(settings.Capture, r.ID, v.status) {
		r.Input = cutJSON(c.exec.Event, limits.Captured)
		if v.body != nil {
			r.Output = cutJSON(v.body, limits.Captured)
		}
	}
	cold := r.ColdStart
	c.mu.Unlock()
	start := obs.StartNone
	switch {
	case cold:
		start = obs.StartCold
	case ran:
		start = obs.StartWarm
	}
	c.target.metrics.Observe(obs.Observation{Status: v.status, ErrorType: v.errorType, Start: start, Duration: e.took})
	if cold && ran {
		c.service.Metrics.ObserveColdStart(settings.Runtime, r.Phases)
	}
	if c.spans != nil {
		c.spans.End(r, tracing.Times{Routed: c.target.lookup.began, Begun: c.begun, Ran: r.StartedAt, Ended: r.CompletedAt})
	}
}

// trace has the call recorded in its request's trace.
func (c *call) trace(ctx context.Context) {
	c.spans = c.service.Tracer.StartCall(ctx)
	c.begun = time.Now()
}

// result is the answer of a call that user code brought to an end.
func (c *call) result(v verdict, o driver.Outcome) *Result {
	r := &c.record // nobody changes it any more
	return &Result{
		ID: r.ID, StatusCode: v.code, Body: v.body, Streamed: v.code == statusOK && o.Resp.Streamed,
		Error: v.message, ErrorType: v.errorType, Stack: v.stack,
		Duration: r.Duration, Billed: r.Billed, ColdStart: r.ColdStart, Init: r.Phases.Init, Memory: r.Memory, CPU: r.CPU, Version: r.Version,
		ended: &c.ended,
	}
}

// billed is a duration rounded up to the millisecond, with the time a cold start took to initialise.
func billed(took, init time.Duration) time.Duration {
	return (took + init + time.Millisecond - 1).Truncate(time.Millisecond)
}
