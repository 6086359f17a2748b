package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"nimbus"
	"nimbus/internal/obs"
	"nimbus/internal/problem"
)

// serve sends r through everything a request passes before the handler, and returns what was logged too.
func serve(t *testing.T, handler http.HandlerFunc, r *http.Request) (*httptest.ResponseRecorder, string) {
	t.Helper()
	var logged bytes.Buffer
	log := obs.NewLogger(&logged, slog.LevelDebug, obs.FormatText)
	w := httptest.NewRecorder()
	New(handler, handler, Deps{Problems: problem.NewWriter(log), Requests: obs.NewMetrics(), Log: log}).ServeHTTP(w, r)
	return w, logged.String()
}

func TestRequestGetsIDAndTrace(t *testing.T) {
	t.Parallel()
	var id nimbus.ID
	var trace obs.TraceContext
	handler := func(_ http.ResponseWriter, r *http.Request) {
		id, trace = obs.RequestIDFrom(r.Context()), obs.RequestFrom(r.Context()).Trace
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Request-Id", "chosen-by-the-caller")
	w, _ := serve(t, handler, r)
	if got := w.Header().Get("X-Request-Id"); got != id.String() || id.IsZero() || id[6]>>4 != 7 {
		t.Errorf("X-Request-Id %q, context %v", got, id)
	}
	if got := w.Header().Get("Traceparent"); got != trace.String() || !trace.Valid() {
		t.Errorf("traceparent %q, context %v", got, trace)
	}
}

func TestTraceContinues(t *testing.T) {
	t.Parallel()
	const caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("traceparent", caller)
	w, _ := serve(t, func(http.ResponseWriter, *http.Request) {}, r)
	if got := w.Header().Get("Traceparent"); got != caller { // nobody records spans of our own
		t.Errorf("traceparent %q, want the caller's %q", got, caller)
	}
}

func TestPanicBecomesProblem(t *testing.T) {
	t.Parallel()
	w, logged := serve(t, func(http.ResponseWriter, *http.Request) { panic("boom") }, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusInternalServerError || w.Header().Get("Content-Type") != problem.ContentType || strings.Contains(w.Body.String(), "boom") {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	if !strings.Contains(logged, "boom") || !strings.Contains(logged, "transport_test.go") {
		t.Errorf("no panic or stack in the log: %s", logged)
	}
}

func TestPanicAfterTheAnswerBeganBreaksOff(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]any{"a panic": "boom", "an abort": http.ErrAbortHandler} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() != http.ErrAbortHandler {
					t.Error("the connection was not broken off")
				}
			}()
			serve(t, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "half")
				panic(cause)
			}, httptest.NewRequest(http.MethodGet, "/", nil))
		})
	}
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	for status, level := range map[int]string{200: "DEBUG", 404: "INFO", 500: "ERROR", 502: "INFO", 503: "WARN", 504: "INFO", 507: "WARN"} {
		r := httptest.NewRequest(http.MethodGet, "/some/path?token=secret", nil)
		w, logged := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "12345")
		}, r)
		lines := strings.Split(strings.TrimSpace(logged), "\n")
		if len(lines) != 1 {
			t.Fatalf("%d: %d lines: %s", status, len(lines), logged)
		}
		for _, want := range []string{"level=" + level, "path=/some/path", "bytes=5", "request_id=" + w.Header().Get("X-Request-Id"), "aborted=false"} {
			if !strings.Contains(logged, want) {
				t.Errorf("%d: no %s in %s", status, want, logged)
			}
		}
		if strings.Contains(logged, "secret") {
			t.Errorf("the query was logged: %s", logged)
		}
	}
}

// A server that is not ready yet is asked for its health again and again.
func TestHealthIsLoggedForDebuggingOnly(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/health/ready", nil)
	_, logged := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, r)
	if !strings.Contains(logged, "level=DEBUG") {
		t.Errorf("logged %s", logged)
	}
}

