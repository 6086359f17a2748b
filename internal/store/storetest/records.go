package storetest

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nimbus"
	"nimbus/internal/store"
)

// Records is the suite of store.Records. open returns an empty store and closes it when the test ends.
func Records(t *testing.T, open func(t *testing.T) store.Records) {
	for name, test := range map[string]func(*testing.T, store.Records){
		"append":              testRecordsAppend,
		"append concurrently": testRecordsAppendConcurrently,
		"replace":             testRecordsReplace,
		"list":                testListInvocations,
		"list as a model":     testListInvocationsModel,
		"prune":               testRecordsPrune,
		"cancelled":           testRecordsCancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// sampleRecord is a record with every field set.
func sampleRecord(created time.Time) nimbus.Invocation {
	return nimbus.Invocation{
		ID: nimbus.NewID(), Namespace: nimbus.DefaultNamespace, FunctionID: nimbus.ID{1}, FunctionName: "f", Version: 3,
		Attempt: 2, TriggerType: nimbus.TriggerHTTP, Status: nimbus.InvocationFailed, Input: []byte(`{"a":"\u0000"}`),
		Output: bytes.Repeat([]byte("[1],"), 20_000), Error: "division by zero: \xff", ErrorType: "ZeroDivisionError",
		ColdStart: true, InstanceID: "instance", CreatedAt: created, StartedAt: created.Add(time.Millisecond),
		CompletedAt: created.Add(time.Second), Duration: 999 * time.Millisecond, Billed: time.Second,
		Memory: nimbus.MemoryUse{Peak: 3 << 30, Instance: true},
		CPU:    900 * time.Millisecond, TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", LogCut: true,
		Phases: nimbus.Phases{Route: 1 * time.Microsecond, Admit: 2 * time.Microsecond, Hold: 3 * time.Microsecond, Claim: 4 * time.Microsecond,
			Attach: 5 * time.Microsecond, Init: 6 * time.Microsecond, Write: 7 * time.Microsecond},
	}
}

func testRecordsAppend(t *testing.T, s store.Records) {
	must(t, s.Append(t.Context(), nil))
	full := sampleRecord(moment(1))
	bare := nimbus.Invocation{ID: nimbus.NewID(), Namespace: "n", CreatedAt: moment(2)}
	must(t, s.Append(t.Context(), []nimbus.Invocation{full, bare}))
	for _, want := range []nimbus.Invocation{full, bare} {
		have := got(s.Invocation(t.Context(), want.ID))(t)
		equal(t, have, &want)
		wantTimes(t, &want, have, func(i *nimbus.Invocation) []time.Time {
			return []time.Time{i.CreatedAt, i.StartedAt, i.CompletedAt}
		})
	}
	_, err := s.Invocation(t.Context(), nimbus.NewID())
	wantCode(t, err, nimbus.CodeNotFound)
}

func testRecordsAppendConcurrently(t *testing.T, s store.Records) {
	together(8, func(int) {
		batch := make([]nimbus.Invocation, 25)
		for i := range batch {
			batch[i] = nimbus.Invocation{ID: nimbus.NewID(), Namespace: "n", CreatedAt: moment(i)}
		}
		if err := s.Append(t.Context(), batch); err != nil {
			t.Error(err)
		}
	})
	all := pages(t, 100, func(p nimbus.Page) (nimbus.List[nimbus.Invocation], error) {
		return s.ListInvocations(t.Context(), store.InvocationQuery{Namespaces: []string{"n"}, Page: p})
	})
	if len(all) != 200 {
		t.Errorf("%d records are there, want 200", len(all))
	}
}

func testRecordsReplace(t *testing.T, s store.Records) {
	running := nimbus.Invocation{ID: nimbus.NewID(), Namespace: "n", Status: nimbus.InvocationRunning, CreatedAt: moment(1)}
	must(t, s.Append(t.Context(), []nimbus.Invocation{running}))
	ended := sampleRecord(moment(1))
	ended.ID, ended.Namespace = running.ID, "n"
	must(t, s.Append(t.Context(), []nimbus.Invocation{ended}))
	equal(t, got(s.Invocation(t.Context(), ended.ID))(t), &ended)
	l := got(s.ListInvocations(t.Context(), store.InvocationQuery{Namespaces: []string{"n"}}))(t)
	ended.Input, ended.Output = nil, nil
	equal(t, l.Items, []nimbus.Invocation{ended})
}

func testListInvocations(t *testing.T, s store.Records) {
	record := sampleRecord(moment(1))
	must(t, s.Append(t.Context(), []nimbus.Invocation{record}))
	_, err := s.ListInvocations(t.Context(), store.InvocationQuery{})
	wantField(t, err, "namespace")
	if l := got(s.ListInvocations(t.Context(), store.InvocationQuery{Namespaces: []string{"other"}}))(t); len(l.Items) > 0 {
		t.Errorf("another namespace lists %+v", l.Items)
	}
	refusesBadPages(t, func(p nimbus.Page) (nimbus.List[nimbus.Invocation], error) {
		return s.ListInvocations(t.Context(), store.InvocationQuery{FunctionID: record.FunctionID, Page: p})
	})
}

// testListInvocationsModel compares every page of random queries with what a plain filter finds. Each round
// has functions and namespaces of its own.
func testListInvocationsModel(t *testing.T, s store.Records) {
	round := 0
	rapid.Check(t, func(r *rapid.T) {
		round++
		namespaces := []string{numbered("a", round), numbered("b", round)}
		functions := []nimbus.ID{nimbus.NewID(), nimbus.NewID()}
		statuses := []nimbus.InvocationStatus{nimbus.InvocationSuccess, nimbus.InvocationFailed}
		times := rapid.IntRange(0, 5)
		stored := make([]nimbus.Invocation, rapid.IntRange(0, 12).Draw(r, "records"))
		for i := range stored {
			stored[i] = nimbus.Invocation{ID: nimbus.NewID(), CreatedAt: moment(times.Draw(r, "created")),
				Namespace:  rapid.SampledFrom(namespaces).Draw(r, "namespace"),
				FunctionID: rapid.SampledFrom(functions).Draw(r, "function"),
				Status:     rapid.SampledFrom(statuses).Draw(r, "status")}
		}
		if err := s.Append(context.Background(), stored); err != nil {
			r.Fatalf("append: %v", err)
		}
		q := store.InvocationQuery{
			Namespaces: rapid.SliceOfN(rapid.SampledFrom(namespaces), 1, 3).Draw(r, "of namespaces"),
			Status:     rapid.SampledFrom(append(statuses, "")).Draw(r, "of status"),
		}
		if rapid.Bool().Draw(r, "by function") {
			q.FunctionID = rapid.SampledFrom(functions).Draw(r, "of function")
			if rapid.Bool().Draw(r, "anywhere") {
				q.Namespaces = nil
			}
		}
		if rapid.Bool().Draw(r, "bounded") {
			q.Since, q.Until = moment(times.Draw(r, "since")), moment(times.Draw(r, "until"))
		}
		got := pages(r, rapid.IntRange(1, 5).Draw(r, "limit"), func(p nimbus.Page) (nimbus.List[nimbus.Invocation], error) {
			q.Page = p
			return s.ListInvocations(context.Background(), q)
		})
		if d := diff(got, selectInvocations(stored, q)); d != "" {
			r.Fatalf("the store and the model differ for %+v (-model +store):\n%s", q, d)
		}
	})
}

// selectInvocations is what ListInvocations should find, by a look at each.
func selectInvocations(all []nimbus.Invocation, q store.InvocationQuery) []nimbus.Invocation {
	var found []nimbus.Invocation
	for _, i := range all {
		if (len(q.Namespaces) == 0 || slices.Contains(q.Namespaces, i.Namespace)) &&
			(q.FunctionID.IsZero() || q.FunctionID == i.FunctionID) && (q.Status == "" || q.Status == i.Status) &&
			(q.Since.IsZero() || !i.CreatedAt.Before(q.Since)) && (q.Until.IsZero() || i.CreatedAt.Before(q.Until)) {
			found = append(found, i)
		}
	}
	slices.SortFunc(found, func(a, b nimbus.Invocation) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), bytes.Compare(b.ID[:], a.ID[:]))
	})
	return found
}

