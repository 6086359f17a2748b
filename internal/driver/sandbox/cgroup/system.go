//go:build linux

package cgroup

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Controller is a kernel resource controller that Nimbus uses.
type Controller string

// The controllers.
const (
	Memory  Controller = "memory"
	CPU     Controller = "cpu"
	CPUAcct Controller = "cpuacct" // v1 only; v2 accounts always
	PIDs    Controller = "pids"
	Freezer Controller = "freezer" // v1 only; v2 freezes always
)

// hierarchy is a mounted cgroup file system.
type hierarchy struct {
	dir string
	v2  bool
}

// System is where this machine keeps its controllers. It is immutable.
type System struct {
	at map[Controller]hierarchy
}

// Detect finds the hierarchies of the calling process.
func Detect() (*System, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("detect cgroups: %w", err)
	}
	defer f.Close()
	return read(f)
}

// read parses mountinfo, proc_pid_mountinfo(5). A controller bound to a v1 hierarchy is never offered by v2,
// so the two can't disagree.
func read(mountinfo io.Reader) (*System, error) {
	s := &System{at: make(map[Controller]hierarchy)}
	lines := bufio.NewScanner(mountinfo)
	for lines.Scan() {
		left, right, ok := strings.Cut(lines.Text(), " - ")
		fields, super := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 5 || len(super) < 3 {
			continue
		}
		dir := unescape(fields[4])
		switch super[0] {
		case "cgroup":
			s.addV1(dir, strings.Split(super[2], ","))
		case "cgroup2":
			if err := s.addV2(dir); err != nil {
				return nil, err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("detect cgroups: %w", err)
	}
	return s, nil
}

func (s *System) addV1(dir string, options []string) {
	for _, c := range []Controller{Memory, CPU, CPUAcct, PIDs, Freezer} {
		if slices.Contains(options, string(c)) {
			s.at[c] = hierarchy{dir: dir}
		}
	}
}

func (s *System) addV2(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("detect cgroups: %w", err)
	}
	h := hierarchy{dir: dir, v2: true}
	offered := strings.Fields(string(b))
	for _, c := range []Controller{Memory, CPU, PIDs} {
		if slices.Contains(offered, string(c)) {
			s.at[c] = h
		}
	}
	// v2 accounts and freezes without a controller; v1's, where mounted, serve the same groups as its limits.
	for _, c := range []Controller{CPUAcct, Freezer} {
		if _, ok := s.at[c]; !ok {
			s.at[c] = h
		}
	}
	return nil
}

// Has reports whether the machine offers the controller.
func (s *System) Has(c Controller) bool {
	_, ok := s.at[c]
	return ok
}

// Where says in words where the controller is: "v1 at /sys/fs/cgroup/memory".
func (s *System) Where(c Controller) string {
	h, ok := s.at[c]
	switch {
	case !ok:
		return "not mounted"
	case h.v2:
		return "v2 at " + h.dir
	}
	return "v1 at " + h.dir
}

// hierarchies lists the distinct mounts in use, in a fixed order.
func (s *System) hierarchies() []hierarchy {
	var all []hierarchy
	for _, h := range s.at {
		if !slices.Contains(all, h) {
			all = append(all, h)
		}
	}
	slices.SortFunc(all, func(a, b hierarchy) int { return strings.Compare(a.dir, b.dir) })
	return all
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
