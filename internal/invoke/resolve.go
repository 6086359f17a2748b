package invoke

import (
	"context"
	"strconv"
	"time"

	"nimbus"
)

// Latest is the qualifier of the version that serves; so is "".
const Latest = "$LATEST"

// retirePause is how long the store is left alone after it failed to say what became of a function.
const retirePause = time.Second

// Resolve finds the version that a function's name or id and a qualifier stand for. namespace "" is the
// principal's default; an id needs none. What the principal cannot reach is CodeNotFound; a function that
// does not take calls is CodeConflict. One whose first version is being built is waited for, as for an instance.
func (s *Service) Resolve(ctx context.Context, p nimbus.Principal, namespace, function, qualifier string) (*Target, error) {
	found, looked, err := s.find(ctx, p, nimbus.ScopeInvoke, namespace, function)
	if err != nil {
		return nil, err
	}
	if found.function.Status == nimbus.StatusBuilding {
		return s.resolveBuilt(ctx, p, namespace, function, qualifier, found.function.ID)
	}
	return s.resolve(ctx, found, looked, qualifier)
}

// resolve finds the version of a function that was looked up.
func (s *Service) resolve(ctx context.Context, found *route, looked lookup, qualifier string) (*Target, error) {
	f := found.function
	switch {
	case f.Status == nimbus.StatusActive:
	case f.Status == nimbus.StatusFailed && f.StatusMessage != "":
		return nil, nimbus.Errorf(nimbus.CodeConflict, "the function %q failed to deploy: %s", f.Name, f.StatusMessage)
	default:
		return nil, nimbus.Errorf(nimbus.CodeConflict, "the function %q is %s and takes no calls", f.Name, f.Status)
	}
	if qualifier == "" || qualifier == Latest {
		return found.latest.after(looked), nil
	}
	number, err := strconv.ParseInt(qualifier, 10, 64)
	if err != nil || number < 1 || strconv.FormatInt(number, 10) != qualifier {
		return nil, noVersion(f, qualifier)
	}
	t, again, err := s.routes.version(ctx, found, number)
	switch {
	case nimbus.CodeOf(err) == nimbus.CodeNotFound:
		return nil, noVersion(f, qualifier)
	case err != nil:
		return nil, err
	}
	return t.after(looked.then(again)), nil
}

// Changed says that a function was changed or deleted: the next Resolve sees what it is now.
func (s *Service) Changed(id nimbus.ID) { s.routes.change(id) }

// find looks a function up for a principal, and tells how long the store took if it had to be asked. A function out
// of the principal's reach looks like one that is not there.
func (s *Service) find(ctx context.Context, p nimbus.Principal, scope nimbus.Scope, namespace, function string) (*route, lookup, error) {
	const idLength = 36 // asked first, because an error of ParseID costs more than all the rest
	if len(function) == idLength {
		if id, err := nimbus.ParseID(function); err == nil {
			found, looked, err := s.routes.byID(ctx, id)
			if err == nil && namespace != "" && namespace != found.function.Namespace {
				return nil, looked, noFunction(function)
			}
			found, err = s.visible(p, scope, function, found, err)
			return found, looked, err
		}
	}
	if namespace == "" {
		namespace = p.DefaultNS()
	}
	if !p.Reaches(namespace) {
		return nil, lookup{}, noFunction(function)
	}
	found, looked, err := s.routes.byName(ctx, namespace, function)
	found, err = s.visible(p, scope, function, found, err)
	return found, looked, err
}

func (s *Service) visible(p nimbus.Principal, scope nimbus.Scope, function string, found *route, err error) (*route, error) {
	switch {
	case nimbus.CodeOf(err) == nimbus.CodeNotFound:
		return nil, noFunction(function)
	case err != nil:
		return nil, err
	case found.function.Tenant != p.Tenant || !p.Reaches(found.function.Namespace):
		return nil, noFunction(function)
	}
	return found, p.RequireScope(scope)
}

// retire stops instances of versions that no longer serve, soon after each change. Changes made while it
// looks at all functions are looked at afterwards, so that the last word is the newest.
func (s *Service) retire(ctx context.Context) error {
	s.serveAll(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.routes.wake:
		}
		for _, id := range s.routes.takeChanged() {
			s.retireOld(ctx, id)
		}
	}
}

func (s *Service) retireOld(ctx context.Context, id nimbus.ID) {
	f, err := s.Functions.Function(ctx, id)
	for ; err != nil && nimbus.CodeOf(err) != nimbus.CodeNotFound; f, err = s.Functions.Function(ctx, id) {
		if !wait(ctx, retirePause) {
			return
		}
	}
	if err != nil {
		s.Pool.Forget(id)
		s.Metrics.DeleteFunction(id)
		// A call that still runs may print once more; retention takes that.
		if err := s.Logs.DeleteFunction(ctx, id); err != nil {
			s.Log.WarnContext(ctx, "a deleted function's log was not removed", "function", id.String(), "error", err)
		}
		return
	}
	s.serve(f)
}

// wait pauses and reports false when ctx ended meanwhile.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func noFunction(function string) error {
	return nimbus.Errorf(nimbus.CodeNotFound, "the function %.80q was not found", function)
}

func noVersion(f *nimbus.Function, qualifier string) error {
	return nimbus.Errorf(nimbus.CodeNotFound, "the function %q has no version or alias %.80q", f.Name, qualifier)
}
