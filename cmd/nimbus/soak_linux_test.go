//go:build soak

package main

import (
	"context"
	"flag"
	"math/rand/v2"
	"net/http"
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

// newStranger returns a caller that makes a connection for each request.
func newStranger(url string) *caller {
	return &caller{http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}, url: url}
}
