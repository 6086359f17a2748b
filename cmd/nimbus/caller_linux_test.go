package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// caller sends requests to a server that may be killed meanwhile: its errors are for the test to judge.
type caller struct {
	http *http.Client
	url  string
}

// newCaller returns one with connections of its own.
func newCaller(t *testing.T, url string) *caller {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &caller{http: &http.Client{Transport: transport, Timeout: time.Minute}, url: url}
}

// reply is a whole response.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// String tells what a failed test is to print.
func (r reply) String() string { return fmt.Sprintf("HTTP %d %.400s", r.status, r.body) }

// send sends a request; a string body is JSON as it stands, nil none, anything else is marshalled.
func (c *caller) send(method, path string, body any) (reply, error) {
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	case io.Reader:
		content = b
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return reply{}, err
		}
		content = strings.NewReader(string(text))
	}
	req, err := http.NewRequest(method, c.url+path, content)
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	if _, raw := body.(io.Reader); raw {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, got}, err
}

// invoke calls a function.
func (c *caller) invoke(name, event string) (answer, reply, error) {
	r, err := c.send(http.MethodPost, "/api/v1/functions/"+name+"/invoke", event)
	var a answer
	if err == nil && r.status == http.StatusOK {
		err = json.Unmarshal(r.body, &a)
	}
	return a, r, err
}
