package pool_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/pool"
	"nimbus/internal/pool/pooltest"
)

// sharing makes version 1 of a new function whose instances take so many calls at once.
func sharing(atOnce int) *pool.Spec {
	s := function(1)
	s.Version.Settings.InstanceConcurrency = atOnce
	return s
}

// acquireAll leases for so many calls that come at the same moment.
func (w *world) acquireAll(t *testing.T, s *pool.Spec, calls int) []*pool.Lease {
	t.Helper()
	leases := make([]*pool.Lease, calls)
	var all sync.WaitGroup
	for n := range leases {
		all.Go(func() {
			l, err := w.Acquire(context.Background(), pool.Request{Spec: s})
			if err != nil {
				t.Errorf("acquire: %v", err)
			}
			leases[n] = &l
		})
	}
	all.Wait()
	return leases
}

func releaseAll(leases []*pool.Lease) {
	for _, l := range leases {
		l.Release(pool.Healthy)
	}
}

// instancesOf counts leases by instance, most first.
func instancesOf(leases []*pool.Lease) []int {
	by := make(map[string]int)
	for _, l := range leases {
		by[l.InstanceID()]++
	}
	var counts []int
	for _, n := range by {
		counts = append(counts, n)
	}
	slices.SortFunc(counts, func(a, b int) int { return b - a })
	return counts
}

func TestCallsShareAnInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{OnInit: func(ctx context.Context, _ *pooltest.Instance) error {
			return pooltest.Sleep(ctx, 100*time.Millisecond)
		}}
		w := open(t, d, pool.Config{})
		defer w.close(t)
		s := sharing(50)
		leases := w.acquireAll(t, s, 50)
		if got := instancesOf(leases); !slices.Equal(got, []int{50}) {
			t.Errorf("50 calls got instances %v", got)
		}
		if n := d.Started()[0].Code().Init.Concurrency; n != 50 {
			t.Errorf("the instance was told to take %d calls at once", n)
		}
		for _, l := range leases {
			if !l.Cold() || l.Phases().Init != 100*time.Millisecond {
				t.Errorf("a call that waited for the start: cold %t, %+v", l.Cold(), l.Phases())
			}
		}
		w.wantStates(t, map[pool.State]int{pool.Leased: 1})
		releaseAll(leases[:49])
		w.wantStates(t, map[pool.State]int{pool.Leased: 1})
		releaseAll(leases[49:])
		w.wantStates(t, map[pool.State]int{pool.Idle: 1})
		releaseAll(leases) // once more does nothing
		if one := w.acquire(t, s); one.Cold() {
			t.Error("a warm call is said to be cold")
		} else {
			one.Release(pool.Healthy)
		}
	})
}

func TestNoMoreInstancesThanCallsNeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{})
		defer w.close(t)
		s := sharing(3)
		leases := w.acquireAll(t, s, 8)
		if got := instancesOf(leases); !slices.Equal(got, []int{3, 3, 2}) {
			t.Fatalf("8 calls got instances %v", got)
		}
		// What is free in an instance that is in use is taken before an idle one.
		slices.SortFunc(leases, func(a, b *pool.Lease) int { return strings.Compare(a.InstanceID(), b.InstanceID()) })
		releaseAll(leases[:3])
		leases[3].Release(pool.Healthy)
		w.wantStates(t, map[pool.State]int{pool.Idle: 1, pool.Leased: 2})
		next := w.acquireAll(t, s, 2)
		for _, l := range next {
			if l.InstanceID() == leases[0].InstanceID() {
				t.Error("an idle instance was taken, though one in use had room")
			}
		}
		releaseAll(next)
		releaseAll(leases)
		w.wantStates(t, map[pool.State]int{pool.Idle: 3})
	})
}

func TestMaxConcurrencyCountsCallsNotInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{})
		defer w.close(t)
		s := sharing(10)
		s.Version.Settings.MaxConcurrency = 2
		two := w.acquireAll(t, s, 2)
		got := make(chan pool.Lease, 1)
		go func() {
			l, err := w.Acquire(context.Background(), pool.Request{Spec: s})
			if err != nil {
				t.Error(err)
			}
			got <- l
		}()
		synctest.Wait()
		if held := w.Stats().Held; held != 1 {
			t.Errorf("%d calls are held, want the third", held)
		}
		time.Sleep(time.Second)
		two[0].Release(pool.Healthy)
		third := <-got
		if third.Phases().Admit != time.Second || third.InstanceID() != two[1].InstanceID() {
			t.Errorf("the third waited %+v, and got %s", third.Phases(), third.InstanceID())
		}
		third.Release(pool.Healthy)
		two[1].Release(pool.Healthy)
	})
}

// TestABrokenInstanceEndsAfterItsCalls has one of three calls break it.
func TestABrokenInstanceEndsAfterItsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{}
		w := open(t, d, pool.Config{})
		defer w.close(t)
		s := sharing(3)
		leases := w.acquireAll(t, s, 3)
		leases[0].Release(pool.Broken)
		other := w.acquire(t, s)
		if other.InstanceID() == leases[0].InstanceID() {
			t.Error("a broken instance was given another call")
		}
		leases[1].Release(pool.Healthy)
		synctest.Wait()
		w.wantStates(t, map[pool.State]int{pool.Leased: 2})
		if d.Living() != 2 {
			t.Error("it was stopped while a call of it ran")
		}
		leases[2].Release(pool.Healthy)
		synctest.Wait()
		w.wantStates(t, map[pool.State]int{pool.Leased: 1})
		other.Release(pool.Healthy)
	})
}

