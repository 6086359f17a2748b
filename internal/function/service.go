package function

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"sync/atomic"
	"time"

	"nimbus"
	"nimbus/internal/store"
)

// Service is the use cases of functions. Safe for concurrent use.
type Service struct {
	functions store.Functions
	packages  Packages
	compiler  Compiler
	runtimes  Runtimes
	drivers   map[string]Prober
	routes    Routes
	logs      Logs
	cfg       Config
	defaults  atomic.Pointer[map[string]Defaults]
	timeout   atomic.Int64 // time.Duration of a function that names none
	keep      atomic.Int64 // Config.Keep
	queue     *queue
}

// New returns the service. What has to be compiled is built while Run runs.
func New(d Deps, cfg Config) *Service {
	s := &Service{
		functions: d.Functions, packages: d.Packages, compiler: d.Compiler, runtimes: d.Runtimes, drivers: d.Drivers,
		routes: d.Routes, logs: d.Logs, cfg: cfg.withDefaults(),
	}
	s.queue = newQueue(bounds{all: s.cfg.Pending, namespace: s.cfg.NamespacePending})
	s.SetDefaults(cfg.Defaults)
	s.SetTimeout(cfg.Limits.Timeout)
	s.SetKeep(s.cfg.Keep)
	return s
}

// SetDefaults changes Config.Defaults. Functions that are there keep what they have.
func (s *Service) SetDefaults(defaults map[string]Defaults) { s.defaults.Store(&defaults) }

// SetTimeout changes Config.Limits.Timeout, the time-out of functions that name none. Functions that are there
// keep what they have.
func (s *Service) SetTimeout(d time.Duration) { s.timeout.Store(int64(d)) }

// SetKeep changes Config.Keep. Versions past it go with the next change of their function.
func (s *Service) SetKeep(versions int) { s.keep.Store(int64(versions)) }

// Create makes a function, active on version 1. Code that has to be compiled is built first; when that fails
// the function is there, failed; CodeTooManyRequests when too many builds are pending. namespace "" is the
// principal's default.
func (s *Service) Create(ctx context.Context, p nimbus.Principal, namespace, name string, in Input) (*nimbus.Function, error) {
	if namespace == "" {
		namespace = p.DefaultNS()
	}
	if err := p.Require(nimbus.ScopeWrite, namespace); err != nil {
		return nil, err
	}
	var v nimbus.Invalid
	if !nimbus.ValidName(namespace) {
		v.Add("namespace", nimbus.NameRule)
	}
	if !nimbus.ValidName(name) {
		v.Add("name", nimbus.NameRule)
	}
	if !in.hasCode() {
		v.Add("code", "is required: text, a zip, or a program as binary")
	}
	if in.Status != nil {
		v.Add("status", "can't be set on creation: a new function is active")
	}
	settings := s.merge(&v, s.unsaid(), in)
	s.checkDriver(ctx, &v, settings.Driver)
	if err := v.Err(); err != nil {
		return nil, err
	}
	if err := s.checkFree(ctx, p, namespace, name); err != nil {
		return nil, err
	}
	plan, err := s.store(ctx, settings, in)
	if err != nil {
		return nil, err
	}
	plan.settings = s.ofRuntime(plan.settings, in)
	if err := s.checkOfRuntime(plan.settings, in); err != nil {
		return nil, err
	}
	return s.add(ctx, &nimbus.Function{
		ID: nimbus.NewID(), Tenant: p.Tenant, Namespace: namespace, Name: name, Status: nimbus.StatusActive,
	}, plan, in)
}

// add stores a new function, and has it built where that is due.
func (s *Service) add(ctx context.Context, f *nimbus.Function, p plan, in Input) (*nimbus.Function, error) {
	f.Version = p.version(f.ID, 1)
	f.CreatedAt, f.UpdatedAt = f.Version.CreatedAt, f.Version.CreatedAt
	if !p.compile {
		if err := s.functions.CreateFunction(ctx, f); err != nil {
			return nil, err
		}
		s.routes.Changed(f.ID)
		return f, nil
	}
	f.Status, f.StatusMessage, f.Build = nimbus.StatusBuilding, beingBuilt(1), nimbus.NewID()
	job, err := s.enqueue(ctx, f, &nimbus.Build{ID: f.Build, Version: f.Version}, nimbus.ID{},
		func() error { return s.functions.CreateFunction(ctx, f) })
	if err != nil {
		return nil, err
	}
	if in.Async {
		return f, nil
	}
	return s.await(ctx, f.ID, job)
}

// enqueue has a build worked off that store makes durable; it takes the place of the one it replaces, if that is set.
// A build that is refused is not stored.
func (s *Service) enqueue(ctx context.Context, f *nimbus.Function, b *nimbus.Build, replaces nimbus.ID, store func() error) (*job, error) {
	j := newJob(f.Namespace, f.ID, b.ID, s.laneOf(ctx, &b.Version))
	if err := s.queue.reserve(j, replaces); err != nil {
		return nil, err
	}
	if err := store(); err != nil {
		s.queue.cancel(j.id, err)
		return nil, err
	}
	s.queue.cancel(replaces, superseded())
	s.queue.start(j)
	s.routes.Changed(f.ID)
	return j, nil
}

