package invoke_test

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"nimbus"
	"nimbus/internal/store"
)

// records is a store.Records in memory that fails when it is told to.
type records struct {
	mu    sync.Mutex
	byID  map[nimbus.ID]nimbus.Invocation
	fails error
	calls int // of Append
}

func newRecords() *records { return &records{byID: make(map[nimbus.ID]nimbus.Invocation)} }

func (r *records) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fails = err
}

func (r *records) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byID)
}

func (r *records) Append(_ context.Context, batch []nimbus.Invocation) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.fails != nil {
		return r.fails
	}
	for _, record := range batch {
		r.byID[record.ID] = record
	}
	return nil
}

func (r *records) Invocation(_ context.Context, id nimbus.ID) (*nimbus.Invocation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if record, ok := r.byID[id]; ok {
		return &record, nil
	}
	return nil, nimbus.Errorf(nimbus.CodeNotFound, "no such record")
}

// place is the key of the last record of a page.
type place struct {
	At time.Time
	ID nimbus.ID
}

func newest(a, b nimbus.Invocation) int {
	return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), slices.Compare(b.ID[:], a.ID[:]))
}

func (r *records) ListInvocations(_ context.Context, q store.InvocationQuery) (nimbus.List[nimbus.Invocation], error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list nimbus.List[nimbus.Invocation]
	var after place
	if q.Page.Cursor != "" {
		if err := json.Unmarshal([]byte(q.Page.Cursor), &after); err != nil {
			return list, nimbus.WrapError(nimbus.CodeInvalid, err, "cursor")
		}
	}
	for _, record := range r.byID {
		if !after.ID.IsZero() && newest(nimbus.Invocation{ID: after.ID, CreatedAt: after.At}, record) >= 0 ||
			!q.FunctionID.IsZero() && q.FunctionID != record.FunctionID || q.Status != "" && q.Status != record.Status {
			continue
		}
		record.Input, record.Output = nil, nil
		list.Items = append(list.Items, record)
	}
	slices.SortFunc(list.Items, newest)
	if len(list.Items) > q.Page.Limit {
		list.Items = list.Items[:q.Page.Limit]
		last := list.Items[q.Page.Limit-1]
		cursor, err := json.Marshal(place{last.CreatedAt, last.ID})
		if err != nil {
			return list, err
		}
		list.Next = string(cursor)
	}
	return list, nil
}

func (r *records) Prune(_ context.Context, before time.Time, limit int) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for id, record := range r.byID {
		if n < limit && record.CreatedAt.Before(before) {
			delete(r.byID, id)
			n++
		}
	}
	return n, nil
}
