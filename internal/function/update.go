package function

import (
	"context"
	"maps"
	"reflect"
	"slices"

	"nimbus"
)

// maxRaces bounds how often an update that another one overtook is tried again.
const maxRaces = 5

// Update changes what in gives, and nothing else. A change of code or settings is version N+1, which serves
// once Update has returned; when nothing differs there is no new version. Code that has to be compiled is
// built first, and until then, or when that fails, the last version serves: the status message of what Update
// returns says why; CodeTooManyRequests when too many builds are pending. After an error the function is as it was.
func (s *Service) Update(ctx context.Context, p nimbus.Principal, ref Ref, in Input) (*nimbus.Function, error) {
	u := &update{Service: s, in: in}
	for race := 1; ; race++ {
		f, err := s.find(ctx, p, nimbus.ScopeWrite, ref)
		if err != nil {
			return nil, err
		}
		next, job, err := u.apply(ctx, f)
		if nimbus.CodeOf(err) == nimbus.CodeConflict && u.overtaken && race < maxRaces {
			continue
		}
		if err != nil || job == nil || in.Async {
			return next, err
		}
		return s.await(ctx, f.ID, job)
	}
}

// update is one request, over all its tries: an archive can be read only once.
type update struct {
	*Service
	in        Input
	stored    *nimbus.Package // of the code that in gives
	overtaken bool            // the last try lost a race
}

// apply returns the function as it is after the change, and the build that makes it so.
func (u *update) apply(ctx context.Context, f *nimbus.Function) (*nimbus.Function, *job, error) {
	u.overtaken = false
	base, err := u.base(ctx, f)
	if err != nil {
		return nil, nil, err
	}
	settings, err := u.check(ctx, f, base)
	if err != nil {
		return nil, nil, err
	}
	plan, err := u.plan(ctx, base, settings)
	if err != nil {
		return nil, nil, err
	}
	changed := plan.changes(base)
	moved := u.in.Status != nil && *u.in.Status != f.Status
	switch {
	case changed && moved:
		// Two transactions could come to half a change.
		var v nimbus.Invalid
		v.Add("status", "can't be changed together with code or settings: send it alone")
		return nil, nil, v.Err()
	case moved:
		next, err := u.setStatus(ctx, f, *u.in.Status)
		return next, nil, err
	case !changed && !f.Build.IsZero():
		return f, u.queue.add(newJob(f.Namespace, f.ID, f.Build, u.laneOf(ctx, base))), nil // it is being made
	case changed && (plan.compile || !f.Build.IsZero()), f.Status == nimbus.StatusFailed:
		return u.addBuild(ctx, f, plan)
	case changed, u.in.hasCode() && f.StatusMessage != "": // of an update that failed, and is taken back
		next, err := u.addVersion(ctx, f, plan)
		return next, nil, err
	}
	return f, nil, nil
}

// base is the version that is changed: the one that is being made, else the one that serves.
func (u *update) base(ctx context.Context, f *nimbus.Function) (*nimbus.Version, error) {
	if u.in.Version != nil && *u.in.Version != f.Version.Number {
		return nil, nimbus.Errorf(nimbus.CodeConflict,
			"version %d is the newest, and this changes version %d: read the function again", f.Version.Number, *u.in.Version)
	}
	if f.Build.IsZero() {
		return &f.Version, nil
	}
	b, err := u.functions.Build(ctx, f.ID)
	switch {
	case nimbus.CodeOf(err) == nimbus.CodeNotFound, err == nil && b.ID != f.Build:
		u.overtaken = true
		return nil, nimbus.Errorf(nimbus.CodeConflict, "the function changes too often; try again")
	case err != nil:
		return nil, err
	}
	return &b.Version, nil
}

// check returns the settings that the base comes to.
func (u *update) check(ctx context.Context, f *nimbus.Function, base *nimbus.Version) (nimbus.Settings, error) {
	var v nimbus.Invalid
	settings := u.merge(&v, base.Settings, u.in)
	if settings.Driver != base.Settings.Driver {
		u.checkDriver(ctx, &v, settings.Driver)
	}
	status := u.in.Status
	if status != nil && *status != f.Status && *status != nimbus.StatusActive && *status != nimbus.StatusInactive {
		v.Add("status", "must be %s or %s", nimbus.StatusActive, nimbus.StatusInactive)
	}
	return settings, v.Err()
}

