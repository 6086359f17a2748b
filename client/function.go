package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Function is a function as the server describes it.
type Function struct {
	ID                  string            `json:"id"`
	Name                string            `json:"name"`
	Namespace           string            `json:"namespace"`
	Description         string            `json:"description"`
	Runtime             string            `json:"runtime"`
	Handler             string            `json:"handler"`
	Code                string            `json:"code,omitempty"` // when it was given as text
	CodeHash            string            `json:"code_hash"`
	Toolchain           string            `json:"toolchain"` // what compiled it; "" = nothing was
	MemoryMB            int64             `json:"memory_mb"`
	TimeoutSec          int64             `json:"timeout_sec"`
	EnvVars             map[string]string `json:"env_vars"`
	Status              string            `json:"status"`
	StatusMessage       string            `json:"status_message"` // why it, or its last update, failed; or what is being built
	Version             int64             `json:"version"`
	Tags                []string          `json:"tags"`
	MaxConcurrency      int               `json:"max_concurrency"`
	InstanceConcurrency int               `json:"instance_concurrency"`
	MinInstances        int               `json:"min_instances"`
	IdleTimeout         string            `json:"idle_timeout"` // a Go duration; 0s = the pool's
	CPUMilli            int               `json:"cpu_milli"`
	TmpMB               int64             `json:"tmp_mb"`
	Driver              string            `json:"driver"`
	Capture             string            `json:"capture"`
	EventFormat         string            `json:"event_format"`
	CreatedAt           time.Time         `json:"created_at"`
	UpdatedAt           time.Time         `json:"updated_at"`
}

// FunctionInput is what is asked of a new or changed function. Nil is unsaid: the server's default on
// create, unchanged on update.
type FunctionInput struct {
	Name                string             `json:"name,omitempty"` // of a new function
	Description         *string            `json:"description,omitempty"`
	Runtime             *string            `json:"runtime,omitempty"`
	Handler             *string            `json:"handler,omitempty"`
	Code                *string            `json:"code,omitempty"`   // excludes Archive and Binary
	Binary              []byte             `json:"binary,omitempty"` // one file that runs as it is
	MemoryMB            *int64             `json:"memory_mb,omitempty"`
	TimeoutSec          *int64             `json:"timeout_sec,omitempty"`
	EnvVars             *map[string]string `json:"env_vars,omitempty"`
	Tags                *[]string          `json:"tags,omitempty"`
	MaxConcurrency      *int               `json:"max_concurrency,omitempty"`
	InstanceConcurrency *int               `json:"instance_concurrency,omitempty"`
	MinInstances        *int               `json:"min_instances,omitempty"`
	IdleTimeout         *string            `json:"idle_timeout,omitempty"`
	CPUMilli            *int               `json:"cpu_milli,omitempty"`
	TmpMB               *int64             `json:"tmp_mb,omitempty"`
	Driver              *string            `json:"driver,omitempty"`
	Capture             *string            `json:"capture,omitempty"`
	EventFormat         *string            `json:"event_format,omitempty"`
	Status              *string            `json:"status,omitempty"` // active or inactive; update only

	// Archive is a zip of the code, of ArchiveSize bytes. It is read once, as the request goes out.
	Archive     io.Reader `json:"-"`
	ArchiveSize int64     `json:"-"`

	// Async asks for an answer before code that has to be compiled is built.
	Async bool `json:"-"`
}

// List is one page of a list. NextCursor asks for the next; "" = this was the last.
type List[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor,omitempty"`
}

// FunctionQuery selects functions. Empty fields select everything.
type FunctionQuery struct {
	Name    string // prefix
	Tags    []string
	Runtime string
	Status  string
	Limit   int // 1–100; 0 = the server's
	Cursor  string
}

// The statuses of a function.
const (
	StatusBuilding = "building" // its first version is being made
	StatusActive   = "active"
	StatusFailed   = "failed" // its first version could not be made
	StatusInactive = "inactive"
)

