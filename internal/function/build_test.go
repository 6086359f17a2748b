package function

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nimbus"
	"nimbus/internal/build"
	"nimbus/internal/testenv"
)

var syntaxError = &build.CompileError{Message: "./main.go:3:1: syntax error: unexpected }"}

func TestCreateBuilds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.work(t)
	b.compiler.set(func(_ context.Context, _ build.Request, progress func(string)) error {
		progress("go: downloading example.org/x v1.0.0")
		return nil
	})
	f, err := b.Create(t.Context(), owner(), "", "f", goText("1"))
	if err != nil {
		t.Fatal(err)
	}
	v := f.Version
	if f.Status != nimbus.StatusActive || f.StatusMessage != "" || !f.Build.IsZero() || v.Number != 1 || v.Toolchain != "go1.26.8" ||
		v.Source.Inline != "main.go" || v.Package == v.Source || v.Settings.Runtime != "go1.26" || v.Settings.Handler != "main" {
		t.Errorf("it came to %+v", f)
	}
	if code, err := b.Code(t.Context(), owner(), byID(f)); err != nil || !strings.HasPrefix(code, "package main") {
		t.Errorf("its code is %q, %v", code, err)
	}
	log := b.printed.text()
	if !strings.HasPrefix(log, "platform go: downloading example.org/x v1.0.0\nplatform version 1 was built in ") {
		t.Errorf("it logged %q", log)
	}

	// What needs no new code is not compiled again; what changes it is.
	same := b.update(t, f, goText("1"))
	larger := b.update(t, f, Input{MemoryMB: ptr(int64(512))})
	again := b.update(t, f, Input{Runtime: ptr("go1.26"), Handler: ptr("main"), MinInstances: ptr(1)})
	if same.Version.Number != 1 || larger.Version.Number != 2 || again.Version.Number != 3 || b.compiler.count() != 1 {
		t.Errorf("versions %d, %d, %d after %d compilations", same.Version.Number, larger.Version.Number, again.Version.Number, b.compiler.count())
	}
	if again.Version.Package != v.Package || again.Version.Source != v.Source || again.Version.Toolchain != v.Toolchain {
		t.Errorf("settings changed the code: %+v", again.Version)
	}
	changed := b.update(t, f, goText("2"))
	if changed.Version.Number != 4 || changed.Version.Package == v.Package || b.compiler.count() != 2 {
		t.Errorf("other code came to %+v after %d compilations", changed.Version, b.compiler.count())
	}
}

// TestUpgradeBuildsAnew: code that is given again is compiled again, once, if something else compiles it by now.
func TestUpgradeBuildsAnew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.work(t)
	f, err := b.Create(t.Context(), owner(), "", "f", goText("1"))
	if err != nil {
		t.Fatal(err)
	}
	b.compiler.upgrade("go1.26.9")
	if larger := b.update(t, f, Input{MemoryMB: ptr(int64(512)), Handler: ptr("main")}); larger.Version.Number != 2 || larger.Version.Toolchain != "go1.26.8" {
		t.Errorf("settings came to %+v", larger.Version)
	}
	for range 2 {
		if again := b.update(t, f, goText("1")); again.Version.Number != 3 || again.Version.Toolchain != "go1.26.9" {
			t.Errorf("the same code came to %+v", again.Version)
		}
	}
	b.compiler.upgrade("") // it is gone
	if again := b.update(t, f, goText("1")); again.Version.Number != 3 || b.compiler.count() != 2 {
		t.Errorf("without a toolchain the same code came to %+v after %d compilations", again.Version, b.compiler.count())
	}
}

