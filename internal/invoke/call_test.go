package invoke_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nimbus"
	"nimbus/internal/driver"
	"nimbus/internal/invoke"
	"nimbus/internal/pool/pooltest"
	"nimbus/internal/wire"
)

// outcomes says how the fake runtime ends a call, and what is to come of it.
var outcomes = map[string]struct {
	invoke  func(ctx context.Context, in *pooltest.Instance, call *driver.Call) (driver.Outcome, error)
	code    int
	kind    string
	message string
	status  nimbus.InvocationStatus
	dies    bool // the instance must not be used again
}{
	"success": {
		invoke: nil, code: 200, status: nimbus.InvocationSuccess,
	},
	"exception": {
		invoke: func(context.Context, *pooltest.Instance, *driver.Call) (driver.Outcome, error) {
			return driver.Outcome{Resp: wire.RespMeta{Type: "ValueError", Message: "no", Stack: []string{"line 1"}}}, nil
		},
		code: 500, kind: "ValueError", message: "no", status: nimbus.InvocationFailed,
	},
	"exception that ends the runtime": {
		invoke: func(context.Context, *pooltest.Instance, *driver.Call) (driver.Outcome, error) {
			return driver.Outcome{Resp: wire.RespMeta{Type: "Runtime.ExitError", Message: "exit status 3", Ending: true}}, nil
		},
		code: 500, kind: "Runtime.ExitError", message: "exit status 3", status: nimbus.InvocationFailed, dies: true,
	},
	"success that ends the runtime": {
		invoke: func(_ context.Context, _ *pooltest.Instance, call *driver.Call) (driver.Outcome, error) {
			return driver.Outcome{Resp: wire.RespMeta{OK: true, Ending: true}, Result: call.Event}, nil
		},
		code: 200, status: nimbus.InvocationSuccess, dies: true,
	},
	"time-out": {
		invoke: func(ctx context.Context, _ *pooltest.Instance, _ *driver.Call) (driver.Outcome, error) {
			<-ctx.Done()
			return driver.Outcome{}, ctx.Err()
		},
		code: 504, kind: nimbus.ErrorTypeTimeout, message: "the function timed out after 3.00 s", status: nimbus.InvocationTimeout, dies: true,
	},
	"exit": {
		invoke: func(_ context.Context, in *pooltest.Instance, _ *driver.Call) (driver.Outcome, error) {
			return in.Ended(driver.Exit{Code: 7})
		},
		code: 500, kind: nimbus.ErrorTypeExited, message: "the runtime ended: exit status 7", status: nimbus.InvocationFailed, dies: true,
	},
	"out of memory": {
		invoke: func(_ context.Context, in *pooltest.Instance, _ *driver.Call) (driver.Outcome, error) {
			return in.Ended(driver.Exit{Code: -1, Signal: 9, OutOfMemory: true})
		},
		code: 507, kind: nimbus.ErrorTypeOutOfMemory, message: "the function was over its memory of 128 MB", status: nimbus.InvocationFailed, dies: true,
	},
	"refused memory": {
		invoke: func(context.Context, *pooltest.Instance, *driver.Call) (driver.Outcome, error) {
			return driver.Outcome{Resp: wire.RespMeta{Type: "OutOfMemory", Message: "alloc(8) has returned 0", OverMemory: true}}, nil
		},
		code: 507, kind: nimbus.ErrorTypeOutOfMemory, message: "alloc(8) has returned 0", status: nimbus.InvocationFailed,
	},
	"broken protocol": {
		invoke: func(context.Context, *pooltest.Instance, *driver.Call) (driver.Outcome, error) {
			return driver.Outcome{}, wire.ErrProtocol
		},
		code: 500, kind: nimbus.ErrorTypeProtocol, message: "the agent protocol was broken", status: nimbus.InvocationFailed, dies: true,
	},
	"a result that is not JSON": {
		invoke: func(context.Context, *pooltest.Instance, *driver.Call) (driver.Outcome, error) {
			return driver.Outcome{Resp: wire.RespMeta{OK: true}, Result: []byte("{")}, nil
		},
		code: 500, kind: nimbus.ErrorTypeProtocol, message: "the runtime answered with what is not JSON", status: nimbus.InvocationFailed, dies: true,
	},
}

