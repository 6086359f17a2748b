package client

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nimbus"
)

func TestProblemIsRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status      int
		contentType string
		header      map[string]string
		body        string
		want        Problem
		text        string
	}{
		"of fields": {
			status: 422, contentType: "application/problem+json; charset=utf-8",
			body: `{"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"invalid memory_mb, name","code":"invalid",
				"request_id":"r1","errors":[{"field":"memory_mb","detail":"must be 128 to 10240"},{"field":"name","detail":"must not be empty"}]}`,
			want: Problem{Type: "about:blank", Title: "Unprocessable Entity", Status: 422, Detail: "invalid memory_mb, name", Code: CodeInvalid,
				RequestID: "r1", Fields: []FieldError{{"memory_mb", "must be 128 to 10240"}, {"name", "must not be empty"}}},
			text: "invalid memory_mb: must be 128 to 10240; name: must not be empty",
		},
		"that may pass": {
			status: 429, contentType: "application/problem+json", header: map[string]string{"Retry-After": "7"},
			body: `{"status":429,"code":"too_many_requests","detail":"full"}`,
			want: Problem{Status: 429, Code: CodeTooManyRequests, Detail: "full", RetryAfter: 7 * time.Second},
			text: "full",
		},
		"of a proxy": {
			status: 502, contentType: "text/html", header: map[string]string{"X-Request-Id": "p1"}, body: "<html>bad gateway</html>",
			want: Problem{Status: 502, RequestID: "p1"},
			text: "answered 502 Bad Gateway, which is not an answer of Nimbus",
		},
		"in plain text": {
			status: 404, contentType: "text/plain; charset=utf-8", body: "404 page not found\n",
			want: Problem{Status: 404},
			text: "answered 404 Not Found: 404 page not found",
		},
		"cut short": {
			status: 500, contentType: "application/problem+json", body: `{"status":5`,
			want: Problem{Status: 500},
			text: "answered 500 Internal Server Error, which is not an answer of Nimbus",
		},
		"whose body lies about the status": {
			status: 403, contentType: "application/problem+json", body: `{"status":200,"code":"forbidden","detail":"no"}`,
			want: Problem{Status: 403, Code: CodeForbidden, Detail: "no"},
			text: "no",
		},
		"without a word": {
			status: 503, contentType: "application/problem+json", body: `{"code":"unavailable"}`,
			want: Problem{Status: 503, Code: CodeUnavailable},
			text: "the server answered 503 Service Unavailable",
		},
		"an unfollowed redirect": {
			status: 304, contentType: "", header: map[string]string{"Location": "http://elsewhere/"},
			want: Problem{Status: 304},
			text: "answered 304 Not Modified, to http://elsewhere/",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range tt.header {
					w.Header().Set(k, v)
				}
				answer(w, tt.status, tt.contentType, tt.body)
			})
			err := c.DeleteFunction(t.Context(), "x")
			got, ok := errors.AsType[*Problem](err)
			if !ok {
				t.Fatalf("got %T %v", err, err)
			}
			if !strings.HasSuffix(got.Error(), tt.text) {
				t.Errorf("it reads %q, want %q", got, tt.text)
			}
			if tt.want.Code == "" {
				tt.want.Detail = got.Detail // made of the server's address
			}
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSuccessThatIsNotNimbus(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, "text/html", "<html>welcome") })
	_, err := c.Function(t.Context(), "x")
	if refusal, ok := errors.AsType[*Problem](err); !ok || !strings.Contains(refusal.Error(), "text/html") {
		t.Errorf("got %T %v", err, err)
	}
}

func TestCodesAreTheServers(t *testing.T) {
	t.Parallel()
	mine := []string{CodeBadRequest, CodeInvalid, CodeUnauthenticated, CodeForbidden, CodeNotFound, CodeConflict, CodeTooLarge,
		CodeUnsupportedMedia, CodeTooManyRequests, CodeInsufficientStorage, CodeUnavailable, CodeInternal}
	var theirs []string
	for _, code := range nimbus.Codes() {
		theirs = append(theirs, string(code))
	}
	if diff := cmp.Diff(theirs, mine); diff != "" {
		t.Error(diff)
	}
}
