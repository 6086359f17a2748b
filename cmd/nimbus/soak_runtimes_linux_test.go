//go:build soak

package main

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Many clients, every runtime, one minute.
func TestSoakRuntimes(t *testing.T) {
	adoptOrphans(t)
	seed := *soakSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("to do this again: -soak.seed %d", seed)
	mixedLoad(t, time.Minute, seed)
	if left := orphans(t, 0); len(left) > 0 {
		t.Errorf("a clean stop left the processes %v", left)
	}
}