// await waits for the end of a build and returns the function as it is then. The build goes on when ctx ends.
func (s *Service) await(ctx context.Context, id nimbus.ID, j *job) (*nimbus.Function, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.cfg.Stopping:
		return nil, stopping()
	case <-j.done:
	}
	if j.err != nil {
		return nil, j.err
	}
	return s.functions.Function(ctx, id)
}

// Get returns a function.
func (s *Service) Get(ctx context.Context, p nimbus.Principal, ref Ref) (*nimbus.Function, error) {
	return s.find(ctx, p, nimbus.ScopeRead, ref)
}

// Code returns the code of a function that was given as text, else "".
func (s *Service) Code(ctx context.Context, p nimbus.Principal, ref Ref) (string, error) {
	f, err := s.find(ctx, p, nimbus.ScopeRead, ref)
	if err != nil {
		return "", err
	}
	code := f.Version.Code()
	if code.Inline == "" {
		return "", nil
	}
	tree, err := s.packages.Tree(ctx, code)
	if err != nil {
		return "", err
	}
	text, err := fs.ReadFile(tree, path.Clean(code.Inline))
	if err != nil {
		return "", fmt.Errorf("read code of function %s: %w", f.ID, err)
	}
	return string(text), nil
}

// List returns the functions of one namespace, in name order.
func (s *Service) List(ctx context.Context, p nimbus.Principal, q Query) (nimbus.List[nimbus.Function], error) {
	var none nimbus.List[nimbus.Function]
	if q.Namespace == "" {
		q.Namespace = p.DefaultNS()
	}
	if err := p.Require(nimbus.ScopeRead, q.Namespace); err != nil {
		return none, err
	}
	var v nimbus.Invalid
	if q.Status != "" {
		checkOneOf(&v, "status", q.Status, nimbus.Statuses())
	}
	if err := v.Err(); err != nil {
		return none, err
	}
	page, err := q.Page.Checked()
	if err != nil {
		return none, err
	}
	// A runtime that is gone is still one to look for.
	if r, err := s.runtimes.Resolve(q.Runtime); q.Runtime != "" && err == nil {
		q.Runtime = r.Name
	}
	return s.functions.ListFunctions(ctx, store.FunctionQuery{
		Tenant: p.Tenant, Namespaces: []string{q.Namespace}, Name: q.Name, Tags: q.Tags, Runtime: q.Runtime,
		Status: q.Status, Page: page,
	})
}

// Delete removes a function with its versions. Its code goes with the next collection.
func (s *Service) Delete(ctx context.Context, p nimbus.Principal, ref Ref) error {
	f, err := s.find(ctx, p, nimbus.ScopeWrite, ref)
	if err != nil {
		return err
	}
	if err := s.functions.DeleteFunction(ctx, f.ID); err != nil {
		return err
	}
	s.queue.cancelFunction(f.ID, nimbus.Errorf(nimbus.CodeNotFound, "the function was deleted while it was built"))
	s.routes.Changed(f.ID)
	return nil
}

// find looks a function up. What the principal can't reach is not found.
func (s *Service) find(ctx context.Context, p nimbus.Principal, scope nimbus.Scope, ref Ref) (*nimbus.Function, error) {
	if id, err := nimbus.ParseID(ref.Function); err == nil {
		return s.findByID(ctx, p, scope, ref, id)
	}
	if ref.Namespace == "" {
		ref.Namespace = p.DefaultNS()
	}
	if err := p.Require(scope, ref.Namespace); err != nil {
		return nil, err
	}
	f, err := s.functions.FunctionByName(ctx, ref.Namespace, ref.Function)
	if nimbus.CodeOf(err) == nimbus.CodeNotFound || err == nil && f.Tenant != p.Tenant {
		return nil, nimbus.Errorf(nimbus.CodeNotFound, "function %q was not found in namespace %q", ref.Function, ref.Namespace)
	}
	return f, err
}

func (s *Service) findByID(ctx context.Context, p nimbus.Principal, scope nimbus.Scope, ref Ref, id nimbus.ID) (*nimbus.Function, error) {
	f, err := s.functions.Function(ctx, id)
	switch {
	case nimbus.CodeOf(err) == nimbus.CodeNotFound,
		err == nil && (f.Tenant != p.Tenant || !p.Reaches(f.Namespace)),
		err == nil && ref.Namespace != "" && ref.Namespace != f.Namespace:
		return nil, nimbus.Errorf(nimbus.CodeNotFound, "function %q was not found", ref.Function)
	case err != nil:
		return nil, err
	}
	return f, p.RequireScope(scope)
}

// checkFree finds out early, before code is stored, that a name is taken; the store decides.
func (s *Service) checkFree(ctx context.Context, p nimbus.Principal, namespace, name string) error {
	f, err := s.functions.FunctionByName(ctx, namespace, name)
	switch {
	case nimbus.CodeOf(err) == nimbus.CodeNotFound:
		return nil
	case err != nil:
		return err
	case f.Tenant != p.Tenant:
		return nimbus.Errorf(nimbus.CodeNotFound, "namespace %q was not found", namespace)
	}
	return nimbus.Errorf(nimbus.CodeConflict, "function %q is there already in namespace %q; update it instead", f.Name, namespace)
}

// moment is now, in the precision that is stored.
func moment() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