func TestAnInstanceThatDiesTakesNoMoreCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{}
		w := open(t, d, pool.Config{})
		defer w.close(t)
		s := sharing(5)
		leases := w.acquireAll(t, s, 2)
		d.Started()[0].Die(driver.Exit{Code: 1})
		synctest.Wait()
		other := w.acquire(t, s)
		if other.InstanceID() == leases[0].InstanceID() {
			t.Error("the dead instance was given another call")
		}
		leases[0].Release(pool.Broken)
		leases[1].Release(pool.Healthy) // its answer had come
		other.Release(pool.Healthy)
		synctest.Wait()
		w.wantStates(t, map[pool.State]int{pool.Idle: 1})
	})
}

func TestAFrozenInstanceIsWokenOnceForAllItsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{}
		woken := 0
		d.OnResume = func(*pooltest.Instance) error {
			woken++
			time.Sleep(10 * time.Millisecond)
			return nil
		}
		w := open(t, d, pool.Config{})
		defer w.close(t)
		s := sharing(5)
		releaseAll(w.acquireAll(t, s, 2))
		after(1300 * time.Millisecond)
		w.wantStates(t, map[pool.State]int{pool.Frozen: 1})
		leases := w.acquireAll(t, s, 5)
		if woken != 1 || len(d.Started()) != 1 {
			t.Errorf("woken %d times, %d instances started", woken, len(d.Started()))
		}
		for _, l := range leases {
			if l.Phases().Hold != 10*time.Millisecond || l.Cold() {
				t.Errorf("a call waited %+v, cold %t", l.Phases(), l.Cold())
			}
		}
		releaseAll(leases)
	})
}

func TestAnInstanceThatDoesNotWakeIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{OnResume: func(*pooltest.Instance) error {
			time.Sleep(10 * time.Millisecond)
			return errors.New("stuck")
		}}
		w := open(t, d, pool.Config{})
		defer w.close(t)
		s := sharing(5)
		releaseAll(w.acquireAll(t, s, 1))
		after(1300 * time.Millisecond)
		leases := w.acquireAll(t, s, 5)
		if got := instancesOf(leases); !slices.Equal(got, []int{5}) || leases[0].InstanceID() == d.Started()[0].ID() {
			t.Errorf("the calls got instances %v", got)
		}
		releaseAll(leases)
	})
}

func TestWornInstancesFinishTheirCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{}
		w := open(t, d, pool.Config{})
		defer w.close(t)
		s := sharing(2)
		leases := w.acquireAll(t, s, 2)
		w.Serve(version(s.FunctionID, 2))
		leases[0].Release(pool.Healthy)
		synctest.Wait()
		if d.Living() != 1 {
			t.Error("the instance of the old version was stopped while a call of it ran")
		}
		leases[1].Release(pool.Healthy)
		synctest.Wait()
		w.wantStates(t, nil)
	})
}

func TestEachCallHasAnOutputOfItsOwn(t *testing.T) {
	t.Parallel()
	w := open(t, &pooltest.Driver{}, pool.Config{})
	s := sharing(2)
	a, b := w.acquire(t, s), w.acquire(t, s)
	ids := []nimbus.ID{nimbus.NewID(), nimbus.NewID()}
	a.Begin(ids[0], pool.KeepLines)
	b.Begin(ids[1], pool.KeepLines)
	a.Output()(driver.Stdout, []byte("first of "))
	b.Output()(driver.Stdout, []byte("second's\n"))
	a.Output()(driver.Stdout, []byte("the first\nand no end"))
	b.Output()(driver.Stderr, []byte("second's error\n"))
	b.Print("why it ended")
	a.Instance().(*pooltest.Instance).Print(driver.Stdout, "nobody's\n")
	if got := a.Lines(); !slices.Equal(got, []string{"first of the first", "and no end"}) {
		t.Errorf("the first printed %q", got)
	}
	if got := b.Lines(); !slices.Equal(got, []string{"second's", "second's error", "why it ended"}) {
		t.Errorf("the second printed %q", got)
	}
	a.Release(pool.Healthy)
	b.Release(pool.Healthy)
	for _, line := range w.logs.all() {
		want := ids[1]
		switch {
		case line.Text == "nobody's":
			want = nimbus.ID{}
		case line.Text == "first of the first" || line.Text == "and no end":
			want = ids[0]
		}
		if line.Invocation != want || line.Function != s.FunctionID || line.Version != 1 || line.Instance != a.InstanceID() {
			t.Errorf("the line %+v is not %s's", line, want)
		}
	}
	if alone := w.acquire(t, function(1)); alone.Output() != nil {
		t.Error("a call that has an instance to itself has an output beside the instance's")
	} else {
		alone.Release(pool.Healthy)
	}
}

func TestSurveyCountsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{})
		defer w.close(t)
		leases := w.acquireAll(t, sharing(5), 3)
		alone := w.acquire(t, function(1))
		began := time.Now()
		time.Sleep(time.Second)
		calls := 0
		for _, one := range w.survey(t, nimbus.LocalPrincipal(), nimbus.Page{}).Instances.Items {
			calls += one.Calls
			if !one.BusySince.Equal(began) {
				t.Errorf("busy since %s, want %s", one.BusySince, began)
			}
		}
		if calls != 4 {
			t.Errorf("%d calls run, want 4", calls)
		}
		alone.Release(pool.Healthy)
		releaseAll(leases)
	})
}
