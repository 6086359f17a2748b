package pool_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nimbus"
	"nimbus/internal/pool"
	"nimbus/internal/pool/pooltest"
	"nimbus/internal/runtime"
	"nimbus/internal/scheduler"
)

// with is a configuration of the one runtime there is.
func with(stock pool.RuntimeConfig, policy scheduler.Policy) pool.Config {
	stock.Runtime = runtime.Runtime{Name: python}
	return pool.Config{Policy: policy, Runtimes: []pool.RuntimeConfig{stock}}
}

func (w *world) reconfigure(t *testing.T, c pool.Config) {
	t.Helper()
	if err := w.Reconfigure(c); err != nil {
		t.Fatal(err)
	}
}

func TestStocksChangeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{})
		defer w.close(t)
		for _, target := range []int{4, 1, 2, 0} {
			w.reconfigure(t, with(pool.RuntimeConfig{TargetWarm: target}, scheduler.Policy{}))
			after(time.Second)
			w.wantStates(t, map[pool.State]int{pool.Blank: target})
		}
	})
}

func TestALowerTotalIsReachedWithoutDroppingCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, with(pool.RuntimeConfig{TargetWarm: 2, MaxTotal: 10}, scheduler.Policy{}))
		defer w.close(t)
		s := function(1)
		var leases []pool.Lease
		for range 6 {
			leases = append(leases, w.acquire(t, s))
		}
		for _, l := range leases[3:] {
			l.Release(pool.Healthy)
		}
		after(time.Second)
		w.reconfigure(t, with(pool.RuntimeConfig{MaxTotal: 2}, scheduler.Policy{}))
		after(time.Second)
		w.wantStates(t, map[pool.State]int{pool.Leased: 3})
		for _, l := range leases[:3] {
			l.Release(pool.Healthy)
		}
		after(time.Second / 2)
		w.wantStates(t, map[pool.State]int{pool.Idle: 2})
	})
}

func TestThePolicyChangesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{})
		defer w.close(t)
		s := function(1)
		l := w.acquire(t, s)
		l.Release(pool.Healthy)
		after(10 * time.Second)
		w.reconfigure(t, with(pool.RuntimeConfig{}, scheduler.Policy{IdleTimeout: 5 * time.Second}))
		after(time.Second)
		w.wantStates(t, nil)
		w.reconfigure(t, with(pool.RuntimeConfig{}, scheduler.Policy{MaxInvocations: 2}))
		seen := make(map[string]bool)
		for range 6 {
			l := w.acquire(t, s)
			seen[l.InstanceID()] = true
			l.Release(pool.Healthy)
		}
		if len(seen) != 3 {
			t.Errorf("6 calls of 2 each were served by %d instances", len(seen))
		}
	})
}

func TestTheQueueChangesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, with(pool.RuntimeConfig{MaxTotal: 1}, scheduler.Policy{}))
		defer w.close(t)
		s := function(1)
		l := w.acquire(t, s)
		c := with(pool.RuntimeConfig{MaxTotal: 1}, scheduler.Policy{})
		c.QueueSize = 1
		w.reconfigure(t, c)
		held := make(chan error)
		go func() {
			l, err := w.Acquire(context.Background(), pool.Request{Spec: s})
			if err == nil {
				l.Release(pool.Healthy)
			}
			held <- err
		}()
		synctest.Wait()
		_, err := w.Acquire(context.Background(), pool.Request{Spec: s})
		wantBusy(t, err)
		l.Release(pool.Healthy)
		if err := <-held; err != nil {
			t.Errorf("the call that was held got %v", err)
		}
	})
}

func TestAWrongConfigurationChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, with(pool.RuntimeConfig{TargetWarm: 2}, scheduler.Policy{}))
		defer w.close(t)
		after(time.Second)
		other := runtime.Runtime{Name: "cobol"}
		err := w.Reconfigure(pool.Config{QueueSize: -1, Runtimes: []pool.RuntimeConfig{
			{Runtime: other, Driver: "nowhere", MinWarm: 3, MaxTotal: 2}, {Runtime: other}}})
		if err == nil {
			t.Fatal("it was taken")
		}
		for _, want := range []string{"queue size", "min_warm 3", `no driver "nowhere"`, "cobol is configured twice",
			"cobol was not there", python + " is missing"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v does not tell: %s", err, want)
			}
		}
		after(time.Minute)
		w.wantStates(t, map[pool.State]int{pool.Blank: 2})
	})
}

// The configuration changes all the time while a hundred callers call: every call is served.
func TestReconfigureHammer(t *testing.T) {
	t.Parallel()
	w := open(t, &pooltest.Driver{}, pool.Config{})
	specs := []*pool.Spec{function(1), function(1), kept(nimbus.NewID(), 1, 3), function(1)}
	w.Serve(specs[2])
	var over atomic.Bool
	var changes, callers sync.WaitGroup
	changed := 0
	changes.Go(func() {
		for ; !over.Load(); changed++ {
			total := 1 + rand.IntN(20)
			target := rand.IntN(min(total, 5) + 1)
			err := w.Reconfigure(with(pool.RuntimeConfig{MinWarm: rand.IntN(target + 1), TargetWarm: target, MaxTotal: total,
				Blanks: pool.Blanks(rand.IntN(2))},
				scheduler.Policy{FreezeAfter: time.Millisecond, IdleTimeout: time.Duration(1 + rand.IntN(int(10*time.Millisecond))),
					MaxInvocations: 1 + rand.IntN(50), PingEvery: time.Millisecond}))
			if err != nil {
				t.Error(err)
			}
		}
	})
	for i := range 100 {
		callers.Go(func() {
			for range 50 {
				l, err := w.Acquire(context.Background(), pool.Request{Spec: specs[i%len(specs)]})
				if err != nil {
					t.Errorf("a call was dropped: %v", err)
					return
				}
				l.Release(pool.Healthy)
			}
		})
	}
	callers.Wait()
	over.Store(true)
	changes.Wait()
	if changed < 10 {
		t.Errorf("the configuration changed %d times only", changed)
	}
}
