package invoke

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"nimbus"
	"nimbus/internal/store"
)

// Flush writes the records of the calls that have ended, and returns once they are in the store.
func (s *Service) Flush(ctx context.Context) error {
	if err := s.recorder.flush(ctx); err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	return nil
}

// Get returns the record of an invocation, also of one that waits, runs, or is not written yet.
func (s *Service) Get(ctx context.Context, p nimbus.Principal, id nimbus.ID) (*nimbus.Invocation, error) {
	record, err := s.record(ctx, id)
	if err != nil {
		return nil, err
	}
	visible, err := s.sees(ctx, p, record.Namespace)
	switch {
	case err != nil:
		return nil, err
	case !visible:
		return nil, noInvocation(id)
	}
	return record, p.RequireScope(nimbus.ScopeRead)
}

// record looks where records go, in the order in which they go there.
func (s *Service) record(ctx context.Context, id nimbus.ID) (*nimbus.Invocation, error) {
	if record, ok := s.inflight.get(id); ok {
		return &record, nil
	}
	if record, ok := s.recorder.get(id); ok {
		return &record, nil
	}
	record, err := s.Records.Invocation(ctx, id)
	if nimbus.CodeOf(err) == nimbus.CodeNotFound {
		return nil, noInvocation(id)
	}
	return record, err
}

func noInvocation(id nimbus.ID) error {
	return nimbus.Errorf(nimbus.CodeNotFound, "the invocation %s was not found", id)
}

// sees reports whether a namespace is the principal's.
func (s *Service) sees(ctx context.Context, p nimbus.Principal, namespace string) (bool, error) {
	if !p.Reaches(namespace) {
		return false, nil
	}
	found, err := s.Namespaces.Namespace(ctx, namespace)
	switch {
	case nimbus.CodeOf(err) == nimbus.CodeNotFound:
		return false, nil
	case err != nil:
		return false, err
	}
	return found.Tenant == p.Tenant, nil
}

// List pages records, newest first, without inputs and outputs. Calls that wait, run, or are not written yet
// are in their places.
func (s *Service) List(ctx context.Context, p nimbus.Principal, q Query) (nimbus.List[nimbus.Invocation], error) {
	var none nimbus.List[nimbus.Invocation]
	page, err := q.Page.Checked()
	if err != nil {
		return none, err
	}
	from, err := parsePosition(page.Cursor)
	if err != nil {
		return none, err
	}
	stored := store.InvocationQuery{Status: q.Status, Since: q.Since, Until: q.Until}
	if q.Function != "" {
		found, _, err := s.find(ctx, p, nimbus.ScopeRead, q.Namespace, q.Function)
		if err != nil {
			return none, err
		}
		stored.FunctionID = found.function.ID
	} else {
		namespace := cmp.Or(q.Namespace, p.DefaultNS())
		if err := p.Require(nimbus.ScopeRead, namespace); err != nil {
			return none, err
		}
		visible, err := s.sees(ctx, p, namespace)
		if err != nil || !visible {
			return none, err // a namespace comes with its first function: no records before that
		}
		stored.Namespaces = []string{namespace}
	}
	m := merge{records: s.Records, query: stored, limit: page.Limit, from: from, memory: s.unwritten(stored, from)}
	return m.page(ctx)
}

// unwritten returns what the query selects of the records that are not in the store, from the position on.
func (s *Service) unwritten(q store.InvocationQuery, from position) []nimbus.Invocation {
	// In the order in which records go: one that moves on meanwhile is seen twice rather than never.
	all := append(s.inflight.all(), s.recorder.all()...)
	seen := make(map[nimbus.ID]int)
	selected := all[:0]
	for _, record := range all {
		if !selects(q, &record) || !from.before(&record) {
			continue
		}
		record.Input, record.Output = nil, nil
		if i, twice := seen[record.ID]; twice {
			selected[i] = record // the later state
			continue
		}
		seen[record.ID] = len(selected)
		selected = append(selected, record)
	}
	slices.SortFunc(selected, newestFirst)
	return selected
}

func selects(q store.InvocationQuery, r *nimbus.Invocation) bool {
	return (q.FunctionID.IsZero() || q.FunctionID == r.FunctionID) &&
		(len(q.Namespaces) == 0 || slices.Contains(q.Namespaces, r.Namespace)) &&
		(q.Status == "" || q.Status == r.Status) &&
		(q.Since.IsZero() || !r.CreatedAt.Before(q.Since)) &&
		(q.Until.IsZero() || r.CreatedAt.Before(q.Until))
}

// newestFirst is the order of the store.
func newestFirst(a, b nimbus.Invocation) int {
	return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), slices.Compare(b.ID[:], a.ID[:]))
}

