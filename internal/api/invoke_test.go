package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nimbus"
	"nimbus/internal/invoke"
	"nimbus/internal/obs"
	"nimbus/internal/transport"
)

func ok(body string) func(context.Context, *invoke.Request) (*invoke.Result, error) {
	return func(_ context.Context, req *invoke.Request) (*invoke.Result, error) {
		return &invoke.Result{ID: req.ID, StatusCode: 200, Body: []byte(body), Version: 3, ColdStart: true, Duration: time.Millisecond,
			Memory: nimbus.MemoryUse{Peak: nimbus.MiB, Instance: true}}, nil
	}
}

const invokePath = "/api/v1/functions/hello/invoke"

func TestInvoke(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 10, copiedBody - 2, copiedBody - 1, 1 << 20} {
		body := `"` + strings.Repeat("x", size) + `"`
		f := &fakes{call: ok(body)}
		w := request{method: "POST", path: invokePath + "?qualifier=3&namespace=team", body: ` {"a":1} `,
			headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}.send(t, f)
		var got struct {
			RequestID string          `json:"request_id"`
			Body      json.RawMessage `json:"body"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || string(got.Body) != body {
			t.Fatalf("%d bytes: %d, %v", size, w.Code, err)
		}
		if id := f.request.ID.String(); id == "" || got.RequestID != id || w.Header().Get("X-Request-Id") != id {
			t.Errorf("ids: %s, %s, %s", id, got.RequestID, w.Header().Get("X-Request-Id"))
		}
		if string(f.request.Event) != ` {"a":1} ` || f.namespace != "team" || f.name != "hello" || f.qualifier != "3" ||
			len(f.request.Traceparent) != 55 || f.request.Arrived.IsZero() || f.request.WantLogs || f.request.Stream != nil {
			t.Errorf("asked for %+v", f.request)
		}
		for k, v := range map[string]string{"X-Nimbus-Cold-Start": "true", "X-Nimbus-Version": "3", "X-Nimbus-Duration-Ms": "1", "X-Nimbus-Memory-Scope": "instance"} {
			if w.Header().Get(k) != v {
				t.Errorf("%s: %q", k, w.Header().Get(k))
			}
		}
	}
}

func TestInvokeRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path, body string
		status     int
	}{
		"not JSON":      {invokePath, "name=Ada", 400},
		"too large":     {invokePath, `"` + strings.Repeat("x", 2048) + `"`, 413},
		"unknown query": {invokePath + "?qualifer=1", "", 422},
		"bad flag":      {invokePath + "?logs=perhaps", "", 422},
	} {
		if w := (request{method: "POST", path: c.path, body: c.body}).send(t, &fakes{call: ok("1")}); w.Code != c.status {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestInvokeWantsLogs(t *testing.T) {
	t.Parallel()
	for _, q := range []request{
		{method: "POST", path: invokePath + "?logs=true"},
		{method: "POST", path: invokePath, headers: map[string]string{"X-Nimbus-Log": "Tail"}},
	} {
		f := &fakes{call: ok("1")}
		q.send(t, f)
		if !f.request.WantLogs {
			t.Errorf("%+v: logs were not asked for", q)
		}
	}
}

func streamed(t *testing.T, f *fakes) (*http.Response, string, error) {
	t.Helper()
	server := httptest.NewServer(newServer(t, f, transport.Anyone{}, nil))
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+invokePath, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	res, err := server.Client().Do(r)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

func TestInvokeStreamed(t *testing.T) {
	t.Parallel()
	f := &fakes{call: func(_ context.Context, req *invoke.Request) (*invoke.Result, error) {
		req.Begin(true)
		for _, it := range [][2]string{{"json", "{\"n\":\n1}"}, {"text", "line\nbreak"}, {"bytes", "plain"}, {"bytes", "\xff"}} {
			if err := req.Stream(it[0], []byte(it[1])); err != nil {
				return nil, err
			}
		}
		return &invoke.Result{ID: testID(7), StatusCode: 500, Streamed: true, Error: "later", ErrorType: "E", Version: 3, ColdStart: true}, nil
	}}
	res, body, err := streamed(t, f)
	if err != nil {
		t.Fatal(err)
	}
	want := "data: {\"n\":\ndata: 1}\n\n" + "data: \"line\\nbreak\"\n\n" + "data: \"plain\"\n\n" + "data: {\"base64\":\"/w==\"}\n\n" +
		`event: result` + "\n" + `data: {"request_id":"` + testID(7).String() + `","status_code":500,"error":"later","error_type":"E",` +
		`"duration_ms":0,"cold_start":true,"init_ms":0,"billed_time_ms":0,"memory_used_mb":null,"cpu_ms":null,"version":3,"alias_used":null}` + "\n\n"
	if body != want {
		t.Errorf("got:\n%s\nwant:\n%s", body, want)
	}
	if res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("X-Nimbus-Cold-Start") != "true" ||
		res.Header.Get("X-Nimbus-Version") != "3" || res.Trailer.Get("X-Nimbus-Duration-Ms") != "0" {
		t.Errorf("headers %v, trailers %v", res.Header, res.Trailer)
	}
}

func TestInvokeStreamedOfNoGenerator(t *testing.T) {
	t.Parallel()
	_, body, err := streamed(t, &fakes{call: ok(`{"a":1}`)})
	if err != nil || !strings.HasPrefix(body, "data: {\"a\":1}\n\nevent: result\ndata: {") {
		t.Errorf("%v:\n%s", err, body)
	}
}

func TestInvokeStreamedErrors(t *testing.T) {
	t.Parallel()
	early := func(context.Context, *invoke.Request) (*invoke.Result, error) {
		return nil, nimbus.Errorf(nimbus.CodeTooManyRequests, "full")
	}
	res, body, err := streamed(t, &fakes{call: early})
	if err != nil || res.StatusCode != 429 || !strings.Contains(body, "full") {
		t.Errorf("%v: %s", err, body)
	}
	late := func(_ context.Context, req *invoke.Request) (*invoke.Result, error) {
		req.Begin(false)
		if err := req.Stream("text", []byte("half")); err != nil {
			return nil, err
		}
		return nil, errors.New("torn")
	}
	if _, body, err := streamed(t, &fakes{call: late}); err == nil {
		t.Errorf("it looks complete: %s", body)
	}
}

// followed follows the logs until the answer ends.
func followed(ctx context.Context, t *testing.T, f *fakes, stopping chan struct{}) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/functions/hello/logs?follow=true&tail=5", nil)
	r.Header.Set("Last-Event-ID", "7") // it goes on, whatever it began with
	w := httptest.NewRecorder()
	newServer(t, f, transport.Anyone{}, stopping).ServeHTTP(w, r)
	return w
}

func TestFollowLogs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakes{follow: func(ctx context.Context) iter.Seq2[obs.LogLine, error] {
			return func(yield func(obs.LogLine, error) bool) {
				if !yield(testLine("one"), nil) {
					return
				}
				select {
				case <-time.After(keepAlive * 5 / 2):
				case <-ctx.Done():
					return
				}
				yield(testLine("two"), nil)
				<-ctx.Done()
			}
		}}
		stopping := make(chan struct{})
		go func() {
			<-time.After(keepAlive * 11 / 4)
			close(stopping)
		}()
		w := followed(t.Context(), t, f, stopping)
		body := w.Body.String()
		if w.Header().Get("Content-Type") != "text/event-stream" || !w.Flushed || f.logs.Cursor != "7" || f.logs.Function != testID(1) {
			t.Errorf("%v, asked for %+v", w.Header(), f.logs)
		}
		line := `data: {"time":"2026-11-20T08:30:00.123456Z","stream":"stdout","text":"one","invocation_id":"` + testID(2).String() + `","instance_id":"i-1","version":3}`
		if !strings.Contains(body, "id: "+testLine("one").Cursor()+"\n"+line+"\n\n") || strings.Count(body, "keep-alive") != 3 ||
			strings.Index(body, `"two"`) < strings.LastIndex(body, "keep-alive") {
			t.Errorf("got:\n%s", body)
		}
	})
}

func TestFollowEndsWithTheClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f := &fakes{follow: func(ctx context.Context) iter.Seq2[obs.LogLine, error] {
			return func(yield func(obs.LogLine, error) bool) {
				cancel()
				for yield(testLine("more"), nil) {
				}
			}
		}}
		followed(ctx, t, f, nil) // would never return, and synctest would say so
	})
}

func TestFollowBreaksOffOnError(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("it looks complete")
		}
	}()
	followed(t.Context(), t, &fakes{follow: func(context.Context) iter.Seq2[obs.LogLine, error] {
		return func(yield func(obs.LogLine, error) bool) { yield(obs.LogLine{}, errors.New("torn")) }
	}}, nil)
}

// BenchmarkInvoke is what the API itself adds to a warm call.
func BenchmarkInvoke(b *testing.B) {
	server := newServer(b, &fakes{call: ok(`{"message":"Hello, Ada!"}`)}, transport.Anyone{}, nil)
	event := []byte(`{"name":"Ada"}`)
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, invokePath, bytes.NewReader(event))
		server.ServeHTTP(httptest.NewRecorder(), r)
	}
}
