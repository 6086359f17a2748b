package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"nimbus"
	"nimbus/internal/store"
)

// Ledger is the suite of store.Ledger. open returns an empty store and closes it when the test ends.
func Ledger(t *testing.T, open func(t *testing.T) store.Ledger) {
	for name, test := range map[string]func(*testing.T, store.Ledger){
		"append":                       testLedgerAppend,
		"append concurrently":          testLedgerAppendConcurrently,
		"append an id twice":           testLedgerAppendTwice,
		"entries":                      testLedgerEntries,
		"idempotency":                  testIdempotency,
		"idempotency scope":            testIdempotencyScope,
		"idempotency window":           testIdempotencyWindow,
		"idempotency of many":          testIdempotencyOfMany,
		"idempotency of the refused":   testIdempotencyOfTheRefused,
		"idempotency concurrently":     testIdempotencyConcurrently,
		"cancelled":                    testLedgerCancelled,
		"cancelled while it is stored": testLedgerCancelledLate,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// sampleEntry is an entry with every field set.
func sampleEntry() *store.Entry {
	return &store.Entry{
		ID: nimbus.NewID(), Kind: "invocation", Tenant: nimbus.DefaultTenant, Namespace: nimbus.DefaultNamespace,
		FunctionID: nimbus.ID{7}, Qualifier: "live", ParentID: nimbus.NewID(), RootID: nimbus.NewID(), Attempt: 3,
		DueAt: moment(60), CreatedAt: moment(0), Event: []byte(`{"a":1}`), EventBlob: "hash", IdempotencyKey: "key",
		Digest: sha256.Sum256([]byte("request")),
	}
}

func plainEntry() *store.Entry {
	return &store.Entry{ID: nimbus.NewID(), Kind: "invocation", CreatedAt: moment(0), DueAt: moment(0)}
}

func testLedgerAppend(t *testing.T, s store.Ledger) {
	large := plainEntry()
	large.Event = bytes.Repeat([]byte{0, 0xff}, 100_000)
	for _, e := range []*store.Entry{sampleEntry(), plainEntry(), large} {
		equal(t, got(s.Append(t.Context(), e))(t), store.Accepted{ID: e.ID})
		have := got(s.Entry(t.Context(), e.ID))(t)
		equal(t, have, e)
		wantTimes(t, e, have, func(e *store.Entry) []time.Time { return []time.Time{e.DueAt, e.CreatedAt} })
	}
	_, err := s.Entry(t.Context(), nimbus.NewID())
	wantCode(t, err, nimbus.CodeNotFound)
}

func testLedgerAppendConcurrently(t *testing.T, s store.Ledger) {
	const callers, each = 32, 20
	var ids [callers][each]nimbus.ID
	together(callers, func(i int) {
		for n := range each {
			e := plainEntry()
			if a, err := s.Append(t.Context(), e); err != nil || a.ID != e.ID || a.Duplicate {
				t.Errorf("Append: %+v, %v", a, err)
			}
			ids[i][n] = e.ID
		}
	})
	var want, have []nimbus.ID
	for i := range ids {
		want = append(want, ids[i][:]...)
	}
	slices.SortFunc(want, func(a, b nimbus.ID) int { return bytes.Compare(a[:], b[:]) })
	for _, e := range got(s.Entries(t.Context(), nimbus.ID{}, callers*each+1))(t) {
		have = append(have, e.ID)
	}
	equal(t, have, want)
}

func testLedgerAppendTwice(t *testing.T, s store.Ledger) {
	e := plainEntry()
	got(s.Append(t.Context(), e))(t)
	other := sampleEntry()
	other.ID = e.ID
	_, err := s.Append(t.Context(), other)
	wantCode(t, err, nimbus.CodeConflict)
	equal(t, got(s.Entry(t.Context(), e.ID))(t), e)
}

func testLedgerEntries(t *testing.T, s store.Ledger) {
	if all := got(s.Entries(t.Context(), nimbus.ID{}, 10))(t); len(all) > 0 {
		t.Errorf("an empty ledger has %+v", all)
	}
	var want []store.Entry
	for range 5 {
		e := sampleEntry()
		e.IdempotencyKey = ""
		want = append(want, *e)
	}
	for _, i := range []int{3, 0, 4, 2, 1} {
		got(s.Append(t.Context(), &want[i]))(t)
	}
	equal(t, got(s.Entries(t.Context(), nimbus.ID{}, 10))(t), want)
	equal(t, got(s.Entries(t.Context(), nimbus.ID{}, 2))(t), want[:2])
	equal(t, got(s.Entries(t.Context(), want[1].ID, 2))(t), want[2:4])
	equal(t, got(s.Entries(t.Context(), want[4].ID, 2))(t), []store.Entry{})
	equal(t, got(s.Entries(t.Context(), nimbus.ID{}, 0))(t), []store.Entry{})
}

func testIdempotency(t *testing.T, s store.Ledger) {
	first, again, other := sampleEntry(), sampleEntry(), sampleEntry()
	got(s.Append(t.Context(), first))(t)
	equal(t, got(s.Append(t.Context(), again))(t), store.Accepted{ID: first.ID, Duplicate: true})
	other.Digest = sha256.Sum256([]byte("another request"))
	_, err := s.Append(t.Context(), other)
	wantField(t, err, "idempotency_key")
	equal(t, got(s.Entries(t.Context(), nimbus.ID{}, 10))(t), []store.Entry{*first})
}

func testIdempotencyScope(t *testing.T, s store.Ledger) {
	function, namespace, key, none, none2 := sampleEntry(), sampleEntry(), sampleEntry(), sampleEntry(), sampleEntry()
	function.FunctionID = nimbus.ID{8}
	namespace.Namespace = "other"
	key.IdempotencyKey = "KEY"
	none.IdempotencyKey, none2.IdempotencyKey = "", ""
	for _, e := range []*store.Entry{sampleEntry(), function, namespace, key, none, none2} {
		equal(t, got(s.Append(t.Context(), e))(t), store.Accepted{ID: e.ID})
	}
}

func testIdempotencyWindow(t *testing.T, s store.Ledger) {
	first, late, fresh, again := sampleEntry(), sampleEntry(), sampleEntry(), sampleEntry()
	late.CreatedAt = first.CreatedAt.Add(24*time.Hour - time.Microsecond)
	fresh.CreatedAt = first.CreatedAt.Add(24 * time.Hour)
	fresh.Digest = sha256.Sum256([]byte("another request"))
	again.CreatedAt, again.Digest = fresh.CreatedAt.Add(time.Hour), fresh.Digest
	got(s.Append(t.Context(), first))(t)
	equal(t, got(s.Append(t.Context(), late))(t), store.Accepted{ID: first.ID, Duplicate: true})
	equal(t, got(s.Append(t.Context(), fresh))(t), store.Accepted{ID: fresh.ID})
	equal(t, got(s.Append(t.Context(), again))(t), store.Accepted{ID: fresh.ID, Duplicate: true})
}

func testIdempotencyOfMany(t *testing.T, s store.Ledger) {
	keyed := func(i int) *store.Entry {
		e := sampleEntry()
		e.IdempotencyKey, e.CreatedAt = numbered("key", i), moment(i)
		return e
	}
	var first [10]store.Accepted
	for i := range first {
		first[i] = got(s.Append(t.Context(), keyed(i)))(t)
	}
	for i := range first {
		equal(t, got(s.Append(t.Context(), keyed(i)))(t), store.Accepted{ID: first[i].ID, Duplicate: true})
	}
}

// testIdempotencyOfTheRefused: an entry that isn't stored takes no key with it.
func testIdempotencyOfTheRefused(t *testing.T, s store.Ledger) {
	e := plainEntry()
	got(s.Append(t.Context(), e))(t)
	refused := sampleEntry()
	refused.ID = e.ID
	_, err := s.Append(t.Context(), refused)
	wantCode(t, err, nimbus.CodeConflict)
	next := sampleEntry()
	equal(t, got(s.Append(t.Context(), next))(t), store.Accepted{ID: next.ID})
}

func testIdempotencyConcurrently(t *testing.T, s store.Ledger) {
	var stored atomic.Int64
	var ids [32]nimbus.ID
	together(len(ids), func(i int) {
		a, err := s.Append(t.Context(), sampleEntry())
		if err != nil {
			t.Error(err)
		}
		if !a.Duplicate {
			stored.Add(1)
		}
		ids[i] = a.ID
	})
	all := got(s.Entries(t.Context(), nimbus.ID{}, 100))(t)
	if stored.Load() != 1 || len(all) != 1 {
		t.Fatalf("%d callers were told that theirs was stored and %d entries are, want 1", stored.Load(), len(all))
	}
	for _, id := range ids {
		if id != all[0].ID {
			t.Errorf("a caller was given the id %s, want %s", id, all[0].ID)
		}
	}
}

func testLedgerCancelled(t *testing.T, s store.Ledger) {
	e := plainEntry()
	for range 20 { // whether somebody would take it or not
		refusesCancelled(t, map[string]func(ctx context.Context) error{
			"Append": func(ctx context.Context) error { _, err := s.Append(ctx, e); return err },
		})
	}
	refusesCancelled(t, map[string]func(ctx context.Context) error{
		"Entry":   func(ctx context.Context) error { _, err := s.Entry(ctx, e.ID); return err },
		"Entries": func(ctx context.Context) error { _, err := s.Entries(ctx, nimbus.ID{}, 1); return err },
	})
	_, err := s.Entry(t.Context(), e.ID)
	wantCode(t, err, nimbus.CodeNotFound)
}

// testLedgerCancelledLate cancels at any moment: what Append answers is what came to be.
func testLedgerCancelledLate(t *testing.T, s store.Ledger) {
	together(64, func(int) {
		ctx, cancel := context.WithCancel(t.Context())
		e := plainEntry()
		go cancel()
		_, appendErr := s.Append(ctx, e)
		_, readErr := s.Entry(t.Context(), e.ID)
		if (appendErr == nil) != (readErr == nil) {
			t.Errorf("Append said %v, but Entry says %v", appendErr, readErr)
		}
	})
}
