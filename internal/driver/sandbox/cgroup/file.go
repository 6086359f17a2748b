//go:build linux

package cgroup

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// open returns a control file that the runtime's poller leaves alone: kernfs files can be polled, and
// registering each would cost two system calls.
func open(flags int, path ...string) (*os.File, error) {
	name := filepath.Join(path...)
	fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

func write(value string, path ...string) error {
	f, err := open(unix.O_WRONLY|unix.O_TRUNC|unix.O_CREAT, path...)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString(value); err != nil {
		return fmt.Errorf("write %q: %w", value, err)
	}
	return nil
}

func writeInt(value int64, path ...string) error {
	return write(strconv.FormatInt(value, 10), path...)
}

func readInt(path ...string) (int64, error) {
	f, err := open(unix.O_RDONLY, path...)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return readIntAt(f)
}

// readIntAt reads a file that holds one number, from its start. "max" is the largest number.
func readIntAt(f *os.File) (int64, error) {
	var b [32]byte
	n, err := f.ReadAt(b[:], 0)
	if err != nil && err != io.EOF {
		return 0, err
	}
	return parseInt(bytes.TrimSpace(b[:n]))
}

// readKey reads one number of a file with "key value" lines; a key that isn't there is 0.
func readKey(key string, path ...string) (int64, error) {
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		return 0, err
	}
	return keyed(b, key)
}

func keyed(b []byte, key string) (int64, error) {
	for line := range bytes.Lines(b) {
		if k, v, ok := bytes.Cut(bytes.TrimSpace(line), []byte(" ")); ok && string(k) == key {
			return parseInt(v)
		}
	}
	return 0, nil
}

func parseInt(b []byte) (int64, error) {
	s := strings.TrimSpace(string(b))
	if s == "max" {
		return math.MaxInt64, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read a control file: %w", err)
	}
	return n, nil
}

// readPIDs lists the processes of a group.
func readPIDs(dir string) ([]int, error) {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, word := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			return nil, fmt.Errorf("read the processes of %s: %w", dir, err)
		}
		if pid > 0 { // 0 = of a pid namespace that isn't ours
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
