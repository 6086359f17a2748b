package problem

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nimbus"
)

var update = flag.Bool("update", false, "write the golden files anew")

// answer writes err and returns the answer and what was logged.
func answer(t *testing.T, ctx context.Context, err error) (*http.Response, Details, string) {
	t.Helper()
	var logged bytes.Buffer
	p := NewWriter(slog.New(slog.NewTextHandler(&logged, nil)))
	w := httptest.NewRecorder()
	w.Header().Set(RequestIDHeader, "0190b5a0-0000-7000-8000-000000000001")
	p.Write(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/functions", nil), err)
	var d Details
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil {
			t.Fatalf("not JSON: %s", w.Body)
		}
	}
	return w.Result(), d, logged.String()
}

func TestEveryCodeHasAStatus(t *testing.T) {
	t.Parallel()
	seen := map[nimbus.Code]bool{}
	for _, code := range Codes() {
		if seen[code] {
			t.Errorf("%s is listed twice", code)
		}
		seen[code] = true
		status := Status(code)
		if http.StatusText(status) == "" || status < 400 {
			t.Errorf("%s has the status %d", code, status)
		}
		if status == http.StatusInternalServerError && code != nimbus.CodeInternal {
			t.Errorf("%s has no status of its own", code)
		}
		res, d, _ := answer(t, t.Context(), nimbus.Errorf(code, "why"))
		if res.StatusCode != status || d.Status != status || d.Code != code || d.Detail != "why" || d.Title != http.StatusText(status) {
			t.Errorf("%s: status %d, problem %+v", code, res.StatusCode, d)
		}
		if got := res.Header.Get("Content-Type"); got != ContentType {
			t.Errorf("%s: Content-Type %s", code, got)
		}
	}
	if Status("new") != http.StatusInternalServerError {
		t.Error("an unknown code is not 500")
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	var invalid nimbus.Invalid
	invalid.Add("memory_mb", "must be %d to %d", 128, 10240)
	invalid.Add("timeout_sec", "must be 1 to 900")
	for name, err := range map[string]error{
		"invalid":     invalid.Err(),
		"not_found":   nimbus.Errorf(nimbus.CodeNotFound, "the function \"a<b>\" was not found"),
		"internal":    errors.New("dial tcp: secret address"),
		"unavailable": &nimbus.Error{Code: nimbus.CodeUnavailable, Detail: "stopping", RetryAfter: 2500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var logged bytes.Buffer
			w := httptest.NewRecorder()
			w.Header().Set(RequestIDHeader, "0190b5a0-0000-7000-8000-000000000001")
			NewWriter(slog.New(slog.NewTextHandler(&logged, nil))).Write(w, httptest.NewRequest(http.MethodGet, "/", nil), err)
			var indented bytes.Buffer
			if err := json.Indent(&indented, w.Body.Bytes(), "", "  "); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(path, indented.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), indented.String()); diff != "" {
				t.Errorf("differs from %s (-want +got):\n%s", path, diff)
			}
		})
	}
}

func TestUnknownErrorIsLoggedAndNotTold(t *testing.T) {
	t.Parallel()
	_, d, logged := answer(t, t.Context(), fmt.Errorf("open: %w", errors.New("disk on fire")))
	if d.Code != nimbus.CodeInternal || strings.Contains(d.Detail, "fire") {
		t.Errorf("told: %+v", d)
	}
	if strings.Count(logged, "disk on fire") != 1 {
		t.Errorf("logged: %s", logged)
	}
}

func TestRefusalsAreNotLogged(t *testing.T) {
	t.Parallel()
	if _, _, logged := answer(t, t.Context(), nimbus.Errorf(nimbus.CodeNotFound, "gone")); logged != "" {
		t.Errorf("logged: %s", logged)
	}
}

func TestWrappedErrorKeepsItsCode(t *testing.T) {
	t.Parallel()
	_, d, _ := answer(t, t.Context(), fmt.Errorf("create: %w", nimbus.WrapError(nimbus.CodeConflict, errors.New("row"), "taken")))
	if d.Code != nimbus.CodeConflict || d.Detail != "taken" {
		t.Errorf("got %+v", d)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code nimbus.Code
		wait time.Duration
		want string
	}{
		{nimbus.CodeTooManyRequests, 0, "1"},
		{nimbus.CodeUnavailable, 0, "1"},
		{nimbus.CodeTooManyRequests, time.Millisecond, "1"},
		{nimbus.CodeTooManyRequests, 61 * time.Second, "61"},
		{nimbus.CodeConflict, 0, ""},
		{nimbus.CodeConflict, 2 * time.Second, "2"},
	} {
		res, _, _ := answer(t, t.Context(), &nimbus.Error{Code: c.code, RetryAfter: c.wait})
		if got := res.Header.Get("Retry-After"); got != c.want {
			t.Errorf("%s, %v: %q, want %q", c.code, c.wait, got, c.want)
		}
	}
}

func TestUnauthenticatedSaysHow(t *testing.T) {
	t.Parallel()
	res, _, _ := answer(t, t.Context(), nimbus.Errorf(nimbus.CodeUnauthenticated, "no key"))
	if got := res.Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
		t.Errorf("WWW-Authenticate: %q", got)
	}
}

func TestClientGone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	res, d, logged := answer(t, ctx, fmt.Errorf("invoke: %w", context.Canceled))
	if res.StatusCode != 499 || d.Code != "" || logged != "" {
		t.Errorf("status %d, problem %+v, log %s", res.StatusCode, d, logged)
	}
}

func TestAbort(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	p := NewWriter(slog.New(slog.NewTextHandler(&logged, nil)))
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("did not break off")
		}
		if !strings.Contains(logged.String(), "torn") {
			t.Errorf("logged: %s", &logged)
		}
	}()
	p.Abort(httptest.NewRequest(http.MethodGet, "/", nil), errors.New("torn"))
}

func TestWriteOutcome(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	var logged bytes.Buffer
	NewWriter(slog.New(slog.NewTextHandler(&logged, nil))).WriteOutcome(w, CodeFunctionError, "failed", "ValueError")
	var d Details
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusBadGateway || d.ErrorType != "ValueError" || d.Code != CodeFunctionError || logged.Len() > 0 {
		t.Errorf("status %d, problem %+v, log %s", w.Code, d, &logged)
	}
}
