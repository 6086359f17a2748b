package function

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nimbus"
	"nimbus/internal/store"
)

// Of many that change the version they have read, one succeeds.
func TestAnUpdateOfAnOldVersionIsAConflict(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.create(t, "f", text(echo))
	var done atomic.Int64
	var updates sync.WaitGroup
	for n := range 8 {
		updates.Go(func() {
			_, err := b.Update(t.Context(), owner(), byID(f), Input{Version: ptr(int64(1)), Description: ptr(fmt.Sprint(n))})
			switch {
			case err == nil:
				done.Add(1)
			case nimbus.CodeOf(err) != nimbus.CodeConflict:
				t.Error(err)
			}
		})
	}
	updates.Wait()
	if done.Load() != 1 {
		t.Errorf("%d updates of version 1 succeeded", done.Load())
	}
	if next := b.update(t, f, Input{Version: ptr(int64(2)), Description: ptr("again")}); next.Version.Number != 3 {
		t.Errorf("version %d", next.Version.Number)
	}
}

func TestUpdateMakesVersions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.create(t, "f", Input{Code: ptr(echo), EnvVars: map[string]string{"A": "1"}, Tags: []string{"x"}})
	steps := []struct {
		name string
		in   Input
		same bool
	}{
		{"nothing", Input{}, true},
		{"what it is already", Input{
			Code: ptr(echo), Runtime: ptr("python3"), Handler: ptr("handler.handle"), MemoryMB: ptr(int64(256)),
			EnvVars: map[string]string{"A": "1"}, Tags: []string{"x", "x"}, Driver: ptr(""), Status: ptr(nimbus.StatusActive),
		}, true},
		{"inferred as before", Input{Code: ptr(echo), Runtime: ptr(""), Handler: ptr("")}, true},
		{"memory", Input{MemoryMB: ptr(int64(512))}, false},
		{"code", text(echo + "# new\n"), false},
		{"no environment", Input{EnvVars: map[string]string{}}, false},
		{"no environment again", Input{EnvVars: map[string]string{}}, true},
		{"tags", Input{Tags: []string{"z", "a"}}, false},
		{"another runtime", Input{Runtime: ptr("python3.9")}, false},
		{"a zip of the same file", Input{Archive: zipOf(t, "handler.py", echo+"# new\n")}, false},
	}
	number := int64(1)
	for _, step := range steps {
		b.routes.take()
		next := b.update(t, f, step.in)
		if !step.same {
			number++
		}
		if next.Version.Number != number {
			t.Fatalf("%s: version %d, want %d", step.name, next.Version.Number, number)
		}
		if told := len(b.routes.take()); (told == 0) != step.same {
			t.Errorf("%s: routes were told %d times", step.name, told)
		}
		stored, err := b.Get(t.Context(), owner(), byID(f))
		if err != nil {
			t.Fatal(err)
		}
		if !same(stored.Version.Settings, next.Version.Settings) || stored.Version.Package != next.Version.Package ||
			!stored.UpdatedAt.Equal(next.UpdatedAt) {
			t.Errorf("%s: stored %+v, returned %+v", step.name, stored, next)
		}
	}
	last, err := b.Get(t.Context(), owner(), byID(f))
	if err != nil {
		t.Fatal(err)
	}
	s := last.Version.Settings
	if s.Memory != 512*nimbus.MiB || len(s.Env) != 0 || !slices.Equal(s.Tags, []string{"a", "z"}) || s.Runtime != "python3.9" {
		t.Errorf("settings came to %+v", s)
	}
}

