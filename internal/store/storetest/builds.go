package storetest

import (
	"sync/atomic"
	"testing"
	"time"

	"nimbus"
	"nimbus/internal/store"
)

// sampleBuild is a build of a version with every field set that one can have before it is made.
func sampleBuild(function nimbus.ID, number int64) nimbus.Build {
	v := sampleVersion(function, number)
	v.Package, v.Toolchain, v.Published = nimbus.Package{}, "", false
	return nimbus.Build{ID: nimbus.NewID(), Version: v}
}

// sampleBuilding is a function that is building its first version.
func sampleBuilding(name string) *nimbus.Function {
	f := sampleFunction(name)
	b := sampleBuild(f.ID, 1)
	f.Status, f.Build, f.Version = nimbus.StatusBuilding, b.ID, b.Version
	return f
}

// finished is the build with what was made of it.
func finished(b nimbus.Build, at time.Time) *nimbus.Build {
	made := sampleVersion(b.Version.FunctionID, b.Version.Number)
	b.Version.Package, b.Version.Toolchain, b.Version.CreatedAt = made.Package, made.Toolchain, at
	return &b
}

func pending(f *nimbus.Function) *nimbus.Build { return &nimbus.Build{ID: f.Build, Version: f.Version} }

func testBuilds(t *testing.T, s store.Control) {
	if all := got(s.Builds(t.Context()))(t); len(all) != 0 {
		t.Errorf("an empty store has the builds %v", all)
	}
	ready := create(t, s, sampleFunction("ready"))
	_, err := s.Build(t.Context(), ready.ID)
	wantCode(t, err, nimbus.CodeNotFound)

	f, g := sampleBuilding("f"), sampleBuilding("g")
	create(t, s, g) // asked for later, stored first
	create(t, s, f)
	equal(t, got(s.Function(t.Context(), f.ID))(t), f)
	equal(t, got(s.FunctionByName(t.Context(), f.Namespace, f.Name))(t), f)
	equal(t, got(s.Build(t.Context(), f.ID))(t), pending(f))
	equal(t, got(s.Builds(t.Context()))(t), []nimbus.Build{*pending(f), *pending(g)})
	list := got(s.ListFunctions(t.Context(), store.FunctionQuery{Tenant: f.Tenant, Status: nimbus.StatusBuilding}))(t)
	equal(t, list.Items, []nimbus.Function{*f, *g})
	_, err = s.Version(t.Context(), f.ID, 1)
	wantCode(t, err, nimbus.CodeNotFound)
	v := sampleVersion(f.ID, 1)
	wantCode(t, s.AddVersion(t.Context(), &v), nimbus.CodeConflict)

	done := finished(*pending(f), moment(20))
	must(t, s.FinishBuild(t.Context(), done))
	f.Version, f.Build, f.Status, f.StatusMessage, f.UpdatedAt = done.Version, nimbus.ID{}, nimbus.StatusActive, "", moment(20)
	equal(t, got(s.Function(t.Context(), f.ID))(t), f)
	equal(t, got(s.Version(t.Context(), f.ID, 1))(t), &done.Version)
	equal(t, got(s.Builds(t.Context()))(t), []nimbus.Build{*pending(g)})
	wantCode(t, s.FinishBuild(t.Context(), done), nimbus.CodeConflict)
	wantCode(t, s.FailBuild(t.Context(), done, "late", moment(21)), nimbus.CodeConflict)
	equal(t, got(s.Function(t.Context(), f.ID))(t), f)
	if err := s.FinishBuild(t.Context(), pending(g)); err == nil {
		t.Error("a build was finished without a package")
	}
}

func testReplaceBuild(t *testing.T, s store.Control) {
	f := create(t, s, sampleBuilding("f"))
	first := pending(f)
	second := sampleBuild(f.ID, 1)
	second.Version.Settings.Tags = []string{"newer"}
	wantCode(t, s.AddBuild(t.Context(), &second, nimbus.ID{}, ""), nimbus.CodeConflict)
	wantCode(t, s.AddBuild(t.Context(), &second, nimbus.NewID(), ""), nimbus.CodeConflict)
	equal(t, got(s.Function(t.Context(), f.ID))(t), f)

	must(t, s.AddBuild(t.Context(), &second, first.ID, "again"))
	f.Build, f.Version, f.StatusMessage, f.UpdatedAt = second.ID, second.Version, "again", second.Version.CreatedAt
	equal(t, got(s.Function(t.Context(), f.ID))(t), f)
	equal(t, got(s.Builds(t.Context()))(t), []nimbus.Build{second})
	wantCode(t, s.FinishBuild(t.Context(), finished(*first, moment(20))), nimbus.CodeConflict)
	wantCode(t, s.FailBuild(t.Context(), first, "late", moment(20)), nimbus.CodeConflict)
	equal(t, got(s.Function(t.Context(), f.ID))(t), f)
	must(t, s.FinishBuild(t.Context(), finished(second, moment(21))))
	equal(t, got(s.Function(t.Context(), f.ID))(t).Version.Settings.Tags, []string{"newer"})
}

