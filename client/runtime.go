package client

import (
	"context"
	"net/http"
)

// Runtime is one way the server can start a language.
type Runtime struct {
	Name           string   `json:"name"`
	Language       string   `json:"language"`
	Version        string   `json:"version"`
	Aliases        []string `json:"aliases,omitempty"`
	DefaultHandler string   `json:"default_handler,omitempty"`
}

// Runtimes returns what the server found on its machine.
func (c *Client) Runtimes(ctx context.Context) (*List[Runtime], error) {
	out := &List[Runtime]{}
	return out, c.do(ctx, call{method: http.MethodGet, segments: []string{"runtimes"}}, nil, out)
}
