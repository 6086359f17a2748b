package invoke

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"nimbus"
	"nimbus/internal/obs"
	"nimbus/internal/pool"
)

// loadTimeout bounds a look into the store that several callers may wait for.
const loadTimeout = 10 * time.Second

// routes remembers what names and ids stand for. Reading takes no lock. Only what was found is remembered.
//
// Every change starts a new epoch. A look into the store belongs to the epoch it began in: its answer is
// remembered only if that epoch still lasts, and callers of another epoch don't wait for it. So what is
// resolved after a change never shows what was before.
type routes struct {
	functions Functions
	metrics   *obs.Metrics
	names     sync.Map // nameKey → *route
	ids       sync.Map // nimbus.ID → *route
	loads     singleflight.Group

	mu      sync.Mutex
	epoch   uint64
	changed map[nimbus.ID]struct{}      // not yet looked at by retire
	watched map[nimbus.ID]chan struct{} // closed at the function's next change
	wake    chan struct{}
}

// nameKey names a function; the name is in lower case.
type nameKey struct{ namespace, name string }

// route is a function as the store had it.
type route struct {
	key      nameKey
	function *nimbus.Function
	latest   *Target
	versions sync.Map // int64 → *Target
}

func newRoutes(functions Functions, metrics *obs.Metrics) *routes {
	return &routes{functions: functions, metrics: metrics,
		changed: make(map[nimbus.ID]struct{}), watched: make(map[nimbus.ID]chan struct{}), wake: make(chan struct{}, 1)}
}

// byName finds a function by its name.
func (r *routes) byName(ctx context.Context, namespace, name string) (*route, lookup, error) {
	key := nameKey{namespace, strings.ToLower(name)}
	if found, ok := r.names.Load(key); ok {
		return found.(*route), lookup{}, nil
	}
	return r.load(ctx, "n"+namespace+"/"+key.name, func(ctx context.Context) (*nimbus.Function, error) {
		return r.functions.FunctionByName(ctx, namespace, name)
	})
}

// byID finds a function by its id.
func (r *routes) byID(ctx context.Context, id nimbus.ID) (*route, lookup, error) {
	if found, ok := r.ids.Load(id); ok {
		return found.(*route), lookup{}, nil
	}
	return r.load(ctx, "i"+id.String(), func(ctx context.Context) (*nimbus.Function, error) {
		return r.functions.Function(ctx, id)
	})
}

// load asks the store, once for all who ask the same in the same epoch.
func (r *routes) load(ctx context.Context, key string, find func(context.Context) (*nimbus.Function, error)) (*route, lookup, error) {
	began := time.Now()
	r.mu.Lock()
	epoch := r.epoch
	r.mu.Unlock()
	found, err, _ := r.loads.Do(strconv.FormatUint(epoch, 36)+key, func() (any, error) {
		// Others may wait for the answer when the first of them is gone.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		f, err := find(ctx)
		if err != nil {
			return nil, err
		}
		made := &route{key: nameKey{f.Namespace, strings.ToLower(f.Name)}, function: f}
		made.latest = r.target(f, &f.Version)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.epoch == epoch {
			r.names.Store(made.key, made)
			r.ids.Store(f.ID, made)
		}
		return made, nil
	})
	looked := lookup{began: began, took: time.Since(began)}
	if err != nil {
		return nil, looked, err
	}
	return found.(*route), looked, nil
}

// version finds one version of the function. Versions never change, so only their end matters; it comes
// with a change of the function.
func (r *routes) version(ctx context.Context, rt *route, number int64) (*Target, lookup, error) {
	if number == rt.function.Version.Number {
		return rt.latest, lookup{}, nil
	}
	if found, ok := rt.versions.Load(number); ok {
		return found.(*Target), lookup{}, nil
	}
	began := time.Now()
	v, err := r.functions.Version(ctx, rt.function.ID, number)
	looked := lookup{began: began, took: time.Since(began)}
	if err != nil {
		return nil, looked, err
	}
	t := r.target(rt.function, v)
	rt.versions.Store(number, t)
	return t, looked, nil
}

// target makes what a call needs to know of a version.
func (r *routes) target(f *nimbus.Function, v *nimbus.Version) *Target {
	text := strconv.FormatInt(v.Number, 10)
	return &Target{
		FunctionID: f.ID, Tenant: f.Tenant, Namespace: f.Namespace, Name: f.Name, Status: f.Status,
		Version: v, VersionText: text,
		spec:    &pool.Spec{FunctionID: f.ID, FunctionName: f.Name, Namespace: f.Namespace, Version: v, VersionText: text},
		metrics: r.metrics.Function(f.ID, v.Settings.Runtime),
	}
}

// change forgets a function.
func (r *routes) change(id nimbus.ID) {
	r.mu.Lock()
	r.epoch++
	if found, ok := r.ids.LoadAndDelete(id); ok {
		r.names.Delete(found.(*route).key)
	}
	r.changed[id] = struct{}{}
	if watched, ok := r.watched[id]; ok {
		delete(r.watched, id)
		close(watched)
	}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default: // it is to wake up already
	}
}

// watch returns a channel that is closed when the function changes next.
func (r *routes) watch(id nimbus.ID) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	watched, ok := r.watched[id]
	if !ok {
		watched = make(chan struct{})
		r.watched[id] = watched
	}
	return watched
}

// takeChanged returns the functions that changed since it was called last.
func (r *routes) takeChanged() []nimbus.ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := make([]nimbus.ID, 0, len(r.changed))
	for id := range r.changed {
		ids = append(ids, id)
	}
	clear(r.changed)
	return ids
}