func TestOutcomes(t *testing.T) {
	for name, c := range outcomes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &pooltest.Driver{OnInvoke: c.invoke}
				w := open(t, d, invoke.Config{})
				defer w.stop()
				w.define("f", nil)
				res := w.call(t, "f", `{"a":1}`)
				if res.StatusCode != c.code || res.ErrorType != c.kind || res.Error != c.message {
					t.Errorf("got %d %s %q, want %d %s %q", res.StatusCode, res.ErrorType, res.Error, c.code, c.kind, c.message)
				}
				r := w.record(t, res.ID)
				if r.Status != c.status || r.ErrorType != c.kind || r.Error != c.message || r.CompletedAt.IsZero() {
					t.Errorf("recorded as %+v", r)
				}
				if c.code == 200 {
					if string(res.Body) != `{"a":1}` || r.Input != nil {
						t.Errorf("body %s, captured input %s", res.Body, r.Input)
					}
				} else {
					if string(r.Input) != `{"a":1}` {
						t.Errorf("captured %s", r.Input)
					}
					if logged := w.logs.of(res.ID); len(logged) == 0 || logged[0] != "platform: "+c.kind+": "+c.message {
						t.Errorf("logged %q", logged)
					}
					if len(res.Logs) == 0 {
						t.Error("the answer has no log")
					}
				}
				synctest.Wait()
				if gone := d.Living() == 0; gone != c.dies {
					t.Errorf("the instance is gone: %t, want %t", gone, c.dies)
				}
			})
		})
	}
}

func TestEventsAreChecked(t *testing.T) {
	t.Parallel()
	limits := nimbus.DefaultLimits()
	limits.Event = 10
	w := open(t, &pooltest.Driver{}, invoke.Config{Limits: limits})
	w.define("f", nil)
	target := w.resolve(t, "f", "")
	for event, code := range map[string]nimbus.Code{
		`"12345678"`: "", "": "", "{": nimbus.CodeBadRequest, "1 2": nimbus.CodeBadRequest, `"123456789"`: nimbus.CodeTooLarge,
	} {
		res, err := w.Invoke(t.Context(), nimbus.LocalPrincipal(), target, &invoke.Request{Event: []byte(event)})
		wantCode(t, err, code)
		if event == "" && (res == nil || string(res.Body) != "null") {
			t.Errorf("an empty event arrived as %+v", res)
		}
	}
}

func TestTheCallersEndDoesNotCancelWhatRuns(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	w := open(t, &pooltest.Driver{OnInvoke: func(ctx context.Context, _ *pooltest.Instance, call *driver.Call) (driver.Outcome, error) {
		cancel()
		return pooltest.Echo(call), ctx.Err()
	}}, invoke.Config{})
	w.define("f", nil)
	res, err := w.Invoke(ctx, nimbus.LocalPrincipal(), w.resolve(t, "f", ""), &invoke.Request{})
	if err != nil || res.StatusCode != 200 {
		t.Errorf("got %+v, %v", res, err)
	}
}

func TestACallThatWaitsIsDroppedWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := open(t, &pooltest.Driver{OnStart: func(ctx context.Context, _ driver.Spec) error {
			return pooltest.Sleep(ctx, time.Second)
		}}, invoke.Config{})
		defer w.stop()
		w.define("f", nil)
		target := w.resolve(t, "f", "")
		ctx, cancel := context.WithCancel(context.Background())
		id := nimbus.NewID()
		ended := make(chan error)
		go func() {
			_, err := w.Invoke(ctx, nimbus.LocalPrincipal(), target, &invoke.Request{ID: id})
			ended <- err
		}()
		synctest.Wait()
		if r := w.record(t, id); r.Status != nimbus.InvocationPending {
			t.Errorf("a call that waits is %s", r.Status)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if r := w.record(t, id); r.Status != nimbus.InvocationCancelled {
			t.Errorf("recorded as %s", r.Status)
		}
	})
}

