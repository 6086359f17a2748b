package client

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"nimbus/internal/testenv"
)

func TestNewRefusesWhatIsNoServer(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"localhost:8080", "ftp://host", "http://", "http://u:secret@host", "http://host?x=1", "http://host#x", "://"} {
		_, err := New(server)
		if err == nil {
			t.Errorf("New(%q) took it", server)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("New(%q) tells the password: %v", server, err)
		}
	}
	c, err := New("https://host/prefix/")
	if err != nil || c.Server() != "https://host/prefix" {
		t.Errorf("New gave %v, %v", c.Server(), err)
	}
	if c, err = New(""); err != nil || c.Server() != DefaultServer {
		t.Errorf("New without a server gave %v, %v", c.Server(), err)
	}
}

func TestRequestSaysWhoAndWhere(t *testing.T) {
	t.Parallel()
	var got *http.Request
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		answer(w, 200, "application/json", `{"name":"hello"}`)
	}, WithAPIKey("k"), WithNamespace("team"), WithUserAgent("me/1"))
	if _, err := c.Function(t.Context(), "hello"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer k", "X-Nimbus-Namespace": "team", "User-Agent": "me/1",
	} {
		if v := got.Header.Get(name); v != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
}

func TestNameStaysOneSegment(t *testing.T) {
	t.Parallel()
	var path string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.EscapedPath()
		answer(w, 200, "application/json", `{}`)
	})
	for name, want := range map[string]string{
		"hello":      "/api/v1/functions/hello",
		"a/../../b":  "/api/v1/functions/a%2F..%2F..%2Fb",
		"..":         "/api/v1/functions/%2E%2E",
		"a?x=1#y":    "/api/v1/functions/a%3Fx=1%23y",
		"ü %41":      "/api/v1/functions/%C3%BC%20%2541",
		"with space": "/api/v1/functions/with%20space",
	} {
		if _, err := c.Function(t.Context(), name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if path != want {
			t.Errorf("%q reaches %s, want %s", name, path, want)
		}
	}
}

func TestUnreachableNamesTheServer(t *testing.T) {
	t.Parallel()
	c, err := New("http://" + testenv.Nobody(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Function(t.Context(), "x")
	unreachable, ok := errors.AsType[*UnreachableError](err)
	if !ok || unreachable.Server != c.Server() || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %T %v", err, err)
	}
}

func TestDeadlineIsTheCallers(t *testing.T) {
	t.Parallel()
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := c.Function(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %T %v", err, err)
	}
	gone := errors.New("the user went away")
	ctx, stop := context.WithCancelCause(t.Context())
	stop(gone)
	if _, err := c.Function(ctx, "x"); !errors.Is(err, gone) {
		t.Errorf("got %T %v", err, err)
	}
}

func TestArchiveGoesAsMultipart(t *testing.T) {
	t.Parallel()
	archive := strings.Repeat("zip", 1<<16)
	var settings, code, kind string
	var length int64
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		length = r.ContentLength
		_, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		form := multipart.NewReader(r.Body, params["boundary"])
		for {
			part, err := form.NextPart()
			if err != nil {
				break
			}
			text, _ := io.ReadAll(part)
			switch part.FormName() {
			case "function":
				settings = string(text)
			case "code":
				code, kind = string(text), part.Header.Get("Content-Type")
			}
		}
		answer(w, 201, "application/json", `{"name":"hello","version":1}`)
	})
	memory := int64(256)
	f, err := c.CreateFunction(t.Context(), FunctionInput{Name: "hello", MemoryMB: &memory,
		Archive: strings.NewReader(archive), ArchiveSize: int64(len(archive))})
	if err != nil || f.Version != 1 {
		t.Fatalf("got %+v, %v", f, err)
	}
	if settings != `{"name":"hello","memory_mb":256}` || code != archive || kind != "application/zip" || length <= int64(len(archive)) {
		t.Errorf("the server read %q, %d bytes of code as %q, %d in all", settings, len(code), kind, length)
	}
}

func TestRefusalComesBeforeTheArchiveIsSent(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Expect") != "100-continue" {
			t.Error("the archive comes unasked")
		}
		answer(w, 401, "application/problem+json", `{"status":401,"code":"unauthenticated","detail":"no key"}`)
	})
	unread := readerFunc(func([]byte) (int, error) { return 0, errors.New("the archive was sent") })
	_, err := c.UpdateFunction(t.Context(), "hello", FunctionInput{Archive: unread, ArchiveSize: 1 << 20})
	if refusal, ok := errors.AsType[*Problem](err); !ok || refusal.Code != CodeUnauthenticated {
		t.Errorf("got %v", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestPagesAreFollowed(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch q := r.URL.Query(); q.Get("cursor") {
		case "":
			if q.Get("name") != "h" || len(q["tags"]) != 2 {
				t.Errorf("query %v", q)
			}
			answer(w, 200, "application/json", `{"items":[{"name":"a"},{"name":"b"}],"next_cursor":"two"}`)
		case "two":
			answer(w, 200, "application/json", `{"items":[{"name":"c"}],"next_cursor":"three"}`)
		default:
			answer(w, 503, "application/problem+json", `{"status":503,"code":"unavailable","detail":"stopping"}`)
		}
	})
	var names string
	var last error
	for f, err := range c.Functions(t.Context(), FunctionQuery{Name: "h", Tags: []string{"x", "y"}}) {
		names += f.Name
		last = err
	}
	if names != "abc" || last == nil {
		t.Errorf("got %q, %v", names, last)
	}
}
