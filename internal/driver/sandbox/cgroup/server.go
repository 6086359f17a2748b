//go:build linux

package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The weight of the server against all instances together; 1024 and 100 are the kernel's defaults.
const (
	serverShares = 8192 // v1
	serverWeight = 800  // v2
)

// server is this process in the group that outweighs the instances.
type server struct {
	hierarchy hierarchy
	dir       string // the group
	home      string // where the process came from
}

// enterServer moves the calling process to the server's group of the hierarchy that shares out the
// processor; without one there is none.
func (t *Tree) enterServer() (*server, error) {
	h, ok := t.system.at[CPU]
	if !ok {
		return nil, nil
	}
	self, err := selfGroup(h)
	if err != nil {
		return nil, fmt.Errorf("enter the server's cgroup: %w", err)
	}
	s := &server{hierarchy: h, home: filepath.Join(h.dir, self), dir: filepath.Join(h.dir, t.path, "server")}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("enter the server's cgroup: %w", err)
	}
	if err := write("0", s.dir, "cgroup.procs"); err != nil {
		return nil, fmt.Errorf("enter the server's cgroup: %w", err)
	}
	return s, nil
}

// weigh gives the server its weight.
func (s *server) weigh() error {
	switch {
	case s == nil:
		return nil
	case s.hierarchy.v2:
		return writeInt(serverWeight, s.dir, "cpu.weight")
	}
	return writeInt(serverShares, s.dir, "cpu.shares")
}

// leave moves the process back to where it came from, or to the root when that is gone.
func (s *server) leave() error {
	if s == nil {
		return nil
	}
	err := write("0", s.home, "cgroup.procs")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) { // O_CREAT in a group that is gone
		err = write("0", s.hierarchy.dir, "cgroup.procs")
	}
	if err != nil {
		return fmt.Errorf("leave the server's cgroup: %w", err)
	}
	return nil
}

// selfGroup finds the calling process's group in the hierarchy, cgroups(7).
func selfGroup(h hierarchy) (string, error) {
	f, err := os.Open("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		parts := strings.SplitN(lines.Text(), ":", 3)
		if len(parts) != 3 {
			continue
		}
		if h.v2 && parts[1] == "" || !h.v2 && slices.Contains(strings.Split(parts[1], ","), string(CPU)) {
			return parts[2], nil
		}
	}
	if err := lines.Err(); err != nil {
		return "", err
	}
	return "", fmt.Errorf("no line for %s in /proc/self/cgroup", h.dir)
}
