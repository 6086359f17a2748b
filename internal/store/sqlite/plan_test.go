package sqlite

import (
	"strings"
	"testing"

	"nimbus"
	"nimbus/internal/store"
)

// TestQueryPlans: every page is read along an index, in the index's order. A scan or a sort would make the
// last page of ten thousand functions dearer than the first.
func TestQueryPlans(t *testing.T) {
	t.Parallel()
	s := open(t)
	name, moment := nameKey{folded: "m", namespace: "n"}, timeKey{us: 1000, id: nimbus.NewID()}
	functions := func(q store.FunctionQuery, namespace string, after nameKey) plan {
		query, args := functionsQuery(q, namespace, after, 50)
		return plan{s.control.file, query, args}
	}
	records := func(q store.InvocationQuery, namespace string, before timeKey) plan {
		query, args := recordsQuery(q, namespace, before, 50)
		return plan{s.records.file, query, args}
	}
	everything := store.FunctionQuery{Tenant: "t", Name: "m", Tags: []string{"a", "b"}, Runtime: "r", Status: "s"}
	of := nimbus.NewID()
	spanAt := func(from, to int64) store.InvocationQuery {
		return store.InvocationQuery{Since: fromMicros(from), Until: fromMicros(to), Status: "s"}
	}
	for _, test := range []struct {
		plan plan
		want string
	}{
		{functions(store.FunctionQuery{Tenant: "t"}, "n", nameKey{}), "functions_by_name (namespace=?)"},
		{functions(store.FunctionQuery{Tenant: "t"}, "n", name), "functions_by_name (namespace=? AND name_folded>?)"},
		{functions(everything, "n", nameKey{}), "functions_by_name (namespace=? AND name_folded>? AND name_folded<?)"},
		{functions(everything, "n", name), "functions_by_name (namespace=? AND name_folded>? AND name_folded<?)"},
		{functions(store.FunctionQuery{Tenant: "t"}, "", nameKey{}), "functions_by_tenant (tenant=?)"},
		{functions(store.FunctionQuery{Tenant: "t"}, "", name), "functions_by_tenant (tenant=? AND (name_folded,namespace)>(?,?))"},
		{functions(everything, "", name), "functions_by_tenant (tenant=? AND (name_folded,namespace)>(?,?) AND name_folded<?)"},
		{records(store.InvocationQuery{}, "n", timeKey{}), "invocations_by_namespace (namespace=?)"},
		{records(store.InvocationQuery{}, "n", moment), "invocations_by_namespace (namespace=? AND (created_at,id)<(?,?))"},
		{records(spanAt(10, 500), "n", moment), "invocations_by_namespace (namespace=? AND created_at>? AND created_at<?)"},
		{records(spanAt(10, 2000), "n", moment), "invocations_by_namespace (namespace=? AND created_at>? AND (created_at,id)<(?,?))"},
		{records(store.InvocationQuery{FunctionID: of}, "", moment), "invocations_by_function (function_id=? AND (created_at,id)<(?,?))"},
		{records(store.InvocationQuery{FunctionID: of}, "n", moment), "invocations_by_function (function_id=? AND (created_at,id)<(?,?))"},
	} {
		test.plan.check(t, test.want)
	}
}

type plan struct {
	file  *file
	query string
	args  []any
}

func (p plan) check(t *testing.T, want string) {
	t.Helper()
	rows, err := p.file.reader.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+p.query, p.args...)
	must(t, err)
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		must(t, rows.Scan(&id, &parent, &unused, &detail))
		steps = append(steps, detail)
	}
	must(t, rows.Err())
	text := strings.Join(steps, "\n")
	if !strings.Contains(text, want) || strings.Contains(text, "SCAN") || strings.Contains(text, "TEMP B-TREE") {
		t.Errorf("want a search by %s, neither scan nor sort:\n%s\n%s", want, p.query, text)
	}
}
