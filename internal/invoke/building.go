package invoke

import (
	"context"
	"time"

	"nimbus"
)

// buildRetry is when a call that was held in vain may come again.
const buildRetry = 5 * time.Second

// resolveBuilt is Resolve of a function whose first version is being built: it holds the call until that has
// ended, within bounds. All of that counts as looking the version up.
func (s *Service) resolveBuilt(ctx context.Context, p nimbus.Principal, namespace, function, qualifier string, id nimbus.ID) (*Target, error) {
	began := time.Now()
	defer s.awaiting.Add(-1)
	if s.awaiting.Add(1) > int64(s.config.BuildQueue) {
		return nil, s.notBuilt(nimbus.CodeTooManyRequests, "%d calls wait already for functions that are being built", s.config.BuildQueue)
	}
	timer := time.NewTimer(s.config.BuildHold)
	defer timer.Stop()
	for {
		changed := s.routes.watch(id) // first, so that no change is missed
		found, _, err := s.find(ctx, p, nimbus.ScopeInvoke, namespace, function)
		if err != nil {
			return nil, err
		}
		if found.function.Status != nimbus.StatusBuilding {
			return s.resolve(ctx, found, lookup{began: began, took: time.Since(began)}, qualifier)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.config.Stopping:
			return nil, s.notBuilt(nimbus.CodeUnavailable, "the server is stopping")
		case <-timer.C:
			return nil, s.notBuilt(nimbus.CodeUnavailable, "the function %q is still being built after %s", found.function.Name, s.config.BuildHold)
		}
	}
}

func (s *Service) notBuilt(code nimbus.Code, format string, args ...any) error {
	err := nimbus.Errorf(code, format, args...)
	err.RetryAfter = buildRetry
	s.Metrics.CountRejection(err)
	return err
}