func TestUpdateRefusesAndLeavesWhatServes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.create(t, "f", text(echo))
	for name, c := range map[string]struct {
		in   Input
		code nimbus.Code
		want string
	}{
		"a bound":                    {Input{MemoryMB: ptr(int64(64))}, nimbus.CodeInvalid, "memory_mb: must be 128 to 10240"},
		"a handler of no file":       {Input{Handler: ptr("app.handle")}, nimbus.CodeInvalid, "has handler.py"},
		"code without the handler":   {Input{Archive: zipOf(t, "app.py", echo)}, nimbus.CodeInvalid, "has app.py"},
		"a hostile zip":              {Input{Archive: zipOf(t, "../x", "")}, nimbus.CodeInvalid, "leaves the package"},
		"an unknown runtime":         {Input{Runtime: ptr("python2")}, nimbus.CodeInvalid, "runtime:"},
		"a driver that can't run":    {Input{Driver: ptr("broken")}, nimbus.CodeInvalid, "no user namespaces"},
		"a status that can't be set": {Input{Status: ptr(nimbus.StatusFailed)}, nimbus.CodeInvalid, "status: must be active or inactive"},
		"a status with a change":     {Input{Status: ptr(nimbus.StatusInactive), MemoryMB: ptr(int64(512))}, nimbus.CodeInvalid, "status: can't be changed together"},
		"code in two ways":           {Input{Code: ptr(echo), Archive: zipOf(t, "handler.py", echo)}, nimbus.CodeInvalid, "exclude each other"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.Update(t.Context(), owner(), byID(f), c.in)
			wantCode(t, err, c.code)
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want …%s…", err, c.want)
			}
		})
	}
	_, err := b.Update(t.Context(), owner(), Ref{Function: "none"}, Input{})
	wantCode(t, err, nimbus.CodeNotFound)
	got, err := b.Get(t.Context(), owner(), byID(f))
	if err != nil || got.Version.Number != 1 || got.Status != nimbus.StatusActive || !got.UpdatedAt.Equal(f.UpdatedAt) {
		t.Errorf("it came to %+v, %v", got, err)
	}
	if n := b.blobCount(t); n != 1 {
		t.Errorf("there are %d packages", n)
	}
	if ids := b.routes.take(); len(ids) != 0 {
		t.Errorf("routes were told of %v", ids)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.create(t, "f", text(echo))
	for _, status := range []nimbus.Status{nimbus.StatusInactive, nimbus.StatusActive} {
		next := b.update(t, f, Input{Status: &status})
		if next.Status != status || next.Version.Number != 1 {
			t.Errorf("it came to %s, version %d", next.Status, next.Version.Number)
		}
		if stored, err := b.Get(t.Context(), owner(), byID(f)); err != nil || stored.Status != status {
			t.Errorf("stored %v, %v", stored, err)
		}
		if len(b.routes.take()) != 1 {
			t.Error("routes were not told")
		}
	}
	inactive := b.update(t, f, Input{Status: ptr(nimbus.StatusInactive)})
	if next := b.update(t, f, Input{Description: ptr("new")}); next.Status != inactive.Status || next.Version.Number != 2 {
		t.Errorf("an inactive function's update came to %s, version %d", next.Status, next.Version.Number)
	}
}

func TestOldVersionsArePruned(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.create(t, "f", text(echo))
	var left []int64 // versions there were when the routes were told for the last time
	b.routes.told = func(id nimbus.ID) {
		left = nil
		for number := range int64(10) {
			if _, err := b.control.Version(t.Context(), id, number); err == nil {
				left = append(left, number)
			}
		}
	}
	for i := range 5 {
		b.update(t, f, Input{Description: ptr(fmt.Sprint(i))})
	}
	if !slices.Equal(left, []int64{4, 5, 6}) {
		t.Errorf("the routes were told while there were the versions %v", left)
	}
	for number, there := range map[int64]bool{1: false, 3: false, 4: true, 5: true, 6: true} {
		_, err := b.control.Version(t.Context(), f.ID, number)
		if (err == nil) != there {
			t.Errorf("version %d: %v", number, err)
		}
	}
}

// Updates that overtake each other are all done, one after the other.
func TestConcurrentUpdates(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.create(t, "f", text(echo))
	var wg sync.WaitGroup
	for i := range maxRaces {
		wg.Go(func() {
			in := Input{TimeoutSec: ptr(int64(100 + i))}
			if i%2 == 0 {
				in = Input{Archive: zipOf(t, "handler.py", echo+strings.Repeat("#", i+1))}
			}
			if _, err := b.Update(t.Context(), owner(), byID(f), in); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, err := b.Get(t.Context(), owner(), byID(f)); err != nil || got.Version.Number != 1+maxRaces {
		t.Errorf("it came to version %d, %v", got.Version.Number, err)
	}
}

func TestEndlessRacesGiveUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.create(t, "f", text(echo))
	overtaken := &overtaker{Control: b.control}
	b.functions = overtaken
	_, err := b.Update(t.Context(), owner(), byID(f), text(echo+"# late\n"))
	wantCode(t, err, nimbus.CodeConflict)
	if overtaken.tries != maxRaces {
		t.Errorf("tried %d times, want %d", overtaken.tries, maxRaces)
	}
}

// overtaker is a store where another update always comes first.
type overtaker struct {
	store.Control
	tries int
}

func (o *overtaker) AddVersion(ctx context.Context, v *nimbus.Version) error {
	o.tries++
	f, err := o.Control.Function(ctx, v.FunctionID)
	if err != nil {
		return err
	}
	f.Version.Number++
	f.Version.Settings.Description = fmt.Sprint("other ", o.tries)
	if err := o.Control.AddVersion(ctx, &f.Version); err != nil {
		return err
	}
	return o.Control.AddVersion(ctx, v)
}

func TestFailedPruneIsNoFailedUpdate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.create(t, "f", text(echo))
	b.functions = neverPrunes{b.control}
	if next := b.update(t, f, Input{TimeoutSec: ptr(int64(9))}); next.Version.Settings.Timeout != 9*time.Second {
		t.Errorf("it came to %+v", next.Version)
	}
}

type neverPrunes struct{ store.Control }

func (neverPrunes) PruneVersions(context.Context, nimbus.ID, int) error {
	return nimbus.Errorf(nimbus.CodeInsufficientStorage, "the disk is full")
}