// CreateFunction makes a function. Unless in.Async, it returns when code that has to be compiled was built, or
// could not be: Status and StatusMessage say so.
func (c *Client) CreateFunction(ctx context.Context, in FunctionInput) (*Function, error) {
	return c.putFunction(ctx, call{method: http.MethodPost, segments: []string{"functions"}}, in)
}

// UpdateFunction changes what in gives of the function with the id or name. It returns as
// CreateFunction does; when the new version could not be built, the former one serves on.
func (c *Client) UpdateFunction(ctx context.Context, function string, in FunctionInput) (*Function, error) {
	return c.putFunction(ctx, call{method: http.MethodPut, segments: []string{"functions", function}}, in)
}

func (c *Client) putFunction(ctx context.Context, r call, in FunctionInput) (*Function, error) {
	out := &Function{}
	r.header = http.Header{}
	if in.Async {
		r.header.Set("Prefer", "respond-async")
	}
	if in.Archive == nil {
		return out, c.do(ctx, r, in, out)
	}
	settings, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	head, tail, contentType, err := multipartFrame(settings)
	if err != nil {
		return nil, err
	}
	r.size = int64(head.Len()) + in.ArchiveSize + int64(tail.Len())
	r.body = io.MultiReader(head, in.Archive, tail)
	r.contentType = contentType
	// A server that refuses does so before the archive is sent.
	r.header.Set("Expect", "100-continue")
	return out, c.do(ctx, r, nil, out)
}

// multipartFrame is what goes before and after the archive, so that it is never copied.
func multipartFrame(settings []byte) (head *bytes.Buffer, tail *strings.Reader, contentType string, err error) {
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	part := func(disposition, kind string) io.Writer {
		var p io.Writer
		if err == nil {
			p, err = w.CreatePart(textproto.MIMEHeader{
				"Content-Disposition": {"form-data; " + disposition},
				"Content-Type":        {kind},
			})
		}
		return p
	}
	if p := part(`name="function"`, "application/json"); err == nil {
		_, err = p.Write(settings)
	}
	part(`name="code"; filename="code.zip"`, "application/zip")
	if err != nil {
		return nil, nil, "", fmt.Errorf("encode request: %w", err)
	}
	return &buf, strings.NewReader("\r\n--" + w.Boundary() + "--\r\n"), w.FormDataContentType(), nil
}

// Function returns the function with the id or name.
func (c *Client) Function(ctx context.Context, function string) (*Function, error) {
	out := &Function{}
	return out, c.do(ctx, call{method: http.MethodGet, segments: []string{"functions", function}}, nil, out)
}

// DeleteFunction removes the function and every version of it.
func (c *Client) DeleteFunction(ctx context.Context, function string) error {
	return c.do(ctx, call{method: http.MethodDelete, segments: []string{"functions", function}}, nil, nil)
}

// ListFunctions returns one page of functions in name order.
func (c *Client) ListFunctions(ctx context.Context, q FunctionQuery) (*List[Function], error) {
	query := url.Values{}
	setQuery(query, "name", q.Name)
	for _, tag := range q.Tags {
		query.Add("tags", tag)
	}
	setQuery(query, "runtime", q.Runtime)
	setQuery(query, "status", q.Status)
	setPage(query, q.Limit, q.Cursor)
	out := &List[Function]{}
	return out, c.do(ctx, call{method: http.MethodGet, segments: []string{"functions"}, query: query}, nil, out)
}

// Functions yields every function that q selects, page by page. It ends with the first error.
func (c *Client) Functions(ctx context.Context, q FunctionQuery) iter.Seq2[Function, error] {
	return pages(func(cursor string) (*List[Function], error) {
		q.Cursor = cursor
		return c.ListFunctions(ctx, q)
	}, q.Cursor)
}

// pages yields the items of page after page.
func pages[T any](next func(cursor string) (*List[T], error), cursor string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			page, err := next(cursor)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.NextCursor == "" {
				return
			}
			cursor = page.NextCursor
		}
	}
}

func setQuery(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

func setPage(query url.Values, limit int, cursor string) {
	if limit != 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	setQuery(query, "cursor", cursor)
}
