package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"nimbus/internal/invoke"
	"nimbus/internal/problem"
	"nimbus/internal/transport"
)

// fetch gets the URL over a real connection.
func fetch(t *testing.T, f *fakeInvoker) (*http.Response, string, error) {
	t.Helper()
	server := httptest.NewServer(newServer(f, transport.Anyone{}, 1<<10))
	defer server.Close()
	res, err := server.Client().Get(server.URL + helloURL)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

func TestStreams(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		items       []item
		status      int
		contentType string
		body        string
	}{
		"text":              {[]item{{"text", "one "}, {"text", "two"}}, 200, "application/octet-stream", "one two"},
		"bytes":             {[]item{{"bytes", "\x00"}, {"bytes", ""}, {"bytes", "\xff"}}, 200, "application/octet-stream", "\x00\xff"},
		"json":              {[]item{{"json", `{"n":1}`}, {"json", `{"statusCode":500}`}}, 200, "application/octet-stream", "{\"n\":1}\n{\"statusCode\":500}\n"},
		"prelude":           {[]item{{"json", `{"statusCode":201,"headers":{"Content-Type":"text/event-stream"},"cookies":["a=1"]}`}, {"text", "data: 1\n\n"}}, 201, "text/event-stream", "data: 1\n\n"},
		"prelude with body": {[]item{{"json", `{"statusCode":200,"body":"first,"}`}, {"text", "second"}}, 200, "application/octet-stream", "first,second"},
		"prelude only":      {[]item{{"json", `{"statusCode":404}`}}, 404, "application/octet-stream", ""},
		"prelude as text":   {[]item{{"text", `{"statusCode":404}`}}, 200, "application/octet-stream", `{"statusCode":404}`},
		"nothing":           {nil, 200, "application/octet-stream", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res, body, err := fetch(t, &fakeInvoker{call: streaming(200, c.items...)})
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != c.status || body != c.body || res.Header.Get("Content-Type") != c.contentType {
				t.Errorf("%d %s %q", res.StatusCode, res.Header.Get("Content-Type"), body)
			}
			if res.Header.Get("X-Nimbus-Cold-Start") != "true" || res.Header.Get("X-Nimbus-Version") != "3" {
				t.Errorf("headers %v", res.Header)
			}
			if got := res.Trailer.Get("X-Nimbus-Duration-Ms") + res.Header.Get("X-Nimbus-Duration-Ms"); got != "2" {
				t.Errorf("the duration is %q", got)
			}
		})
	}
}

func TestItemsAreSentAsTheyCome(t *testing.T) {
	t.Parallel()
	proceed := make(chan struct{})
	f := &fakeInvoker{call: func(_ context.Context, req *invoke.Request) (*invoke.Result, error) {
		req.Begin(false)
		for _, text := range []string{"a", "b", "c"} {
			if err := req.Stream("text", []byte(text)); err != nil {
				return nil, err
			}
			<-proceed
		}
		return &invoke.Result{StatusCode: 200, Streamed: true}, nil
	}}
	server := httptest.NewServer(newServer(f, transport.Anyone{}, 1<<10))
	defer server.Close()
	res, err := server.Client().Get(server.URL + helloURL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for _, want := range "abc" {
		buf := make([]byte, 1)
		if _, err := io.ReadFull(res.Body, buf); err != nil || string(buf) != string(want) {
			t.Fatalf("%q, %v", buf, err) // the next item isn't made before this one was read
		}
		proceed <- struct{}{}
	}
}

func TestFailureInTheMiddleBreaksOff(t *testing.T) {
	t.Parallel()
	torn := func(_ context.Context, req *invoke.Request) (*invoke.Result, error) {
		req.Begin(false)
		if err := req.Stream("text", []byte("half")); err != nil {
			return nil, err
		}
		return nil, errors.New("instance lost")
	}
	for name, call := range map[string]func(context.Context, *invoke.Request) (*invoke.Result, error){
		"user code": streaming(500, item{"text", "half"}),
		"platform":  torn,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res, body, err := fetch(t, &fakeInvoker{call: call})
			if res == nil {
				return // broken off before the headers were read; the client noticed
			}
			if err == nil || res.StatusCode != 200 || strings.Contains(body, "{") {
				t.Errorf("%d %q, %v: it looks complete", res.StatusCode, body, err)
			}
		})
	}
}

func TestFailureBeforeTheFirstItemIsAProblem(t *testing.T) {
	t.Parallel()
	w := get(t, &fakeInvoker{call: streaming(500)}, http.MethodGet, helloURL, "")
	if d := problemOf(t, w); w.Code != 502 || d.Code != problem.CodeFunctionError {
		t.Errorf("%d %+v", w.Code, d)
	}
}

func TestBadPreludeIsAProblem(t *testing.T) {
	t.Parallel()
	w := get(t, &fakeInvoker{call: streaming(200, item{"json", `{"statusCode":9}`}, item{"text", "more"})}, http.MethodGet, helloURL, "")
	if d := problemOf(t, w); w.Code != 502 || d.Code != problem.CodeBadResponse {
		t.Errorf("%d %+v", w.Code, d)
	}
}

func TestHeadOfAStream(t *testing.T) {
	t.Parallel()
	w := get(t, &fakeInvoker{call: streaming(200, item{"json", `{"statusCode":203}`}, item{"text", "body"})}, http.MethodHead, helloURL, "")
	if w.Code != 203 || w.Body.Len() != 0 {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}
