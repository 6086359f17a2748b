package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"nimbus"
	"nimbus/internal/store"
)

// Control is the suite of store.Control. open returns an empty store and closes it when the test ends.
func Control(t *testing.T, open func(t *testing.T) store.Control) {
	for name, test := range map[string]func(*testing.T, store.Control){
		"create function":              testCreateFunction,
		"create function twice":        testCreateFunctionTwice,
		"create function concurrently": testCreateFunctionConcurrently,
		"namespace":                    testNamespace,
		"namespace of another tenant":  testForeignNamespace,
		"function not found":           testFunctionNotFound,
		"set status":                   testSetStatus,
		"delete function":              testDeleteFunction,
		"add version":                  testAddVersion,
		"add version concurrently":     testAddVersionConcurrently,
		"prune versions":               testPruneVersions,
		"package hashes":               testPackageHashes,
		"builds":                       testBuilds,
		"build replaced":               testReplaceBuild,
		"build of an active function":  testBuildUpdate,
		"build failed":                 testFailBuild,
		"build deleted":                testDeleteBuilding,
		"builds concurrently":          testBuildsConcurrently,
		"list functions":               testListFunctions,
		"list functions while writing": testListFunctionsWhileWriting,
		"list functions as a model":    testListFunctionsModel,
		"active functions":             testActiveFunctions,
		"API keys":                     testAPIKeys,
		"list API keys":                testListAPIKeys,
		"cancelled":                    testControlCancelled,
		"cancelled at any moment":      testControlCancelledAnytime,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// sampleVersion is a version with every field set.
func sampleVersion(function nimbus.ID, number int64) nimbus.Version {
	return nimbus.Version{
		FunctionID: function, Number: number, Published: number%2 == 0,
		Package: nimbus.Package{Hash: numbered("hash", int(number)), Size: 1 << 40, Inline: "handler.py"},
		Source:  nimbus.Package{Hash: numbered("source", int(number)), Size: 1 << 41, Inline: "main.go"}, Toolchain: "go1.26.8",
		Settings: nimbus.Settings{
			Description: "says “hé” \x00 to\neveryone", Runtime: "python3.11", Handler: "handler.handle",
			Memory: 10 * nimbus.GiB, Timeout: 1500 * time.Millisecond, Env: map[string]string{"A": "1", "ключ": "значение", "EMPTY": ""},
			Tags: []string{"a", "b", "ü"}, MaxConcurrency: 7, IdleTimeout: 90 * time.Second, CPUMilli: 1500,
			Tmp: 512 * nimbus.MiB, Driver: "sandbox", Capture: nimbus.CaptureErrors, EventFormat: nimbus.EventFormatRaw,
			MinInstances: 3, InstanceConcurrency: 10,
		},
		CreatedAt: moment(int(number)),
	}
}

// sampleFunction is a function in the default namespace with every field set.
func sampleFunction(name string) *nimbus.Function {
	id := nimbus.NewID()
	return &nimbus.Function{
		ID: id, Tenant: nimbus.DefaultTenant, Namespace: nimbus.DefaultNamespace, Name: name,
		Status: nimbus.StatusActive, StatusMessage: "fine", Version: sampleVersion(id, 1),
		CreatedAt: moment(1), UpdatedAt: moment(2),
	}
}

func create(t testing.TB, s store.Control, f *nimbus.Function) *nimbus.Function {
	t.Helper()
	must(t, s.CreateFunction(t.Context(), f))
	return f
}

func testControlCancelled(t *testing.T, s store.Control) {
	f := create(t, s, sampleFunction("f"))
	v := sampleVersion(f.ID, 2)
	key := sampleKey("k")
	b := sampleBuild(f.ID, 2)
	refusesCancelled(t, map[string]func(ctx context.Context) error{
		"CreateFunction": func(ctx context.Context) error { return s.CreateFunction(ctx, sampleFunction("g")) },
		"AddVersion":     func(ctx context.Context) error { return s.AddVersion(ctx, &v) },
		"SetStatus": func(ctx context.Context) error {
			return s.SetStatus(ctx, f.ID, nimbus.StatusActive, nimbus.StatusInactive, moment(3))
		},
		"Function":       func(ctx context.Context) error { _, err := s.Function(ctx, f.ID); return err },
		"FunctionByName": func(ctx context.Context) error { _, err := s.FunctionByName(ctx, f.Namespace, "f"); return err },
		"ListFunctions": func(ctx context.Context) error {
			_, err := s.ListFunctions(ctx, store.FunctionQuery{Tenant: f.Tenant})
			return err
		},
		"DeleteFunction": func(ctx context.Context) error { return s.DeleteFunction(ctx, f.ID) },
		"Version":        func(ctx context.Context) error { _, err := s.Version(ctx, f.ID, 1); return err },
		"PruneVersions":  func(ctx context.Context) error { return s.PruneVersions(ctx, f.ID, 1) },
		"ActiveFunctions": func(ctx context.Context) error {
			_, err := s.ActiveFunctions(ctx, nimbus.ID{}, 1)
			return err
		},
		"PackageHashes": func(ctx context.Context) error { _, err := s.PackageHashes(ctx); return err },
		"AddBuild":      func(ctx context.Context) error { return s.AddBuild(ctx, &b, nimbus.ID{}, "") },
		"Build":         func(ctx context.Context) error { _, err := s.Build(ctx, f.ID); return err },
		"Builds":        func(ctx context.Context) error { _, err := s.Builds(ctx); return err },
		"FinishBuild": func(ctx context.Context) error {
			return s.FinishBuild(ctx, &nimbus.Build{ID: b.ID, Version: v})
		},
		"FailBuild":    func(ctx context.Context) error { return s.FailBuild(ctx, &b, "", moment(3)) },
		"Namespace":    func(ctx context.Context) error { _, err := s.Namespace(ctx, f.Namespace); return err },
		"CreateAPIKey": func(ctx context.Context) error { return s.CreateAPIKey(ctx, key) },
		"APIKey":       func(ctx context.Context) error { _, err := s.APIKey(ctx, key.ID); return err },
		"ListAPIKeys": func(ctx context.Context) error {
			_, err := s.ListAPIKeys(ctx, key.Tenant, nimbus.Page{})
			return err
		},
		"DeleteAPIKey": func(ctx context.Context) error { return s.DeleteAPIKey(ctx, key.Tenant, key.ID) },
		"HasAPIKeys":   func(ctx context.Context) error { _, err := s.HasAPIKeys(ctx); return err },
	})
	equal(t, got(s.Function(t.Context(), f.ID))(t), f)
	if got(s.HasAPIKeys(t.Context()))(t) {
		t.Error("a cancelled CreateAPIKey stored a key")
	}
}

// testControlCancelledAnytime: a caller that leaves in the middle is told that it left, nothing else, and
// what it did holds or does not, as it was told.
func testControlCancelledAnytime(t *testing.T, s store.Control) {
	for i := range 30 {
		create(t, s, sampleFunction(numbered("f", i)))
	}
	together(64, func(i int) {
		ctx, cancel := context.WithCancel(t.Context())
		f := sampleFunction(numbered("g", i))
		leave := time.AfterFunc(time.Duration(i)*20*time.Microsecond, cancel)
		defer leave.Stop()
		_, listErr := s.ListFunctions(ctx, store.FunctionQuery{Tenant: f.Tenant})
		createErr := s.CreateFunction(ctx, f)
		for _, err := range []error{listErr, createErr} {
			if err != nil && (!errors.Is(err, context.Canceled) || nimbus.CodeOf(err) != nimbus.CodeUnavailable) {
				t.Errorf("a call that was left: %v, want code %s and context.Canceled", err, nimbus.CodeUnavailable)
			}
		}
		if _, err := s.Function(t.Context(), f.ID); (err == nil) != (createErr == nil) {
			t.Errorf("CreateFunction said %v, but Function says %v", createErr, err)
		}
	})
}