func TestARunningCallIsSeen(t *testing.T) {
	t.Parallel()
	running, goOn := make(chan struct{}), make(chan struct{})
	w := open(t, &pooltest.Driver{OnInvoke: func(_ context.Context, _ *pooltest.Instance, call *driver.Call) (driver.Outcome, error) {
		close(running)
		<-goOn
		return pooltest.Echo(call), nil
	}}, invoke.Config{})
	w.define("f", nil)
	target := w.resolve(t, "f", "")
	id := nimbus.NewID()
	ended := make(chan error)
	go func() {
		_, err := w.Invoke(context.Background(), nimbus.LocalPrincipal(), target, &invoke.Request{ID: id})
		ended <- err
	}()
	<-running
	r := w.record(t, id)
	if r.Status != nimbus.InvocationRunning || r.InstanceID == "" || r.StartedAt.IsZero() || !r.ColdStart {
		t.Errorf("a running call is seen as %+v", r)
	}
	close(goOn)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestInitErrorsAreTheUsers(t *testing.T) {
	t.Parallel()
	w := open(t, &pooltest.Driver{OnInit: func(context.Context, *pooltest.Instance) error {
		return &driver.InitError{Type: nimbus.ErrorTypeImport, Message: "no module named x", Stack: []string{"line 1"}}
	}}, invoke.Config{})
	w.define("f", nil)
	res := w.call(t, "f", "1")
	if res.StatusCode != 500 || res.ErrorType != nimbus.ErrorTypeImport || len(res.Stack) != 1 {
		t.Errorf("got %+v", res)
	}
	if r := w.record(t, res.ID); r.Status != nimbus.InvocationFailed || r.Billed != 0 || !r.ColdStart {
		t.Errorf("recorded as %+v", r)
	}
	if logged := w.logs.of(res.ID); strings.Join(logged, "|") != "platform: Runtime.ImportModuleError: no module named x|platform: line 1" {
		t.Errorf("logged %q", logged)
	}
}

// The runtime says the type of an error, and it may say anything.
func TestAnErrorTypeIsBounded(t *testing.T) {
	t.Parallel()
	for _, d := range []*pooltest.Driver{
		{OnInit: func(context.Context, *pooltest.Instance) error {
			return &driver.InitError{Type: strings.Repeat("T", 1<<20), Message: "odd"}
		}},
		{OnInvoke: func(context.Context, *pooltest.Instance, *driver.Call) (driver.Outcome, error) {
			return driver.Outcome{Resp: wire.RespMeta{Type: strings.Repeat("T", 1<<20), Message: "odd"}}, nil
		}},
	} {
		w := open(t, d, invoke.Config{})
		w.define("f", nil)
		res := w.call(t, "f", "1")
		if r := w.record(t, res.ID); len(res.ErrorType) > 300 || len(r.ErrorType) > 300 || r.ErrorType == "" {
			t.Errorf("the answer has a type of %d bytes, the record of %d", len(res.ErrorType), len(r.ErrorType))
		}
	}
}

// A stack whose last line is the message says it for both.
func TestAStackIsLoggedOnce(t *testing.T) {
	t.Parallel()
	stack := []string{"Traceback (most recent call last):", "ValueError: odd"}
	w := open(t, &pooltest.Driver{OnInit: func(context.Context, *pooltest.Instance) error {
		return &driver.InitError{Type: "ValueError", Message: "odd", Stack: stack}
	}}, invoke.Config{})
	w.define("f", nil)
	res := w.call(t, "f", "1")
	if logged := w.logs.of(res.ID); strings.Join(logged, "|") != "platform: "+stack[0]+"|platform: "+stack[1] {
		t.Errorf("logged %q", logged)
	}
}

// An instance that ends between two calls costs nobody an error, and no event is handed over twice.
func TestAnInstanceThatDiedIdleIsReplaced(t *testing.T) {
	t.Parallel()
	d := &pooltest.Driver{}
	w := open(t, d, invoke.Config{})
	w.define("f", nil)
	w.call(t, "f", "1")
	first := d.Started()[0]
	died := false
	target := w.resolve(t, "f", "")
	// Begin runs after the lease and before the event: the moment nobody can guard against.
	res, err := w.Invoke(t.Context(), nimbus.LocalPrincipal(), target, &invoke.Request{Begin: func(bool) {
		if !died {
			died = true
			first.Die(driver.Exit{Code: 1})
		}
	}})
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("got %+v, %v", res, err)
	}
	if n := first.Calls(); n != 1 {
		t.Errorf("the dead instance was handed %d events", n)
	}
	if r := w.record(t, res.ID); r.InstanceID == first.ID() {
		t.Error("the record names the dead instance")
	}
}

