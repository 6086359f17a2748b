package pool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/pool"
	"nimbus/internal/pool/pooltest"
	"nimbus/internal/scheduler"
	"nimbus/internal/wire"
)

// A thousand callers over twenty functions, whose instances die, hang, fail to start and to initialise at
// random, whose versions change under them, in a runtime too small for all. Whatever happens, no instance
// has more calls at once than it takes (mostly one) or serves another version, every caller is answered, and nothing is left over.
func TestHammer(t *testing.T) {
	t.Parallel()
	d := &pooltest.Driver{
		OnStart: func(context.Context, driver.Spec) error { return seldom(40, errors.New("no more processes")) },
		OnInit: func(context.Context, *pooltest.Instance) error {
			return seldom(40, error(&driver.InitError{Type: nimbus.ErrorTypeImport}))
		},
		OnPing:   func(context.Context, *pooltest.Instance) error { return seldom(20, errors.New("no answer")) },
		OnResume: func(*pooltest.Instance) error { return seldom(20, errors.New("stuck")) },
		OnInvoke: func(ctx context.Context, in *pooltest.Instance, call *driver.Call) (driver.Outcome, error) {
			switch rand.IntN(50) {
			case 0:
				return in.Ended(driver.Exit{Code: 1})
			case 1:
				return driver.Outcome{}, wire.ErrProtocol
			case 2:
				go in.Die(driver.Exit{Code: 2}) // while idle, or in the next call's hands
			case 3:
				return driver.Outcome{}, pooltest.Sleep(ctx, time.Millisecond)
			}
			return pooltest.Echo(call), nil
		},
	}
	w := open(t, d, pool.Config{
		Policy: scheduler.Policy{FreezeAfter: time.Millisecond, IdleTimeout: 20 * time.Millisecond,
			MaxInvocations: 30, PingEvery: 3 * time.Millisecond},
		Runtimes: []pool.RuntimeConfig{{MinWarm: 2, TargetWarm: 4, MaxTotal: 16}},
	})
	h := hammer{world: w}
	for i := range 20 {
		h.versions = append(h.versions, &atomic.Pointer[pool.Spec]{})
		h.versions[i].Store(h.limited(nimbus.NewID(), 1, i))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var callers sync.WaitGroup
	for range 1000 {
		callers.Go(func() {
			for range 10 {
				h.call(ctx, t)
			}
		})
	}
	callers.Wait()
	if h.served.Load() < 5000 {
		t.Errorf("only %d of 10000 calls got an instance", h.served.Load())
	}
	if s := w.Stats(); s.Held != 0 || s.HeldBytes != 0 {
		t.Errorf("calls are still held: %+v", s)
	}
	t.Logf("served %d, platform failures %d, initialisations failed %d, left %d",
		h.served.Load(), h.failed.Load(), h.inits.Load(), h.left.Load())
}

// hammer is what the callers share.
type hammer struct {
	*world
	versions                    []*atomic.Pointer[pool.Spec]
	served, failed, inits, left atomic.Int64
}

// limited makes a version; every third function has a max_concurrency, and every fourth shares its instances.
func (h *hammer) limited(id nimbus.ID, number int64, i int) *pool.Spec {
	s := version(id, number)
	if i%3 == 0 {
		s.Version.Settings.MaxConcurrency = 2
	}
	if i%4 == 1 {
		s.Version.Settings.InstanceConcurrency = 3
	}
	return s
}

// call makes one call of a random function, sometimes after a new version, sometimes with a short temper.
func (h *hammer) call(ctx context.Context, t *testing.T) {
	i := rand.IntN(len(h.versions))
	spec := h.versions[i].Load()
	if rand.IntN(200) == 0 {
		next := h.limited(spec.FunctionID, spec.Version.Number+1, i)
		if h.versions[i].CompareAndSwap(spec, next) {
			h.Serve(next)
		}
	}
	asked, cancel := ctx, context.CancelFunc(func() {})
	if rand.IntN(20) == 0 {
		asked, cancel = context.WithTimeout(ctx, time.Duration(rand.IntN(int(time.Millisecond))))
	}
	defer cancel()
	lease, err := h.Acquire(asked, pool.Request{Spec: spec, Bytes: 10})
	var init *driver.InitError
	switch {
	case err == nil:
	case errors.As(err, &init):
		h.inits.Add(1)
		return
	case nimbus.CodeOf(err) == nimbus.CodeInternal && asked.Err() == nil:
		h.failed.Add(1)
		return
	case asked.Err() != nil && ctx.Err() == nil:
		h.left.Add(1)
		return
	default:
		t.Errorf("acquire: %v", err)
		return
	}
	h.served.Add(1)
	code := lease.Instance().(*pooltest.Instance).Code()
	if code.Init.FunctionID != spec.FunctionID.String() || code.Init.FunctionVersion != strconv.FormatInt(spec.Version.Number, 10) {
		t.Errorf("an instance of %s version %s was leased to %s version %d",
			code.Init.FunctionID, code.Init.FunctionVersion, spec.FunctionID, spec.Version.Number)
	}
	lease.Begin(nimbus.NewID(), pool.KeepNone)
	_, err = lease.Instance().Invoke(ctx, &driver.Call{Event: []byte("1")})
	verdict := pool.Healthy
	if err != nil {
		verdict = pool.Broken
	}
	lease.Release(verdict)
}

// seldom returns err once in n times.
func seldom(n int, err error) error {
	if rand.IntN(n) == 0 {
		return err
	}
	return nil
}
