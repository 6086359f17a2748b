package function

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"nimbus"
	"nimbus/internal/driver"
)

func TestCreateWithDefaults(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	before := time.Now().Truncate(time.Microsecond)
	f, err := b.Create(t.Context(), owner(), "", "hello", text(echo))
	if err != nil {
		t.Fatal(err)
	}
	if f.CreatedAt.Before(before) || !f.UpdatedAt.Equal(f.CreatedAt) {
		t.Errorf("created at %v, updated at %v", f.CreatedAt, f.UpdatedAt)
	}
	want := &nimbus.Function{
		ID: f.ID, Tenant: "default", Namespace: "default", Name: "hello", Status: nimbus.StatusActive,
		CreatedAt: f.CreatedAt, UpdatedAt: f.CreatedAt,
		Version: nimbus.Version{
			FunctionID: f.ID, Number: 1, CreatedAt: f.CreatedAt,
			Package: nimbus.Package{Hash: f.Version.Package.Hash, Size: f.Version.Package.Size, Inline: "handler.py"},
			Settings: nimbus.Settings{
				Runtime: "python3.11", Handler: "handler.handle", Memory: 256 * nimbus.MiB, Timeout: 30 * time.Second,
				Tmp: 512 * nimbus.MiB, Driver: "sandbox", Capture: nimbus.CaptureErrors, EventFormat: nimbus.EventFormatV2,
			},
		},
	}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	for _, ref := range []Ref{byID(f), {Function: "hello"}, {Function: "HELLO", Namespace: "default"}} {
		got, err := b.Get(t.Context(), owner(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(f, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("stored (-created +got):\n%s", diff)
		}
		if code, err := b.Code(t.Context(), owner(), ref); err != nil || code != echo {
			t.Errorf("code = %q, %v", code, err)
		}
	}
	if ids := b.routes.take(); !slices.Equal(ids, []nimbus.ID{f.ID}) {
		t.Errorf("routes were told %v", ids)
	}
}

func TestCreateFromZip(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	handler := "src/app.run"
	f := b.create(t, "zipped", Input{Archive: zipOf(t, "src/app.py", "def run(e): pass", "data.json", "{}"), Handler: &handler})
	if f.Version.Package.Inline != "" || f.Version.Settings.Runtime != "python3.11" {
		t.Errorf("created %+v", f.Version)
	}
	if code, err := b.Code(t.Context(), owner(), byID(f)); err != nil || code != "" {
		t.Errorf("code = %q, %v", code, err)
	}
	tree, err := b.packages.Tree(t.Context(), f.Version.Package)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Stat(tree, "data.json"); err != nil {
		t.Error(err)
	}
}

func TestRuntimeAndHandler(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	none := ""
	for name, c := range map[string]struct {
		runtime, handler *string
		code             string
		wantRuntime      string
		wantHandler      string
	}{
		"inferred":         {nil, nil, "def lambda_handler(e, c): pass", "python3.11", "handler.lambda_handler"},
		"inferred by name": {&none, &none, echo, "python3.11", "handler.handle"},
		"alias":            {ptr("python3"), nil, echo, "python3.11", "handler.handle"},
		"older":            {ptr("python3.9"), nil, echo, "python3.9", "handler.handle"},
		"own handler":      {nil, ptr("main.run"), "def run(e): pass", "python3.11", "main.run"},
		"package handler":  {nil, ptr("pkg/main.run"), "def run(e): pass", "python3.11", "pkg/main.run"},
		"by convention":    {ptr("python3"), nil, "exec('def handle(e): pass')", "python3.11", "handler.handle"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := b.Create(t.Context(), owner(), "", "f-"+strings.ReplaceAll(name, " ", "-"),
				Input{Code: &c.code, Runtime: c.runtime, Handler: c.handler})
			if err != nil {
				t.Fatal(err)
			}
			if s := f.Version.Settings; s.Runtime != c.wantRuntime || s.Handler != c.wantHandler {
				t.Errorf("runtime %s, handler %s; want %s, %s", s.Runtime, s.Handler, c.wantRuntime, c.wantHandler)
			}
			if code, err := b.Code(t.Context(), owner(), byID(f)); err != nil || code != c.code {
				t.Errorf("code = %q, %v", code, err)
			}
		})
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.create(t, "taken", text(echo))
	blobs := b.blobCount(t)
	for name, c := range map[string]struct {
		function string
		in       Input
		code     nimbus.Code
		want     string
	}{
		"a taken name":             {"taken", text(echo), nimbus.CodeConflict, `"taken" is there already`},
		"a name of another case":   {"TAKEN", text(echo), nimbus.CodeConflict, `"taken" is there already`},
		"no code":                  {"f", Input{}, nimbus.CodeInvalid, "code: is required"},
		"empty code":               {"f", text(" \n"), nimbus.CodeInvalid, "code: must not be empty"},
		"a status":                 {"f", Input{Code: ptr(echo), Status: ptr(nimbus.StatusActive)}, nimbus.CodeInvalid, "status:"},
		"no handler in the code":   {"f", text("x = 1\n"), nimbus.CodeInvalid, "handler: can't be inferred"},
		"a handler that's missing": {"f", Input{Archive: zipOf(t, "app.py", echo), Handler: ptr("main.handle")}, nimbus.CodeInvalid, "has app.py"},
		"an unknown runtime":       {"f", Input{Code: ptr(echo), Runtime: ptr("ruby3")}, nimbus.CodeInvalid, "there is python3.11, python3.9"},
		"an unknown driver":        {"f", Input{Code: ptr(echo), Driver: ptr("docker")}, nimbus.CodeInvalid, `driver: there is no driver "docker" here; there is broken, sandbox`},
		"a driver that can't run":  {"f", Input{Code: ptr(echo), Driver: ptr("broken")}, nimbus.CodeInvalid, "no user namespaces"},
		"text over its bound":      {"f", text(strings.Repeat("#", 512<<10+1)), nimbus.CodeTooLarge, "524288 bytes"},
		"no zip":                   {"f", Input{Archive: strings.NewReader("x")}, nimbus.CodeInvalid, "no zip archive"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.Create(t.Context(), owner(), "", c.function, c.in)
			wantCode(t, err, c.code)
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want …%s…", err, c.want)
			}
		})
	}
	if n := b.blobCount(t); n != blobs {
		t.Errorf("%d packages were left behind", n-blobs)
	}
	if ids := b.routes.take(); len(ids) != 0 {
		t.Errorf("routes were told of %v", ids)
	}
}

