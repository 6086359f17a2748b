package client

import (
	"context"
	"net/http"
)

// ServerVersion returns the version of the server's program.
func (c *Client) ServerVersion(ctx context.Context) (string, error) {
	res, err := c.send(ctx, call{method: http.MethodGet}, c.base.JoinPath("health"))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var health struct {
		Version string `json:"version"`
	}
	if err := c.decode(ctx, res, &health); err != nil {
		return "", err
	}
	return health.Version, nil
}
