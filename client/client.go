// Package client talks to a Nimbus server over its REST API. It uses the standard library only and knows
// nothing of the server's insides.
//
// Every method takes a context first. An answer of the server that is not a success is a *Problem; a server
// that could not be reached is an *UnreachableError. A Client is safe for concurrent use.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// DefaultServer is where a server listens that nobody configured.
const DefaultServer = "http://127.0.0.1:8080"

const apiPrefix = "/api/v1"

// Client calls one server.
type Client struct {
	base      *url.URL
	http      *http.Client
	apiKey    string
	namespace string
	userAgent string
	wait      backoff
}

// Option changes a Client that New makes.
type Option func(*Client)

// WithAPIKey presents the key with every request.
func WithAPIKey(key string) Option { return func(c *Client) { c.apiKey = key } }

// WithNamespace names the namespace that functions are looked for in. Without it the server takes the
// API key's, else "default".
func WithNamespace(namespace string) Option { return func(c *Client) { c.namespace = namespace } }

// WithHTTPClient sends the requests through h, whose Timeout should be zero: calls and followed logs may
// take long, and every method takes a context.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// WithUserAgent names the program that uses the client.
func WithUserAgent(agent string) Option { return func(c *Client) { c.userAgent = agent } }

// New returns a client of the server at an http or https URL; "" is DefaultServer. Nothing is sent yet.
func New(server string, opts ...Option) (*Client, error) {
	if server == "" {
		server = DefaultServer
	}
	base, err := url.Parse(server)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("server %q is not a URL such as %s", server, DefaultServer)
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("server %q must be scheme, host and path only", base.Redacted())
	}
	c := &Client{
		base:      &url.URL{Scheme: base.Scheme, Host: base.Host, Path: strings.TrimRight(base.Path, "/")},
		http:      &http.Client{},
		userAgent: "nimbus-client",
		wait:      defaultBackoff(),
	}
	for _, opt := range opts {
		opt(c)
	}
	return c, nil
}

// Server is the URL of the server, without a trailing slash.
func (c *Client) Server() string { return c.base.String() }

// FunctionURL is where plain HTTP reaches a function.
func (c *Client) FunctionURL(namespace, name string) string {
	return c.base.JoinPath("fn", namespace, name).String()
}

// call is one request to the control plane. Segments are escaped one by one, so that a name with a slash
// can't reach another path.
type call struct {
	method      string
	segments    []string // below /api/v1
	query       url.Values
	header      http.Header
	body        io.Reader
	size        int64 // of body, when its type doesn't tell; 0 = not known
	contentType string
}

// open sends the request and returns the answer of a success; the caller closes its body.
func (c *Client) open(ctx context.Context, r call) (*http.Response, error) {
	return c.send(ctx, r, c.apiURL(r.segments))
}

func (c *Client) apiURL(segments []string) *url.URL {
	path := c.base.EscapedPath() + apiPrefix
	for _, s := range segments {
		path += "/" + escapeSegment(s)
	}
	u := *c.base
	u.RawPath = path
	u.Path, _ = url.PathUnescape(path) // what was escaped just now unescapes
	return &u
}

// escapeSegment keeps "." and ".." from being read as steps in the tree.
func escapeSegment(s string) string {
	if s == "." || s == ".." {
		return strings.ReplaceAll(s, ".", "%2E")
	}
	return url.PathEscape(s)
}

func (c *Client) send(ctx context.Context, r call, u *url.URL) (*http.Response, error) {
	u.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), r.body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if r.size > 0 {
		req.ContentLength = r.size
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json, application/problem+json")
	}
	if c.apiKey != "" {
		req.Header.Set("Authorization", "Bearer "+c.apiKey)
	}
	if c.namespace != "" {
		req.Header.Set("X-Nimbus-Namespace", c.namespace)
	}
	req.Header.Set("User-Agent", c.userAgent)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		defer res.Body.Close()
		return nil, readProblem(res)
	}
	return res, nil
}

// UnreachableError says that no server answered.
type UnreachableError struct {
	Server string
	Err    error
}

// Error implements error.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("cannot reach %s: %v", e.Server, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// unreachable strips the method and URL that net/http wraps around the cause. A context that ended is the
// caller's doing, not the server's.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return &UnreachableError{Server: c.Server(), Err: err}
}

// do sends in as JSON, unless it is nil, and decodes the answer into out, unless that is nil.
func (c *Client) do(ctx context.Context, r call, in, out any) error {
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		r.body, r.contentType = bytes.NewReader(body), "application/json"
	}
	res, err := c.open(ctx, r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil {
		return nil
	}
	return c.decode(ctx, res, out)
}

func (c *Client) decode(ctx context.Context, res *http.Response, out any) error {
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return &Problem{
			Status: res.StatusCode,
			Title:  "not an answer of Nimbus",
			Detail: fmt.Sprintf("%s answered %s that is no JSON Nimbus sends: %v", c.Server(), res.Header.Get("Content-Type"), err),
		}
	}
	return nil
}
