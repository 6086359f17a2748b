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

func (w *world) survey(t *testing.T, who nimbus.Principal, page nimbus.Page) pool.Survey {
	t.Helper()
	s, err := w.Survey(t.Context(), who, page)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSurveyShowsEveryInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{OnStats: func(context.Context, *pooltest.Instance) (driver.Stats, error) {
			return driver.Stats{Memory: 7, PIDs: 2}, nil
		}}
		w := open(t, d, pool.Config{Runtimes: []pool.RuntimeConfig{{TargetWarm: 2, MaxTotal: 9}}})
		defer w.close(t)
		s := function(4)
		busy, idle := w.acquire(t, s), w.acquire(t, s)
		idle.Release(pool.Healthy)
		after(3 * time.Second)
		got := w.survey(t, nimbus.LocalPrincipal(), nimbus.Page{})
		if len(got.Stocks) != 1 || got.Stocks[0].Config.MaxTotal != 9 || got.Stocks[0].States[pool.Blank] != 2 ||
			got.Stocks[0].States[pool.Leased] != 1 || got.Stocks[0].States[pool.Frozen] != 1 || got.Held != 0 {
			t.Errorf("%+v", got)
		}
		if len(got.Instances.Items) != 4 || got.Instances.Next != "" {
			t.Fatalf("%d instances, next %q", len(got.Instances.Items), got.Instances.Next)
		}
		for i, in := range got.Instances.Items {
			if i > 0 && in.ID <= got.Instances.Items[i-1].ID {
				t.Error("they are out of order")
			}
			if in.Stats == nil || in.Stats.Memory != 7 {
				t.Errorf("%s was not asked what it uses", in.ID)
			}
			switch in.ID {
			case busy.InstanceID():
				if in.State != pool.Leased || got.Time.Sub(in.BusySince) != 3*time.Second || in.Uses != 0 || !in.UsedAt.IsZero() {
					t.Errorf("the busy one is %+v", in)
				}
			case idle.InstanceID():
				if in.State != pool.Frozen || !in.BusySince.IsZero() || in.Uses != 1 || got.Time.Sub(in.UsedAt) != 3*time.Second ||
					in.FunctionID != s.FunctionID || in.FunctionName != "f" || in.Version != 4 || in.Namespace != "default" {
					t.Errorf("the idle one is %+v", in)
				}
			default:
				if in.State != pool.Blank || !in.FunctionID.IsZero() {
					t.Errorf("a blank is %+v", in)
				}
			}
		}
		busy.Release(pool.Healthy)
	})
}

func TestSurveyIsPaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{Runtimes: []pool.RuntimeConfig{{TargetWarm: 7}}})
		defer w.close(t)
		after(time.Second)
		seen := make(map[string]bool)
		page := nimbus.Page{Limit: 3}
		for pages := 1; ; pages++ {
			got := w.survey(t, nimbus.LocalPrincipal(), page)
			for _, in := range got.Instances.Items {
				seen[in.ID] = true
			}
			if page.Cursor = got.Instances.Next; page.Cursor == "" {
				if pages != 3 || len(seen) != 7 || len(got.Instances.Items) != 1 {
					t.Errorf("%d pages with %d of 7 instances", pages, len(seen))
				}
				break
			}
		}
		for name, page := range map[string]nimbus.Page{"limit": {Limit: 101}, "cursor": {Cursor: "x"}} {
			if _, err := w.Survey(t.Context(), nimbus.LocalPrincipal(), page); nimbus.CodeOf(err) != nimbus.CodeInvalid {
				t.Errorf("a wrong %s: %v", name, err)
			}
		}
	})
}

func TestSurveyShowsWhatConcernsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, pool.Config{Runtimes: []pool.RuntimeConfig{{TargetWarm: 2}}})
		defer w.close(t)
		mine, other := function(1), function(1)
		mine.Namespace, other.Namespace = "mine", "other"
		w.Serve(mine)
		w.Serve(other)
		for _, s := range []*pool.Spec{mine, mine, other} {
			defer func(l pool.Lease) { l.Release(pool.Healthy) }(w.acquire(t, s))
		}
		after(time.Second)
		got := w.survey(t, nimbus.Principal{Namespaces: []string{"mine"}, Scopes: []nimbus.Scope{nimbus.ScopeRead}}, nimbus.Page{})
		if len(got.Instances.Items) != 2 || got.Stocks[0].States[pool.Leased] != 2 || got.Stocks[0].States[pool.Blank] != 0 || got.Stocks[0].Functions != 0 {
			t.Errorf("one who may see a namespace sees %+v", got)
		}
		for _, in := range got.Instances.Items {
			if in.Namespace != "mine" {
				t.Errorf("one who may see a namespace sees %+v", in)
			}
		}
		if _, err := w.Survey(t.Context(), nimbus.Principal{Scopes: []nimbus.Scope{nimbus.ScopeInvoke}}, nimbus.Page{}); nimbus.CodeOf(err) != nimbus.CodeForbidden {
			t.Errorf("one who may only call: %v", err)
		}
		if got := w.survey(t, nimbus.LocalPrincipal(), nimbus.Page{}); got.Stocks[0].Functions != 2 || len(got.Instances.Items) != 5 {
			t.Errorf("one who may see all sees %+v", got)
		}
	})
}

// An instance that does not answer costs its own figures, and no more than half a second.
func TestSurveyDoesNotWaitForWhoIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{OnStats: func(ctx context.Context, _ *pooltest.Instance) (driver.Stats, error) {
			<-ctx.Done()
			return driver.Stats{}, ctx.Err()
		}}
		w := open(t, d, pool.Config{Runtimes: []pool.RuntimeConfig{{TargetWarm: 20}}})
		defer w.close(t)
		after(time.Second)
		began := time.Now()
		got := w.survey(t, nimbus.LocalPrincipal(), nimbus.Page{})
		if took := time.Since(began); took > 500*time.Millisecond || len(got.Instances.Items) != 20 {
			t.Errorf("%d instances after %s", len(got.Instances.Items), took)
		}
		for _, in := range got.Instances.Items {
			if in.Stats != nil {
				t.Errorf("figures of a silent one: %+v", in.Stats)
			}
		}
	})
}
