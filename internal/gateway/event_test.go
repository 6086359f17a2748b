package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// v2 is the event as a handler sees it.
type v2 struct {
	Version               string            `json:"version"`
	RouteKey              string            `json:"routeKey"`
	RawPath               string            `json:"rawPath"`
	RawQueryString        string            `json:"rawQueryString"`
	Cookies               []string          `json:"cookies"`
	Headers               map[string]string `json:"headers"`
	QueryStringParameters map[string]string `json:"queryStringParameters"`
	PathParameters        map[string]string `json:"pathParameters"`
	RequestContext        struct {
		HTTP struct {
			Method    string `json:"method"`
			Path      string `json:"path"`
			Protocol  string `json:"protocol"`
			SourceIP  string `json:"sourceIp"`
			UserAgent string `json:"userAgent"`
		} `json:"http"`
		DomainName string `json:"domainName"`
		Time       string `json:"time"`
		TimeEpoch  int64  `json:"timeEpoch"`
	} `json:"requestContext"`
	Body            *string `json:"body"`
	IsBase64Encoded bool    `json:"isBase64Encoded"`
}

func build(t testing.TB, r *http.Request, path string, body []byte) v2 {
	t.Helper()
	raw := appendEvent(nil, httpEvent{request: r, path: path, body: body, apiID: "f", requestID: "r", now: time.Unix(0, 0)})
	var e v2
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, raw)
	}
	return e
}

func TestEventGolden(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/fn/default/hello/my%20path/a?x=1&x=2&q=a%26b&flag", nil)
	r.Host, r.RemoteAddr = "fn.example:8080", "203.0.113.9:4711"
	r.Header = http.Header{
		"Accept":       {"text/html", "application/json"},
		"Connection":   {"close, X-Hop"},
		"Content-Type": {"application/json"},
		"Cookie":       {"a=1; b=2", "c=3"},
		"Te":           {"trailers"},
		"User-Agent":   {"test \"agent\""},
		"X-Hop":        {"dropped"},
	}
	raw := appendEvent(nil, httpEvent{request: r, path: "/my%20path/a", body: []byte(`{"name":"Ada"}`),
		apiID: "0190b5a0-0000-7000-8000-0000000000aa", requestID: "0190b5a0-0000-7000-8000-000000000001",
		now: time.Date(2026, 11, 20, 8, 30, 0, 5e6, time.UTC)})
	var got bytes.Buffer
	if err := json.Indent(&got, raw, "", "  "); err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	const path = "testdata/event.json"
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("differs from %s (-want +got):\n%s", path, diff)
	}
}

func TestEmptyEventHasEveryPart(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/fn/default/hello", nil)
	r.RemoteAddr = "[2001:db8::1]:99"
	e := build(t, r, "/", nil)
	if e.Cookies == nil || e.QueryStringParameters == nil || e.PathParameters == nil || e.Body != nil || e.IsBase64Encoded {
		t.Errorf("got %+v", e)
	}
	if e.RequestContext.HTTP.SourceIP != "2001:db8::1" || e.RequestContext.Time != "01/Jan/1970:00:00:00 +0000" {
		t.Errorf("got %+v", e.RequestContext)
	}
}

func TestEventBody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		contentType, coding, body string
		base64                    bool
	}{
		{"", "", "plain", false},
		{"application/json", "", `{"a":"ž"}`, false},
		{"application/vnd.api+json; charset=utf-8", "", "{}", false},
		{"application/x-www-form-urlencoded", "", "a=1&b=2", false},
		{"text/plain", "", "line\nline\ttab\r\n", false},
		{"text/plain", "", "bell\a", true},
		{"text/plain", "", "latin \xe9", true},
		{"application/json", "gzip", "{}", true},
		{"application/json", "identity", "{}", false},
		{"application/octet-stream", "", "looks like text", true},
		{"multipart/form-data; boundary=x", "", "--x--", true},
		{"image/png", "", "\x89PNG", true},
		{"not a type;;", "", "x", true},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		if c.contentType != "" {
			r.Header.Set("Content-Type", c.contentType)
		}
		if c.coding != "" {
			r.Header.Set("Content-Encoding", c.coding)
		}
		e := build(t, r, "/", []byte(c.body))
		got := *e.Body
		if e.IsBase64Encoded {
			plain, err := base64.StdEncoding.DecodeString(got)
			if err != nil {
				t.Fatal(err)
			}
			got = string(plain)
		}
		if got != c.body || e.IsBase64Encoded != c.base64 {
			t.Errorf("%q, %q: base64 %v, body %q", c.contentType, c.body, e.IsBase64Encoded, got)
		}
	}
}

func TestEventQuery(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]map[string]string{
		"":                {},
		"a=1&b=2&a=3":     {"a": "1,3", "b": "2"},
		"flag&&x=":        {"flag": "", "x": ""},
		"q=a+b%20c":       {"q": "a b c"},
		"bad=%zz&k%=1":    {"bad": "%zz", "k%": "1"},
		"semi=a;b":        {"semi": "a;b"},
		"=v":              {"": "v"},
		"u=%ff&quote=%22": {"u": "\ufffd", "quote": `"`},
	} {
		var got map[string]string
		if err := json.Unmarshal(appendQuery(nil, raw), &got); err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", raw, diff)
		}
	}
}

// FuzzEvent feeds everything a client can choose and compares with what encoding/json would carry.
func FuzzEvent(f *testing.F) {
	f.Add("/a/b", "x=1&y=%20", "X-Some", "value", "c=1; d=2", "text/plain", []byte("body"))
	f.Add("/%2F\"", "&=&%", "X-Quote", "\"\\\t", ";;;", "application/json", []byte("{\"a\":\u2028}"))
	f.Add("/", "%ff=%fe", "Weird", "\xff\x00", "\"=\"", "", []byte{0, 1, 2, 0xff})
	f.Fuzz(func(t *testing.T, path, query, name, value, cookie, contentType string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.URL.RawQuery = query
		name = http.CanonicalHeaderKey(name)
		r.Header = http.Header{name: {value}, "Cookie": {cookie}, "Content-Type": {contentType}}
		e := build(t, r, path, body)
		if e.RawPath != viaJSON(t, path) || e.RawQueryString != viaJSON(t, query) || e.RequestContext.HTTP.Path != e.RawPath {
			t.Errorf("path %q, query %q", e.RawPath, e.RawQueryString)
		}
		key := strings.ToLower(name)
		if key != "cookie" && key != "content-type" && key != "host" && !hopByHop(r.Header, name) &&
			e.Headers[viaJSON(t, key)] != viaJSON(t, value) {
			t.Errorf("header %q: %q, not %q", key, e.Headers[key], value)
		}
		if len(body) == 0 {
			return
		}
		got := []byte(*e.Body)
		if e.IsBase64Encoded {
			var err error
			if got, err = base64.StdEncoding.DecodeString(*e.Body); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, body) {
			t.Errorf("body %q became %q", body, got)
		}
	})
}

// viaJSON is what is left of a string that passed through encoding/json.
func viaJSON(t *testing.T, s string) string {
	t.Helper()
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var out string
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func BenchmarkEvent(b *testing.B) {
	r := httptest.NewRequest(http.MethodGet, "/fn/default/hello?name=Ada", nil)
	r.Header = http.Header{"User-Agent": {"curl/8"}, "Accept": {"*/*"}}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = appendEvent(buf[:0], httpEvent{request: r, path: "/", apiID: "0190b5a0-0000-7000-8000-0000000000aa",
			requestID: "0190b5a0-0000-7000-8000-000000000001", now: time.Unix(0, 0)})
	}
}
