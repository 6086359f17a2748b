package function

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// CollectGarbage deletes the code that no version refers to and nobody has used for a while, and what is remembered of
// compiling it. Changes going
// on at the same time are safe: what they store counts as used.
func (s *Service) CollectGarbage(ctx context.Context) error {
	keep, err := s.functions.PackageHashes(ctx)
	if err != nil {
		return fmt.Errorf("collect garbage: %w", err)
	}
	if err := s.packages.Collect(ctx, keep); err != nil {
		return err
	}
	return s.compiler.Collect(ctx)
}

// Run works off builds, and collects garbage at once and from time to time, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	var tasks errgroup.Group
	tasks.Go(func() error { return s.runBuilds(ctx) })
	tasks.Go(func() error { return s.collect(ctx) })
	return tasks.Wait()
}

func (s *Service) collect(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.Collect)
	defer tick.Stop()
	for {
		if err := s.CollectGarbage(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.WarnContext(ctx, "garbage was not collected", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
