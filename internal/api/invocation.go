package api

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nimbus"
	"nimbus/internal/invoke"
)

// anyJSON is a JSON value that passes through as it is.
type anyJSON json.RawMessage

// MarshalJSON implements json.Marshaler.
func (v anyJSON) MarshalJSON() ([]byte, error) { return v, nil }

// Schema implements huma.SchemaProvider: any value.
func (anyJSON) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Description: "Any JSON value."}
}

// invocationJSON is the record of a call.
type invocationJSON struct {
	ID           string                  `json:"id"`
	Namespace    string                  `json:"namespace"`
	FunctionID   string                  `json:"function_id"`
	FunctionName string                  `json:"function_name"`
	Version      int64                   `json:"version"`
	Attempt      int                     `json:"attempt"`
	TriggerType  nimbus.TriggerType      `json:"trigger_type" enum:"http"`
	Status       nimbus.InvocationStatus `json:"status" enum:"pending,running,success,failed,timeout,cancelled"`
	Input        anyJSON                 `json:"input,omitempty" doc:"As far as the function's capture policy keeps it; a string when cut short."`
	Output       anyJSON                 `json:"output,omitempty" doc:"Likewise."`
	Error        string                  `json:"error,omitempty"`
	ErrorType    string                  `json:"error_type,omitempty"`
	ColdStart    bool                    `json:"cold_start"`
	VMID         string                  `json:"vm_id,omitempty" doc:"The instance that ran it."`
	DurationMS   millis                  `json:"duration_ms"`
	BilledTimeMS millis                  `json:"billed_time_ms"`
	MemoryUsedMB *float64                `json:"memory_used_mb" doc:"Null when it is not known."`
	MemoryScope  string                  `json:"memory_scope,omitempty" enum:"call,instance" doc:"Whose peak memory_used_mb is."`
	CPUMS        *millis                 `json:"cpu_ms" doc:"CPU of all its processes; null when it is not known."`
	TraceID      string                  `json:"trace_id,omitempty" doc:"Of the W3C trace it belongs to."`
	LogTruncated bool                    `json:"log_truncated,omitempty" doc:"It printed more than is kept of one call."`
	Phases       *phasesJSON             `json:"phases,omitempty" doc:"Where the time went besides the handler."`
	CreatedAt    time.Time               `json:"created_at"`
	StartedAt    *time.Time              `json:"started_at,omitempty"`
	CompletedAt  *time.Time              `json:"completed_at,omitempty"`
}

type phasesJSON struct {
	RouteMS  millis `json:"route_ms" doc:"Looking its version up, when that was not remembered, or waiting for the first to be built."`
	AdmitMS  millis `json:"admit_ms" doc:"Waiting for a place among max_concurrency."`
	HoldMS   millis `json:"hold_ms" doc:"Waiting for an instance."`
	ClaimMS  millis `json:"claim_ms" doc:"Getting a blank instance."`
	AttachMS millis `json:"attach_ms" doc:"Code and limits in place."`
	InitMS   millis `json:"init_ms" doc:"The user's module imported."`
	WriteMS  millis `json:"write_ms" doc:"Writing the answer; 0 when it is not known."`
}

// millis is a duration in milliseconds, with microsecond decimals.
type millis float64

func newMillis(d time.Duration) millis { return millis(float64(d.Microseconds()) / 1000) }

// knownMillis is nil for a duration that is not known.
func knownMillis(d time.Duration) *millis {
	if d <= 0 {
		return nil
	}
	ms := newMillis(d)
	return &ms
}

func newInvocationJSON(v *nimbus.Invocation) invocationJSON {
	out := invocationJSON{
		ID: v.ID.String(), Namespace: v.Namespace, FunctionID: v.FunctionID.String(), FunctionName: v.FunctionName,
		Version: v.Version, Attempt: v.Attempt, TriggerType: v.TriggerType, Status: v.Status,
		Input: captured(v.Input), Output: captured(v.Output),
		Error: v.Error, ErrorType: v.ErrorType, ColdStart: v.ColdStart, VMID: v.InstanceID,
		DurationMS: newMillis(v.Duration), BilledTimeMS: newMillis(v.Billed), MemoryUsedMB: megabytes(v.Memory.Peak),
		CPUMS: knownMillis(v.CPU), TraceID: v.TraceID, LogTruncated: v.LogCut,
		CreatedAt: v.CreatedAt.UTC(), StartedAt: timeOrNil(v.StartedAt), CompletedAt: timeOrNil(v.CompletedAt),
	}
	if out.MemoryUsedMB != nil {
		out.MemoryScope = "call"
		if v.Memory.Instance {
			out.MemoryScope = "instance"
		}
	}
	if v.Phases != (nimbus.Phases{}) {
		out.Phases = &phasesJSON{
			RouteMS: newMillis(v.Phases.Route), AdmitMS: newMillis(v.Phases.Admit), WriteMS: newMillis(v.Phases.Write),
			HoldMS: newMillis(v.Phases.Hold), ClaimMS: newMillis(v.Phases.Claim),
			AttachMS: newMillis(v.Phases.Attach), InitMS: newMillis(v.Phases.Init),
		}
	}
	return out
}

// captured returns a kept input or output. What was cut to its bound is JSON no longer, and shown as text.
func captured(data []byte) anyJSON {
	if len(data) == 0 || json.Valid(data) {
		return data
	}
	return anyJSON(mustMarshal(string(data)))
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (a *api) getInvocation(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	id, err := invocationID(r)
	if err != nil {
		return err
	}
	v, err := a.Invocations.Get(r.Context(), p, id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, newInvocationJSON(v))
}

// invocationID is the one that the path names.
func invocationID(r *http.Request) (nimbus.ID, error) {
	id, err := nimbus.ParseID(r.PathValue("id"))
	if err != nil {
		return id, nimbus.WrapError(nimbus.CodeNotFound, err, "the invocation %q was not found", r.PathValue("id"))
	}
	return id, nil
}

func (a *api) listInvocations(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	return a.writeInvocations(w, r, p, r.URL.Query().Get("function"))
}

func (a *api) listFunctionInvocations(w http.ResponseWriter, r *http.Request, p nimbus.Principal) error {
	return a.writeInvocations(w, r, p, r.PathValue("id"))
}

func (a *api) writeInvocations(w http.ResponseWriter, r *http.Request, p nimbus.Principal, function string) error {
	q := invoke.Query{Function: function}
	var err error
	if q.Namespace, err = namespaceOf(r); err != nil {
		return err
	}
	if q.Status, err = choiceOf(r, "status", nimbus.InvocationStatuses()); err != nil {
		return err
	}
	span, err := periodOf(r, time.Now())
	if err != nil {
		return err
	}
	q.Since, q.Until = span.since, span.until
	if q.Page, err = pageOf(r); err != nil {
		return err
	}
	list, err := a.Invocations.List(r.Context(), p, q)
	if err != nil {
		return err
	}
	return writeList(w, list, func(v nimbus.Invocation) invocationJSON { return newInvocationJSON(&v) })
}
