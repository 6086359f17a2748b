package function

import (
	"context"
	"io/fs"
	"maps"
	"reflect"
	"slices"

	"nimbus"
	"nimbus/internal/build"
)

// maxRaces bounds how often an update that another one overtook is tried again.
const maxRaces = 5

// Update changes what in gives, and nothing else. A change of code or settings is version N+1, which serves
// once Update has returned; when nothing differs there is no new version. After an error the function is as
// it was.
func (s *Service) Update(ctx context.Context, p nimbus.Principal, ref Ref, in Input) (*nimbus.Function, error) {
	u := &update{Service: s, in: in}
	for race := 1; ; race++ {
		f, err := s.find(ctx, p, nimbus.ScopeWrite, ref)
		if err != nil {
			return nil, err
		}
		next, err := u.apply(ctx, f)
		if nimbus.CodeOf(err) == nimbus.CodeConflict && u.overtaken && race < maxRaces {
			continue
		}
		return next, err
	}
}

// update is one request, over all its tries: an archive can be read only once.
type update struct {
	*Service
	in        Input
	built     *nimbus.Package
	overtaken bool // the last try lost a race
}

func (u *update) apply(ctx context.Context, f *nimbus.Function) (*nimbus.Function, error) {
	u.overtaken = false
	old := f.Version
	if u.in.Version != nil && *u.in.Version != old.Number {
		return nil, nimbus.Errorf(nimbus.CodeConflict,
			"version %d is the newest, and this changes version %d: read the function again", old.Number, *u.in.Version)
	}
	var v nimbus.Invalid
	settings := u.merge(&v, old.Settings, u.in)
	if settings.Driver != old.Settings.Driver {
		u.checkDriver(ctx, &v, settings.Driver)
	}
	if u.in.Status != nil && *u.in.Status != nimbus.StatusActive && *u.in.Status != nimbus.StatusInactive {
		v.Add("status", "must be %s or %s", nimbus.StatusActive, nimbus.StatusInactive)
	}
	if err := v.Err(); err != nil {
		return nil, err
	}
	pkg, settings, err := u.code(ctx, old, settings)
	if err != nil {
		return nil, err
	}
	changed := pkg.Hash != old.Package.Hash || pkg.Inline != old.Package.Inline || !same(settings, old.Settings)
	moved := u.in.Status != nil && *u.in.Status != f.Status
	switch {
	case changed && moved:
		// Two transactions could come to half a change.
		v.Add("status", "can't be changed together with code or settings: send it alone")
		return nil, v.Err()
	case changed:
		return u.addVersion(ctx, f, pkg, settings)
	case moved:
		return u.setStatus(ctx, f, *u.in.Status)
	}
	return f, nil
}

// code returns the package and settings to serve: from new code, or from the package that is there.
func (u *update) code(ctx context.Context, old nimbus.Version, settings nimbus.Settings) (nimbus.Package, nimbus.Settings, error) {
	hasCode := u.in.Code != nil || u.in.Archive != nil
	switch {
	case hasCode && u.built == nil:
		pkg, settings, err := u.build(ctx, settings, u.in)
		if err == nil {
			u.built = &pkg
		}
		return pkg, settings, err
	case !hasCode && u.in.Runtime == nil && u.in.Handler == nil:
		return old.Package, settings, nil
	}
	pkg := old.Package
	if hasCode {
		pkg = *u.built
	}
	tree, err := u.packages.Tree(ctx, pkg)
	if err != nil {
		return pkg, settings, err
	}
	settings, err = u.settle(tree, settings, u.in)
	return pkg, settings, err
}

func (u *update) addVersion(ctx context.Context, f *nimbus.Function, pkg nimbus.Package, settings nimbus.Settings) (*nimbus.Function, error) {
	next := *f
	next.Version = nimbus.Version{
		FunctionID: f.ID, Number: f.Version.Number + 1, Package: pkg, Settings: settings, CreatedAt: moment(),
	}
	next.UpdatedAt, next.StatusMessage = next.Version.CreatedAt, ""
	if err := u.functions.AddVersion(ctx, &next.Version); err != nil {
		u.overtaken = true
		return nil, err
	}
	if err := u.functions.PruneVersions(ctx, f.ID, u.cfg.Keep); err != nil {
		// The update is done; the next one prunes what stayed.
		u.cfg.Log.WarnContext(ctx, "old versions were not pruned", "function", f.ID.String(), "error", err)
	}
	u.routes.Changed(f.ID) // last, so that no route to a pruned version is remembered
	return &next, nil
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

// build makes the package of new code and settles what its files decide.
func (s *Service) build(ctx context.Context, settings nimbus.Settings, in Input) (nimbus.Package, nimbus.Settings, error) {
	src := build.Source{Archive: in.Archive}
	if in.Code != nil {
		src.Text, src.Name = *in.Code, build.TextFile(s.language(settings.Runtime), settings.Handler, *in.Code)
	}
	pkg, err := s.packages.Build(ctx, src, func(tree fs.FS) (err error) {
		settings, err = s.settle(tree, settings, in)
		return err
	})
	return pkg, settings, err
}

// same reports whether two settings are equal; an empty map or slice equals none.
func same(a, b nimbus.Settings) bool {
	if !maps.Equal(a.Env, b.Env) || !slices.Equal(a.Tags, b.Tags) {
		return false
	}
	a.Env, a.Tags, b.Env, b.Tags = nil, nil, nil, nil
	return reflect.DeepEqual(a, b)
}