func TestUnhealthyDefaultDriver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.create(t, "before", text(echo))
	b.driver.report = driver.Report{Reason: "not root"}
	_, err := b.Create(t.Context(), owner(), "", "after", text(echo))
	wantCode(t, err, nimbus.CodeInvalid)
	if !strings.Contains(err.Error(), "not root") {
		t.Errorf("error = %v", err)
	}
	b.update(t, f, Input{Description: ptr("what exists can still be changed")})
}

func TestList(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, name := range []string{"b", "a", "C", "ab"} {
		b.create(t, name, Input{Code: ptr(echo), Tags: []string{"all", "of-" + name}})
	}
	if _, err := b.Create(t.Context(), owner(), "other", "z", text(echo)); err != nil {
		t.Fatal(err)
	}
	names := func(q Query) string {
		t.Helper()
		list, err := b.List(t.Context(), owner(), q)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range list.Items {
			names = append(names, f.Name)
		}
		return strings.Join(names, " ")
	}
	for want, q := range map[string]Query{
		"a ab b C": {}, "a ab": {Name: "A"}, "b": {Tags: []string{"all", "of-b"}}, "z": {Namespace: "other"},
		"": {Runtime: "python3.9"},
	} {
		if got := names(q); got != want {
			t.Errorf("List(%+v) = %q, want %q", q, got, want)
		}
	}
	if got := names(Query{Runtime: "python3"}); got != "a ab b C" {
		t.Errorf("by the runtime's alias: %q", got)
	}
	page, err := b.List(t.Context(), owner(), Query{Page: nimbus.Page{Limit: 3}})
	if err != nil || len(page.Items) != 3 || page.Next == "" {
		t.Fatalf("first page: %d items, next %q, %v", len(page.Items), page.Next, err)
	}
	if got := names(Query{Page: nimbus.Page{Limit: 3, Cursor: page.Next}}); got != "C" {
		t.Errorf("second page: %q", got)
	}
	for field, q := range map[string]Query{
		"limit": {Page: nimbus.Page{Limit: 101}}, "status": {Status: "odd"}, "cursor": {Page: nimbus.Page{Cursor: "!"}},
	} {
		_, err := b.List(t.Context(), owner(), q)
		if got := fields(err); !slices.Equal(got, []string{field}) {
			t.Errorf("at fault: %v, %v; want %s", got, err, field)
		}
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.create(t, "gone", text(echo))
	if err := b.Delete(t.Context(), owner(), Ref{Function: "Gone"}); err != nil {
		t.Fatal(err)
	}
	if ids := b.routes.take(); !slices.Equal(ids, []nimbus.ID{f.ID}) {
		t.Errorf("routes were told %v", ids)
	}
	for _, ref := range []Ref{byID(f), {Function: "gone"}} {
		wantCode(t, b.Delete(t.Context(), owner(), ref), nimbus.CodeNotFound)
		_, err := b.Get(t.Context(), owner(), ref)
		wantCode(t, err, nimbus.CodeNotFound)
	}
	if err := b.CollectGarbage(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := b.blobCount(t); n != 0 {
		t.Errorf("%d packages were left behind", n)
	}
}

func TestCollectGarbageKeepsWhatServes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.create(t, "kept", text(echo))
	b.update(t, f, text(echo+"# 2\n"))
	if err := b.CollectGarbage(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := b.blobCount(t); n != 2 {
		t.Errorf("there are %d packages, want those of both versions", n)
	}
	if code, err := b.Code(t.Context(), owner(), byID(f)); err != nil || code != echo+"# 2\n" {
		t.Errorf("code = %q, %v", code, err)
	}
}

func TestRunCollectsUntilItIsStopped(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.create(t, "gone", text(echo))
	if err := b.Delete(t.Context(), owner(), byID(f)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	packages := &collectOnce{Packages: b.packages, done: cancel}
	b.packages = packages
	if err := b.Run(ctx); err != nil {
		t.Errorf("Run = %v", err)
	}
	if packages.err != nil || b.blobCount(t) != 0 {
		t.Errorf("collecting gave %v and left %d packages", packages.err, b.blobCount(t))
	}
}

// collectOnce ends its caller after the first collection.
type collectOnce struct {
	Packages
	done context.CancelFunc
	err  error
}

func (c *collectOnce) Collect(ctx context.Context, keep map[string]struct{}) error {
	defer c.done()
	c.err = c.Packages.Collect(ctx, keep)
	return c.err
}
