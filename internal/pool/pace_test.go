package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"nimbus/internal/driver"
	"nimbus/internal/pool"
	"nimbus/internal/pool/pooltest"
	"nimbus/internal/scheduler"
)

// call makes a call that takes so long.
func (w *world) call(t *testing.T, s *pool.Spec, took time.Duration) {
	t.Helper()
	w.run(t, s, func() { time.Sleep(took) })
}

// run makes a call that does something.
func (w *world) run(t *testing.T, s *pool.Spec, do func()) {
	t.Helper()
	l, err := w.Acquire(context.Background(), pool.Request{Spec: s})
	if err != nil {
		t.Error(err)
		return
	}
	do()
	l.Release(pool.Healthy)
}

// A burst of short calls is served by the instance there is, not by one each.
func TestShortCallsWaitForTheInstanceThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{OnStart: func(ctx context.Context, _ driver.Spec) error { return pooltest.Sleep(ctx, 50*time.Millisecond) }}
		w := open(t, d, pool.Config{})
		defer w.close(t)
		s := function(1)
		w.call(t, s, time.Millisecond)
		done := make(chan bool)
		for range 30 {
			go func() { w.call(t, s, time.Millisecond); done <- true }()
		}
		for range 30 {
			<-done
		}
		after(time.Second / 2)
		if n := len(d.Started()); n != 1 {
			t.Errorf("30 calls of a millisecond started %d instances", n)
		}
	})
}

// Calls that wait for something else get an instance each.
func TestLongCallsGetInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{OnStart: func(ctx context.Context, _ driver.Spec) error { return pooltest.Sleep(ctx, 5*time.Millisecond) }}
		w := open(t, d, pool.Config{})
		defer w.close(t)
		s := function(1)
		w.call(t, s, time.Second)
		began := time.Now()
		done := make(chan bool)
		for range 30 {
			go func() { w.call(t, s, time.Second); done <- true }()
		}
		for range 30 {
			<-done
		}
		if took := time.Since(began); took > 1100*time.Millisecond {
			t.Errorf("30 calls of a second took %s", took)
		}
	})
}

// When calls suddenly take long, one that waits gets an instance although those before were short.
func TestACallDoesNotWaitForOneThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{OnStart: func(ctx context.Context, _ driver.Spec) error { return pooltest.Sleep(ctx, 20*time.Millisecond) }}
		w := open(t, d, pool.Config{})
		defer w.close(t)
		s := function(1)
		for range 10 {
			w.call(t, s, time.Millisecond)
		}
		hanging := w.acquire(t, s)
		began := time.Now()
		l := w.acquire(t, s)
		if took := time.Since(began); took > 60*time.Millisecond {
			t.Errorf("it waited %s", took)
		}
		l.Release(pool.Healthy)
		hanging.Release(pool.Healthy)
	})
}

// saturated is a Machine without processor time to spare.
type saturated struct{}

func (saturated) Load(time.Time) scheduler.Load { return scheduler.Saturated }

// Calls that only take turns at the processors are not given more of them to take turns with.
func TestACrowdIsNotMadeLarger(t *testing.T) {
	started := func(machine pool.Machine) (n int) {
		synctest.Test(t, func(t *testing.T) {
			d := &pooltest.Driver{OnStart: func(ctx context.Context, _ driver.Spec) error { return pooltest.Sleep(ctx, 2*time.Millisecond) }}
			w := openOn(t, d, machine, pool.Config{})
			defer w.close(t)
			s := function(1)
			w.call(t, s, time.Millisecond)
			done := make(chan bool)
			for range 50 {
				go func() {
					for range 20 { // the more instances there are, the longer each takes
						w.run(t, s, func() { time.Sleep(time.Duration(w.states()[pool.Leased]) * time.Millisecond) })
					}
					done <- true
				}()
			}
			for range 50 {
				<-done
			}
			n = len(d.Started())
		})
		return n
	}
	if crowd, most := started(saturated{}), started(nil); crowd > 25 || most < 40 {
		t.Errorf("50 callers started %d instances without processor time to spare, and %d with", crowd, most)
	}
}

// An instance that another function has just used is left to it for a moment by who has one of its own.
func TestWhoHasAnInstanceWaitsAMomentForAnothers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{Runtimes: []pool.RuntimeConfig{{MaxTotal: 2}}})
		defer w.close(t)
		mine, other := function(1), function(2)
		hanging := w.acquire(t, mine)
		w.call(t, other, time.Millisecond)
		after(20 * time.Millisecond)
		began := time.Now()
		l := w.acquire(t, mine)
		if took := time.Since(began); took != 80*time.Millisecond {
			t.Errorf("it took the other's after %s", took)
		}
		l.Release(pool.Healthy)
		hanging.Release(pool.Healthy)
	})
}
