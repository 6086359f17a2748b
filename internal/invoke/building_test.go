package invoke_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"nimbus"
	"nimbus/internal/invoke"
	"nimbus/internal/pool/pooltest"
)

// building defines a function whose first version is being made.
func (w *world) building(name string) nimbus.Function {
	f := w.define(name, nil)
	f.Status = nimbus.StatusBuilding
	w.change(f)
	return f
}

func (w *world) change(f nimbus.Function) {
	w.functions.put(f)
	w.Changed(f.ID)
}

// resolving resolves in the background.
func (w *world) resolving(ctx context.Context, function string) <-chan error {
	done := make(chan error, 1)
	go func() {
		t, err := w.Resolve(ctx, nimbus.LocalPrincipal(), "", function, "")
		if err == nil && t.Version.Number != 1 {
			err = errors.New("another version")
		}
		done <- err
	}()
	return done
}

// A call of a function that is being built waits for it, and learns what came of it.
func TestCallsWaitForTheFirstBuild(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(w *world, f nimbus.Function)
		code nimbus.Code
		text string
	}{
		"built": {func(w *world, f nimbus.Function) {
			w.change(f) // something else about it
			f.Status = nimbus.StatusActive
			w.change(f)
		}, "", ""},
		"failed": {func(w *world, f nimbus.Function) {
			f.Status, f.StatusMessage = nimbus.StatusFailed, "main.go:3:1: no"
			w.change(f)
		}, nimbus.CodeConflict, "main.go:3:1: no"},
		"deleted": {func(w *world, f nimbus.Function) {
			w.functions.remove(f.ID)
			w.Changed(f.ID)
		}, nimbus.CodeNotFound, "not found"},
		"for too long": {func(*world, nimbus.Function) {}, nimbus.CodeUnavailable, "still being built after 1m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := open(t, &pooltest.Driver{}, invoke.Config{})
				defer w.stop()
				f := w.building("f")
				callers := []<-chan error{w.resolving(t.Context(), "f"), w.resolving(t.Context(), f.ID.String())}
				synctest.Wait()
				for _, done := range callers {
					select {
					case err := <-done:
						t.Errorf("it did not wait: %v", err)
					default:
					}
				}
				c.end(w, f)
				for _, done := range callers {
					err := <-done
					wantCode(t, err, c.code)
					if err != nil && !strings.Contains(err.Error(), c.text) {
						t.Errorf("error = %v, want …%s…", err, c.text)
					}
				}
			})
		})
	}
}

func TestWaitingForABuildEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stopping := make(chan struct{})
		w := open(t, &pooltest.Driver{}, invoke.Config{BuildQueue: 2, Stopping: stopping})
		defer w.stop()
		w.building("f")
		ctx, leave := context.WithCancel(t.Context())
		left, stays := w.resolving(ctx, "f"), w.resolving(t.Context(), "f")
		synctest.Wait()
		_, err := w.Resolve(t.Context(), nimbus.LocalPrincipal(), "", "f", "")
		wantCode(t, err, nimbus.CodeTooManyRequests)
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("who left was told %v", err)
		}
		close(stopping)
		wantCode(t, <-stays, nimbus.CodeUnavailable)
	})
}
