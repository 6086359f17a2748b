package main

import (
	"context"
	"fmt"

	"nimbus/internal/obs"
)

func (p *program) logConfig() obs.LogConfig {
	return obs.LogConfig{MaxAge: p.cfg.Retention.Logs, MaxBytes: p.cfg.Retention.LogBytes}
}

// printFirstKey makes the key that everything else can be made with, when there is none, and shows it this
// once.
func (p *program) printFirstKey(ctx context.Context, c *cli) error {
	secret, err := p.keys.EnsureAdmin(ctx)
	if err != nil {
		return fmt.Errorf("make the first API key: %w", err)
	}
	if secret == "" {
		return nil
	}
	_, err = fmt.Fprintf(c.out, "The admin key of this installation, shown this once:\n\n    %s\n\n"+
		"Give it to the command line as NIMBUS_API_KEY, and make others with `nimbus apikey create`.\n", secret)
	return err
}

// close gives back what newProgram opened.
func (p *program) close() error {
	if err := p.store.Close(); err != nil {
		return fmt.Errorf("close the store: %w", err)
	}
	return nil
}
