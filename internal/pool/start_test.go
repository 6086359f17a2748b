package pool_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/pool"
	"nimbus/internal/pool/pooltest"
	"nimbus/internal/wire"
)

func TestAFailedStartIsTriedOnceMore(t *testing.T) {
	t.Parallel()
	var starts atomic.Int64
	w := open(t, &pooltest.Driver{OnStart: func(context.Context, driver.Spec) error {
		if starts.Add(1) == 1 {
			return errors.New("no more processes")
		}
		return nil
	}}, pool.Config{})
	l := w.acquire(t, function(1))
	l.Release(pool.Healthy)
}

func TestAStartThatFailsTwiceIsThePlatformsError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		code nimbus.Code
	}{
		"a bug":           {errors.New("mount: EINVAL"), nimbus.CodeInternal},
		"the driver gone": {nimbus.Errorf(nimbus.CodeUnavailable, "no zygote"), nimbus.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, &pooltest.Driver{OnStart: func(context.Context, driver.Spec) error { return c.err }}, pool.Config{})
			_, err := w.Acquire(t.Context(), pool.Request{Spec: function(1)})
			var init *driver.InitError
			if nimbus.CodeOf(err) != c.code || !errors.Is(err, c.err) || errors.As(err, &init) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestInitErrors(t *testing.T) {
	for name, c := range map[string]struct {
		init func(ctx context.Context, in *pooltest.Instance) error
		kind string
	}{
		"exception": {func(context.Context, *pooltest.Instance) error {
			return &driver.InitError{Type: nimbus.ErrorTypeImport}
		}, nimbus.ErrorTypeImport},
		"endless import": {func(ctx context.Context, _ *pooltest.Instance) error {
			<-ctx.Done()
			return ctx.Err()
		}, nimbus.ErrorTypeInitTimeout},
		"exit": {func(_ context.Context, in *pooltest.Instance) error {
			_, err := in.Ended(driver.Exit{Code: 3})
			return err
		}, nimbus.ErrorTypeExited},
		"out of memory": {func(_ context.Context, in *pooltest.Instance) error {
			_, err := in.Ended(driver.Exit{OutOfMemory: true})
			return err
		}, nimbus.ErrorTypeOutOfMemory},
		"nonsense": {func(context.Context, *pooltest.Instance) error { return wire.ErrProtocol }, nimbus.ErrorTypeProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &pooltest.Driver{OnInit: c.init}
				w := open(t, d, pool.Config{})
				defer w.close(t)
				_, err := w.Acquire(context.Background(), pool.Request{Spec: function(1)})
				var init *driver.InitError
				if !errors.As(err, &init) || init.Type != c.kind {
					t.Errorf("got %v, want %s", err, c.kind)
				}
				synctest.Wait()
				w.wantStates(t, nil)
				if n := len(d.Started()); n != 1 {
					t.Errorf("%d instances were started for one call", n)
				}
			})
		})
	}
}

// Code that cannot be imported answers each of many callers with an error of its own, a few at a time.
func TestABrokenImportAnswersEachCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		d := &pooltest.Driver{OnInit: func(ctx context.Context, _ *pooltest.Instance) error {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			err := pooltest.Sleep(ctx, 50*time.Millisecond)
			mu.Lock()
			now--
			mu.Unlock()
			return errors.Join(err, &driver.InitError{Type: nimbus.ErrorTypeSyntax})
		}}
		w := open(t, d, pool.Config{StartsPerFunction: 4})
		defer w.close(t)
		s := function(1)
		began := time.Now()
		var calls sync.WaitGroup
		for range 100 {
			calls.Go(func() {
				_, err := w.Acquire(context.Background(), pool.Request{Spec: s})
				var init *driver.InitError
				if !errors.As(err, &init) {
					t.Errorf("got %v", err)
				}
			})
		}
		calls.Wait()
		if most != 4 {
			t.Errorf("%d initialisations at once, want 4", most)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

// A function whose code takes long to import does not hold up the first start of another.
func TestSlowImportsDoNotHoldUpOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, quick := function(1), function(1)
		d := &pooltest.Driver{OnInit: func(ctx context.Context, in *pooltest.Instance) error {
			if in.Code().Init.FunctionID == slow.FunctionID.String() {
				return pooltest.Sleep(ctx, 5*time.Second)
			}
			return nil
		}}
		w := open(t, d, pool.Config{})
		defer w.close(t)
		var calls sync.WaitGroup
		for range 200 {
			calls.Go(func() {
				l, err := w.Acquire(context.Background(), pool.Request{Spec: slow})
				if err != nil {
					t.Error(err)
					return
				}
				l.Release(pool.Healthy)
			})
		}
		synctest.Wait()
		began := time.Now()
		l := w.acquire(t, quick)
		if took := time.Since(began); took != 0 {
			t.Errorf("the quick function waited %s", took)
		}
		l.Release(pool.Healthy)
		calls.Wait()
	})
}

// The starts of one version take the function's hands; calls of the next, which come meanwhile, get theirs when
// those have ended, though no other call ever comes.
func TestANewVersionStartsAfterTheStartsOfTheOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{OnInit: func(ctx context.Context, _ *pooltest.Instance) error {
			return pooltest.Sleep(ctx, 100*time.Millisecond)
		}}, pool.Config{StartsPerFunction: 2})
		defer w.close(t)
		old := function(1)
		var calls sync.WaitGroup
		call := func(s *pool.Spec) {
			calls.Go(func() {
				began := time.Now()
				l, err := w.Acquire(context.Background(), pool.Request{Spec: s})
				if err != nil {
					t.Errorf("version %s: %v", s.VersionText, err)
					return
				}
				l.Release(pool.Healthy)
				if took := time.Since(began); took > time.Second {
					t.Errorf("version %s: held for %s", s.VersionText, took)
				}
			})
		}
		call(old)
		call(old)
		synctest.Wait()
		call(version(old.FunctionID, 2))
		calls.Wait()
	})
}

func TestAVersionNothingCanRunIsRefused(t *testing.T) {
	t.Parallel()
	w := open(t, &pooltest.Driver{}, pool.Config{})
	s := function(1)
	s.Version.Settings.Runtime = "python3.2"
	if _, err := w.Acquire(t.Context(), pool.Request{Spec: s}); nimbus.CodeOf(err) != nimbus.CodeConflict {
		t.Errorf("got %v", err)
	}
}
