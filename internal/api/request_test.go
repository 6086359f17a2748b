package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"nimbus"
	"nimbus/internal/transport"
)

func TestNamespaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		query, header string
		key           []string
		want          string
		status        int
	}{
		{"", "", nil, "", 200}, // the principal's default, or wherever an id is: the use case knows
		{"a", "", nil, "a", 200},
		{"", "b", nil, "b", 200},
		{"a", "a", nil, "a", 200},
		{"a", "b", nil, "", 400},
		{"", "", []string{"team"}, "", 200},
		{"other", "", []string{"team"}, "other", 200}, // the use case refuses it
	} {
		f := &fakes{}
		r := httptest.NewRequest(http.MethodGet, "/api/v1/functions/hello?namespace="+c.query, nil)
		if c.header != "" {
			r.Header.Set("X-Nimbus-Namespace", c.header)
		}
		w := httptest.NewRecorder()
		newServer(t, f, as{nimbus.Principal{Namespaces: c.key, Scopes: []nimbus.Scope{nimbus.ScopeAdmin}}}, nil).ServeHTTP(w, r)
		if w.Code != c.status || f.ref.Namespace != c.want {
			t.Errorf("query %q, header %q, key %v: %d, %q", c.query, c.header, c.key, w.Code, f.ref.Namespace)
		}
	}
}

// as is the identity of one principal.
type as struct{ principal nimbus.Principal }

func (a as) Principal(*http.Request) (nimbus.Principal, error) { return a.principal, nil }

func TestQueries(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]struct {
		status int
		text   string
	}{
		"limit=1":                             {200, ""},
		"limit=100":                           {200, ""},
		"limit=0":                             {422, "1 to 100"},
		"limit=101":                           {422, "1 to 100"},
		"limit=many":                          {422, "1 to 100"},
		"limit=1&limit=2":                     {422, "once"},
		"status=success":                      {200, ""},
		"status=done":                         {422, "must be one of pending"},
		"stauts=success":                      {422, "did you mean status?"},
		"since=5m&until=2026-11-20T08:30:00Z": {200, ""},
		"since=2026-11-20T08:30:00+01:00":     {200, ""},
		"since=yesterday":                     {422, "must be a time"},
		"since=-5m":                           {422, "how long ago"},
		"x=%zz":                               {400, "malformed"},
	} {
		w := request{method: "GET", path: "/api/v1/invocations?" + query}.send(t, &fakes{})
		if w.Code != want.status || !strings.Contains(w.Body.String(), want.text) {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
}

func TestFollowedLogsHaveNoEnd(t *testing.T) {
	t.Parallel()
	w := request{method: "GET", path: "/api/v1/functions/a/logs?follow=true&until=1s"}.send(t, &fakes{})
	if d := problemOf(t, w); len(d.Errors) != 1 || d.Errors[0].Field != "until" {
		t.Errorf("%+v", d)
	}
}

func TestLogsBeginWithTheLastLines(t *testing.T) {
	t.Parallel()
	f := &fakes{}
	if w := (request{method: "GET", path: "/api/v1/functions/a/logs?tail=1000"}).send(t, f); w.Code != 200 || f.logs.Cursor != "last-1000" {
		t.Errorf("%d %s, from %q", w.Code, w.Body, f.logs.Cursor)
	}
	for _, query := range []string{"tail=0", "tail=1001", "tail=x", "tail=3&cursor=7"} {
		w := request{method: "GET", path: "/api/v1/functions/a/logs?" + query}.send(t, &fakes{})
		if d := problemOf(t, w); len(d.Errors) != 1 || d.Errors[0].Field != "tail" {
			t.Errorf("%s: %+v", query, d)
		}
	}
}

func TestLogsAreSearched(t *testing.T) {
	t.Parallel()
	f := &fakes{}
	w := request{method: "GET", path: "/api/v1/functions/a/logs?contains=100%25+sure+%22%C3%A9%22&stream=stderr&since=5m"}.send(t, f)
	if w.Code != 200 || f.logs.Contains != `100% sure "é"` || f.logs.Stream != "stderr" || f.logs.Since.IsZero() {
		t.Errorf("%d %s, %+v", w.Code, w.Body, f.logs)
	}
	w = request{method: "GET", path: "/api/v1/functions/a/logs?stream=stdin"}.send(t, &fakes{})
	if d := problemOf(t, w); len(d.Errors) != 1 || d.Errors[0].Field != "stream" {
		t.Errorf("%+v", d)
	}
}

func TestPeriod(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/?since=90s&until=2026-11-20T09:30:00%2B01:00", nil)
	span, err := periodOf(r, moment)
	if err != nil || !span.since.Equal(moment.Add(-90*time.Second)) || !span.until.Equal(time.Date(2026, 11, 20, 8, 30, 0, 0, time.UTC)) {
		t.Errorf("%+v, %v", span, err)
	}
}

func TestUnknownPathsAreProblems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 404, ""},
		{"GET", "/api/v1/nothing", 404, ""},
		{"GET", "/api/v2/functions", 404, ""},
		{"PATCH", "/api/v1/functions", 405, "GET, HEAD, POST"},
		{"POST", "/api/v1/functions/a", 405, "DELETE, GET, HEAD, PUT"},
		{"GET", "/api/v1/functions/a/invoke", 405, "POST"},
		{"POST", "/health", 405, "GET, HEAD"},
	} {
		w := request{method: c.method, path: c.path}.send(t, &fakes{})
		if d := problemOf(t, w); w.Code != c.status || w.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s: Allow %q, %+v", c.method, c.path, w.Header().Get("Allow"), d)
		}
	}
}