func TestAStreamWhoseWriterFailsIsCancelled(t *testing.T) {
	t.Parallel()
	gone := errors.New("the client is gone")
	d := &pooltest.Driver{OnInvoke: func(_ context.Context, _ *pooltest.Instance, call *driver.Call) (driver.Outcome, error) {
		for range 3 {
			if err := call.Chunk("json", []byte("1")); err != nil {
				return driver.Outcome{}, err
			}
		}
		return driver.Outcome{Resp: wire.RespMeta{OK: true, Streamed: true}}, nil
	}}
	w := open(t, d, invoke.Config{})
	w.define("f", nil)
	items := 0
	id := nimbus.NewID()
	_, err := w.Invoke(t.Context(), nimbus.LocalPrincipal(), w.resolve(t, "f", ""), &invoke.Request{ID: id, Stream: func(string, []byte) error {
		if items++; items == 2 {
			return gone
		}
		return nil
	}})
	if !errors.Is(err, gone) || items != 2 {
		t.Errorf("got %v after %d items", err, items)
	}
	if r := w.record(t, id); r.Status != nimbus.InvocationCancelled {
		t.Errorf("recorded as %s", r.Status)
	}
	if d.Living() != 1 {
		t.Error("the instance was not kept, though it agreed to stop")
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	running, goOn := make(chan struct{}), make(chan struct{})
	w := open(t, &pooltest.Driver{OnInvoke: func(_ context.Context, _ *pooltest.Instance, call *driver.Call) (driver.Outcome, error) {
		close(running)
		<-goOn
		return pooltest.Echo(call), nil
	}}, invoke.Config{})
	w.define("f", nil)
	target := w.resolve(t, "f", "")
	ended := make(chan error)
	go func() {
		_, err := w.Invoke(context.Background(), nimbus.LocalPrincipal(), target, &invoke.Request{})
		ended <- err
	}()
	<-running
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if err := w.Drain(over); !errors.Is(err, context.Canceled) {
		t.Errorf("drain returned %v while a call ran", err)
	}
	_, err := w.Invoke(t.Context(), nimbus.LocalPrincipal(), target, &invoke.Request{})
	wantCode(t, err, nimbus.CodeUnavailable)
	close(goOn)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := w.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPrincipalsAreChecked(t *testing.T) {
	t.Parallel()
	w := open(t, &pooltest.Driver{}, invoke.Config{})
	f := w.define("f", nil)
	target := w.resolve(t, "f", "")
	for name, c := range map[string]struct {
		p    nimbus.Principal
		code nimbus.Code
	}{
		"other tenant":    {nimbus.Principal{Tenant: "other", Scopes: []nimbus.Scope{nimbus.ScopeAdmin}}, nimbus.CodeNotFound},
		"other namespace": {nimbus.Principal{Tenant: nimbus.DefaultTenant, Namespaces: []string{"x"}, Scopes: []nimbus.Scope{nimbus.ScopeInvoke}}, nimbus.CodeNotFound},
		"scope":           {nimbus.Principal{Tenant: nimbus.DefaultTenant, Scopes: []nimbus.Scope{nimbus.ScopeRead}}, nimbus.CodeForbidden},
		"allowed":         {nimbus.Principal{Tenant: nimbus.DefaultTenant, Scopes: []nimbus.Scope{nimbus.ScopeInvoke}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Invoke(t.Context(), c.p, target, &invoke.Request{})
			wantCode(t, err, c.code)
			for _, function := range []string{"f", "F", f.ID.String()} {
				_, err := w.Resolve(t.Context(), c.p, nimbus.DefaultNamespace, function, "")
				wantCode(t, err, c.code)
			}
		})
	}
}
