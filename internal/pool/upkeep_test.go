package pool_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nimbus/internal/driver"
	"nimbus/internal/pool"
	"nimbus/internal/pool/pooltest"
	"nimbus/internal/scheduler"
)

// after lets fake time pass, and what it brings about settle.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// wantStates checks how many instances are in each state.
func (w *world) wantStates(t *testing.T, want map[pool.State]int) {
	t.Helper()
	got := w.states()
	for _, s := range pool.States() {
		if got[s] != want[s] {
			t.Errorf("%d instances are %s, want %d (all: %v)", got[s], s, want[s], got)
		}
	}
}

func TestAnIdleInstanceIsFrozenThenReclaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{}
		w := open(t, d, pool.Config{})
		defer w.close(t)
		s := function(1)
		l := w.acquire(t, s)
		l.Release(pool.Healthy)
		after(900 * time.Millisecond)
		w.wantStates(t, map[pool.State]int{pool.Idle: 1})
		after(400 * time.Millisecond)
		w.wantStates(t, map[pool.State]int{pool.Frozen: 1})
		if !d.Started()[0].Paused() {
			t.Error("frozen, but not paused")
		}
		l = w.acquire(t, s)
		if d.Started()[0].Paused() || l.Cold() {
			t.Error("the lease is not of the resumed instance")
		}
		l.Release(pool.Healthy)
		after(1300 * time.Millisecond)
		w.wantStates(t, map[pool.State]int{pool.Frozen: 1})
		after(2 * time.Minute)
		w.wantStates(t, nil)
	})
}

func TestAFunctionsOwnIdleTimeoutGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{})
		defer w.close(t)
		s := function(1)
		s.Version.Settings.IdleTimeout = 5 * time.Second
		l := w.acquire(t, s)
		l.Release(pool.Healthy)
		after(4900 * time.Millisecond)
		w.wantStates(t, map[pool.State]int{pool.Frozen: 1})
		after(200 * time.Millisecond)
		w.wantStates(t, nil)
	})
}

func TestAnInstanceThatCannotBeResumedIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{OnResume: func(*pooltest.Instance) error { return errors.New("stuck") }}, pool.Config{})
		defer w.close(t)
		s := function(1)
		first := w.acquire(t, s)
		first.Release(pool.Healthy)
		after(2 * time.Second)
		second := w.acquire(t, s)
		if second.InstanceID() == first.InstanceID() || !second.Cold() {
			t.Error("the stuck instance was leased")
		}
		second.Release(pool.Healthy)
	})
}

func TestWornInstancesAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{Policy: scheduler.Policy{MaxInvocations: 2, MaxAge: time.Minute, IdleTimeout: time.Hour}})
		defer w.close(t)
		s := function(1)
		first := w.acquire(t, s)
		first.Release(pool.Healthy)
		second := w.acquire(t, s)
		second.Release(pool.Healthy)
		third := w.acquire(t, s)
		if second.InstanceID() != first.InstanceID() || third.InstanceID() == second.InstanceID() {
			t.Error("an instance serves two calls and no more")
		}
		third.Release(pool.Healthy)
		after(59 * time.Second)
		w.wantStates(t, map[pool.State]int{pool.Frozen: 1})
		after(2 * time.Second)
		w.wantStates(t, nil)
	})
}

func TestAnIdleInstanceThatDoesNotAnswerIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{OnPing: func(ctx context.Context, _ *pooltest.Instance) error { <-ctx.Done(); return ctx.Err() }}
		w := open(t, d, pool.Config{Policy: scheduler.Policy{FreezeAfter: -1}})
		defer w.close(t)
		l := w.acquire(t, function(1))
		l.Release(pool.Healthy)
		after(9 * time.Second)
		w.wantStates(t, map[pool.State]int{pool.Idle: 1})
		after(4 * time.Second)
		w.wantStates(t, nil)
	})
}

func TestAnInstanceThatDiesIdleIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{}
		w := open(t, d, pool.Config{})
		defer w.close(t)
		s := function(1)
		first := w.acquire(t, s)
		first.Release(pool.Healthy)
		d.Started()[0].Die(driver.Exit{Code: 1})
		second := w.acquire(t, s) // perhaps before the watcher has seen it
		if second.InstanceID() == first.InstanceID() {
			t.Error("a dead instance was leased")
		}
		second.Release(pool.Healthy)
		synctest.Wait()
		w.wantStates(t, map[pool.State]int{pool.Idle: 1})
	})
}

func TestBlanksAreKeptAndClaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{OnStart: func(ctx context.Context, _ driver.Spec) error { return pooltest.Sleep(ctx, 100*time.Millisecond) }}
		w := open(t, d, pool.Config{Runtimes: []pool.RuntimeConfig{{MinWarm: 1, TargetWarm: 3}}})
		defer w.close(t)
		after(time.Second)
		w.wantStates(t, map[pool.State]int{pool.Blank: 3})
		began := time.Now()
		l := w.acquire(t, function(1))
		if took := time.Since(began); took != 0 {
			t.Errorf("claiming a blank took %s", took)
		}
		if !l.Cold() || l.Phases().Claim != 0 {
			t.Errorf("a claimed blank is cold %t, with %+v", l.Cold(), l.Phases())
		}
		after(time.Second)
		w.wantStates(t, map[pool.State]int{pool.Blank: 3, pool.Leased: 1})
		l.Release(pool.Healthy)
	})
}

func TestADeadBlankIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{}
		w := open(t, d, pool.Config{Runtimes: []pool.RuntimeConfig{{MinWarm: 1}}})
		defer w.close(t)
		after(time.Second)
		d.Started()[0].Die(driver.Exit{Code: 1})
		after(time.Second)
		w.wantStates(t, map[pool.State]int{pool.Blank: 1})
		if n := len(d.Started()); n != 2 {
			t.Errorf("%d blanks were started", n)
		}
	})
}

func TestFailingStartsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		starts := 0 // by one refill at a time
		var healed atomic.Bool
		d := &pooltest.Driver{OnStart: func(context.Context, driver.Spec) error {
			if starts++; healed.Load() {
				return nil
			}
			return errors.New("no")
		}}
		w := open(t, d, pool.Config{Refills: 1, Runtimes: []pool.RuntimeConfig{{MinWarm: 1}}})
		defer w.close(t)
		after(time.Minute)
		if starts < 5 || starts > 12 {
			t.Errorf("%d starts in a minute", starts)
		}
		if !w.Stats().Stocks[0].Failing {
			t.Error("nothing tells that starts fail")
		}
		healed.Store(true)
		after(time.Minute)
		if w.Stats().Stocks[0].Failing {
			t.Error("starts are said to fail that no longer do")
		}
	})
}

func TestSettingsOfTheProcessNeedAFreshOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{}
		w := open(t, d, pool.Config{Runtimes: []pool.RuntimeConfig{{MinWarm: 1}}})
		defer w.close(t)
		after(time.Second)
		s := function(1)
		s.Version.Settings.Env = map[string]string{"PYTHONHASHSEED": "0"}
		l := w.acquire(t, s)
		defer l.Release(pool.Healthy)
		if l.Instance().(*pooltest.Instance).Spec.Code == nil {
			t.Error("the instance was a blank once")
		}
		w.wantStates(t, map[pool.State]int{pool.Blank: 1, pool.Leased: 1})
	})
}