// plan says what is to be made of the base: from new code, or from the code that is there.
func (u *update) plan(ctx context.Context, base *nimbus.Version, settings nimbus.Settings) (plan, error) {
	p, err := u.settled(ctx, base, settings)
	if err != nil {
		return p, err
	}
	if err := u.checkOfRuntime(p.settings, u.in); err != nil {
		return p, err
	}
	return p.reuse(base), nil
}

func (u *update) settled(ctx context.Context, base *nimbus.Version, settings nimbus.Settings) (plan, error) {
	code := base.Code()
	switch {
	case !u.in.hasCode() && u.in.Runtime == nil && u.in.Handler == nil:
		return plan{code: code, settings: settings, compile: !base.Made()}, nil
	case u.in.hasCode() && u.stored == nil:
		p, err := u.store(ctx, settings, u.in)
		if err == nil {
			u.stored = &p.code
		}
		return p, err
	case u.in.hasCode():
		code = *u.stored
	}
	tree, err := u.packages.Tree(ctx, code)
	if err != nil {
		return plan{}, err
	}
	p, err := u.settle(tree, settings, u.in)
	p.code = code
	return p, err
}

func (u *update) addVersion(ctx context.Context, f *nimbus.Function, p plan) (*nimbus.Function, error) {
	next := *f
	next.Version = p.version(f.ID, f.Version.Number+1)
	next.UpdatedAt, next.StatusMessage = next.Version.CreatedAt, ""
	if err := u.functions.AddVersion(ctx, &next.Version); err != nil {
		u.overtaken = true
		return nil, err
	}
	u.switched(ctx, f.ID)
	return &next, nil
}

// addBuild has the next version built, in the place of one that is being built already.
func (u *update) addBuild(ctx context.Context, f *nimbus.Function, p plan) (*nimbus.Function, *job, error) {
	number := f.Version.Number
	if f.Version.Made() {
		number++
	}
	b := &nimbus.Build{ID: nimbus.NewID(), Version: p.source(f.ID, number)}
	job, err := u.enqueue(ctx, f, b, f.Build, func() error {
		err := u.functions.AddBuild(ctx, b, f.Build, beingBuilt(number))
		u.overtaken = err != nil
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	next := *f
	next.Build, next.StatusMessage, next.UpdatedAt = b.ID, beingBuilt(number), b.Version.CreatedAt
	if !f.Version.Made() {
		next.Version, next.Status = b.Version, nimbus.StatusBuilding
	}
	return &next, job, nil
}

// switched does what is due after a new version serves.
func (s *Service) switched(ctx context.Context, id nimbus.ID) {
	err := s.functions.PruneVersions(ctx, id, int(s.keep.Load()))
	if err != nil && nimbus.CodeOf(err) != nimbus.CodeNotFound { // deleted meanwhile, and its versions with it
		// The update is done; the next one prunes what stayed.
		s.cfg.Log.WarnContext(ctx, "old versions were not pruned", "function", id.String(), "error", err)
	}
	s.routes.Changed(id) // last, so that no route to a pruned version is remembered
}

func (u *update) setStatus(ctx context.Context, f *nimbus.Function, status nimbus.Status) (*nimbus.Function, error) {
	if !f.Status.CanBecome(status) {
		return nil, nimbus.Errorf(nimbus.CodeConflict, "a function that is %s can't become %s", f.Status, status)
	}
	next := *f
	next.Status, next.UpdatedAt = status, moment()
	if err := u.functions.SetStatus(ctx, f.ID, f.Status, status, next.UpdatedAt); err != nil {
		u.overtaken = true
		return nil, err
	}
	u.routes.Changed(f.ID)
	return &next, nil
}

// same reports whether two settings are equal; an empty map or slice equals none.
func same(a, b nimbus.Settings) bool {
	if !maps.Equal(a.Env, b.Env) || !slices.Equal(a.Tags, b.Tags) {
		return false
	}
	a.Env, a.Tags, b.Env, b.Tags = nil, nil, nil, nil
	a.InstanceConcurrency, b.InstanceConcurrency = max(1, a.InstanceConcurrency), max(1, b.InstanceConcurrency) // 0 is 1
	return reflect.DeepEqual(a, b)
}
