package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"nimbus/client"
)

func TestWhatBecameOfADeployment(t *testing.T) {
	t.Parallel()
	active := func(version int64, message string) *client.Function {
		return &client.Function{Name: "f", Status: client.StatusActive, Version: version, StatusMessage: message}
	}
	failed := &client.Function{Name: "f", Status: client.StatusFailed, Version: 1, StatusMessage: "# f\nmain.go:3:1: \x1b[1mno"}
	for name, c := range map[string]struct {
		now, old *client.Function
		want     change
		said     string
	}{
		"new":                     {active(1, ""), nil, changeCreated, ""},
		"new, failed":             {failed, nil, changeFailed, "# f\nmain.go:3:1: \\x1b[1mno\nnimbus: f could not be built; deploy it again when that is put right\n"},
		"new, not waited for":     {&client.Function{Status: client.StatusBuilding, StatusMessage: "version 1 is being built"}, nil, changeBuilding, ""},
		"updated":                 {active(3, ""), active(2, ""), changeUpdated, ""},
		"unchanged":               {active(2, ""), active(2, ""), changeUnchanged, ""},
		"updated, failed":         {active(2, "version 3 could not be built: main.go:3:1: no"), active(2, ""), changeFailed, "main.go:3:1: no\nnimbus: f could not be built anew; version 2 serves on\n"},
		"updated, not waited for": {active(2, "version 3 is being built"), active(2, ""), changeBuilding, ""},
		"failed once more":        {failed, failed, changeFailed, "# f\nmain.go:3:1: \\x1b[1mno\nnimbus: f could not be built; deploy it again when that is put right\n"},
		"put right":               {active(1, ""), failed, changeCreated, ""},
	} {
		if got := changeOf(c.now, c.old); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		var said bytes.Buffer
		err := (&cli{err: &said}).reportBuild(c.now)
		if said.String() != c.said || errors.Is(err, errReported) != (c.want == changeFailed) {
			t.Errorf("%s: it says %q, %v", name, &said, err)
		}
	}
}

// TestLeavingABuild: who interrupts a deployment learns that it goes on, if it does.
func TestLeavingABuild(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "resize.go")
	if err := os.WriteFile(file, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, accepted := range map[string]bool{"built": true, "not even asked for": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			var left atomic.Bool
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodPost:
					_, _ = io.Copy(io.Discard, r.Body) // so that the server notices who leaves
					left.Store(true)
					leave()
					<-r.Context().Done()
				case accepted && left.Load():
					w.Header().Set("Content-Type", "application/json")
					_, _ = io.WriteString(w, `{"name":"resize","status":"building","status_message":"version 1 is being built"}`)
				default:
					w.Header().Set("Content-Type", "application/problem+json")
					w.WriteHeader(http.StatusNotFound)
					_, _ = io.WriteString(w, `{"code":"not_found"}`)
				}
			}))
			defer api.Close()
			var said bytes.Buffer
			c := &cli{out: io.Discard, err: &said, getenv: func(string) string { return "" }}
			code := execute(ctx, c, []string{"deploy", file, "--server", api.URL})
			told := strings.Contains(said.String(), "the build of resize goes on: `nimbus function get resize`")
			if code != 1 || told != accepted || !strings.HasSuffix(said.String(), "nimbus: interrupted\n") {
				t.Errorf("exit code %d, %q", code, &said)
			}
		})
	}
}
