package invoke_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/invoke"
	"nimbus/internal/pool/pooltest"
	"nimbus/internal/wire"
)

// shares makes a function's instances take so many calls at once.
func shares(atOnce int) func(*nimbus.Function) {
	return func(f *nimbus.Function) { f.Version.Settings.InstanceConcurrency = atOnce }
}

// callAll makes a call for each event, all at once.
func (w *world) callAll(t *testing.T, name string, events ...string) []*invoke.Result {
	t.Helper()
	results := make([]*invoke.Result, len(events))
	var all sync.WaitGroup
	for n, event := range events {
		all.Go(func() { results[n] = w.call(t, name, event) })
	}
	all.Wait()
	return results
}

func TestCallsThatShareAnInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{OnInvoke: func(ctx context.Context, _ *pooltest.Instance, call *driver.Call) (driver.Outcome, error) {
			for _, text := range []string{"begin ", "of ", string(call.Event), "\n"} {
				call.Output(driver.Stdout, []byte(text))
				if err := pooltest.Sleep(ctx, 50*time.Millisecond); err != nil {
					return driver.Outcome{}, err
				}
			}
			return pooltest.Echo(call), nil
		}}
		w := open(t, d, invoke.Config{})
		defer w.stop()
		w.define("hello", shares(50))
		var events []string
		for n := range 50 {
			events = append(events, fmt.Sprint(n))
		}
		began := time.Now()
		results := w.callAll(t, "hello", events...)
		if took := time.Since(began); took != 200*time.Millisecond {
			t.Errorf("50 calls of 200 ms took %s", took)
		}
		for n, res := range results {
			if string(res.Body) != events[n] || !slices.Equal(res.Logs, []string{"begin of " + events[n]}) {
				t.Errorf("call %d: %s, logged %q", n, res.Body, res.Logs)
			}
			record := w.record(t, res.ID)
			if record.Memory != (nimbus.MemoryUse{}) || record.CPU != 0 || record.Billed != 200*time.Millisecond {
				t.Errorf("call %d: memory %+v, CPU %s, billed %s", n, record.Memory, record.CPU, record.Billed)
			}
		}
		if n := len(d.Started()); n != 1 {
			t.Errorf("%d instances were started", n)
		}
	})
}

// TestATimeoutIsItsCallsAlone has one call of three exceed its time.
func TestATimeoutIsItsCallsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{OnInvoke: func(ctx context.Context, _ *pooltest.Instance, call *driver.Call) (driver.Outcome, error) {
			if string(call.Event) == `"never"` {
				<-ctx.Done()
				return driver.Outcome{}, ctx.Err()
			}
			time.Sleep(2 * time.Second)
			return pooltest.Echo(call), nil
		}}
		w := open(t, d, invoke.Config{})
		defer w.stop()
		w.define("hello", shares(3))
		never := make(chan *invoke.Result, 1)
		go func() { never <- w.call(t, "hello", `"never"`) }()
		time.Sleep(2 * time.Second)
		others := w.callAll(t, "hello", `"a"`, `"b"`) // they end a second after its time is up
		if res := <-never; res.StatusCode != 504 || res.ErrorType != nimbus.ErrorTypeTimeout {
			t.Errorf("the call: %+v", res)
		}
		for _, res := range others {
			if res.StatusCode != 200 {
				t.Errorf("another: %+v", res)
			}
		}
		synctest.Wait()
		if d.Living() != 0 {
			t.Error("the instance was not stopped when the last call had ended")
		}
	})
}

// TestACallThatComesAsTheInstanceEndsGoesToAnother has a runtime refuse what was sent after it said that it ends.
func TestACallThatComesAsTheInstanceEndsGoesToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &pooltest.Driver{}
		d.OnInvoke = func(_ context.Context, in *pooltest.Instance, call *driver.Call) (driver.Outcome, error) {
			switch {
			case string(call.Event) == `"breaks"`:
				time.Sleep(time.Second)
				return driver.Outcome{Resp: wire.RespMeta{Type: "TypeError", Ending: true}}, nil
			case in == d.Started()[0]:
				return driver.Outcome{}, fmt.Errorf("%w: it has said that it ends", driver.ErrNotSent)
			}
			return pooltest.Echo(call), nil
		}
		w := open(t, d, invoke.Config{})
		defer w.stop()
		w.define("hello", shares(5))
		breaks := make(chan *invoke.Result, 1)
		go func() { breaks <- w.call(t, "hello", `"breaks"`) }()
		synctest.Wait() // it runs on the first instance, and will until the others have gone elsewhere
		others := w.callAll(t, "hello", `"a"`, `"b"`)
		if res := <-breaks; res.StatusCode != 500 || res.ErrorType != "TypeError" {
			t.Errorf("the call: %+v", res)
		}
		for _, res := range others {
			if res.StatusCode != 200 {
				t.Errorf("another: %+v", res)
			}
		}
		synctest.Wait()
		if d.Living() != 1 {
			t.Errorf("%d instances live", d.Living())
		}
	})
}