func TestAccessLogOfSilentHandler(t *testing.T) {
	t.Parallel()
	_, logged := serve(t, func(http.ResponseWriter, *http.Request) {}, httptest.NewRequest(http.MethodGet, "/", nil))
	if !strings.Contains(logged, "status=200") {
		t.Errorf("logged %s", logged)
	}
}

func TestRecorderIsTransparent(t *testing.T) {
	t.Parallel()
	w, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Errorf("flush: %v", err)
		}
	}, httptest.NewRequest(http.MethodGet, "/", nil))
	if !w.Flushed {
		t.Error("the flush did not reach the connection")
	}
}

func TestSplitLeavesPathsAlone(t *testing.T) {
	t.Parallel()
	said := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, text+" "+r.URL.EscapedPath()) }
	}
	log := slog.New(slog.DiscardHandler)
	h := New(said("control"), said("gateway"), Deps{Problems: problem.NewWriter(log), Requests: obs.NewMetrics(), Log: log})
	for path, want := range map[string]string{
		"/fn/a/b//c/../d%2Fe": "gateway /fn/a/b//c/../d%2Fe",
		"/fnord":              "control /fnord",
		"/api/v1/functions":   "control /api/v1/functions",
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Body.String() != want {
			t.Errorf("%s: %q", path, w.Body)
		}
	}
}

// oneKey knows one key.
type oneKey string

