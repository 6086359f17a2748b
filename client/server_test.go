package client

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// serve starts a server that answers as handler does, and returns a client of it.
func serve(t *testing.T, handler http.HandlerFunc, opts ...Option) *Client {
	t.Helper()
	s := httptest.NewServer(handler)
	transport := &http.Transport{ExpectContinueTimeout: time.Minute} // as long as it takes
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		s.CloseClientConnections() // of handlers that wait for their client to go
		s.Close()
	})
	c, err := New(s.URL, append([]Option{WithHTTPClient(&http.Client{Transport: transport})}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	c.wait = backoff{first: time.Millisecond, max: 10 * time.Millisecond}
	return c
}

// answer writes a status and a body.
func answer(w http.ResponseWriter, status int, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // a client that is gone fails the test elsewhere
}
