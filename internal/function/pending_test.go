package function

import (
	"context"
	"testing"

	"nimbus"
	"nimbus/internal/build"
	"nimbus/internal/runtime"
)

// TestPendingBuildsAreBounded: over the bound nothing is stored, and what serves serves on.
func TestPendingBuildsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	stop := b.work(t)
	serving := b.create(t, "serving", goText("1"))
	python := b.create(t, "python", text(echo))
	stop()
	b.Service = b.service()
	b.queue.bounds = bounds{all: 9, namespace: 2}
	first := b.async(t, "first", goText("2"))
	b.async(t, "second", goText("3"))

	refused := func(err error) {
		t.Helper()
		wantCode(t, err, nimbus.CodeTooManyRequests)
	}
	packages := b.blobCount(t)
	fresh, changed := goText("4"), goText("5")
	fresh.Async, changed.Async = true, true
	_, err := b.Create(t.Context(), owner(), "", "third", fresh)
	refused(err)
	_, err = b.Get(t.Context(), owner(), Ref{Function: "third"})
	wantCode(t, err, nimbus.CodeNotFound)
	_, err = b.Update(t.Context(), owner(), byID(serving), changed)
	refused(err)
	if got := b.get(t, serving.ID); got.Version.Number != 1 || got.Status != nimbus.StatusActive || got.StatusMessage != "" || !got.Build.IsZero() {
		t.Errorf("an update that was refused left %+v", got)
	}
	if err := b.CollectGarbage(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := b.blobCount(t); n != packages {
		t.Errorf("%d packages are stored, want %d", n, packages)
	}

	// What adds no build is done: an update of what waits, one without compiling, a build in another namespace.
	in := goText("6")
	in.Async = true
	b.update(t, first, in)
	b.update(t, python, text(echo+"# changed\n"))
	if _, err := b.Create(t.Context(), owner(), "other", "f", in); err != nil {
		t.Errorf("another namespace is refused: %v", err)
	}
	if err := b.Delete(t.Context(), owner(), Ref{Function: "second"}); err != nil {
		t.Fatal(err)
	}
	b.async(t, "third", goText("4"))
}

// TestModulesDoNotWaitForPrograms: while one is being built and others wait, also of an earlier process, a module is
// built.
func TestModulesDoNotWaitForPrograms(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	module := func() Input { return Input{Archive: zipOf(t, "handler.wasm", "\x00asm\x01\x00\x00\x00"), Async: true} }
	left := b.async(t, "program-1", goText("1"))
	b.async(t, "program-2", goText("2"))
	resumed := b.create(t, "module-1", module())

	next := b.restarted()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	next.compiler.set(func(run context.Context, r build.Request, _ func(string)) error {
		if r.Runtime.Language == runtime.Go {
			select { // for as long as the test
			case <-ctx.Done():
			case <-run.Done():
			}
		}
		return run.Err()
	})
	next.work(t)
	next.settled(t, resumed.ID)
	second := next.create(t, "module-2", module())
	next.settled(t, second.ID)
	for _, id := range []nimbus.ID{resumed.ID, second.ID} {
		if f := next.get(t, id); f.Status != nimbus.StatusActive {
			t.Errorf("a module came to %+v", f)
		}
	}
	if f := next.get(t, left.ID); f.Status != nimbus.StatusBuilding {
		t.Errorf("the program came to %+v", f)
	}
}
