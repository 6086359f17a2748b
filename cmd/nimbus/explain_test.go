package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPlainServerAskedForTLS(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	var said bytes.Buffer
	c := &cli{out: io.Discard, err: &said, getenv: func(string) string { return "" }}
	code := execute(t.Context(), c, []string{"function", "list", "--server", strings.Replace(plain.URL, "http:", "https:", 1)})
	if code != 1 || !strings.HasSuffix(said.String(), "it does not speak TLS; use http:// instead\n") {
		t.Errorf("exit code %d, %q", code, said.String())
	}
}