// position is a place in a merged list: what the store needs to go on, and the last record that was shown.
type position struct {
	stored string // the store's cursor; it may lag behind
	at     time.Time
	id     nimbus.ID
}

// before reports whether the record comes after the position.
func (p position) before(r *nimbus.Invocation) bool {
	if p.id.IsZero() {
		return true
	}
	return newestFirst(nimbus.Invocation{ID: p.id, CreatedAt: p.at}, *r) < 0
}

// cursor is the position's text: microseconds, id, store's cursor.
func (p position) cursor() string {
	return strconv.FormatInt(p.at.UnixMicro(), 36) + "." + p.id.String() + "." + p.stored
}

func parsePosition(cursor string) (position, error) {
	if cursor == "" {
		return position{}, nil
	}
	at, rest, _ := strings.Cut(cursor, ".")
	id, stored, ok := strings.Cut(rest, ".")
	micros, errAt := strconv.ParseInt(at, 36, 64)
	parsed, errID := nimbus.ParseID(id)
	if !ok || errAt != nil || errID != nil {
		var v nimbus.Invalid
		v.Add("cursor", "must be the one an answer gave")
		return position{}, v.Err()
	}
	return position{stored: stored, at: time.UnixMicro(micros).UTC(), id: parsed}, nil
}

// merge makes a page of the store's records and those in memory.
type merge struct {
	records store.Records
	query   store.InvocationQuery
	limit   int
	from    position
	memory  []nimbus.Invocation // newest first, from the position on
}

func (m *merge) page(ctx context.Context) (nimbus.List[nimbus.Invocation], error) {
	for {
		m.query.Page = nimbus.Page{Limit: m.limit, Cursor: m.from.stored}
		stored, err := m.records.ListInvocations(ctx, m.query)
		if err != nil {
			return nimbus.List[nimbus.Invocation]{}, err
		}
		list, taken := m.weave(stored)
		if len(list.Items) == 0 && stored.Next != "" {
			m.from.stored = stored.Next // all of this page was shown before
			continue
		}
		if list.Next == "" {
			return list, nil
		}
		next, err := m.advance(ctx, stored, taken)
		if err != nil {
			return nimbus.List[nimbus.Invocation]{}, err
		}
		last := &list.Items[len(list.Items)-1]
		list.Next = position{stored: next, at: last.CreatedAt, id: last.ID}.cursor()
		return list, nil
	}
}

// more marks a list that has a next page.
const more = "more"

// weave merges until the page is full, and returns how many of the store's records it used up.
func (m *merge) weave(stored nimbus.List[nimbus.Invocation]) (nimbus.List[nimbus.Invocation], int) {
	var list nimbus.List[nimbus.Invocation]
	memory := without(m.memory, stored.Items)
	taken := 0
	for {
		for taken < len(stored.Items) && !m.from.before(&stored.Items[taken]) {
			taken++ // shown before it was written
		}
		haveStored := taken < len(stored.Items)
		// What is in memory and older than the store's page has its place on a later one.
		haveMemory := len(memory) > 0 && (haveStored || stored.Next == "")
		switch {
		case !haveStored && !haveMemory:
			if stored.Next != "" {
				list.Next = more
			}
			return list, taken
		case len(list.Items) == m.limit:
			list.Next = more
			return list, taken
		case haveStored && (!haveMemory || newestFirst(stored.Items[taken], memory[0]) < 0):
			list.Items = append(list.Items, stored.Items[taken])
			taken++
		default:
			list.Items = append(list.Items, memory[0])
			memory = memory[1:]
		}
	}
}

// advance returns the store's cursor after its first taken records.
func (m *merge) advance(ctx context.Context, stored nimbus.List[nimbus.Invocation], taken int) (string, error) {
	switch {
	case taken == len(stored.Items) && stored.Next != "":
		return stored.Next, nil
	case taken == 0 || stored.Next == "" && taken == len(stored.Items):
		// At the end the store gives no cursor; the page is read once more and what was shown left out.
		return m.from.stored, nil
	}
	m.query.Page = nimbus.Page{Limit: taken, Cursor: m.from.stored}
	part, err := m.records.ListInvocations(ctx, m.query)
	if err != nil {
		return "", err
	}
	return cmp.Or(part.Next, m.from.stored), nil
}

// without drops the records that others has too.
func without(records, others []nimbus.Invocation) []nimbus.Invocation {
	ids := make(map[nimbus.ID]struct{}, len(others))
	for i := range others {
		ids[others[i].ID] = struct{}{}
	}
	return slices.DeleteFunc(slices.Clone(records), func(r nimbus.Invocation) bool {
		_, twice := ids[r.ID]
		return twice
	})
}
