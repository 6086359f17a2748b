package api

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"nimbus"
	"nimbus/internal/invoke"
)

func TestGoldenAnswers(t *testing.T) {
	t.Parallel()
	const inline = `{"name":"hello","code":"def handle(event):\n    return 1\n"}`
	for name, c := range map[string]struct {
		request request
		status  int
	}{
		"function_created": {request{method: "POST", path: "/api/v1/functions", body: inline}, 201},
		"function":         {request{method: "GET", path: "/api/v1/functions/hello"}, 200},
		"function_updated": {request{method: "PUT", path: "/api/v1/functions/hello", body: `{"memory_mb":512}`}, 200},
		"functions":        {request{method: "GET", path: "/api/v1/functions"}, 200},
		"invocation":       {request{method: "GET", path: "/api/v1/invocations/" + testID(2).String()}, 200},
		"invocations":      {request{method: "GET", path: "/api/v1/functions/hello/invocations"}, 200},
		"logs":             {request{method: "GET", path: "/api/v1/functions/hello/logs"}, 200},
		"runtimes":         {request{method: "GET", path: "/api/v1/runtimes"}, 200},
		"apikey_created":   {request{method: "POST", path: "/api/v1/apikeys", body: `{"name":"ci","scopes":["write"],"expires_in":"1h"}`}, 201},
		"apikeys":          {request{method: "GET", path: "/api/v1/apikeys"}, 200},
		"pools":            {request{method: "GET", path: "/api/v1/pools?limit=2"}, 200},
		"settings":         {request{method: "GET", path: "/api/v1/settings"}, 200},
		"settings_reload":  {request{method: "POST", path: "/api/v1/settings/reload"}, 200},
		"restore":          {request{method: "POST", path: "/api/v1/restore", body: "tar"}, 202},
		"health":           {request{method: "GET", path: "/health"}, 200},
		"openapi":          {request{method: "GET", path: "/openapi.json"}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := c.request.send(t, &fakes{})
			if w.Code != c.status {
				t.Fatalf("%d, want %d: %s", w.Code, c.status, w.Body)
			}
			golden(t, name, w.Body.Bytes())
		})
	}
}

func TestGoldenResults(t *testing.T) {
	t.Parallel()
	for name, res := range map[string]invoke.Result{
		"result": {StatusCode: 200, Body: []byte(`{"message": "hi"}`), Duration: 1250 * time.Microsecond, Billed: 2 * time.Millisecond,
			Memory: nimbus.MemoryUse{Peak: 21 * nimbus.MiB}, Version: 3},
		"result_failed": {StatusCode: 500, Error: "division by \"zero\"", ErrorType: "ZeroDivisionError", Duration: time.Millisecond,
			Billed: time.Millisecond, ColdStart: true, Init: 700 * time.Microsecond, Version: 3, Logs: []string{"one", "two\t\"quoted\""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res.ID = testID(7)
			f := &fakes{call: func(context.Context, *invoke.Request) (*invoke.Result, error) { return &res, nil }}
			w := request{method: "POST", path: "/api/v1/functions/hello/invoke", body: "{}"}.send(t, f)
			if w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			golden(t, name, w.Body.Bytes())
		})
	}
}

func TestBackup(t *testing.T) {
	t.Parallel()
	w := request{method: "GET", path: "/api/v1/backup"}.send(t, &fakes{backup: func(w io.Writer) error {
		_, err := io.WriteString(w, "tar")
		return err
	}})
	if w.Code != 200 || w.Body.String() != "tar" || w.Header().Get("Content-Type") != mediaBytes || w.Header().Get("Content-Disposition") == "" {
		t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
	}
	w = request{method: "GET", path: "/api/v1/backup"}.send(t, &fakes{backup: func(io.Writer) error {
		return nimbus.Errorf(nimbus.CodeInsufficientStorage, "no room")
	}})
	if d := problemOf(t, w); d.Code != nimbus.CodeInsufficientStorage || w.Header().Get("Content-Disposition") != "" {
		t.Errorf("%+v %v", d, w.Header())
	}
}

func TestBackupTornInTheMiddleBreaksOff(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("it looks complete")
		}
	}()
	request{method: "GET", path: "/api/v1/backup"}.send(t, &fakes{backup: func(w io.Writer) error {
		if _, err := io.WriteString(w, "half"); err != nil {
			return err
		}
		return nimbus.Errorf(nimbus.CodeInternal, "torn")
	}})
}

func TestRestore(t *testing.T) {
	t.Parallel()
	f := &fakes{}
	request{method: "POST", path: "/api/v1/restore", body: "tar"}.send(t, f)
	if string(f.restored) != "tar" {
		t.Errorf("handed on %q", f.restored)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	down := nimbus.Errorf(nimbus.CodeUnavailable, "the store is opening")
	for _, c := range []struct {
		path   string
		ready  error
		status int
	}{
		{"/health", nil, 200}, {"/health", down, 200},
		{"/health/live", nil, 200}, {"/health/live", down, 200},
		{"/health/ready", nil, 200}, {"/health/ready", down, 503},
	} {
		w := request{method: "GET", path: c.path}.send(t, &fakes{ready: c.ready})
		if w.Code != c.status {
			t.Errorf("%s, %v: %d %s", c.path, c.ready, w.Code, w.Body)
		}
		if c.status == 503 && w.Header().Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
}

func resultWithLogs() *invoke.Result {
	return &invoke.Result{ID: testID(7), StatusCode: 200, Logs: []string{"one"}}
}
