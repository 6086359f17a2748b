//go:build !linux

package testenv

import (
	"errors"
	"testing"
)

// TinyDisk skips the test: it needs Linux.
func TinyDisk(t testing.TB, bytes int64) string {
	t.Helper()
	require(t, needRoot, errors.New("this test mounts a tmpfs, which needs Linux"))
	return ""
}

func missingSandbox() error { return errors.New("this test needs Linux") }
