package pool_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nimbus"
	"nimbus/internal/pool"
	"nimbus/internal/pool/pooltest"
)

func TestAFullRuntimeEvictsTheOldestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{Runtimes: []pool.RuntimeConfig{{MaxTotal: 2}}})
		defer w.close(t)
		older, newer := function(1), function(1)
		a := w.acquire(t, older)
		a.Release(pool.Healthy)
		after(time.Millisecond)
		b := w.acquire(t, newer)
		b.Release(pool.Healthy)
		c := w.acquire(t, function(1))
		select {
		case <-a.Instance().Done():
		default:
			t.Error("the instance that idled longest was not evicted")
		}
		again := w.acquire(t, newer)
		if again.Cold() {
			t.Error("the other one was evicted too")
		}
		again.Release(pool.Healthy)
		c.Release(pool.Healthy)
	})
}

func TestAFullRuntimeMakesCallsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{Runtimes: []pool.RuntimeConfig{{MaxTotal: 1}}})
		defer w.close(t)
		a := w.acquire(t, function(1))
		other := function(1)
		got := make(chan pool.Lease)
		go func() {
			l, err := w.Acquire(context.Background(), pool.Request{Spec: other})
			if err != nil {
				t.Error(err)
			}
			got <- l
		}()
		after(time.Second)
		w.wantStates(t, map[pool.State]int{pool.Leased: 1})
		a.Release(pool.Healthy)
		l := <-got
		if l.Phases().Hold < time.Second {
			t.Errorf("held for %s", l.Phases().Hold)
		}
		l.Release(pool.Healthy)
	})
}

// A function that keeps a full runtime busy gives up an instance to one that has none.
func TestABusyFunctionYields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{Runtimes: []pool.RuntimeConfig{{MaxTotal: 2}}})
		defer w.close(t)
		noisy, quiet := function(1), function(1)
		ctx, cancel := context.WithCancel(context.Background())
		var callers sync.WaitGroup
		for range 10 {
			callers.Go(func() {
				for ctx.Err() == nil {
					l, err := w.Acquire(context.Background(), pool.Request{Spec: noisy})
					if err != nil {
						t.Error(err)
						return
					}
					time.Sleep(10 * time.Millisecond)
					l.Release(pool.Healthy)
				}
			})
		}
		time.Sleep(time.Second)
		began := time.Now()
		l := w.acquire(t, quiet)
		if took := time.Since(began); took > 50*time.Millisecond {
			t.Errorf("the quiet function waited %s", took)
		}
		l.Release(pool.Healthy)
		cancel()
		callers.Wait()
	})
}

func TestBlanksMakeRoomForFreshProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{Runtimes: []pool.RuntimeConfig{{MinWarm: 1, MaxTotal: 1}}})
		defer w.close(t)
		after(time.Second)
		s := function(1)
		s.Version.Settings.Env = map[string]string{"LD_PRELOAD": "x"}
		l := w.acquire(t, s)
		l.Release(pool.Healthy)
	})
}

func TestOldVersionsRetire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{})
		defer w.close(t)
		id := nimbus.NewID()
		one, two := version(id, 1), version(id, 2)
		running, idle := w.acquire(t, one), w.acquire(t, one)
		idle.Release(pool.Healthy)
		current := w.acquire(t, two)
		current.Release(pool.Healthy)

		w.Serve(two)
		synctest.Wait()
		w.wantStates(t, map[pool.State]int{pool.Leased: 1, pool.Idle: 1})
		running.Release(pool.Healthy)
		synctest.Wait()
		w.wantStates(t, map[pool.State]int{pool.Idle: 1})

		// Who asks for the old version by its number keeps an instance of it.
		again := w.acquire(t, one)
		again.Release(pool.Healthy)
		if warm := w.acquire(t, one); warm.InstanceID() != again.InstanceID() {
			t.Error("an instance started after the retirement was retired")
		} else {
			warm.Release(pool.Healthy)
		}

		w.Forget(id)
		synctest.Wait()
		w.wantStates(t, nil)
	})
}

func TestRunWaitsForCallsThenStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{Runtimes: []pool.RuntimeConfig{{MaxTotal: 1}}})
		s := function(1)
		l := w.acquire(t, s)
		held := make(chan error)
		go func() {
			l, err := w.Acquire(context.Background(), pool.Request{Spec: s})
			if err == nil {
				l.Release(pool.Healthy)
			}
			held <- err
		}()
		synctest.Wait()
		w.stop()
		synctest.Wait()
		if _, err := w.Acquire(context.Background(), pool.Request{Spec: s}); nimbus.CodeOf(err) != nimbus.CodeUnavailable {
			t.Errorf("while stopping: %v", err)
		}
		time.Sleep(5 * time.Second)
		l.Release(pool.Healthy)
		if err := <-held; err != nil {
			t.Errorf("the call that was held got %v", err)
		}
		w.close(t)
	})
}

func TestRunGivesUpAfterItsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{Grace: 7 * time.Second, Runtimes: []pool.RuntimeConfig{{MaxTotal: 1}}})
		s := function(1)
		l := w.acquire(t, s)
		held := make(chan error)
		go func() {
			_, err := w.Acquire(context.Background(), pool.Request{Spec: s})
			held <- err
		}()
		synctest.Wait()
		began := time.Now()
		w.stop()
		if err := <-held; nimbus.CodeOf(err) != nimbus.CodeUnavailable {
			t.Errorf("the call that was held got %v", err)
		}
		if took := time.Since(began); took != 7*time.Second {
			t.Errorf("gave up after %s", took)
		}
		w.close(t)
		<-l.Instance().Done()
		l.Release(pool.Broken)
	})
}

// A call that waits for admission keeps the place its instance will belong to, though nothing else does.
func TestAGatedCallKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{})
		defer w.close(t)
		id := nimbus.NewID()
		one, two := version(id, 1), version(id, 2)
		one.Version.Settings.MaxConcurrency, two.Version.Settings.MaxConcurrency = 1, 1
		running := w.acquire(t, one)
		var waiting sync.WaitGroup
		call := func(ctx context.Context) {
			waiting.Go(func() {
				if l, err := w.Acquire(ctx, pool.Request{Spec: two}); err == nil {
					l.Release(pool.Healthy)
				} else if ctx.Err() == nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		impatient, leave := context.WithCancel(context.Background())
		call(context.Background())
		call(impatient)
		leave()
		synctest.Wait()
		running.Release(pool.Healthy)
		waiting.Wait()
		l := w.acquire(t, two)
		if l.Cold() {
			t.Error("the instance of the call that waited was lost")
		}
		l.Release(pool.Healthy)
	})
}
