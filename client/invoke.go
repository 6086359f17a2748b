package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
)

// InvokeInput is one event for a function.
type InvokeInput struct {
	Qualifier string // a version; "" = $LATEST
	Event     []byte // JSON; empty = null
	Logs      bool   // ask for the log lines of the call
}

// InvokeResult is what user code came to. A call that ended badly is a result with another StatusCode than
// 200, not an error.
type InvokeResult struct {
	RequestID    string          `json:"request_id"`
	StatusCode   int             `json:"status_code"` // 200, 500 (exception), 504 (time-out), 507 (over its memory)
	Body         json.RawMessage `json:"body,omitempty"`
	Error        string          `json:"error,omitempty"`
	ErrorType    string          `json:"error_type,omitempty"`
	DurationMS   float64         `json:"duration_ms"`
	ColdStart    bool            `json:"cold_start"`
	InitMS       float64         `json:"init_ms"`
	BilledTimeMS float64         `json:"billed_time_ms"`
	MemoryUsedMB *float64        `json:"memory_used_mb"` // nil = not known
	CPUMS        *float64        `json:"cpu_ms"`         // nil = not known
	Version      int64           `json:"version"`
	AliasUsed    *string         `json:"alias_used"`
	Logs         []string        `json:"logs,omitempty"`
}

// Invoke hands the event to the function and waits for the result.
func (c *Client) Invoke(ctx context.Context, function string, in InvokeInput) (*InvokeResult, error) {
	out := &InvokeResult{}
	return out, c.do(ctx, invokeCall(function, in), nil, out)
}

func invokeCall(function string, in InvokeInput) call {
	query := url.Values{}
	setQuery(query, "qualifier", in.Qualifier)
	if in.Logs {
		query.Set("logs", "true")
	}
	return call{
		method:      http.MethodPost,
		segments:    []string{"functions", function, "invoke"},
		query:       query,
		body:        bytes.NewReader(in.Event),
		contentType: "application/json",
	}
}

// ErrTruncated is returned for a stream that ended before it was complete.
var ErrTruncated = errors.New("the stream broke off before its end")

// InvokeStream hands every item of a streamed result to item as it arrives, then returns the summary, which
// has no body. An error of item ends the call.
func (c *Client) InvokeStream(ctx context.Context, function string, in InvokeInput, item func(data []byte) error) (*InvokeResult, error) {
	r := invokeCall(function, in)
	r.header = http.Header{"Accept": {"text/event-stream"}}
	res, err := c.open(ctx, r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if err := c.mustStream(res); err != nil {
		return nil, err
	}
	events := newEventReader(res.Body)
	for {
		event, err := events.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, ErrTruncated
		case err != nil:
			return nil, c.streamError(ctx, err)
		case event.name == "result":
			out := &InvokeResult{}
			if err := json.Unmarshal(event.data, out); err != nil {
				return nil, fmt.Errorf("decode result: %w", err)
			}
			return out, nil
		case event.name == "" || event.name == "message":
			if err := item(event.data); err != nil {
				return nil, err
			}
		}
	}
}

// mustStream refuses an answer that is no event stream.
func (c *Client) mustStream(res *http.Response) error {
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if kind == "text/event-stream" {
		return nil
	}
	return &Problem{
		Status: res.StatusCode,
		Title:  "not an answer of Nimbus",
		Detail: fmt.Sprintf("%s answered %q where text/event-stream was asked for", c.Server(), kind),
	}
}

// streamError tells the caller's own cancellation from a broken connection.
func (c *Client) streamError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, errEventTooLong) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrTruncated, err)
}
