package invoke_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"nimbus"
	"nimbus/internal/invoke"
	"nimbus/internal/obs"
	"nimbus/internal/pool/pooltest"
)

func TestResolveRemembers(t *testing.T) {
	t.Parallel()
	w := open(t, &pooltest.Driver{}, invoke.Config{})
	f := w.define("Hello", nil)
	first := w.resolve(t, "hello", "")
	for _, function := range []string{"hello", "HELLO", f.ID.String()} {
		for _, qualifier := range []string{"", invoke.Latest, "1"} {
			if got := w.resolve(t, function, qualifier); got.Version != first.Version {
				t.Errorf("%s:%s is another target", function, qualifier)
			}
		}
	}
	if w.functions.reads != 1 {
		t.Errorf("the store was read %d times", w.functions.reads)
	}
}

// An id needs no namespace, and one that is named must be the function's.
func TestAnIDIsFoundInItsNamespace(t *testing.T) {
	t.Parallel()
	w := open(t, &pooltest.Driver{}, invoke.Config{})
	f := w.define("f", nil)
	for namespace, code := range map[string]nimbus.Code{"": "", f.Namespace: "", "other": nimbus.CodeNotFound} {
		_, err := w.Resolve(t.Context(), nimbus.LocalPrincipal(), namespace, f.ID.String(), "")
		wantCode(t, err, code)
	}
}

func TestResolveSeesChanges(t *testing.T) {
	t.Parallel()
	w := open(t, &pooltest.Driver{}, invoke.Config{})
	f := w.define("f", nil)
	w.resolve(t, "f", "")
	f.Version.Number = 2
	w.functions.put(f)
	w.Changed(f.ID)
	if got := w.resolve(t, "f", "").Version.Number; got != 2 {
		t.Errorf("version %d serves", got)
	}
	if got := w.resolve(t, "f", "1").Version.Number; got != 1 {
		t.Errorf("the qualifier 1 is version %d", got)
	}
	for _, qualifier := range []string{"3", "0", "-1", "01", "+1", "live", "1x"} {
		_, err := w.Resolve(t.Context(), nimbus.LocalPrincipal(), "", "f", qualifier)
		wantCode(t, err, nimbus.CodeNotFound)
	}
	w.functions.remove(f.ID)
	w.Changed(f.ID)
	for _, function := range []string{"f", f.ID.String()} {
		_, err := w.Resolve(t.Context(), nimbus.LocalPrincipal(), "", function, "")
		wantCode(t, err, nimbus.CodeNotFound)
	}
}

// A look into the store that began before a change must neither be remembered nor be shared with whoever asks
// after the change.
func TestALookFromBeforeAChangeIsNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, invoke.Config{})
		defer w.stop()
		f := w.define("f", nil)
		var looked atomic.Bool
		goOn := make(chan struct{})
		w.functions.answer = func() {
			if looked.CompareAndSwap(false, true) {
				<-goOn
			}
		}
		early := make(chan *invoke.Target)
		go func() { early <- w.resolve(t, "f", "") }()
		synctest.Wait() // it has read version 1 and not answered

		f.Version.Number = 2
		w.functions.put(f)
		w.Changed(f.ID)
		if got := w.resolve(t, "f", "").Version.Number; got != 2 {
			t.Errorf("after the change version %d serves", got)
		}
		close(goOn)
		<-early
		if got := w.resolve(t, "f", "").Version.Number; got != 2 {
			t.Errorf("the early look was remembered: version %d serves", got)
		}
	})
}

func TestManyWhoAskReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{}, invoke.Config{})
		defer w.stop()
		w.define("f", nil)
		goOn := make(chan struct{})
		w.functions.answer = func() { <-goOn }
		var callers sync.WaitGroup
		for range 50 {
			callers.Go(func() { w.resolve(t, "f", "") })
		}
		synctest.Wait()
		close(goOn)
		callers.Wait()
		if w.functions.reads != 1 {
			t.Errorf("the store was read %d times", w.functions.reads)
		}
	})
}

func TestFunctionsThatTakeNoCalls(t *testing.T) {
	t.Parallel()
	w := open(t, &pooltest.Driver{}, invoke.Config{})
	for _, status := range nimbus.Statuses() {
		if status == nimbus.StatusBuilding {
			continue // calls wait for it
		}
		w.define(string(status), func(f *nimbus.Function) { f.Status, f.StatusMessage = status, "pip: no such package" })
		_, err := w.Resolve(t.Context(), nimbus.LocalPrincipal(), "", string(status), "")
		want := nimbus.CodeConflict
		if status == nimbus.StatusActive {
			want = ""
		}
		wantCode(t, err, want)
	}
}

func TestOldInstancesGoSoonAfterAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{}
		w := open(t, d, invoke.Config{})
		defer w.stop()
		f := w.define("f", nil)
		w.call(t, "f", "1")
		f.Version.Number = 2
		w.functions.put(f)
		w.Changed(f.ID)
		w.call(t, "f", "1")
		synctest.Wait()
		if n := d.Living(); n != 1 {
			t.Errorf("%d instances live, want the new version's", n)
		}
		w.logs.Append(obs.LogLine{Function: f.ID}, obs.LogLine{Function: nimbus.NewID()})
		w.functions.remove(f.ID)
		w.Changed(f.ID)
		synctest.Wait()
		if n := d.Living(); n != 0 {
			t.Errorf("%d instances of a deleted function live", n)
		}
		if n := len(w.logs.lines); n != 1 {
			t.Errorf("%d lines are left, want the other function's", n)
		}
	})
}
