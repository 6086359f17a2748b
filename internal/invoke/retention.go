package invoke

import (
	"context"
	"time"
)

// pruneBatch bounds what one transaction removes, so that it holds up nothing for long.
const pruneBatch = 1000

// SetRetention changes how long records are kept; below 0 = for ever.
func (s *Service) SetRetention(d time.Duration) { s.retention.Store(int64(d)) }

// prune removes records past their age, now and then.
func (s *Service) prune(ctx context.Context) error {
	for ctx.Err() == nil {
		if s.retention.Load() >= 0 {
			s.pruneOnce(ctx)
		}
		if !wait(ctx, s.config.PruneEvery) {
			break
		}
	}
	return nil
}

func (s *Service) pruneOnce(ctx context.Context) {
	before := time.Now().Add(-time.Duration(s.retention.Load()))
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
