//go:build linux

package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	firstLook = 200 * time.Microsecond // a Go program is up within a millisecond
	lastLook  = 20 * time.Millisecond
	patience  = time.Second // with a program that neither reads stdin nor knows of the Runtime API
)

// stdinWatch finds out whether a process that was just started waits for its event on stdin. There is nothing that
// tells, so it looks, ever less often.
type stdinWatch struct {
	run   *run
	path  string
	timer *time.Timer
	due   <-chan time.Time // when to look
	wait  time.Duration

	waited   time.Duration
	patient  bool // with a program that may be about to ask the Runtime API, however long that takes
	resolved bool // patient is known
}

// waits reports whether the process is taken for one that gets its event on stdin, and else sets the timer. One
// that waits by other means than a read is, after a while, unless it knows of the Runtime API.
func (w *stdinWatch) waits() bool {
	if readsStdin(w.run.pid) {
		return true
	}
	w.waited += w.wait
	if w.waited >= patience && !w.resolved {
		w.patient, w.resolved = mentionsRuntimeAPI(w.path), true
	}
	if w.resolved && !w.patient {
		return true
	}
	w.wait = min(2*w.wait, lastLook)
	w.timer.Reset(w.wait)
	return false
}

// mentionsRuntimeAPI reports whether the program holds the name of the variable without which nobody finds the API.
func mentionsRuntimeAPI(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false
	}
	text, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Munmap(text) }()
	return bytes.Contains(text, []byte("AWS_LAMBDA_RUNTIME_API"))
}

// readsStdin reports whether a thread of the process waits in a read of its stdin. Where the kernel does not tell,
// none does.
func readsStdin(pid int) bool {
	tasks := filepath.Join("/proc", strconv.Itoa(pid), "task")
	entries, err := os.ReadDir(tasks)
	if err != nil {
		return false
	}
	reading := []byte(strconv.Itoa(unix.SYS_READ) + " 0x0 ")
	for _, e := range entries {
		doing, err := os.ReadFile(filepath.Join(tasks, e.Name(), "syscall"))
		if err == nil && bytes.HasPrefix(doing, reading) {
			return true
		}
	}
	return false
}
