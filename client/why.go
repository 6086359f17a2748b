package client

import (
	"context"
	"net/http"
)

// Why explains an invocation.
type Why struct {
	RequestID    string     `json:"request_id"`
	Namespace    string     `json:"namespace"`
	FunctionName string     `json:"function_name"`
	Version      int64      `json:"version"`
	Status       string     `json:"status"`
	TotalMS      float64    `json:"total_ms"` // from the request's arrival to the answer written
	Steps        []WhyStep  `json:"steps"`    // in the order of time; together they are the total
	Start        string     `json:"start"`    // how it got its instance, and why so
	Limits       []WhyLimit `json:"limits"`   // the bounds it met
	Suggestion   string     `json:"suggestion"`
}

// WhyStep is a part of the way of an invocation.
type WhyStep struct {
	Name   string  `json:"name"` // route, admit, hold, claim, attach, import, run, write, other
	TookMS float64 `json:"took_ms"`
	Share  float64 `json:"share"` // of the total, 0 to 1
}

// WhyLimit is a bound that an invocation met.
type WhyLimit struct {
	Name   string `json:"name"`
	Detail string `json:"detail"`
}

// Why explains an invocation: where its time went, which bounds it met, and what to try.
func (c *Client) Why(ctx context.Context, id string) (*Why, error) {
	out := &Why{}
	return out, c.do(ctx, call{method: http.MethodGet, segments: []string{"invocations", id, "why"}}, nil, out)
}