// testBuildUpdate: until its next version is made, a function serves with the one it has.
func testBuildUpdate(t *testing.T, s store.Control) {
	f := create(t, s, sampleFunction("f"))
	for _, number := range []int64{0, 1, 3} {
		b := sampleBuild(f.ID, number)
		wantCode(t, s.AddBuild(t.Context(), &b, nimbus.ID{}, ""), nimbus.CodeConflict)
	}
	b := sampleBuild(f.ID, 2)
	must(t, s.AddBuild(t.Context(), &b, nimbus.ID{}, "version 2 is being built"))
	f.Build, f.StatusMessage, f.UpdatedAt = b.ID, "version 2 is being built", b.Version.CreatedAt
	equal(t, got(s.Function(t.Context(), f.ID))(t), f)
	_, err := s.Version(t.Context(), f.ID, 2)
	wantCode(t, err, nimbus.CodeNotFound)
	v := sampleVersion(f.ID, 2)
	wantCode(t, s.AddVersion(t.Context(), &v), nimbus.CodeConflict)

	// What serves meanwhile is left, and the build is no version to count.
	must(t, s.PruneVersions(t.Context(), f.ID, 1))
	must(t, s.SetStatus(t.Context(), f.ID, nimbus.StatusActive, nimbus.StatusInactive, moment(9)))
	f.Status, f.UpdatedAt = nimbus.StatusInactive, moment(9)
	equal(t, got(s.Function(t.Context(), f.ID))(t), f)
	equal(t, got(s.Build(t.Context(), f.ID))(t), &b)

	done := finished(b, moment(20))
	must(t, s.FinishBuild(t.Context(), done))
	f.Version, f.Build, f.StatusMessage, f.UpdatedAt = done.Version, nimbus.ID{}, "", moment(20)
	equal(t, got(s.Function(t.Context(), f.ID))(t), f)
	next := sampleVersion(f.ID, 3)
	must(t, s.AddVersion(t.Context(), &next))
}

func testFailBuild(t *testing.T, s store.Control) {
	f := create(t, s, sampleBuilding("f"))
	must(t, s.FailBuild(t.Context(), pending(f), "main.go:3:1: no", moment(20)))
	f.Build, f.Status, f.StatusMessage, f.UpdatedAt = nimbus.ID{}, nimbus.StatusFailed, "main.go:3:1: no", moment(20)
	equal(t, got(s.Function(t.Context(), f.ID))(t), f)
	_, err := s.Version(t.Context(), f.ID, 1)
	wantCode(t, err, nimbus.CodeNotFound)

	again := sampleBuild(f.ID, 1)
	must(t, s.AddBuild(t.Context(), &again, nimbus.ID{}, "building"))
	if status := got(s.Function(t.Context(), f.ID))(t).Status; status != nimbus.StatusBuilding {
		t.Errorf("a failed function that is built again is %s", status)
	}
	must(t, s.FinishBuild(t.Context(), finished(again, moment(21))))
	update := sampleBuild(f.ID, 2)
	must(t, s.AddBuild(t.Context(), &update, nimbus.ID{}, "building"))
	must(t, s.FailBuild(t.Context(), &update, "version 2 could not be built", moment(22)))
	now := got(s.Function(t.Context(), f.ID))(t)
	if now.Status != nimbus.StatusActive || now.StatusMessage != "version 2 could not be built" || now.Version.Number != 1 || !now.Build.IsZero() {
		t.Errorf("after an update that failed: %+v", now)
	}
	v := sampleVersion(f.ID, 2)
	must(t, s.AddVersion(t.Context(), &v))
	if message := got(s.Function(t.Context(), f.ID))(t).StatusMessage; message != "" {
		t.Errorf("a success left the message %q", message)
	}
}

func testDeleteBuilding(t *testing.T, s store.Control) {
	f := create(t, s, sampleBuilding("f"))
	b := pending(f)
	must(t, s.DeleteFunction(t.Context(), f.ID))
	if left := got(s.Builds(t.Context()))(t); len(left) != 0 {
		t.Errorf("a deleted function left %v", left)
	}
	equal(t, got(s.PackageHashes(t.Context()))(t), map[string]struct{}{})
	wantCode(t, s.FinishBuild(t.Context(), finished(*b, moment(20))), nimbus.CodeConflict)
	wantCode(t, s.FailBuild(t.Context(), b, "late", moment(20)), nimbus.CodeConflict)
	wantCode(t, s.AddBuild(t.Context(), b, nimbus.ID{}, ""), nimbus.CodeNotFound)
}

// testBuildsConcurrently: of all that happens to a function at once, one is first, and the others are told.
func testBuildsConcurrently(t *testing.T, s store.Control) {
	f := create(t, s, sampleFunction("f"))
	var won atomic.Int64
	together(16, func(i int) {
		var err error
		if i%2 == 0 {
			b := sampleBuild(f.ID, 2)
			err = s.AddBuild(t.Context(), &b, nimbus.ID{}, "")
		} else {
			v := sampleVersion(f.ID, 2)
			err = s.AddVersion(t.Context(), &v)
		}
		switch {
		case err == nil:
			won.Add(1)
		case nimbus.CodeOf(err) != nimbus.CodeConflict:
			t.Error(err)
		}
	})
	if won.Load() != 1 {
		t.Errorf("%d changes to version 2 succeeded, want 1", won.Load())
	}
}
