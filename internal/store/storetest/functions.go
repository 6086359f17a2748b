package storetest

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"nimbus"
	"nimbus/internal/store"
)

func testCreateFunction(t *testing.T, s store.Control) {
	full := create(t, s, sampleFunction("Full_Name-1"))
	bare := create(t, s, &nimbus.Function{ID: nimbus.NewID(), Tenant: nimbus.DefaultTenant,
		Namespace: nimbus.DefaultNamespace, Name: "bare", Status: nimbus.StatusActive,
		Version: nimbus.Version{Number: 1, Package: nimbus.Package{Hash: "h"}, CreatedAt: moment(0)}, CreatedAt: moment(0), UpdatedAt: moment(0)})
	bare.Version.FunctionID = bare.ID
	for _, want := range []*nimbus.Function{full, bare} {
		equal(t, got(s.Function(t.Context(), want.ID))(t), want)
		equal(t, got(s.FunctionByName(t.Context(), want.Namespace, want.Name))(t), want)
		equal(t, got(s.Version(t.Context(), want.ID, 1))(t), &want.Version)
	}
	equal(t, got(s.FunctionByName(t.Context(), "default", "fULL_nAME-1"))(t), full)
	wantTimes(t, full, got(s.Function(t.Context(), full.ID))(t), func(f *nimbus.Function) []time.Time {
		return []time.Time{f.CreatedAt, f.UpdatedAt, f.Version.CreatedAt}
	})
	_, err := s.FunctionByName(t.Context(), "default", "full_name")
	wantCode(t, err, nimbus.CodeNotFound)
	second := sampleFunction("second")
	second.Version.Number = 2
	if err := s.CreateFunction(t.Context(), second); err == nil {
		t.Error("a function was created with a first version of number 2")
	}
}

func testCreateFunctionTwice(t *testing.T, s store.Control) {
	first := create(t, s, sampleFunction("Same"))
	wantCode(t, s.CreateFunction(t.Context(), sampleFunction("sAME")), nimbus.CodeConflict)
	equal(t, got(s.FunctionByName(t.Context(), "default", "same"))(t), first)

	elsewhere := sampleFunction("same")
	elsewhere.Namespace = "other"
	create(t, s, elsewhere)
	equal(t, got(s.FunctionByName(t.Context(), "other", "same"))(t), elsewhere)

	// What is refused leaves nothing: neither its namespace nor its version.
	again := sampleFunction("another")
	again.ID, again.Namespace = first.ID, "fresh"
	wantCode(t, s.CreateFunction(t.Context(), again), nimbus.CodeConflict)
	_, err := s.Namespace(t.Context(), "fresh")
	wantCode(t, err, nimbus.CodeNotFound)
}

func testCreateFunctionConcurrently(t *testing.T, s store.Control) {
	var created, conflicts atomic.Int64
	together(16, func(i int) {
		switch err := s.CreateFunction(t.Context(), sampleFunction("f")); {
		case err == nil:
			created.Add(1)
		case nimbus.CodeOf(err) == nimbus.CodeConflict:
			conflicts.Add(1)
		default:
			t.Error(err)
		}
	})
	if created.Load() != 1 || conflicts.Load() != 15 {
		t.Errorf("%d were created and %d refused, want 1 and 15", created.Load(), conflicts.Load())
	}
}

func testNamespace(t *testing.T, s store.Control) {
	ns := got(s.Namespace(t.Context(), nimbus.DefaultNamespace))(t)
	if ns.Name != nimbus.DefaultNamespace || ns.Tenant != nimbus.DefaultTenant {
		t.Errorf("the default namespace of a new store is %+v", ns)
	}
	_, err := s.Namespace(t.Context(), "team")
	wantCode(t, err, nimbus.CodeNotFound)
	f := sampleFunction("f")
	f.Namespace = "team"
	create(t, s, f)
	equal(t, got(s.Namespace(t.Context(), "team"))(t),
		&nimbus.Namespace{Name: "team", Tenant: f.Tenant, CreatedAt: f.CreatedAt})
	must(t, s.DeleteFunction(t.Context(), f.ID))
	got(s.Namespace(t.Context(), "team"))(t)
}

func testForeignNamespace(t *testing.T, s store.Control) {
	f := sampleFunction("f")
	f.Tenant = "stranger"
	wantCode(t, s.CreateFunction(t.Context(), f), nimbus.CodeNotFound)
	_, err := s.Function(t.Context(), f.ID)
	wantCode(t, err, nimbus.CodeNotFound)
}

func testFunctionNotFound(t *testing.T, s store.Control) {
	f := create(t, s, sampleFunction("f"))
	nobody := nimbus.NewID()
	v := sampleVersion(nobody, 2)
	_, byID := s.Function(t.Context(), nobody)
	_, byName := s.FunctionByName(t.Context(), f.Namespace, "nobody")
	_, elsewhere := s.FunctionByName(t.Context(), "nowhere", f.Name)
	_, version := s.Version(t.Context(), f.ID, 2)
	for _, err := range []error{byID, byName, elsewhere, version,
		s.AddVersion(t.Context(), &v),
		s.SetStatus(t.Context(), nobody, nimbus.StatusActive, nimbus.StatusInactive, moment(0)),
		s.DeleteFunction(t.Context(), nobody),
		s.PruneVersions(t.Context(), nobody, 1),
	} {
		wantCode(t, err, nimbus.CodeNotFound)
	}
}

