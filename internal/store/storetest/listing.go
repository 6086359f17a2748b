package storetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"nimbus"
	"nimbus/internal/store"
)

func testListFunctions(t *testing.T, s store.Control) {
	list := func(q store.FunctionQuery) func(nimbus.Page) (nimbus.List[nimbus.Function], error) {
		return func(p nimbus.Page) (nimbus.List[nimbus.Function], error) {
			q.Page = p
			return s.ListFunctions(t.Context(), q)
		}
	}
	all := store.FunctionQuery{Tenant: nimbus.DefaultTenant}
	if l := got(s.ListFunctions(t.Context(), all))(t); len(l.Items) != 0 || l.Next != "" {
		t.Errorf("an empty store lists %+v", l)
	}
	b, a, c := create(t, s, sampleFunction("b")), create(t, s, sampleFunction("A")), create(t, s, sampleFunction("C"))
	equal(t, pages(t, 2, list(all)), []nimbus.Function{*a, *b, *c})

	updated := sampleVersion(b.ID, 2)
	updated.Settings.Tags, updated.Settings.Runtime = []string{"fresh"}, "python3.13"
	must(t, s.AddVersion(t.Context(), &updated))
	for name, q := range map[string]store.FunctionQuery{
		"tags":    {Tenant: nimbus.DefaultTenant, Tags: []string{"fresh"}},
		"runtime": {Tenant: nimbus.DefaultTenant, Runtime: "python3.13"},
		"name":    {Tenant: nimbus.DefaultTenant, Name: "B"},
	} {
		if l := pages(t, 1, list(q)); len(l) != 1 || l[0].ID != b.ID || l[0].Version.Number != 2 {
			t.Errorf("by %s of the version that serves: %+v, want b alone", name, l)
		}
	}
	for name, q := range map[string]store.FunctionQuery{
		"another tenant":       {Tenant: "stranger"},
		"its namespaces":       {Tenant: "stranger", Namespaces: []string{nimbus.DefaultNamespace}},
		"tags of old versions": {Tenant: nimbus.DefaultTenant, Name: "b", Tags: []string{"a"}},
		"a pattern":            {Tenant: nimbus.DefaultTenant, Name: "%"},
		"the highest bytes":    {Tenant: nimbus.DefaultTenant, Name: "\xff\xff"},
	} {
		if l := got(s.ListFunctions(t.Context(), q))(t); len(l.Items) > 0 {
			t.Errorf("by %s: %+v, want nothing", name, l.Items)
		}
	}
	_, err := s.ListFunctions(t.Context(), store.FunctionQuery{})
	wantField(t, err, "tenant")
	refusesBadPages(t, list(all))
}

func testListFunctionsWhileWriting(t *testing.T, s store.Control) {
	for i := range 10 {
		create(t, s, sampleFunction(numbered("f", i*10)))
	}
	q := store.FunctionQuery{Tenant: nimbus.DefaultTenant, Page: nimbus.Page{Limit: 5}}
	first := got(s.ListFunctions(t.Context(), q))(t)
	must(t, s.DeleteFunction(t.Context(), first.Items[4].ID)) // the one the cursor stands on
	create(t, s, sampleFunction("f001"))
	q.Page.Cursor = first.Next
	second := got(s.ListFunctions(t.Context(), q))(t)
	var names []string
	for _, f := range second.Items {
		names = append(names, f.Name)
	}
	equal(t, names, []string{"f050", "f060", "f070", "f080", "f090"})
}

// testListFunctionsModel compares every page of random queries with what a plain filter finds. Each round
// has a tenant of its own.
func testListFunctionsModel(t *testing.T, s store.Control) {
	round := 0
	rapid.Check(t, func(r *rapid.T) {
		round++
		tenant := numbered("tenant", round)
		namespaces := []string{tenant + "-a", tenant + "-b", tenant + "-c"}
		names := rapid.StringMatching(`[aAbB_-][aAbB0-9_-]{0,2}`)
		tags := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "y", "z"}), 0, 3, rapid.ID)
		runtimes, statuses := []string{"python3.11", "nodejs20"}, []nimbus.Status{nimbus.StatusActive, nimbus.StatusInactive}

		var stored []nimbus.Function
		for range rapid.IntRange(0, 12).Draw(r, "functions") {
			f := sampleFunction(names.Draw(r, "name"))
			f.Tenant, f.Namespace = tenant, rapid.SampledFrom(namespaces).Draw(r, "namespace")
			f.Status = rapid.SampledFrom(statuses).Draw(r, "status")
			f.Version.Settings.Runtime = rapid.SampledFrom(runtimes).Draw(r, "runtime")
			f.Version.Settings.Tags = slices.Sorted(slices.Values(tags.Draw(r, "tags")))
			duplicate := slices.ContainsFunc(stored, func(o nimbus.Function) bool {
				return o.Namespace == f.Namespace && strings.EqualFold(o.Name, f.Name)
			})
			switch err := s.CreateFunction(context.Background(), f); {
			case duplicate && nimbus.CodeOf(err) != nimbus.CodeConflict, !duplicate && err != nil:
				r.Fatalf("create %s in %s: %v", f.Name, f.Namespace, err)
			case !duplicate:
				stored = append(stored, *f)
			}
		}
		q := store.FunctionQuery{
			Tenant:     tenant,
			Namespaces: rapid.SliceOfN(rapid.SampledFrom(namespaces), 0, 3).Draw(r, "of namespaces"),
			Name:       rapid.StringMatching(`[aAbB_-]{0,2}`).Draw(r, "prefix"),
			Tags:       tags.Draw(r, "all of"),
			Runtime:    rapid.SampledFrom(append(runtimes, "")).Draw(r, "of runtime"),
			Status:     rapid.SampledFrom(append(statuses, "")).Draw(r, "of status"),
		}
		got := pages(r, rapid.IntRange(1, 5).Draw(r, "limit"), func(p nimbus.Page) (nimbus.List[nimbus.Function], error) {
			q.Page = p
			return s.ListFunctions(context.Background(), q)
		})
		if d := diff(got, selectFunctions(stored, q)); d != "" {
			r.Fatalf("the store and the model differ for %s (-model +store):\n%s", fmt.Sprintf("%+v", q), d)
		}
	})
}

// selectFunctions is what ListFunctions should find, by a look at each.
func selectFunctions(all []nimbus.Function, q store.FunctionQuery) []nimbus.Function {
	var found []nimbus.Function
	for _, f := range all {
		s := f.Version.Settings
		hasTags := !slices.ContainsFunc(q.Tags, func(tag string) bool { return !slices.Contains(s.Tags, tag) })
		if (len(q.Namespaces) == 0 || slices.Contains(q.Namespaces, f.Namespace)) &&
			strings.HasPrefix(strings.ToLower(f.Name), strings.ToLower(q.Name)) && hasTags &&
			(q.Runtime == "" || q.Runtime == s.Runtime) && (q.Status == "" || q.Status == f.Status) {
			found = append(found, f)
		}
	}
	slices.SortFunc(found, func(a, b nimbus.Function) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.Namespace, b.Namespace))
	})
	return found
}