// TestBuildingIsSeen: at every moment a function says what it is.
func TestBuildingIsSeen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.work(t)
	g := b.hold()
	in := goText("1")
	in.Async = true
	f, err := b.Create(t.Context(), owner(), "", "f", in)
	if err != nil || f.Status != nimbus.StatusBuilding || f.StatusMessage != "version 1 is being built" || f.Version.Number != 1 || f.Build.IsZero() {
		t.Fatalf("it came to %+v, %v", f, err)
	}
	<-g.begun
	if got := b.get(t, f.ID); got.Status != f.Status || got.StatusMessage != f.StatusMessage || got.Build != f.Build {
		t.Errorf("it is %+v", got)
	}
	b.routes.take()
	g.answer <- nil
	b.settled(t, f.ID)
	if got := b.get(t, f.ID); got.Status != nimbus.StatusActive || got.StatusMessage != "" || !got.Version.Made() {
		t.Errorf("it came to %+v", got)
	}
	if told := b.routes.take(); !slices.Equal(told, []nimbus.ID{f.ID}) {
		t.Errorf("the routes were told of %v", told)
	}

	in = goText("2")
	in.Async = true
	next := b.update(t, f, in)
	<-g.begun
	for _, got := range []*nimbus.Function{next, b.get(t, f.ID)} {
		if got.Status != nimbus.StatusActive || got.StatusMessage != "version 2 is being built" || got.Version.Number != 1 || !got.Version.Made() {
			t.Errorf("while version 2 is built it is %+v", got)
		}
	}
	g.answer <- syntaxError
	b.settled(t, f.ID)
	if got := b.get(t, f.ID); got.Status != nimbus.StatusActive || got.Version.Number != 1 ||
		got.StatusMessage != "version 2 could not be built: ./main.go:3:1: syntax error: unexpected }" {
		t.Errorf("a failed update came to %+v", got)
	}
}

func TestFailedBuilds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.work(t)
	b.compiler.set(func(context.Context, build.Request, func(string)) error { return syntaxError })
	f, err := b.Create(t.Context(), owner(), "", "f", goText("bad"))
	if err != nil || f.Status != nimbus.StatusFailed || f.StatusMessage != syntaxError.Message || f.Version.Number != 1 || f.Version.Made() {
		t.Fatalf("it came to %+v, %v", f, err)
	}
	if b.compiler.count() != 1 {
		t.Errorf("the same mistake was compiled %d times", b.compiler.count())
	}
	if code, err := b.Code(t.Context(), owner(), byID(f)); err != nil || !strings.Contains(code, "// bad") {
		t.Errorf("its code is %q, %v", code, err)
	}
	// The same code again is another try, and so is anything else; a status can't be wished for.
	again := b.update(t, f, goText("bad"))
	if again.Status != nimbus.StatusFailed || b.compiler.count() != 2 {
		t.Errorf("another try came to %+v after %d compilations", again, b.compiler.count())
	}
	_, err = b.Update(t.Context(), owner(), byID(f), Input{Status: ptr(nimbus.StatusActive)})
	wantCode(t, err, nimbus.CodeConflict)
	b.compiler.set(nil)
	good := b.update(t, f, goText("good"))
	if good.Status != nimbus.StatusActive || good.StatusMessage != "" || good.Version.Number != 1 || !good.Version.Made() {
		t.Errorf("the correction came to %+v", good)
	}

	// A failed update is taken back by the code that serves, or mended by other code.
	b.compiler.set(func(context.Context, build.Request, func(string)) error { return syntaxError })
	worse := b.update(t, f, goText("bad"))
	if !strings.HasPrefix(worse.StatusMessage, "version 2 could not be built: ") || worse.Version.Number != 1 {
		t.Errorf("a failed update came to %+v", worse)
	}
	b.compiler.set(nil)
	if kept := b.update(t, f, Input{}); kept.StatusMessage != worse.StatusMessage {
		t.Errorf("nothing changed, and the message came to %q", kept.StatusMessage)
	}
	back := b.update(t, f, goText("good"))
	if back.StatusMessage != "" || back.Version.Number != 2 || back.Version.Package != good.Version.Package {
		t.Errorf("what was taken back came to %+v", back)
	}
}

