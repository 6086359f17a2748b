package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/pool"
	"nimbus/internal/pool/pooltest"
)

// A call that found no place among max_concurrency, and then no instance, is told how long each took.
func TestPhasesTellAdmissionFromHolding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{OnStart: func(context.Context, driver.Spec) error { after(3 * time.Second); return nil }}
		w := open(t, d, pool.Config{})
		defer w.close(t)
		s := function(1)
		s.Version.Settings.MaxConcurrency = 1
		first := w.acquire(t, s)
		if p := first.Phases(); p.Admit != 0 || p.Hold+p.Claim != 3*time.Second {
			t.Errorf("the first call waited %+v", p)
		}
		second := make(chan nimbus.Phases)
		go func() {
			l := w.acquire(t, s)
			second <- l.Phases()
			l.Release(pool.Healthy)
		}()
		synctest.Wait()
		after(5 * time.Second)
		first.Release(pool.Broken) // so that the second waits for a start too
		if p := <-second; p.Admit != 5*time.Second || p.Hold+p.Claim != 3*time.Second {
			t.Errorf("the second call waited %+v", p)
		}
	})
}

// What a start took before the call came is not the call's.
func TestPhasesOfAStartThatHadBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{OnStart: func(context.Context, driver.Spec) error { after(10 * time.Second); return nil }}
		w := open(t, d, pool.Config{})
		defer w.close(t)
		s := function(1)
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
		defer cancel()
		left, err := w.Acquire(ctx, pool.Request{Spec: s})
		if err == nil || left.Phases().Hold != 6*time.Second {
			t.Errorf("the first call, which left, got %v after %+v", err, left.Phases())
		}
		l := w.acquire(t, s)
		if p := l.Phases(); p.Claim != 4*time.Second || p.Hold != 0 {
			t.Errorf("the second call waited %+v", p)
		}
		l.Release(pool.Healthy)
	})
}

// A failed start tells how long the code was tried.
func TestPhasesOfAFailedStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{OnInit: func(context.Context, *pooltest.Instance) error {
			after(2 * time.Second)
			return &driver.InitError{Type: "ValueError"}
		}}
		w := open(t, d, pool.Config{})
		defer w.close(t)
		failed, err := w.Acquire(t.Context(), pool.Request{Spec: function(1)})
		if err == nil || failed.Phases().Init != 2*time.Second {
			t.Errorf("got %v after %+v", err, failed.Phases())
		}
	})
}

func TestALogThatIsCutIsKnown(t *testing.T) {
	t.Parallel()
	limits := nimbus.DefaultLimits()
	limits.LogCall = 256
	w := open(t, &pooltest.Driver{}, pool.Config{Limits: limits})
	l := w.acquire(t, function(1))
	l.Begin(nimbus.NewID(), pool.KeepNone)
	write := w.driver.Started()[0].Spec.Output
	write(driver.Stdout, []byte("short\n"))
	if l.LogCut() {
		t.Error("a short log is said to be cut")
	}
	write(driver.Stdout, make([]byte, 512))
	write(driver.Stdout, []byte("\n"))
	if !l.LogCut() {
		t.Error("a long log is not said to be cut")
	}
	l.Begin(nimbus.NewID(), pool.KeepNone)
	if l.LogCut() {
		t.Error("the next call's log is said to be cut")
	}
	l.Release(pool.Healthy)
}
