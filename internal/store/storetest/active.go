package storetest

import (
	"bytes"
	"slices"
	"testing"

	"nimbus"
	"nimbus/internal/store"
)

// testActiveFunctions wants every function that takes calls, whosever it is, each once over all pages.
func testActiveFunctions(t *testing.T, s store.Control) {
	if found := got(s.ActiveFunctions(t.Context(), nimbus.ID{}, 10))(t); len(found) != 0 {
		t.Errorf("an empty store has %d active functions", len(found))
	}
	var want []nimbus.Function
	for i := range 7 {
		f := sampleFunction(numbered("f", i))
		if i == 3 {
			f.Tenant, f.Namespace = "other", "others"
		}
		f.Status = nimbus.StatusActive
		create(t, s, f)
		if i == 5 {
			if err := s.SetStatus(t.Context(), f.ID, nimbus.StatusActive, nimbus.StatusInactive, moment(1)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		f.Version.Settings.Tags = nil
		want = append(want, *f)
	}
	slices.SortFunc(want, func(a, b nimbus.Function) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	var all []nimbus.Function
	var after nimbus.ID
	for page := got(s.ActiveFunctions(t.Context(), after, 4))(t); len(page) > 0; page = got(s.ActiveFunctions(t.Context(), after, 4))(t) {
		if len(page) > 4 {
			t.Fatalf("a page of 4 has %d", len(page))
		}
		all = append(all, page...)
		after = page[len(page)-1].ID
	}
	equal(t, all, want)
}
