package invoke

import (
	"context"
	"encoding/binary"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nimbus"
	"nimbus/internal/store"
)

// written is the part of store.Records that lists need, over records that are sorted newest first. Its
// cursor is the id of the last record of a page.
type written struct {
	store.Records
	records []nimbus.Invocation
}

func (w *written) ListInvocations(_ context.Context, q store.InvocationQuery) (nimbus.List[nimbus.Invocation], error) {
	var list nimbus.List[nimbus.Invocation]
	after, _ := strconv.ParseUint(q.Page.Cursor, 10, 64)
	for _, r := range w.records {
		n := numberOf(r.ID)
		if after > 0 && n >= after {
			continue
		}
		if len(list.Items) == q.Page.Limit {
			list.Next = strconv.FormatUint(numberOf(list.Items[q.Page.Limit-1].ID), 10)
			break
		}
		list.Items = append(list.Items, r)
	}
	return list, nil
}

func numberOf(id nimbus.ID) uint64 { return binary.BigEndian.Uint64(id[8:]) }

// Whatever part of the records is written when, in whatever order, the pages of a list show each once, newest
// first.
func TestMergedPagesShowEachRecordOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &written{}
		var all, memory []nimbus.Invocation
		for i := range rapid.IntRange(0, 25).Draw(t, "records") {
			r := nimbus.Invocation{CreatedAt: time.UnixMicro(int64(i/3) + 1).UTC()} // some in the same moment
			binary.BigEndian.PutUint64(r.ID[8:], uint64(i+1))
			all = append(all, r)
			switch rapid.IntRange(0, 2).Draw(t, "where") {
			case 0:
				w.records = append(w.records, r)
			case 1:
				memory = append(memory, r)
			default: // caught between the two
				w.records = append(w.records, r)
				memory = append(memory, r)
			}
		}
		limit := rapid.IntRange(1, 6).Draw(t, "limit")
		slices.SortFunc(all, newestFirst)
		var got []nimbus.Invocation
		var from position
		for pages := 0; ; pages++ {
			if pages > 60 {
				t.Fatal("the pages have no end")
			}
			slices.SortFunc(w.records, newestFirst)
			m := merge{records: w, limit: limit, from: from}
			for _, r := range memory {
				if from.before(&r) {
					m.memory = append(m.memory, r)
				}
			}
			slices.SortFunc(m.memory, newestFirst)
			list, err := m.page(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(list.Items) > limit {
				t.Fatalf("a page has %d items", len(list.Items))
			}
			got = append(got, list.Items...)
			if list.Next == "" {
				break
			}
			if from, err = parsePosition(list.Next); err != nil {
				t.Fatal(err)
			}
			// Some of what was in memory is written before the next page is asked for.
			memory = slices.DeleteFunc(memory, func(r nimbus.Invocation) bool {
				if !rapid.Bool().Draw(t, "write") {
					return false
				}
				if !slices.ContainsFunc(w.records, func(o nimbus.Invocation) bool { return o.ID == r.ID }) {
					w.records = append(w.records, r)
				}
				return true
			})
		}
		if !slices.EqualFunc(got, all, func(a, b nimbus.Invocation) bool { return a.ID == b.ID }) {
			t.Fatalf("got %d records, want %d", len(got), len(all))
		}
	})
}
