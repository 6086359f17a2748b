package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// Backup writes a copy of the running installation to w.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	res, err := c.open(ctx, call{method: http.MethodGet, segments: []string{"backup"},
		header: http.Header{"Accept": {"application/octet-stream, application/problem+json"}}})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("read backup: %w", err)
	}
	return nil
}

// Restore hands a backup to the running installation, which goes on with it once running calls have
// ended: Health.StartedAt is another then.
func (c *Client) Restore(ctx context.Context, backup io.Reader) error {
	return c.do(ctx, call{method: http.MethodPost, segments: []string{"restore"},
		body: backup, contentType: "application/octet-stream"}, nil, nil)
}