func (k oneKey) Authenticate(_ context.Context, presented string) (nimbus.Principal, error) {
	if presented != string(k) {
		return nimbus.Principal{}, nimbus.Errorf(nimbus.CodeUnauthenticated, "the API key is not known")
	}
	return nimbus.Principal{Subject: "apikey:1"}, nil
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		headers map[string]string
		ok      bool
		left    map[string]string // headers the function may see
	}{
		"none":                  {nil, false, nil},
		"bearer":                {map[string]string{"Authorization": "Bearer k"}, true, map[string]string{"Authorization": ""}},
		"bearer in lower case":  {map[string]string{"Authorization": "bearer  k "}, true, nil},
		"wrong bearer":          {map[string]string{"Authorization": "Bearer x"}, false, nil},
		"basic":                 {map[string]string{"Authorization": "Basic k"}, false, nil},
		"api key":               {map[string]string{"X-API-Key": "k"}, true, map[string]string{"X-API-Key": ""}},
		"wrong api key":         {map[string]string{"X-API-Key": "x", "Authorization": "Bearer k"}, false, nil},
		"both, for one of each": {map[string]string{"X-API-Key": "k", "Authorization": "Bearer theirs"}, true, map[string]string{"X-API-Key": "", "Authorization": "Bearer theirs"}},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for k, v := range c.headers {
			r.Header.Set(k, v)
		}
		p, err := NewKeys(oneKey("k")).Principal(r)
		if c.ok != (err == nil && p.Subject == "apikey:1") || !c.ok && nimbus.CodeOf(err) != nimbus.CodeUnauthenticated {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
		for k, v := range c.left {
			if got := r.Header.Get(k); got != v {
				t.Errorf("%s: the function sees %s: %q", name, k, got)
			}
		}
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	type headers = map[string]string
	for _, c := range []struct {
		host    string
		headers headers
		ok      bool
	}{
		{"127.0.0.1:8080", nil, true},
		{"127.8.8.8", nil, true},
		{"[::1]:8080", nil, true},
		{"localhost:8080", nil, true},
		{"LOCALHOST.", nil, true},
		{"app.localhost:8080", nil, true},
		{"", nil, true},
		{"evil.example:8080", nil, false},
		{"192.168.1.5:8080", nil, false},
		{"0.0.0.0:8080", nil, false},
		{"localhost.evil.example", nil, false},
		{"notlocalhost", nil, false},
		{"localhost:8080", headers{"Origin": "http://localhost:8080"}, true},
		{"localhost:8080", headers{"Origin": "http://localhost:3000"}, false},
		{"localhost:8080", headers{"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"}, false},
		{"localhost:8080", headers{"Sec-Fetch-Site": "same-site"}, false},
		{"localhost:8080", headers{"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "cross-site"}, false},
		{"localhost:8080", headers{"Origin": "https://evil.example"}, false},
		{"localhost:8080", headers{"Origin": "null"}, false},
		{"localhost:8080", headers{"Origin": ""}, false},
		{"localhost:8080", headers{"Origin": "http://localhost@evil.example"}, false},
		{"localhost:8080", headers{"Sec-Fetch-Site": "cross-site"}, false},
		{"localhost:8080", headers{"Sec-Fetch-Site": "none"}, true},
		{"localhost:8080", headers{"Sec-Fetch-Site": "same-origin"}, true},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Host = c.host
		for k, v := range c.headers {
			r.Header.Set(k, v)
		}
		p, err := Loopback{}.Principal(r)
		if c.ok != (err == nil && p.Can(nimbus.ScopeAdmin)) || !c.ok && nimbus.CodeOf(err) != nimbus.CodeForbidden {
			t.Errorf("host %q, %v: %+v, %v", c.host, c.headers, p, err)
		}
	}
}

func TestReadBody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body   io.Reader
		length int64
		want   string
		code   nimbus.Code
	}{
		"empty":             {strings.NewReader(""), 0, "", ""},
		"at the bound":      {strings.NewReader("12345678"), 8, "12345678", ""},
		"length not told":   {strings.NewReader("12345678"), -1, "12345678", ""},
		"over, told":        {strings.NewReader("123456789"), 9, "", nimbus.CodeTooLarge},
		"over, not told":    {strings.NewReader("123456789"), -1, "", nimbus.CodeTooLarge},
		"broken off":        {strings.NewReader("123"), 8, "", nimbus.CodeBadRequest},
		"broken off, error": {io.MultiReader(strings.NewReader("1"), failing{}), -1, "", nimbus.CodeBadRequest},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", c.body)
		r.ContentLength = c.length
		got, err := ReadBody(httptest.NewRecorder(), r, 8)
		if string(got) != c.want || nimbus.CodeOf(err) != c.code {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if c.code == nimbus.CodeTooLarge && !strings.Contains(err.Error(), "8 bytes") {
			t.Errorf("%s: the bound is not named: %v", name, err)
		}
	}
}

func TestReadLongBody(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("x", trusted+1)
	for length, code := range map[int64]nimbus.Code{trusted + 1: "", -1: "", trusted + 2: nimbus.CodeBadRequest} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(text))
		r.ContentLength = length
		got, err := ReadBody(httptest.NewRecorder(), r, trusted+2)
		if nimbus.CodeOf(err) != code || err == nil && string(got) != text {
			t.Errorf("%d: %d bytes, %v", length, len(got), err)
		}
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("reset") }

func TestCheckEvent(t *testing.T) {
	t.Parallel()
	for event, want := range map[string]string{
		"":                 "",
		"null":             "",
		`{"a":"ž"}`:        "",
		" [1,2] \n":        "",
		`{"a":1`:           "line 1",
		"{\n  \"a\": x}":   "line 2, column 8",
		`{"a":1} trailing`: "line 1, column 9",
		"\"\xff\"":         "UTF-8",
	} {
		err := CheckEvent([]byte(event))
		if want == "" && err != nil || want != "" && (nimbus.CodeOf(err) != nimbus.CodeBadRequest || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", event, err, want)
		}
	}
}

func TestSizeText(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{5: "5 bytes", 512 * nimbus.KiB: "512 KiB", 6 * nimbus.MiB: "6 MiB", nimbus.MiB + 1: "1048577 bytes"} {
		if got := sizeText(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestEveryAnswerIsCounted(t *testing.T) {
	t.Parallel()
	metrics, log := obs.NewMetrics(), slog.New(slog.DiscardHandler)
	h := New(http.NotFoundHandler(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		Deps{Problems: problem.NewWriter(log), Requests: metrics, Log: log})
	for _, path := range []string{"/fn/a/b", "/fn/a/b", "/nothing"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
	}
	w := httptest.NewRecorder()
	metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{`nimbus_http_requests_total{code="200"} 2`, `nimbus_http_requests_total{code="404"} 1`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s", want)
		}
	}
}