func TestFailedFunctionBecomesOneOfAnotherLanguage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.work(t)
	b.compiler.set(func(context.Context, build.Request, func(string)) error { return syntaxError })
	f := b.create(t, "f", goText("bad"))
	next := b.update(t, f, Input{Code: ptr(echo), Runtime: ptr("python3.11"), Handler: ptr("")})
	if next.Status != nimbus.StatusActive || next.Version.Number != 1 || next.Version.Source.Hash != "" || next.Version.Toolchain != "" ||
		next.Version.Settings.Handler != "handler.handle" {
		t.Errorf("it came to %+v", next)
	}
}

// TestNewerUpdateTakesThePlace: of updates that wait to be built only the newest is, and who asked for another
// is told.
func TestNewerUpdateTakesThePlace(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.work(t)
	f := b.create(t, "f", goText("1"))
	g := b.hold()
	older := make(chan error, 1)
	go func() {
		_, err := b.Update(t.Context(), owner(), byID(f), Input{Code: goText("2").Code, MemoryMB: ptr(int64(512))})
		older <- err
	}()
	<-g.begun
	newer := make(chan *nimbus.Function, 1)
	go func() {
		next, err := b.Update(t.Context(), owner(), byID(f), goText("3"))
		if err != nil {
			t.Error(err)
		}
		newer <- next
	}()
	err := <-older
	wantCode(t, err, nimbus.CodeConflict)
	if !strings.Contains(err.Error(), "newer update") {
		t.Errorf("error = %v", err)
	}
	<-g.begun
	g.answer <- nil
	got := <-newer
	if got == nil {
		t.FailNow()
	}
	// It changes what was asked for before, not what served then.
	if got.Version.Number != 2 || got.Version.Settings.Memory != 512*nimbus.MiB || b.compiler.count() != 3 {
		t.Errorf("it came to %+v after %d compilations", got, b.compiler.count())
	}
	if code, err := b.Code(t.Context(), owner(), byID(f)); err != nil || !strings.HasSuffix(code, "// 3\n") {
		t.Errorf("its code is %q, %v", code, err)
	}
}

func TestEqualUpdatesAreOneBuild(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.work(t)
	g := b.hold()
	f := b.async(t, "f", goText("1"))
	<-g.begun
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			next, err := b.Update(t.Context(), owner(), byID(f), goText("1"))
			if err != nil || next.Status != nimbus.StatusActive || next.Version.Number != 1 {
				t.Errorf("it came to %+v, %v", next, err)
			}
		})
	}
	g.answer <- nil
	both.Wait()
	if b.compiler.count() != 1 {
		t.Errorf("it was compiled %d times", b.compiler.count())
	}
}

// TestJoiningABuildThatHasEnded: an update that found a build pending, and comes to wait for it too late, tells
// what came of it.
func TestJoiningABuildThatHasEnded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.work(t)
	g := b.hold()
	pending := b.async(t, "f", goText("1"))
	<-g.begun
	g.answer <- nil
	b.settled(t, pending.ID)
	f, err := b.await(t.Context(), pending.ID, b.queue.add(newJob(pending.Namespace, pending.ID, pending.Build, longLane)))
	if err != nil || f.Status != nimbus.StatusActive || b.compiler.count() != 1 {
		t.Errorf("it came to %+v, %v after %d compilations", f, err, b.compiler.count())
	}
}

func TestBuildOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.work(t)
	g := b.hold()
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := b.Create(ctx, owner(), "", "f", goText("1"))
		left <- err
	}()
	<-g.begun
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left was told %v", err)
	}
	g.answer <- nil
	f, err := b.Get(t.Context(), owner(), Ref{Function: "f"})
	if err != nil {
		t.Fatal(err)
	}
	b.settled(t, f.ID)
	if got := b.get(t, f.ID); got.Status != nimbus.StatusActive {
		t.Errorf("it came to %+v", got)
	}
}