func TestHeadIsAnswered(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/api/v1/functions", "/api/v1/backup", "/api/v1/functions/a/logs?follow=true", "/health"} {
		if w := (request{method: "HEAD", path: path}).send(t, &fakes{}); w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestErrorsOfUseCasesAreProblems(t *testing.T) {
	t.Parallel()
	f := &fakes{err: nimbus.Errorf(nimbus.CodeNotFound, "it was not found")}
	for _, path := range []string{"/api/v1/functions", "/api/v1/functions/a", "/api/v1/invocations", "/api/v1/invocations/" + testID(1).String(),
		"/api/v1/invocations/not-an-id", "/api/v1/functions/a/invocations", "/api/v1/functions/a/logs", "/api/v1/functions/a/logs?follow=true", "/api/v1/apikeys"} {
		if d := problemOf(t, request{method: "GET", path: path}.send(t, f)); d.Code != nimbus.CodeNotFound {
			t.Errorf("%s: %+v", path, d)
		}
	}
	for _, q := range []request{
		{method: "DELETE", path: "/api/v1/functions/a"}, {method: "DELETE", path: "/api/v1/apikeys/a"},
		{method: "PUT", path: "/api/v1/functions/a", body: "{}"}, {method: "POST", path: "/api/v1/functions", body: `{"name":"a"}`},
		{method: "POST", path: "/api/v1/apikeys", body: `{"name":"a"}`}, {method: "POST", path: "/api/v1/functions/a/invoke"},
		{method: "POST", path: "/api/v1/restore"},
	} {
		if d := problemOf(t, q.send(t, f)); d.Code != nimbus.CodeNotFound {
			t.Errorf("%s %s: %+v", q.method, q.path, d)
		}
	}
}

// stranger knows no key.
type stranger struct{}

func (stranger) Authenticate(context.Context, string) (nimbus.Principal, error) {
	return nimbus.Principal{}, nimbus.Errorf(nimbus.CodeUnauthenticated, "the API key is not known")
}

func TestOnlyHealthAndDocumentsAreOpen(t *testing.T) {
	t.Parallel()
	f := &fakes{}
	a := &api{}
	server := newServer(t, f, transport.NewKeys(stranger{}), nil)
	open := map[string]bool{"/health": true, "/health/live": true, "/health/ready": true, "/openapi.json": true, "/docs": true}
	for _, op := range a.operations(newRegistry()) {
		path := pathVariable.ReplaceAllString(op.doc.Path, "x")
		w := httptest.NewRecorder()
		server.ServeHTTP(w, httptest.NewRequest(op.doc.Method, path, nil))
		if got := w.Code != http.StatusUnauthorized; got != open[path] {
			t.Errorf("%s %s: %d", op.doc.Method, path, w.Code)
		}
		if w.Code == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s %s: no WWW-Authenticate", op.doc.Method, path)
		}
	}
}

func TestScopesOfWhatHasNoUseCase(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, path string
		scope        nimbus.Scope
	}{
		{"GET", "/api/v1/runtimes", nimbus.ScopeInvoke}, {"GET", "/metrics", nimbus.ScopeInvoke},
		{"GET", "/api/v1/backup", nimbus.ScopeWrite}, {"POST", "/api/v1/restore", nimbus.ScopeWrite},
	} {
		w := httptest.NewRecorder()
		identity := as{nimbus.Principal{Scopes: []nimbus.Scope{c.scope}}}
		newServer(t, &fakes{}, identity, nil).ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != http.StatusForbidden {
			t.Errorf("%s %s: %d", c.method, c.path, w.Code)
		}
	}
}

// A key that is confined to namespaces gets at nothing that is about all of them.
func TestAConfinedKeyStaysInItsNamespaces(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"GET /api/v1/backup", "POST /api/v1/restore", "GET /metrics"} {
		method, path, _ := strings.Cut(path, " ")
		w := httptest.NewRecorder()
		identity := as{nimbus.Principal{Scopes: []nimbus.Scope{nimbus.ScopeAdmin}, Namespaces: []string{"team"}}}
		newServer(t, &fakes{}, identity, nil).ServeHTTP(w, httptest.NewRequest(method, path, nil))
		if w.Code != http.StatusForbidden {
			t.Errorf("%s %s: %d", method, path, w.Code)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	if w := (request{method: "GET", path: "/metrics"}).send(t, &fakes{}); !strings.Contains(w.Body.String(), "nimbus_up 1") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestAPIKeyInput(t *testing.T) {
	t.Parallel()
	f := &fakes{}
	w := request{method: "POST", path: "/api/v1/apikeys", body: `{"name":"ci","scopes":["read"],"namespaces":["a"],"expires_in":"90m"}`}.send(t, f)
	if w.Code != 201 || f.key.Name != "ci" || f.key.ExpiresIn != 90*time.Minute || len(f.key.Scopes) != 1 || len(f.key.Namespaces) != 1 {
		t.Errorf("%d, %+v", w.Code, f.key)
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Error("a secret may be cached")
	}
	for _, body := range []string{`{"name":"a","expires_in":"soon"}`, `{"name":"a","expires_in":"-1h"}`, `{"name":"a","scope":["read"]}`} {
		if w := (request{method: "POST", path: "/api/v1/apikeys", body: body}).send(t, f); w.Code != 422 {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	request{method: "DELETE", path: "/api/v1/apikeys/ci"}.send(t, f)
	if f.name != "ci" {
		t.Errorf("deleted %q", f.name)
	}
}
