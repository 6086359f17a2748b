package gateway

import (
	"context"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nimbus"
	"nimbus/internal/invoke"
	"nimbus/internal/obs"
	"nimbus/internal/problem"
	"nimbus/internal/transport"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeInvoker is one function, default/hello, that does what call says.
type fakeInvoker struct {
	format nimbus.EventFormat
	event  []byte
	req    *invoke.Request
	call   func(ctx context.Context, req *invoke.Request) (*invoke.Result, error)
}

func (f *fakeInvoker) Resolve(_ context.Context, _ nimbus.Principal, namespace, function, qualifier string) (*invoke.Target, error) {
	if namespace != "default" || function != "hello" || qualifier != "" {
		return nil, nimbus.Errorf(nimbus.CodeNotFound, "the function %q was not found", function)
	}
	id, err := nimbus.ParseID("0190b5a0-0000-7000-8000-0000000000aa")
	if err != nil {
		return nil, err
	}
	version := &nimbus.Version{Number: 3, Settings: nimbus.Settings{EventFormat: f.format}}
	return &invoke.Target{FunctionID: id, Namespace: namespace, Name: function, Version: version, VersionText: "3"}, nil
}

func (f *fakeInvoker) Invoke(ctx context.Context, _ nimbus.Principal, _ *invoke.Target, req *invoke.Request) (*invoke.Result, error) {
	f.event, f.req = req.Event, req
	return f.call(ctx, req)
}

// returning is a call that ends well with the JSON.
func returning(body string) func(context.Context, *invoke.Request) (*invoke.Result, error) {
	return func(_ context.Context, req *invoke.Request) (*invoke.Result, error) {
		return &invoke.Result{ID: req.ID, StatusCode: 200, Body: []byte(body), Version: 3, ColdStart: true, Duration: 1250 * time.Microsecond}, nil
	}
}

// ending is a call whose user code came to a bad end.
func ending(status int, errorType, message string) func(context.Context, *invoke.Request) (*invoke.Result, error) {
	return func(_ context.Context, req *invoke.Request) (*invoke.Result, error) {
		return &invoke.Result{ID: req.ID, StatusCode: status, Error: message, ErrorType: errorType, Version: 3}, nil
	}
}

type item struct{ kind, data string }

// streaming is a call that yields the items and then ends with status.
func streaming(status int, items ...item) func(context.Context, *invoke.Request) (*invoke.Result, error) {
	return func(_ context.Context, req *invoke.Request) (*invoke.Result, error) {
		req.Begin(true)
		for _, it := range items {
			if err := req.Stream(it.kind, []byte(it.data)); err != nil {
				return nil, err
			}
		}
		return &invoke.Result{ID: req.ID, StatusCode: status, Streamed: true, Version: 3, ColdStart: true, Duration: 2 * time.Millisecond}, nil
	}
}

// newServer is the gateway behind everything a request passes before it.
func newServer(f *fakeInvoker, identity transport.Identity, eventLimit int64) http.Handler {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	problems := problem.NewWriter(log)
	now := time.Date(2026, 11, 20, 8, 30, 0, 0, time.UTC)
	g := New(f, identity, problems, Config{EventLimit: eventLimit, Now: func() time.Time { return now }})
	return transport.New(http.NotFoundHandler(), g, transport.Deps{Problems: problems, Requests: obs.NewMetrics(), Log: log})
}