func testRecordsPrune(t *testing.T, s store.Records) {
	var batch []nimbus.Invocation
	for i := range 10 {
		batch = append(batch, nimbus.Invocation{ID: nimbus.NewID(), Namespace: "n", CreatedAt: moment(9 - i)})
	}
	must(t, s.Append(t.Context(), batch))
	for _, step := range []struct {
		before            time.Time
		limit, gone, left int
	}{{moment(0), 100, 0, 10}, {moment(7), 0, 0, 10}, {moment(7), 4, 4, 6}, {moment(7), 4, 3, 3}, {moment(7), 4, 0, 3}} {
		if n := got(s.Prune(t.Context(), step.before, step.limit))(t); n != step.gone {
			t.Errorf("Prune removed %d, want %d", n, step.gone)
		}
		l := got(s.ListInvocations(t.Context(), store.InvocationQuery{Namespaces: []string{"n"}}))(t)
		equal(t, l.Items, batch[:step.left])
	}
}

func testRecordsCancelled(t *testing.T, s store.Records) {
	record := sampleRecord(moment(1))
	refusesCancelled(t, map[string]func(ctx context.Context) error{
		"Append":     func(ctx context.Context) error { return s.Append(ctx, []nimbus.Invocation{record}) },
		"Invocation": func(ctx context.Context) error { _, err := s.Invocation(ctx, record.ID); return err },
		"ListInvocations": func(ctx context.Context) error {
			_, err := s.ListInvocations(ctx, store.InvocationQuery{FunctionID: record.FunctionID})
			return err
		},
		"Prune": func(ctx context.Context) error { _, err := s.Prune(ctx, moment(2), 1); return err },
	})
	_, err := s.Invocation(t.Context(), record.ID)
	wantCode(t, err, nimbus.CodeNotFound)
}
