package invoke_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nimbus"
	"nimbus/internal/invoke"
	"nimbus/internal/pool/pooltest"
)

func TestRecordsAreWrittenInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, invoke.Config{})
		defer w.stop()
		w.define("f", nil)
		for range 100 {
			w.call(t, "f", "1")
		}
		if w.records.count() != 0 {
			t.Error("records were written on the way of the calls")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if w.records.count() != 100 || w.records.calls > 2 {
			t.Errorf("%d records in %d transactions", w.records.count(), w.records.calls)
		}
	})
}

func TestTheLastRecordsAreWritten(t *testing.T) {
	t.Parallel()
	w := open(t, &pooltest.Driver{}, invoke.Config{FlushEvery: time.Hour})
	w.define("f", nil)
	for range 10 {
		w.call(t, "f", "1")
	}
	w.stop()
	if n := w.records.count(); n != 10 {
		t.Errorf("%d records were written", n)
	}
}

func TestFlushWritesAtOnce(t *testing.T) {
	t.Parallel()
	w := open(t, &pooltest.Driver{}, invoke.Config{FlushEvery: time.Hour})
	w.define("f", nil)
	for range 3 {
		w.call(t, "f", "1")
	}
	if err := w.Flush(t.Context()); err != nil || w.records.count() != 3 {
		t.Errorf("%d records were written, %v", w.records.count(), err)
	}
	w.call(t, "f", "1")
	w.records.fail(errors.New("disk full"))
	if err := w.Flush(t.Context()); err == nil {
		t.Error("what could not be written was said to be")
	}
}

func TestRecordsOutliveAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, invoke.Config{Buffer: 20})
		defer w.stop()
		w.define("f", nil)
		w.records.fail(errors.New("disk full"))
		var ids []nimbus.ID
		for range 30 {
			ids = append(ids, w.call(t, "f", "1").ID)
			time.Sleep(time.Second)
		}
		for i, id := range ids {
			_, err := w.Get(t.Context(), nimbus.LocalPrincipal(), id)
			want := nimbus.Code("")
			if i < 10 {
				want = nimbus.CodeNotFound // the oldest were dropped
			}
			wantCode(t, err, want)
		}
		w.records.fail(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := w.records.count(); n != 20 {
			t.Errorf("%d records were written when there was room again", n)
		}
	})
}

func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, invoke.Config{Retention: time.Hour, PruneEvery: time.Minute})
		defer w.stop()
		w.define("f", nil)
		w.call(t, "f", "1")
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		if w.records.count() != 1 {
			t.Error("the record went too soon")
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if w.records.count() != 0 {
			t.Error("the record was kept")
		}
	})
}

func TestListsShowWhatIsNotWritten(t *testing.T) {
	t.Parallel()
	w := open(t, &pooltest.Driver{}, invoke.Config{FlushEvery: time.Hour})
	w.define("f", nil)
	w.define("g", nil)
	first, second := w.call(t, "f", "1").ID, w.call(t, "f", "1").ID
	w.call(t, "g", "1")
	q := invoke.Query{Function: "f", Page: nimbus.Page{Limit: 1}}
	for _, want := range []nimbus.ID{second, first} {
		list, err := w.List(t.Context(), nimbus.LocalPrincipal(), q)
		if err != nil || len(list.Items) != 1 || list.Items[0].ID != want {
			t.Fatalf("got %+v, %v", list, err)
		}
		q.Page.Cursor = list.Next
	}
	if q.Page.Cursor != "" {
		t.Error("the last page has a next one")
	}
	list, err := w.List(t.Context(), nimbus.LocalPrincipal(), invoke.Query{Status: nimbus.InvocationSuccess})
	if err != nil || len(list.Items) != 3 {
		t.Errorf("got %+v, %v", list, err)
	}
	for _, cursor := range []string{"x", "1.2.3", "..", "zz.."} {
		_, err := w.List(t.Context(), nimbus.LocalPrincipal(), invoke.Query{Page: nimbus.Page{Cursor: cursor}})
		wantCode(t, err, nimbus.CodeInvalid)
	}
	other := nimbus.Principal{Tenant: "other", Scopes: []nimbus.Scope{nimbus.ScopeAdmin}}
	if list, err := w.List(t.Context(), other, invoke.Query{}); err != nil || len(list.Items) != 0 {
		t.Errorf("another tenant sees %d records, %v", len(list.Items), err)
	}
	_, err = w.Get(t.Context(), other, first)
	wantCode(t, err, nimbus.CodeNotFound)
}

func TestCapture(t *testing.T) {
	t.Parallel()
	limits := nimbus.DefaultLimits()
	limits.Captured = 100
	w := open(t, &pooltest.Driver{}, invoke.Config{Limits: limits})
	long := `"` + strings.Repeat(`\"é`, 200) + `"`
	for policy, kept := range map[nimbus.Capture]bool{nimbus.CaptureAll: true, nimbus.CaptureNone: false, nimbus.CaptureErrors: false} {
		w.define(string(policy), func(f *nimbus.Function) { f.Version.Settings.Capture = policy })
		r := w.record(t, w.call(t, string(policy), long).ID)
		if (r.Input != nil) != kept || (r.Output != nil) != kept {
			t.Errorf("%s: kept input %t, output %t", policy, r.Input != nil, r.Output != nil)
		}
		var text string
		if kept && (len(r.Input) > 100 || json.Unmarshal(r.Input, &text) != nil || !strings.Contains(text, "cut, ")) {
			t.Errorf("%s: the cut input is %s", policy, r.Input)
		}
	}
	if r := w.record(t, w.call(t, "all", `{"a":1}`).ID); string(r.Input) != `{"a":1}` || string(r.Output) != `{"a":1}` {
		t.Errorf("kept %s and %s", r.Input, r.Output)
	}
}
