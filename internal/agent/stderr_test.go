//go:build linux

package agent

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const crash = "panic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\t/main.go:3 +0x1d\n"

// logged returns what is in the log.
func logged(s *stderr) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.(*bytes.Buffer).String()
}

// TestStderrHoldsBack gives a report of a crash in pieces of every size.
func TestStderrHoldsBack(t *testing.T) {
	t.Parallel()
	for size := 1; size <= 64; size++ {
		synctest.Test(t, func(t *testing.T) {
			s := &stderr{log: &bytes.Buffer{}}
			s.take([]byte("before\nno panic: here\n"))
			s.take([]byte(crash[:7])) // the runtime writes the word at once
			for text := crash[7:]; len(text) > 0; {
				n := min(size, len(text))
				s.take([]byte(text[:n]))
				text = text[n:]
			}
			meta, ok := parseCrash(s.report())
			if !ok || meta.Type != "panic" || meta.Message != "boom" || len(meta.Stack) != 3 || meta.Stack[2] != "    /main.go:3 +0x1d" {
				t.Errorf("got %+v", meta)
			}
			s.flush()
			if got := logged(s); got != "before\nno panic: here\n" {
				t.Errorf("the log has %q", got)
			}
		})
	}
}

// TestCrashBySignal reads what a Go program prints that C code has brought down.
func TestCrashBySignal(t *testing.T) {
	t.Parallel()
	meta, ok := parseCrash("SIGSEGV: segmentation violation\nPC=0x47 m=0 sigcode=0\n\ngoroutine 1 [syscall]:\nmain.main()\n\nrax 0x0\ngs 0x0\n")
	if !ok || meta.Type != "SIGSEGV" || meta.Message != "segmentation violation\nPC=0x47 m=0 sigcode=0" || len(meta.Stack) != 5 {
		t.Errorf("got %v %+v", ok, meta)
	}
}

// TestStderrReleases sees that what only looks like a crash is in the log before long.
func TestStderrReleases(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stderr{log: &bytes.Buffer{}}
		s.take([]byte("panic: at the disco\n"))
		if got := logged(s); got != "" {
			t.Errorf("the log has %q", got)
		}
		time.Sleep(holdFor)
		synctest.Wait()
		s.take([]byte("and more\n"))
		if got := logged(s); got != "panic: at the disco\nand more\n" || s.last() != "and more" {
			t.Errorf("the log has %q", got)
		}
		s.take([]byte(crash)) // a real one: what came before it is not part of it
		if report := s.report(); report != crash {
			t.Errorf("got %q", report)
		}
	})
}

func TestStderrIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stderr{log: &bytes.Buffer{}}
		line := strings.Repeat("x", 1000) + "\n"
		s.take([]byte("panic: much\n\n" + line))
		for range 1000 {
			s.take([]byte(line))
		}
		if len(s.crash) > 2*crashMax || len(s.tail) > 3*tailMax {
			t.Errorf("it keeps %d and %d bytes", len(s.crash), len(s.tail))
		}
		if meta, ok := parseCrash(s.report()); !ok || !strings.HasPrefix(meta.Message, "much") {
			t.Errorf("got %.100v", meta)
		}
		if want := len("panic: much\n\n") + 1001*len(line); len(logged(s)) != want {
			t.Errorf("the log has %d bytes, want %d", len(logged(s)), want)
		}
	})
}
