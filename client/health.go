package client

import (
	"context"
	"net/http"
	"time"
)

// Health is how a server is.
type Health struct {
	Status    string    `json:"status"` // ok or not_ready
	Reason    string    `json:"reason,omitempty"`
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"` // it changes when the server starts anew, after a restore too
}

// Health asks how the server is. It needs no key.
func (c *Client) Health(ctx context.Context) (*Health, error) {
	res, err := c.send(ctx, call{method: http.MethodGet}, c.base.JoinPath("health"))
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var health Health
	if err := c.decode(ctx, res, &health); err != nil {
		return nil, err
	}
	return &health, nil
}