func TestDeleteCancelsTheBuild(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.work(t)
	g := b.hold()
	waiting := make(chan error, 1)
	go func() {
		_, err := b.Create(t.Context(), owner(), "", "f", goText("1"))
		waiting <- err
	}()
	<-g.begun
	if err := b.Delete(t.Context(), owner(), Ref{Function: "f"}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, <-waiting, nimbus.CodeNotFound)
	if left, err := b.control.Builds(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("%v, %v are left", left, err)
	}
	// The worker is free again, and the name too.
	b.compiler.set(nil)
	if f := b.create(t, "f", goText("2")); f.Status != nimbus.StatusActive {
		t.Errorf("the next of that name is %+v", f)
	}
	if err := b.CollectGarbage(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := b.blobCount(t); n != 2 || b.compiler.collected != 1 {
		t.Errorf("there are %d packages, want the source and the program of one function; the compiler collected %d times", n, b.compiler.collected)
	}
}

// TestBuildsSurviveAStop: what was asked for is built by the next process, in the order of asking, and once.
func TestBuildsSurviveAStop(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	stop := b.work(t)
	g := b.hold()
	told := make(chan error, 1)
	go func() {
		_, err := b.Create(t.Context(), owner(), "", "first", goText("1"))
		told <- err
	}()
	<-g.begun
	second := b.async(t, "second", goText("2"))
	stop()
	wantCode(t, <-told, nimbus.CodeUnavailable)
	if _, err := b.Create(t.Context(), owner(), "", "third", goText("3")); nimbus.CodeOf(err) != nimbus.CodeUnavailable {
		t.Errorf("after the stop: %v", err)
	}
	if got := b.get(t, second.ID); got.Status != nimbus.StatusBuilding {
		t.Errorf("after the stop it is %s", got.Status)
	}
	if err := b.CollectGarbage(t.Context()); err != nil {
		t.Fatal(err)
	}

	next := b.restarted()
	order := make(chan string, 9)
	b.compiler.set(func(_ context.Context, r build.Request, _ func(string)) error {
		order <- r.Source.Hash // one at a time
		return nil
	})
	next.work(t)
	for _, name := range []string{"first", "second", "third"} {
		f, err := next.Get(t.Context(), owner(), Ref{Function: name})
		if err != nil {
			t.Fatal(err)
		}
		next.settled(t, f.ID)
		if got := next.get(t, f.ID); got.Status != nimbus.StatusActive {
			t.Errorf("%s came to %+v", name, got)
		} else if <-order != got.Version.Source.Hash {
			t.Errorf("%s was not built in its turn", name)
		}
	}
	if len(order) != 0 {
		t.Errorf("%d were built once more", len(order))
	}
}

func TestLongMessagesAreCut(t *testing.T) {
	t.Parallel()
	line := "./main.go:1:1: undefined: x\n"
	for _, message := range []string{strings.Repeat(line, 1000), strings.Repeat("ü", maxMessage), strings.Repeat("\xffa", maxMessage)} {
		got := bounded(message)
		if len(got) > maxMessage+100 || !strings.HasSuffix(got, "has all of it)") || strings.Contains(got, "\xff") {
			t.Errorf("%.20q came to %d bytes ending in %q", message, len(got), got[len(got)-40:])
		}
		if body, _, _ := strings.Cut(got, "\n…"); strings.HasPrefix(message, line) && !strings.HasSuffix(body+"\n", line) {
			t.Errorf("it is cut within a line: %q", body[len(body)-40:])
		}
	}
	if got := bounded(line); got != strings.TrimSpace(line) {
		t.Errorf("a short one came to %q", got)
	}
}

// settled waits until no build of the function is pending.
func (b *bench) settled(t *testing.T, id nimbus.ID) {
	t.Helper()
	testenv.Eventually(t, 10*time.Second, func() bool { return b.get(t, id).Build.IsZero() })
}

// async creates a function whose build is still pending.
func (b *bench) async(t *testing.T, name string, in Input) *nimbus.Function {
	t.Helper()
	in.Async = true
	return b.create(t, name, in)
}
