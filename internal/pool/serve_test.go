package pool_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/obs"
	"nimbus/internal/pool"
	"nimbus/internal/pool/pooltest"
	"nimbus/internal/scheduler"
	"nimbus/internal/testenv"
)

// kept makes a version that has instances kept ready.
func kept(id nimbus.ID, number int64, least int) *pool.Spec {
	s := version(id, number)
	s.Version.Settings.MinInstances = least
	return s
}

// serving counts the living instances of a version.
func (w *world) serving(number string) int {
	n := 0
	for _, in := range w.driver.Started() {
		select {
		case <-in.Done():
			continue
		default:
		}
		if code := in.Code(); code != nil && code.Init.FunctionVersion == number {
			n++
		}
	}
	return n
}

func TestMinInstancesAreKeptReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{})
		defer w.close(t)
		s := kept(nimbus.NewID(), 1, 3)
		w.Serve(s)
		after(time.Second / 2)
		w.wantStates(t, map[pool.State]int{pool.Idle: 3})
		if l := w.acquire(t, s); l.Cold() {
			t.Error("the first call waited for a start")
		} else {
			l.Release(pool.Healthy)
		}
		after(30 * time.Minute)
		w.wantStates(t, map[pool.State]int{pool.Frozen: 3})
		for range 2 {
			w.driver.Started()[0].Die(driver.Exit{Code: 1})
		}
		after(time.Second / 2)
		if n := w.serving("1"); n != 3 {
			t.Errorf("after a death there are %d", n)
		}
		w.Serve(kept(s.FunctionID, 1, 1))
		after(30 * time.Minute)
		if n := w.serving("1"); n != 1 {
			t.Errorf("of one that is asked for there are %d", n)
		}
		w.Forget(s.FunctionID)
		after(time.Second)
		w.wantStates(t, nil)
	})
}

// More than are kept come and go with the calls.
func TestMinInstancesAreNotTheMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{})
		defer w.close(t)
		s := kept(nimbus.NewID(), 1, 2)
		w.Serve(s)
		after(time.Second)
		var leases []pool.Lease
		for range 5 {
			leases = append(leases, w.acquire(t, s))
		}
		for _, l := range leases {
			l.Release(pool.Healthy)
		}
		if n := w.serving("1"); n != 5 {
			t.Errorf("5 calls at once had %d instances", n)
		}
		after(3 * time.Minute)
		if n := w.serving("1"); n != 2 {
			t.Errorf("%d were kept of 2", n)
		}
	})
}

// A kept instance that has served its time goes when another is up.
func TestKeptInstancesAreReplacedWithoutAGap(t *testing.T) {
	for name, policy := range map[string]scheduler.Policy{
		"by age":  {MaxAge: time.Hour, MaxInvocations: 1 << 30},
		"by uses": {MaxInvocations: 100},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &pooltest.Driver{OnInit: func(ctx context.Context, _ *pooltest.Instance) error {
					return pooltest.Sleep(ctx, 50*time.Second)
				}}
				limits := nimbus.DefaultLimits()
				limits.InitTimeout = time.Minute
				w := open(t, d, pool.Config{Policy: policy, Limits: limits})
				defer w.close(t)
				s := kept(nimbus.NewID(), 1, 1)
				w.Serve(s)
				after(time.Minute)
				seen := make(map[string]int)
				for range 400 {
					l := w.acquire(t, s)
					if l.Cold() {
						t.Error("a call waited for a start")
					}
					seen[l.InstanceID()]++
					l.Release(pool.Healthy)
					after(30 * time.Second)
				}
				if len(seen) < 3 {
					t.Errorf("400 calls over %s were served by %d instances", 400*30*time.Second, len(seen))
				}
				for id, uses := range seen {
					if policy.MaxInvocations > 0 && uses > policy.MaxInvocations {
						t.Errorf("%s has served %d calls", id, uses)
					}
				}
			})
		})
	}
}

func TestOldVersionsGoWhenTheKeptOnesAreUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Int64
		w := open(t, &pooltest.Driver{OnStart: func(ctx context.Context, _ driver.Spec) error {
			return pooltest.Sleep(ctx, time.Duration(slow.Load()))
		}}, pool.Config{})
		defer w.close(t)
		id := nimbus.NewID()
		w.Serve(kept(id, 1, 2))
		after(time.Second)
		slow.Store(int64(10 * time.Second))
		w.Serve(kept(id, 2, 2))
		after(9 * time.Second)
		if one, two := w.serving("1"), w.serving("2"); one != 2 || two != 0 {
			t.Errorf("before version 2 is up there are %d of version 1, %d of 2", one, two)
		}
		after(21 * time.Second)
		if one, two := w.serving("1"), w.serving("2"); one != 0 || two != 2 {
			t.Errorf("when version 2 is up there are %d of version 1, %d of 2", one, two)
		}
	})
}

