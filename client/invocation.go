package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Invocation is the record of one event handed to a function.
type Invocation struct {
	ID           string          `json:"id"`
	Namespace    string          `json:"namespace"`
	FunctionID   string          `json:"function_id"`
	FunctionName string          `json:"function_name"`
	Version      int64           `json:"version"`
	Attempt      int             `json:"attempt"`
	TriggerType  string          `json:"trigger_type"`
	Status       string          `json:"status"` // pending, running, success, failed, timeout, cancelled
	Input        json.RawMessage `json:"input,omitempty"`
	Output       json.RawMessage `json:"output,omitempty"`
	Error        string          `json:"error,omitempty"`
	ErrorType    string          `json:"error_type,omitempty"`
	ColdStart    bool            `json:"cold_start"`
	VMID         string          `json:"vm_id,omitempty"`
	DurationMS   float64         `json:"duration_ms"`
	BilledTimeMS float64         `json:"billed_time_ms"`
	MemoryUsedMB *float64        `json:"memory_used_mb"`         // nil = not known
	MemoryScope  string          `json:"memory_scope,omitempty"` // call or instance: whose peak it is
	CPUMS        *float64        `json:"cpu_ms"`                 // nil = not known
	TraceID      string          `json:"trace_id,omitempty"`
	LogTruncated bool            `json:"log_truncated,omitempty"` // it printed more than is kept of one call
	Phases       *Phases         `json:"phases,omitempty"`        // where the time went besides the handler
	CreatedAt    time.Time       `json:"created_at"`
	StartedAt    *time.Time      `json:"started_at,omitempty"`
	CompletedAt  *time.Time      `json:"completed_at,omitempty"`
}

// Phases is where the time went besides the handler, in milliseconds. Only a cold start has ClaimMS, AttachMS and
// InitMS.
type Phases struct {
	RouteMS  float64 `json:"route_ms"`
	AdmitMS  float64 `json:"admit_ms"`
	HoldMS   float64 `json:"hold_ms"`
	ClaimMS  float64 `json:"claim_ms"`
	AttachMS float64 `json:"attach_ms"`
	InitMS   float64 `json:"init_ms"`
	WriteMS  float64 `json:"write_ms"` // 0 = not known
}

// InvocationQuery selects records. Empty fields select everything.
type InvocationQuery struct {
	Function string // id or name
	Status   string
	Since    time.Time
	Until    time.Time
	Limit    int // 1–100; 0 = the server's
	Cursor   string
}

// Invocation returns one record, with what was captured of input and output.
func (c *Client) Invocation(ctx context.Context, id string) (*Invocation, error) {
	out := &Invocation{}
	return out, c.do(ctx, call{method: http.MethodGet, segments: []string{"invocations", id}}, nil, out)
}

// ListInvocations returns one page of records, newest first, without inputs and outputs.
func (c *Client) ListInvocations(ctx context.Context, q InvocationQuery) (*List[Invocation], error) {
	query := url.Values{}
	setQuery(query, "function", q.Function)
	setQuery(query, "status", q.Status)
	setTime(query, "since", q.Since)
	setTime(query, "until", q.Until)
	setPage(query, q.Limit, q.Cursor)
	out := &List[Invocation]{}
	return out, c.do(ctx, call{method: http.MethodGet, segments: []string{"invocations"}, query: query}, nil, out)
}

// Invocations yields every record that q selects, page by page. It ends with the first error.
func (c *Client) Invocations(ctx context.Context, q InvocationQuery) iter.Seq2[Invocation, error] {
	return pages(func(cursor string) (*List[Invocation], error) {
		q.Cursor = cursor
		return c.ListInvocations(ctx, q)
	}, q.Cursor)
}
