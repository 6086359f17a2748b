//go:build linux

package agent

import (
	"context"
	"encoding/json"

	"nimbus/internal/wire"
)

// callContext is what a program on stdin can read in the file that ContextFile names.
type callContext struct {
	RequestID       string `json:"request_id"`
	DeadlineMS      int64  `json:"deadline_ms"` // Unix milliseconds
	TraceID         string `json:"trace_id,omitempty"`
	Traceparent     string `json:"traceparent,omitempty"`
	FunctionName    string `json:"function_name"`
	FunctionVersion string `json:"function_version"`
	Namespace       string `json:"namespace"`
	MemoryLimitMB   int64  `json:"memory_limit_mb"`
	ARN             string `json:"invoked_function_arn"`
}

// callStdin gives the event to a process of its own. It is over when that process is; nothing it left behind
// lives on.
func (f *function) callStdin(ctx context.Context, call *wire.Call) (wire.RespMeta, []byte) {
	session := f.api.current()
	r, err := f.take()
	if err != nil {
		return notStarted(f.path, f.init.CodeDir, err), nil
	}
	about, err := json.Marshal(callContext{
		RequestID: call.Meta.RequestID, DeadlineMS: call.Meta.DeadlineMS, TraceID: call.Meta.TraceID, Traceparent: call.Meta.Traceparent,
		FunctionName: f.init.FunctionName, FunctionVersion: f.init.FunctionVersion, Namespace: f.init.Namespace,
		MemoryLimitMB: f.init.MemoryMB, ARN: arn(&f.init),
	})
	if err == nil {
		err = r.give(about, call.Event)
	}
	if err != nil {
		f.children.kill(r.process)
	}
	select {
	case <-r.done:
	case <-session.asked:
		f.become(r)
		return f.callAPI(ctx, call)
	case <-ctx.Done():
		f.children.kill(r.process)
		<-r.done
	}
	f.children.sweep()
	f.lose(r)
	meta, raw := r.outcome()
	r.close()
	if err != nil {
		meta, raw = wire.RespMeta{Type: typeExit, Message: err.Error()}, nil
	}
	if !f.eager {
		f.ahead.Go(f.startAhead)
	}
	return meta, raw
}

// take returns a process that has not been given an event. One that ended while it waited is not asked why: it is
// tried again, once, with this call's event before it.
func (f *function) take() (*run, error) {
	f.ahead.Wait()
	r := f.next
	f.next = nil
	if r != nil && !r.hasEnded() {
		return r, nil
	}
	if r != nil {
		r.close()
	}
	return f.start()
}

// startAhead starts the next call's process. Should that fail, the call will find out and say so.
func (f *function) startAhead() {
	if r, err := f.start(); err == nil {
		f.next = r
	}
}
