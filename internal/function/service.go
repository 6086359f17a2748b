package function

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"time"

	"nimbus"
	"nimbus/internal/build"
	"nimbus/internal/driver"
	"nimbus/internal/runtime"
	"nimbus/internal/store"
)

// Packages stores code and shows it.
type Packages interface {
	// Build stores the source as a package, once check has seen its files and not objected.
	Build(ctx context.Context, src build.Source, check func(tree fs.FS) error) (nimbus.Package, error)
	// Tree returns the files of a package.
	Tree(ctx context.Context, pkg nimbus.Package) (fs.FS, error)
	// Collect deletes what keep does not name and nobody has used for a while.
	Collect(ctx context.Context, keep map[string]struct{}) error
}

// Runtimes are the runtimes this machine has.
type Runtimes interface {
	// Resolve finds one by name or alias; CodeInvalid on the field "runtime" when it is not there.
	Resolve(name string) (runtime.Runtime, error)
	// Default returns the newest of a language.
	Default(language runtime.Language) (runtime.Runtime, error)
}

// Prober is a driver, as far as deploying is concerned. It is asked on each creation, so its answer had
// better be remembered.
type Prober interface {
	Probe(ctx context.Context) driver.Report
}

// Routes is told which function changed, after the change is durable.
type Routes interface {
	Changed(id nimbus.ID)
}

// Config sets a Service's bounds.
type Config struct {
	Limits  nimbus.Limits
	Driver  string        // for functions that name none
	Keep    int           // versions kept of a function besides published ones; 0 = 10
	Collect time.Duration // between two collections of garbage; 0 = 1 hour
	Log     *slog.Logger  // nil = none
}

func (c Config) withDefaults() Config {
	if c.Keep == 0 {
		c.Keep = 10
	}
	if c.Collect == 0 {
		c.Collect = time.Hour
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Service is the use cases of functions. Safe for concurrent use.
type Service struct {
	functions store.Functions
	packages  Packages
	runtimes  Runtimes
	drivers   map[string]Prober
	routes    Routes
	cfg       Config
}

// New returns the service. drivers are those a function may name.
func New(
	functions store.Functions, packages Packages, runtimes Runtimes, drivers map[string]Prober, routes Routes, cfg Config,
) *Service {
	return &Service{
		functions: functions, packages: packages, runtimes: runtimes, drivers: drivers, routes: routes,
		cfg: cfg.withDefaults(),
	}
}

// Create makes a function, active on version 1. namespace "" is the principal's default.
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
	if in.Code == nil && in.Archive == nil {
		v.Add("code", "is required: text, or a zip")
	}
	if in.Status != nil {
		v.Add("status", "can't be set on creation: a new function is active")
	}
	settings := s.merge(&v, s.defaults(), in)
	s.checkDriver(ctx, &v, settings.Driver)
	if err := v.Err(); err != nil {
		return nil, err
	}
	if err := s.checkFree(ctx, p, namespace, name); err != nil {
		return nil, err
	}
	pkg, settings, err := s.build(ctx, settings, in)
	if err != nil {
		return nil, err
	}
	now := moment()
	f := &nimbus.Function{
		ID: nimbus.NewID(), Tenant: p.Tenant, Namespace: namespace, Name: name, Status: nimbus.StatusActive,
		CreatedAt: now, UpdatedAt: now,
	}
	f.Version = nimbus.Version{FunctionID: f.ID, Number: 1, Package: pkg, Settings: settings, CreatedAt: now}
	if err := s.functions.CreateFunction(ctx, f); err != nil {
		return nil, err
	}
	s.routes.Changed(f.ID)
	return f, nil
}

// Get returns a function.
func (s *Service) Get(ctx context.Context, p nimbus.Principal, ref Ref) (*nimbus.Function, error) {
	return s.find(ctx, p, nimbus.ScopeRead, ref)
}

// Code returns the code of a function that was given as text, else "".
func (s *Service) Code(ctx context.Context, p nimbus.Principal, ref Ref) (string, error) {
	f, err := s.find(ctx, p, nimbus.ScopeRead, ref)
	if err != nil || f.Version.Package.Inline == "" {
		return "", err
	}
	tree, err := s.packages.Tree(ctx, f.Version.Package)
	if err != nil {
		return "", err
	}
	text, err := fs.ReadFile(tree, path.Clean(f.Version.Package.Inline))
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