func testSetStatus(t *testing.T, s store.Control) {
	f := create(t, s, sampleFunction("f"))
	must(t, s.SetStatus(t.Context(), f.ID, nimbus.StatusActive, nimbus.StatusInactive, moment(9)))
	f.Status, f.UpdatedAt = nimbus.StatusInactive, moment(9)
	equal(t, got(s.Function(t.Context(), f.ID))(t), f)
	wantCode(t, s.SetStatus(t.Context(), f.ID, nimbus.StatusActive, nimbus.StatusFailed, moment(10)), nimbus.CodeConflict)
	equal(t, got(s.Function(t.Context(), f.ID))(t), f)
}

func testDeleteFunction(t *testing.T, s store.Control) {
	gone, stays := create(t, s, sampleFunction("gone")), create(t, s, sampleFunction("stays"))
	must(t, s.DeleteFunction(t.Context(), gone.ID))
	_, err := s.Function(t.Context(), gone.ID)
	wantCode(t, err, nimbus.CodeNotFound)
	_, err = s.Version(t.Context(), gone.ID, 1)
	wantCode(t, err, nimbus.CodeNotFound)
	wantCode(t, s.DeleteFunction(t.Context(), gone.ID), nimbus.CodeNotFound)
	equal(t, got(s.Function(t.Context(), stays.ID))(t), stays)
	create(t, s, sampleFunction("gone"))
}

func testAddVersion(t *testing.T, s store.Control) {
	f := create(t, s, sampleFunction("f"))
	first := f.Version
	second := sampleVersion(f.ID, 2)
	second.Settings.Tags = []string{"z"}
	must(t, s.AddVersion(t.Context(), &second))
	f.Version, f.UpdatedAt, f.StatusMessage = second, second.CreatedAt, ""
	equal(t, got(s.Function(t.Context(), f.ID))(t), f)
	equal(t, got(s.Version(t.Context(), f.ID, 1))(t), &first)
	for _, number := range []int64{-1, 0, 1, 2, 4} {
		v := sampleVersion(f.ID, number)
		wantCode(t, s.AddVersion(t.Context(), &v), nimbus.CodeConflict)
	}
	equal(t, got(s.Function(t.Context(), f.ID))(t), f)

	must(t, s.SetStatus(t.Context(), f.ID, nimbus.StatusActive, nimbus.StatusInactive, moment(9)))
	third := sampleVersion(f.ID, 3)
	must(t, s.AddVersion(t.Context(), &third))
	if status := got(s.Function(t.Context(), f.ID))(t).Status; status != nimbus.StatusInactive {
		t.Errorf("a new version made the function %s, want it still inactive", status)
	}
}

func testAddVersionConcurrently(t *testing.T, s store.Control) {
	f := create(t, s, sampleFunction("f"))
	var added atomic.Int64
	together(16, func(i int) {
		v := sampleVersion(f.ID, 2)
		v.Package.Hash = numbered("candidate", i)
		switch err := s.AddVersion(t.Context(), &v); {
		case err == nil:
			added.Add(1)
		case nimbus.CodeOf(err) != nimbus.CodeConflict:
			t.Error(err)
		}
	})
	if added.Load() != 1 {
		t.Errorf("%d updates to version 2 succeeded, want 1", added.Load())
	}
}

func testPruneVersions(t *testing.T, s store.Control) {
	f := create(t, s, sampleFunction("f"))
	for number := int64(2); number <= 7; number++ { // the even ones are published
		v := sampleVersion(f.ID, number)
		must(t, s.AddVersion(t.Context(), &v))
	}
	left := func() (numbers []int64) {
		for number := int64(1); number <= 7; number++ {
			_, err := s.Version(t.Context(), f.ID, number)
			if err == nil {
				numbers = append(numbers, number)
			} else {
				wantCode(t, err, nimbus.CodeNotFound)
			}
		}
		return numbers
	}
	for _, step := range []struct {
		keep int
		want []int64
	}{{9, []int64{1, 2, 3, 4, 5, 6, 7}}, {7, []int64{1, 2, 3, 4, 5, 6, 7}}, {4, []int64{2, 4, 5, 6, 7}}, {2, []int64{2, 4, 6, 7}}, {0, []int64{2, 4, 6, 7}}} {
		must(t, s.PruneVersions(t.Context(), f.ID, step.keep))
		if got := left(); !slices.Equal(got, step.want) {
			t.Errorf("keeping %d left %v, want %v", step.keep, got, step.want)
		}
	}
	next := sampleVersion(f.ID, 8)
	must(t, s.AddVersion(t.Context(), &next))
}

func testPackageHashes(t *testing.T, s store.Control) {
	equal(t, got(s.PackageHashes(t.Context()))(t), map[string]struct{}{})
	f, g := create(t, s, sampleFunction("f")), create(t, s, sampleFunction("g"))
	v := sampleVersion(f.ID, 2)
	must(t, s.AddVersion(t.Context(), &v))
	equal(t, got(s.PackageHashes(t.Context()))(t), map[string]struct{}{"hash001": {}, "hash002": {}, "source001": {}, "source002": {}})
	b := sampleBuild(f.ID, 3)
	must(t, s.AddBuild(t.Context(), &b, nimbus.ID{}, ""))
	if hashes := got(s.PackageHashes(t.Context()))(t); len(hashes) != 5 {
		t.Errorf("with a pending build of source003 there are %v", hashes)
	}
	must(t, s.DeleteFunction(t.Context(), f.ID))
	equal(t, got(s.PackageHashes(t.Context()))(t), map[string]struct{}{g.Version.Package.Hash: {}, g.Version.Source.Hash: {}})
}
