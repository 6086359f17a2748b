// Package storetest specifies the contracts of package store: every sentence there has a case here, and
// every implementation passes Control, Records and Ledger. The functions they take open an empty store, as
// it is after the first start, and close it when the test ends.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"nimbus"
)

// moment returns a time that is n seconds after a fixed one, in another zone and with nanoseconds: a store
// gives it back in UTC and truncated to the microsecond.
func moment(n int) time.Time {
	return time.Date(2026, 3, 4, 5, 6, 7+n, 123456789, time.FixedZone("test", 3600))
}

// equal compares what was read with what was written. An empty list is as good as none.
func equal(t testing.TB, got, want any) {
	t.Helper()
	if diff := diff(got, want); diff != "" {
		t.Errorf("not what was stored (-want +got):\n%s", diff)
	}
}

func diff(got, want any) string {
	stored := cmp.Transformer("stored", func(t time.Time) string { return t.UTC().Truncate(time.Microsecond).String() })
	payloads := cmp.FilterValues(func(a, b []byte) bool { return len(a)+len(b) > 0 }, cmp.Comparer(bytes.Equal))
	return cmp.Diff(want, got, cmpopts.EquateEmpty(), stored, payloads)
}

// wantTimes fails unless the times of what was read are those of what was stored, in UTC and to the
// microsecond. equal forgives both.
func wantTimes[T any](t testing.TB, stored, read T, times func(T) []time.Time) {
	t.Helper()
	want := times(stored)
	for i, got := range times(read) {
		if want := want[i].UTC().Truncate(time.Microsecond); got != want {
			t.Errorf("time %d was read as %#v, want %#v", i, got, want)
		}
	}
}

// wantCode fails unless err is a *nimbus.Error of that code.
func wantCode(t testing.TB, err error, code nimbus.Code) {
	t.Helper()
	var e *nimbus.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("error is %v, want one of code %s", err, code)
	}
}

// wantField fails unless err is CodeInvalid and names the field.
func wantField(t testing.TB, err error, field string) {
	t.Helper()
	wantCode(t, err, nimbus.CodeInvalid)
	var e *nimbus.Error
	if errors.As(err, &e) && !slices.ContainsFunc(e.Fields, func(f nimbus.FieldError) bool { return f.Field == field }) {
		t.Errorf("error is %v, want it to name the field %s", err, field)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// got is must for calls that return something.
func got[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		must(t, err)
		return v
	}
}

// pages walks a list to its end and returns everything on it.
func pages[T any](t fataler, limit int, list func(nimbus.Page) (nimbus.List[T], error)) []T {
	t.Helper()
	var all []T
	page := nimbus.Page{Limit: limit}
	for {
		l, err := list(page)
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		if len(l.Items) > limit {
			t.Fatalf("a page of %d has %d items", limit, len(l.Items))
		}
		all = append(all, l.Items...)
		if l.Next == "" {
			return all
		}
		if len(l.Items) < limit {
			t.Fatalf("a page with %d of %d items says that there is another", len(l.Items), limit)
		}
		page.Cursor = l.Next
	}
}

// fataler is what testing.T and rapid.T share.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// badPages are pages that every list refuses, by the field at fault.
func badPages() map[string][]nimbus.Page {
	return map[string][]nimbus.Page{
		"limit": {{Limit: -1}, {Limit: nimbus.MaxPageLimit + 1}},
		"cursor": {{Cursor: "?"}, {Cursor: "AAAA"}, {Cursor: "bg"}, {Cursor: "dA"}, {Cursor: "1"},
			{Cursor: "bm90IGEgY3Vyc29y"}, {Cursor: string(make([]byte, 40))}},
	}
}

// refusesBadPages checks a list against badPages.
func refusesBadPages[T any](t *testing.T, list func(nimbus.Page) (nimbus.List[T], error)) {
	t.Helper()
	for field, bad := range badPages() {
		for _, page := range bad {
			_, err := list(page)
			if err == nil {
				t.Errorf("page %+v was accepted", page)
				continue
			}
			wantField(t, err, field)
		}
	}
}

// refusesCancelled checks that calls with a cancelled context fail as CodeUnavailable and say why.
func refusesCancelled(t *testing.T, calls map[string]func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range calls {
		err := call(ctx)
		if !errors.Is(err, context.Canceled) || nimbus.CodeOf(err) != nimbus.CodeUnavailable {
			t.Errorf("%s with a cancelled context: %v, want code %s and context.Canceled", name, err, nimbus.CodeUnavailable)
		}
	}
}

// together runs fn n times at once and returns when all have.
func together(n int, fn func(i int)) {
	done := make(chan struct{})
	for i := range n {
		go func() {
			defer func() { done <- struct{}{} }()
			fn(i)
		}()
	}
	for range n {
		<-done
	}
}

func numbered(prefix string, n int) string { return fmt.Sprintf("%s%03d", prefix, n) }