func TestAKeptInstanceThatFailsIsTriedAgainLessAndLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int64
		var mended atomic.Bool
		d := &pooltest.Driver{OnInit: func(context.Context, *pooltest.Instance) error {
			if tries.Add(1); mended.Load() {
				return nil
			}
			return &driver.InitError{Type: nimbus.ErrorTypeImport, Message: "no module named numpy", Stack: []string{"handler.py:1"}}
		}}
		w := open(t, d, pool.Config{})
		defer w.close(t)
		s := kept(nimbus.NewID(), 1, 1)
		w.Serve(s)
		after(10 * time.Minute)
		if n := tries.Load(); n < 10 || n > 20 {
			t.Errorf("in ten minutes it was tried %d times", n)
		}
		lines := w.logs.all()
		if len(lines) < 2 || lines[0].Function != s.FunctionID || lines[0].Stream != obs.StreamPlatform ||
			!strings.Contains(lines[0].Text, "numpy") || lines[1].Text != "handler.py:1" {
			t.Errorf("the function's log says %+v", lines)
		}
		mended.Store(true)
		after(6 * time.Minute)
		w.wantStates(t, map[pool.State]int{pool.Frozen: 1})
	})
}

// A total goes before a promise, and a call before another function's promise when there is nothing else.
func TestMinInstancesStayWithinTheTotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{Runtimes: []pool.RuntimeConfig{{TargetWarm: 2, MaxTotal: 3}}})
		defer w.close(t)
		greedy := kept(nimbus.NewID(), 1, 5)
		w.Serve(greedy)
		after(time.Minute)
		if n := w.serving("1"); n != 3 || w.driver.Living() != 3 {
			t.Errorf("%d of 5 are kept, in a total of 3 where %d live", n, w.driver.Living())
		}
		l := w.acquire(t, function(7))
		l.Release(pool.Healthy)
		after(10 * time.Minute)
		if n := w.serving("1"); n != 3 {
			t.Errorf("when there is room again %d are kept", n)
		}
	})
}

// Idle instances of others go before those a function was promised.
func TestPromisedInstancesAreEvictedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{Runtimes: []pool.RuntimeConfig{{MaxTotal: 2}}})
		defer w.close(t)
		promised := kept(nimbus.NewID(), 1, 1)
		w.Serve(promised)
		after(time.Second)
		other := w.acquire(t, function(2))
		other.Release(pool.Healthy)
		after(time.Second)
		l := w.acquire(t, function(3))
		defer l.Release(pool.Healthy)
		if w.serving("1") != 1 || w.serving("2") != 0 {
			t.Error("the instance that was promised went first")
		}
	})
}

func TestBlanksOfARuntimeNobodyUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{Runtimes: []pool.RuntimeConfig{{MinWarm: 1, TargetWarm: 3, Blanks: pool.BlanksWhenUsed}}})
		defer w.close(t)
		after(time.Minute)
		w.wantStates(t, nil)
		one, two := function(1), function(1)
		w.Serve(one)
		w.Serve(two)
		w.Serve(one)
		after(time.Second)
		w.wantStates(t, map[pool.State]int{pool.Blank: 3})
		w.Forget(one.FunctionID)
		after(time.Minute)
		w.wantStates(t, map[pool.State]int{pool.Blank: 3})
		w.Forget(two.FunctionID)
		after(time.Second)
		w.wantStates(t, nil)
	})
}

// Versions that serve change under a function's calls, which never get an instance of one they didn't ask for,
// and nothing that was kept outlives the function.
func TestServingHammer(t *testing.T) {
	t.Parallel()
	w := open(t, &pooltest.Driver{}, pool.Config{Runtimes: []pool.RuntimeConfig{{MinWarm: 1, TargetWarm: 2, MaxTotal: 12}},
		Policy: scheduler.Policy{FreezeAfter: time.Millisecond, IdleTimeout: 5 * time.Millisecond, MaxInvocations: 20}})
	ids := []nimbus.ID{nimbus.NewID(), nimbus.NewID(), nimbus.NewID()}
	var all sync.WaitGroup
	for _, id := range ids {
		var newest atomic.Pointer[pool.Spec]
		newest.Store(kept(id, 1, 1))
		all.Go(func() {
			for n := int64(1); n <= 60; n++ {
				s := kept(id, n, int(n%4))
				newest.Store(s)
				w.Serve(s)
				if n%10 == 0 {
					w.Forget(id)
				}
				for range 5 {
					if l, err := w.Acquire(context.Background(), pool.Request{Spec: s}); err != nil {
						t.Error(err)
					} else {
						l.Release(pool.Healthy)
					}
				}
			}
			w.Forget(id)
		})
		for range 4 {
			all.Go(func() {
				for range 200 {
					s := newest.Load()
					l, err := w.Acquire(context.Background(), pool.Request{Spec: s})
					if err != nil {
						t.Error(err)
						return
					}
					if got := l.Instance().(*pooltest.Instance).Code().Init.FunctionVersion; got != s.VersionText {
						t.Errorf("got version %s for %s", got, s.VersionText)
					}
					l.Release([]pool.Verdict{pool.Healthy, pool.Healthy, pool.Broken}[s.Version.Number%3])
				}
			})
		}
	}
	all.Wait()
	w.quiesce(t)
}

// quiesce waits until nothing of the functions is left.
func (w *world) quiesce(t *testing.T) {
	t.Helper()
	testenv.Eventually(t, 10*time.Second, func() bool {
		return !slices.ContainsFunc(w.driver.Started(), func(in *pooltest.Instance) bool {
			select {
			case <-in.Done():
				return false
			default:
				return in.Code() != nil
			}
		})
	})
}
