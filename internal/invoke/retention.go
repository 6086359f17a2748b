package invoke

import (
	"context"
	"time"
)

// pruneBatch bounds what one transaction removes, so that it holds up nothing for long.
const pruneBatch = 1000

// prune removes records past their age, now and then.
func (s *Service) prune(ctx context.Context) error {
	if s.config.Retention < 0 {
		return nil
	}
	for ctx.Err() == nil {
		s.pruneOnce(ctx)
		if !wait(ctx, s.config.PruneEvery) {
			break
		}
	}
	return nil
}

func (s *Service) pruneOnce(ctx context.Context) {
	before := time.Now().Add(-s.config.Retention)
	for {
		n, err := s.Records.Prune(ctx, before, pruneBatch)
		if err != nil && ctx.Err() == nil {
			s.Log.Error("old records could not be removed", "error", err)
		}
		if err != nil || n < pruneBatch {
			return
		}
	}
}
