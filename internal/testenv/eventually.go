package testenv

import (
	"testing"
	"time"
)

// Eventually waits until cond is true and fails the test after the timeout. It is the one place of the
// tests that waits in steps; prefer a channel or testing/synctest where they can tell.
func Eventually(t testing.TB, timeout time.Duration, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline.C:
			if cond() { // the machine may have been too busy to look in time
				return
			}
			t.Fatalf("the condition did not come true within %s", timeout)
		case <-tick.C:
		}
	}
}
