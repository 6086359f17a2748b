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

// Nobody skips the test: how to hold an address without listening on it is known for Linux only.
func Nobody(t testing.TB) string {
	t.Helper()
	require(t, needRoot, errors.New("this test holds a TCP address, which is written for Linux only"))
	return ""
}

func missingSandbox() error { return errors.New("this test needs Linux") }
