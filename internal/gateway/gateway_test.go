package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"nimbus"
	"nimbus/internal/invoke"
	"nimbus/internal/problem"
	"nimbus/internal/transport"
)

const helloURL = "/fn/default/hello"

func get(t *testing.T, f *fakeInvoker, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	newServer(f, transport.Anyone{}, 1<<10).ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

// problemOf reads an answer that must be a problem.
func problemOf(t *testing.T, w *httptest.ResponseRecorder) problem.Details {
	t.Helper()
	var d problem.Details
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || w.Header().Get("Content-Type") != problem.ContentType {
		t.Fatalf("no problem: %d %s", w.Code, w.Body)
	}
	return d
}

func TestResponses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		result  string
		status  int
		headers map[string]string
		body    string
	}{
		"an object":        {`{"message":"hi"}`, 200, map[string]string{"Content-Type": "application/json"}, `{"message":"hi"}`},
		"a string":         {`"hi"`, 200, map[string]string{"Content-Type": "application/json"}, `"hi"`},
		"nothing":          {``, 200, map[string]string{"Content-Type": "application/json"}, `null`},
		"statusCode below": {`{"a":{"statusCode":404}}`, 200, nil, `{"a":{"statusCode":404}}`},
		"statusCode text":  {`"\"statusCode\""`, 200, nil, `"\"statusCode\""`},
		"an array":         {`[{"statusCode":404}]`, 200, nil, `[{"statusCode":404}]`},
		"status as text":   {`{"statusCode":"404","body":"b"}`, 404, nil, `b`},
		"reset content":    {`{"statusCode":205,"body":"ignored"}`, 205, map[string]string{"Content-Type": ""}, ``},
		"status only":      {`{"statusCode":418}`, 418, map[string]string{"Content-Type": "", "Content-Length": "0"}, ``},
		"body":             {`{"statusCode":201,"body":"made","headers":{"content-type":"text/plain","X-N":5,"X-B":true}}`, 201, map[string]string{"Content-Type": "text/plain", "X-N": "5", "X-B": "true"}, `made`},
		"base64":           {`{"statusCode":200,"body":"AAH/","isBase64Encoded":true,"headers":{"Content-Type":"image/png"}}`, 200, map[string]string{"Content-Type": "image/png", "Content-Length": "3"}, "\x00\x01\xff"},
		"nulls":            {`{"statusCode":200,"body":null,"headers":null,"cookies":null,"isBase64Encoded":null}`, 200, nil, ``},
		"no content":       {`{"statusCode":204,"body":"ignored"}`, 204, map[string]string{"Content-Type": "", "Content-Length": ""}, ``},
		"hop by hop":       {`{"statusCode":200,"headers":{"Connection":"close","Transfer-Encoding":"chunked","Content-Length":"99","X-Request-Id":"x","X-Nimbus-Version":"99","X-Ok":"1"},"body":"b"}`, 200, map[string]string{"Connection": "", "Transfer-Encoding": "", "Content-Length": "1", "X-Nimbus-Version": "3", "X-Ok": "1"}, `b`},
		"twice, by case":   {`{"statusCode":200,"headers":{"x-a":"small","X-A":"big"}}`, 200, map[string]string{"X-A": "small"}, ``},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := get(t, &fakeInvoker{call: returning(c.result)}, http.MethodGet, helloURL, "")
			if w.Code != c.status || w.Body.String() != c.body {
				t.Errorf("%d %q, want %d %q", w.Code, w.Body, c.status, c.body)
			}
			for k, v := range c.headers {
				if got := w.Header().Get(k); got != v {
					t.Errorf("%s: %q, want %q", k, got, v)
				}
			}
			for k, v := range map[string]string{"X-Nimbus-Cold-Start": "true", "X-Nimbus-Version": "3", "X-Nimbus-Duration-Ms": "1.25"} {
				if got := w.Header().Get(k); got != v {
					t.Errorf("%s: %q, want %q", k, got, v)
				}
			}
			if _, err := nimbus.ParseID(w.Header().Get("X-Request-Id")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCookiesAreSetOneByOne(t *testing.T) {
	t.Parallel()
	w := get(t, &fakeInvoker{call: returning(`{"statusCode":200,"cookies":["a=1; Secure","b=2"],"headers":{"Set-Cookie":"c=3"}}`)}, http.MethodGet, helloURL, "")
	if got := strings.Join(w.Header().Values("Set-Cookie"), "|"); got != "c=3|a=1; Secure|b=2" {
		t.Errorf("Set-Cookie: %s", got)
	}
}

func TestBadResponses(t *testing.T) {
	t.Parallel()
	for result, want := range map[string]string{
		`{"statusCode":"+200"}`:                      "statusCode",
		`{"statusCode":"OK"}`:                        "statusCode",
		`{"statusCode":""}`:                          "statusCode",
		`{"statusCode":99}`:                          "statusCode",
		`{"statusCode":101}`:                         "statusCode",
		`{"statusCode":600}`:                         "statusCode",
		`{"statusCode":200.5}`:                       "statusCode",
		`{"statusCode":null}`:                        "statusCode",
		`{"statusCode":200,"headers":[]}`:            "headers",
		`{"statusCode":200,"headers":{"X-A":["b"]}}`: "X-A",
		`{"statusCode":200,"headers":{"X-A":"b\r\nSet-Cookie: stolen=1"}}`: "X-A",
		`{"statusCode":200,"headers":{"X A":"b"}}`:                         "X A",
		`{"statusCode":200,"headers":{"":"b"}}`:                            "header name",
		`{"statusCode":200,"cookies":"a=1"}`:                               "cookies",
		`{"statusCode":200,"cookies":["a\n"]}`:                             "Set-Cookie",
		`{"statusCode":200,"body":{"a":1}}`:                                "body",
		`{"statusCode":200,"body":5}`:                                      "body",
		`{"statusCode":200,"body":"!","isBase64Encoded":true}`:             "base64",
		`{"statusCode":200,"isBase64Encoded":"yes"}`:                       "isBase64Encoded",
	} {
		w := get(t, &fakeInvoker{call: returning(result)}, http.MethodGet, helloURL, "")
		d := problemOf(t, w)
		if w.Code != http.StatusBadGateway || d.Code != problem.CodeBadResponse || !strings.Contains(d.Detail, want) {
			t.Errorf("%s: %d %+v", result, w.Code, d)
		}
		if w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: a header got through", result)
		}
	}
}

// FuzzResponse looks for results that panic or that net/http could not send.
func FuzzResponse(f *testing.F) {
	f.Add([]byte(`{"statusCode":200,"headers":{"X-A":"b"},"cookies":["a=1"],"body":"x","isBase64Encoded":false}`))
	f.Add([]byte(`{"statusCode":1e2,"headers":{"\r\n":5}}`))
	f.Add([]byte(` [{"statusCode":1}]`))
	f.Fuzz(func(t *testing.T, result []byte) {
		a, err := parseResponse(result)
		if err != nil {
			if _, ok := errors.AsType[*badResponseError](err); !ok {
				t.Fatalf("%v", err)
			}
			return
		}
		if a.status < 200 || a.status > 599 {
			t.Errorf("status %d", a.status)
		}
		for _, h := range a.headers {
			if strings.ContainsAny(h.name+h.value, "\r\n\x00") {
				t.Errorf("header %q: %q", h.name, h.value)
			}
		}
		a.write(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	})
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		outcome, status int
		errorType       string
		code            nimbus.Code
	}{
		{500, 502, "ValueError", problem.CodeFunctionError},
		{507, 502, nimbus.ErrorTypeOutOfMemory, problem.CodeFunctionError},
		{504, 504, nimbus.ErrorTypeTimeout, problem.CodeFunctionTimeout},
	} {
		w := get(t, &fakeInvoker{call: ending(c.outcome, c.errorType, "password is hunter2")}, http.MethodGet, helloURL, "")
		d := problemOf(t, w)
		if w.Code != c.status || d.Code != c.code || d.ErrorType != c.errorType || d.RequestID != w.Header().Get("X-Request-Id") {
			t.Errorf("%d: %d %+v", c.outcome, w.Code, d)
		}
		if strings.Contains(w.Body.String(), "hunter2") {
			t.Errorf("%d: the message was told: %s", c.outcome, w.Body)
		}
		if w.Header().Get("X-Nimbus-Version") != "3" {
			t.Errorf("%d: headers %v", c.outcome, w.Header())
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	full := func(context.Context, *invoke.Request) (*invoke.Result, error) {
		return nil, nimbus.Errorf(nimbus.CodeTooManyRequests, "the queue is full")
	}
	for name, c := range map[string]struct {
		path, body, mode string
		identity         transport.Identity
		status           int
	}{
		"full":          {helloURL, "", "", transport.Anyone{}, 429},
		"unknown":       {"/fn/default/nobody", "", "", transport.Anyone{}, 404},
		"no name":       {"/fn/default", "", "", transport.Anyone{}, 404},
		"no name, too":  {"/fn/default/", "", "", transport.Anyone{}, 404},
		"no namespace":  {"/fn//hello", "", "", transport.Anyone{}, 404},
		"too large":     {helloURL, strings.Repeat("x", 1<<10+1), "", transport.Anyone{}, 413},
		"asynchronous":  {helloURL, "", "async", transport.Anyone{}, 422},
		"foreign host":  {helloURL, "", "", transport.Loopback{}, 403}, // httptest's is example.com
		"without a key": {helloURL, "", "", transport.NewKeys(nil), 401},
	} {
		r := httptest.NewRequest(http.MethodPost, c.path, strings.NewReader(c.body))
		if c.mode != "" {
			r.Header.Set("X-Nimbus-Invoke-Mode", c.mode)
		}
		w := httptest.NewRecorder()
		newServer(&fakeInvoker{call: full}, c.identity, 1<<10).ServeHTTP(w, r)
		if d := problemOf(t, w); w.Code != c.status {
			t.Errorf("%s: %d %+v", name, w.Code, d)
		}
	}
}

func TestRawEvents(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{`{"a": 1}`: 200, ``: 200, `{"a":`: 400, "\"\xff\"": 400} {
		f := &fakeInvoker{format: nimbus.EventFormatRaw, call: returning(`1`)}
		w := get(t, f, http.MethodPost, helloURL, body)
		if w.Code != want {
			t.Errorf("%q: %d %s", body, w.Code, w.Body)
		}
		if want == 200 && string(f.event) != body {
			t.Errorf("%q became the event %q", body, f.event)
		}
	}
}

func TestRequestReachesTheFunction(t *testing.T) {
	t.Parallel()
	f := &fakeInvoker{call: returning(`1`)}
	w := get(t, f, "PROPFIND", "/fn/default/hello//a%2Fb/?q=1", "data")
	var e v2
	if err := json.Unmarshal(f.event, &e); err != nil {
		t.Fatal(err)
	}
	if e.RawPath != "//a%2Fb/" || e.RequestContext.HTTP.Method != "PROPFIND" || e.QueryStringParameters["q"] != "1" || *e.Body != "data" {
		t.Errorf("event %s", f.event)
	}
	if f.req.ID.String() != w.Header().Get("X-Request-Id") || len(f.req.Traceparent) != 55 || f.req.Arrived.IsZero() || f.req.Trigger != nimbus.TriggerHTTP {
		t.Errorf("request %+v", f.req)
	}
}

func TestEventsDoNotShareMemory(t *testing.T) {
	t.Parallel()
	f := &fakeInvoker{call: returning(`1`)}
	server := newServer(f, transport.Anyone{}, 1<<10)
	call := func(body string) []byte {
		server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, helloURL, strings.NewReader(body)))
		return f.event
	}
	first := call("first")
	before := string(first)
	call("SECOND")
	if string(first) != before {
		t.Error("the second event was written over the first")
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(newServer(&fakeInvoker{call: returning(`{"statusCode":200,"body":"12345"}`)}, transport.Anyone{}, 1<<10))
	defer server.Close()
	res, err := server.Client().Head(server.URL + helloURL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || len(body) != 0 || res.ContentLength != 5 {
		t.Errorf("%q, %v, length %d", body, err, res.ContentLength)
	}
}
