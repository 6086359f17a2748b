package invoke

import (
	"context"
	"time"

	"nimbus"
	"nimbus/internal/invoke/why"
)

// Why explains an invocation that the principal may read.
func (s *Service) Why(ctx context.Context, p nimbus.Principal, id nimbus.ID) (*nimbus.Invocation, why.Report, error) {
	record, err := s.Get(ctx, p, id)
	if err != nil {
		return nil, why.Report{}, err
	}
	var settings *nimbus.Settings
	version, err := s.Functions.Version(ctx, record.FunctionID, record.Version)
	switch {
	case err == nil:
		settings = &version.Settings
	case nimbus.CodeOf(err) != nimbus.CodeNotFound:
		return nil, why.Report{}, err
	}
	return record, why.Explain(record, settings, s.config.Limits, time.Now()), nil
}
