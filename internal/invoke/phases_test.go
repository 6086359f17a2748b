package invoke_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/invoke"
	"nimbus/internal/pool/pooltest"
	"nimbus/internal/wire"
)

// busy answers after a time, having used some CPU.
func busy(took, cpu time.Duration) *pooltest.Driver {
	return &pooltest.Driver{OnInvoke: func(ctx context.Context, _ *pooltest.Instance, call *driver.Call) (driver.Outcome, error) {
		if err := pooltest.Sleep(ctx, took); err != nil {
			return driver.Outcome{}, err
		}
		return driver.Outcome{Resp: wire.RespMeta{OK: true}, Result: call.Event, CPU: cpu}, nil
	}}
}

// A record tells where the time went, from the request's arrival on, and the explanation adds it up.
func TestARecordTellsWhereTheTimeWent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := busy(300*time.Millisecond, 40*time.Millisecond)
		d.OnInit = func(context.Context, *pooltest.Instance) error { time.Sleep(700 * time.Millisecond); return nil }
		w := open(t, d, invoke.Config{FlushEvery: time.Hour})
		defer w.stop()
		f := w.define("f", func(f *nimbus.Function) { f.Version.Settings.MaxConcurrency = 1 })
		w.functions.answer = func() { time.Sleep(50 * time.Millisecond) }

		arrived := time.Now()
		target := w.resolve(t, "f", "")
		time.Sleep(20 * time.Millisecond) // its body is read
		req := &invoke.Request{Trigger: nimbus.TriggerHTTP, Arrived: arrived, Event: []byte("1"),
			Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
		second := make(chan *invoke.Result, 1)
		go func() {
			time.Sleep(100 * time.Millisecond)
			second <- w.call(t, "f", "2")
		}()
		res, err := w.Invoke(t.Context(), nimbus.LocalPrincipal(), target, req)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Millisecond) // the answer is written
		res.Written()
		w.wantTimes(t, res.ID, nimbus.Phases{Route: 50 * time.Millisecond, Init: 700 * time.Millisecond, Write: 30 * time.Millisecond},
			1100*time.Millisecond)
		r := w.record(t, res.ID)
		if r.CPU != 40*time.Millisecond || res.CPU != r.CPU || r.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" || !r.CreatedAt.Equal(arrived) {
			t.Errorf("the record is %+v", r)
		}
		w.wantTimes(t, (<-second).ID, nimbus.Phases{Admit: 900 * time.Millisecond}, 1200*time.Millisecond)
		if _, report, err := w.Why(t.Context(), nimbus.LocalPrincipal(), res.ID); err != nil || !strings.Contains(report.Suggestion, "--min-instances 1") {
			t.Errorf("%+v, %v", report, err)
		}

		// A version that is gone leaves its records, and those can be explained.
		w.functions.answer = nil
		w.functions.remove(f.ID)
		w.functions.put(nimbus.Function{ID: nimbus.NewID(), Tenant: nimbus.DefaultTenant, Namespace: nimbus.DefaultNamespace, Name: "other"})
		w.wantTimes(t, res.ID, nimbus.Phases{Route: 50 * time.Millisecond, Init: 700 * time.Millisecond, Write: 30 * time.Millisecond},
			1100*time.Millisecond)
	})
}

// What a call waits for the first build of its function is in its record.
func TestARecordTellsOfTheBuildThatWasWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, invoke.Config{FlushEvery: time.Hour})
		defer w.stop()
		f := w.building("f")
		arrived := time.Now()
		go func() {
			time.Sleep(20 * time.Second)
			f.Status = nimbus.StatusActive
			w.change(f)
		}()
		res, err := w.Invoke(t.Context(), nimbus.LocalPrincipal(), w.resolve(t, "f", ""),
			&invoke.Request{Trigger: nimbus.TriggerHTTP, Arrived: arrived, Event: []byte("1")})
		if err != nil {
			t.Fatal(err)
		}
		w.wantTimes(t, res.ID, nimbus.Phases{Route: 20 * time.Second}, 20*time.Second)
		if _, report, err := w.Why(t.Context(), nimbus.LocalPrincipal(), res.ID); err != nil || !strings.Contains(report.Suggestion, "it was still being built") {
			t.Errorf("%+v, %v", report, err)
		}
	})
}

// wantTimes checks the phases of a call, and that its explanation is of all its time.
func (w *world) wantTimes(t *testing.T, id nimbus.ID, want nimbus.Phases, total time.Duration) {
	t.Helper()
	if got := w.record(t, id).Phases; got != want {
		t.Errorf("phases %+v, want %+v", got, want)
	}
	_, report, err := w.Why(t.Context(), nimbus.LocalPrincipal(), id)
	if err != nil {
		t.Fatal(err)
	}
	var sum time.Duration
	for _, step := range report.Steps {
		sum += step.Took
	}
	if report.Total != total || sum != total {
		t.Errorf("the total is %s, the sum %s, want %s: %+v", report.Total, sum, total, report.Steps)
	}
}

// How long writing took is stored with the record when it is known in time, and never changes one that is stored.
func TestWritingIsStoredWhenKnownInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, invoke.Config{FlushEvery: time.Hour})
		defer w.stop()
		w.define("f", nil)
		for _, written := range []bool{true, false} {
			res := w.call(t, "f", "1")
			time.Sleep(5 * time.Millisecond)
			if written {
				res.Written()
			}
			if err := w.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			res.Written()
			stored, err := w.records.Invocation(t.Context(), res.ID)
			if err != nil || (stored.Phases.Write == 5*time.Millisecond) != written {
				t.Errorf("written in time: %t; stored %+v, %v", written, stored.Phases, err)
			}
		}
	})
}

// Refusals have no record and are counted; the platform's failures have a type.
func TestRefusalsAndPlatformFailuresAreCounted(t *testing.T) {
	t.Parallel()
	d := &pooltest.Driver{OnInvoke: func(context.Context, *pooltest.Instance, *driver.Call) (driver.Outcome, error) {
		return driver.Outcome{}, errors.New("the pipe is gone")
	}}
	w := open(t, d, invoke.Config{})
	f := w.define("f", nil)
	target := w.resolve(t, "f", "")
	id := nimbus.NewID()
	_, err := w.Invoke(t.Context(), nimbus.LocalPrincipal(), target, &invoke.Request{ID: id, Trigger: nimbus.TriggerHTTP})
	wantCode(t, err, nimbus.CodeInternal)
	if r := w.record(t, id); r.ErrorType != nimbus.ErrorTypePlatform {
		t.Errorf("the record is %+v", r)
	}
	if err := w.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = w.Invoke(t.Context(), nimbus.LocalPrincipal(), target, &invoke.Request{Trigger: nimbus.TriggerHTTP})
	wantCode(t, err, nimbus.CodeUnavailable)
	metrics := w.scrape(t)
	for _, want := range []string{
		`nimbus_invocation_errors_total{error_type="Platform.Error",function_id="` + f.ID.String() + `"} 1`,
		`nimbus_invocations_rejected_total{reason="unavailable"} 1`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("the scrape lacks %s", want)
		}
	}
}

// scrape returns the metrics as Prometheus gets them.
func (w *world) scrape(t *testing.T) string {
	t.Helper()
	rec := httptest.NewRecorder()
	w.metrics.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return rec.Body.String()
}
