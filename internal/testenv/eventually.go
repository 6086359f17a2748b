package testenv

import (
	"net"
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

// Free returns a loopback TCP address, host:port, where nobody listens at the moment.
func Free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
