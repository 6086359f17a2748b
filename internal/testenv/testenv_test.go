package testenv

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// witness records how a test would have ended.
type witness struct {
	testing.TB
	skipped, failed string
}

func (w *witness) Helper()           {}
func (w *witness) Skip(args ...any)  { w.skipped = fmt.Sprint(args...) }
func (w *witness) Fatal(args ...any) { w.failed = fmt.Sprint(args...) }
func (w *witness) Fatalf(format string, args ...any) {
	w.failed = fmt.Sprintf(format, args...)
}

func TestRequire(t *testing.T) {
	missing := errors.New("no python; install it")
	for _, c := range []struct {
		name, demanded  string
		missing         error
		skipped, failed string
	}{
		{"there", "python", nil, "", ""},
		{"missing", "", missing, "no python; install it", ""},
		{"missing, another demanded", "root, sandbox", missing, "no python; install it", ""},
		{"missing and demanded", "root,python", missing, "", "NIMBUS_TEST_REQUIRE=python, but: no python; install it"},
		{"a misspelt demand", "pyhton", nil, "", `NIMBUS_TEST_REQUIRE: "pyhton" is none of [root sandbox python node go curl]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(requireVar, c.demanded)
			w := &witness{TB: t}
			require(w, needPython, c.missing)
			if w.skipped != c.skipped || w.failed != c.failed {
				t.Errorf("skipped %q, failed %q; want %q, %q", w.skipped, w.failed, c.skipped, c.failed)
			}
		})
	}
}

func TestEventually(t *testing.T) {
	t.Parallel()
	calls := 0
	Eventually(t, time.Minute, func() bool { calls++; return calls == 3 })
	if calls != 3 {
		t.Errorf("cond was asked %d times, want 3", calls)
	}
	w := &witness{TB: t}
	Eventually(w, time.Millisecond, func() bool { return w.failed != "" })
	if !strings.Contains(w.failed, "within 1ms") {
		t.Errorf("a condition that stays false failed with %q", w.failed)
	}
}

func TestTinyDiskIsTiny(t *testing.T) {
	t.Parallel()
	dir := TinyDisk(t, 1<<20)
	err := os.WriteFile(filepath.Join(dir, "f"), make([]byte, 2<<20), 0o600)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("2 MiB on a disk of 1 MiB: %v, want ENOSPC", err)
	}
}

func TestNobodyAnswersAndNobodyElseCan(t *testing.T) {
	t.Parallel()
	address := Nobody(t)
	if c, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connecting: %v, %v", c, err)
	}
	if l, err := net.Listen("tcp", address); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listening: %v, %v", l, err)
	}
}

func TestMachine(t *testing.T) {
	t.Parallel()
	t.Run("python", func(t *testing.T) { t.Log(RequirePython(t)) })
	t.Run("sandbox", func(t *testing.T) { RequireSandbox(t) })
}
