package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// LogLine is one line a function printed.
type LogLine struct {
	Time         time.Time `json:"time"`
	Stream       string    `json:"stream"` // stdout, stderr, or platform
	Text         string    `json:"text"`
	InvocationID string    `json:"invocation_id,omitempty"` // "" = printed outside a call
	InstanceID   string    `json:"instance_id,omitempty"`
	Version      int64     `json:"version,omitempty"`
	Truncated    bool      `json:"truncated,omitempty"` // the line was longer than the bound
}

// LogQuery selects log lines. Empty fields select everything.
type LogQuery struct {
	Invocation string
	Stream     string // stdout, stderr or platform
	Contains   string // this text, whatever the case of its ASCII letters
	Since      time.Time
	Until      time.Time // not for FollowLogs
	Limit      int       // 0 = the server's
	Tail       int       // begin with the last so many lines, at most 1000; 0 = with the first. Not with Cursor
	Cursor     string
}

// Logs returns one page of a function's lines, oldest first. A page of a search may be short, or empty, though it
// has a cursor to go on from.
func (c *Client) Logs(ctx context.Context, function string, q LogQuery) (*List[LogLine], error) {
	out := &List[LogLine]{}
	return out, c.do(ctx, logsCall(function, q), nil, out)
}

// AllLogs yields every line that q selects, page by page. It ends with the first error.
func (c *Client) AllLogs(ctx context.Context, function string, q LogQuery) iter.Seq2[LogLine, error] {
	return pages(func(cursor string) (*List[LogLine], error) {
		if q.Cursor = cursor; cursor != "" {
			q.Tail = 0 // the first page began there
		}
		return c.Logs(ctx, function, q)
	}, q.Cursor)
}

func logsCall(function string, q LogQuery) call {
	query := url.Values{}
	setQuery(query, "invocation", q.Invocation)
	setQuery(query, "stream", q.Stream)
	setQuery(query, "contains", q.Contains)
	setTime(query, "since", q.Since)
	setTime(query, "until", q.Until)
	setPage(query, q.Limit, q.Cursor)
	if q.Tail != 0 {
		query.Set("tail", strconv.Itoa(q.Tail))
	}
	return call{method: http.MethodGet, segments: []string{"functions", function, "logs"}, query: query}
}

func setTime(query url.Values, name string, t time.Time) {
	if !t.IsZero() {
		query.Set(name, t.UTC().Format(time.RFC3339Nano))
	}
}
