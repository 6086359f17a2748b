//go:build soak

package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Soak tests (`make soak`) run one after another: each wants the machine for itself. What they do at random
// is told by a seed that they print.
var soakSeed = flag.Uint64("soak.seed", 0, "seed of what the soak tests do at random; 0 = a new one")

// quiet keeps the log of a server readable: what soak tests do they do a thousand times.
func quiet() []string { return []string{"--log-level", "warn"} }

// soakDice returns a source of chance for each of several clients.
func soakDice(t *testing.T) func(client int) *rand.Rand {
	t.Helper()
	seed := *soakSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("to do this again: -soak.seed %d", seed)
	return func(client int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(client))) }
}

// between returns a random duration.
func between(dice *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(dice.Int64N(int64(most-least)))
}

// pause waits, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// soakClient calls a server that may be killed meanwhile, so that its errors are for the caller to judge.
type soakClient struct {
	http *http.Client
	url  string
}

// newSoakClient returns a client of its own connections.
func newSoakClient(t *testing.T, url string) *soakClient {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &soakClient{http: &http.Client{Transport: transport, Timeout: time.Minute}, url: url}
}

// newStrangerClient returns a client that makes a connection for each request.
func newStrangerClient(url string) *soakClient {
	return &soakClient{http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}, url: url}
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
func (c *soakClient) send(method, path string, body any) (reply, error) {
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
func (c *soakClient) invoke(name, event string) (answer, reply, error) {
	r, err := c.send(http.MethodPost, "/api/v1/functions/"+name+"/invoke", event)
	var a answer
	if err == nil && r.status == http.StatusOK {
		err = json.Unmarshal(r.body, &a)
	}
	return a, r, err
}
