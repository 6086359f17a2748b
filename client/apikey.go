package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// APIKey is a credential. Secret is there only in the answer that makes it.
type APIKey struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Scopes     []string   `json:"scopes"`
	Namespaces []string   `json:"namespaces"` // empty = all
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"` // nil = never
	Secret     string     `json:"secret,omitempty"`
}

// APIKeyInput is what is asked of a new key.
type APIKeyInput struct {
	Name       string   `json:"name"`
	Scopes     []string `json:"scopes"`
	Namespaces []string `json:"namespaces,omitempty"`
	ExpiresIn  string   `json:"expires_in,omitempty"` // a Go duration; "" = never
}

// CreateAPIKey makes a key. The secret is told this once.
func (c *Client) CreateAPIKey(ctx context.Context, in APIKeyInput) (*APIKey, error) {
	out := &APIKey{}
	return out, c.do(ctx, call{method: http.MethodPost, segments: []string{"apikeys"}}, in, out)
}

// ListAPIKeys returns one page of keys, oldest first.
func (c *Client) ListAPIKeys(ctx context.Context, limit int, cursor string) (*List[APIKey], error) {
	query := url.Values{}
	setPage(query, limit, cursor)
	out := &List[APIKey]{}
	return out, c.do(ctx, call{method: http.MethodGet, segments: []string{"apikeys"}, query: query}, nil, out)
}

// APIKeys yields every key, page by page. It ends with the first error.
func (c *Client) APIKeys(ctx context.Context) iter.Seq2[APIKey, error] {
	return pages(func(cursor string) (*List[APIKey], error) {
		return c.ListAPIKeys(ctx, 0, cursor)
	}, "")
}

// DeleteAPIKey revokes the key with the id or name.
func (c *Client) DeleteAPIKey(ctx context.Context, key string) error {
	return c.do(ctx, call{method: http.MethodDelete, segments: []string{"apikeys", key}}, nil, nil)
}
