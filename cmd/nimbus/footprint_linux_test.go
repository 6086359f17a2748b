package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// footprint is what a server takes of a machine.
type footprint struct {
	goroutines, files, processes, processFiles, groups, mounts int
	logFiles                                                   int // open, of the most recent functions; a bound of their own
	residentMB                                                 int
	instances                                                  int
}

// measure looks at a server from inside and outside.
func measure(t *testing.T, s *server, data string) footprint {
	t.Helper()
	metrics := gauges(t, s)
	below := descendants(t, s.cmd.Process.Pid)
	f := footprint{
		goroutines: int(metrics["go_goroutines"]), processes: len(below),
		groups: len(cgroups(t, data)), mounts: len(mounts(t, data)),
		residentMB: int(metrics["process_resident_memory_bytes"]) >> 20,
		instances:  int(metrics["nimbus_vm_pool_size"]),
	}
	for _, path := range openFiles(s.cmd.Process.Pid) {
		if strings.HasPrefix(path, filepath.Join(data, "logs")) {
			f.logFiles++
		} else {
			f.files++
		}
	}
	for _, pid := range below {
		f.processFiles += len(openFiles(pid))
	}
	return f
}

// gauges reads the server's metrics; of those with labels it gives the sum.
func gauges(t *testing.T, s *server) map[string]float64 {
	t.Helper()
	_, _, body := s.request(http.MethodGet, "/metrics", "")
	sums := make(map[string]float64)
	lines := bufio.NewScanner(strings.NewReader(string(body)))
	for lines.Scan() {
		at := strings.LastIndexByte(lines.Text(), ' ')
		value, err := strconv.ParseFloat(lines.Text()[at+1:], 64)
		if at < 0 || strings.HasPrefix(lines.Text(), "#") || err != nil {
			continue
		}
		name, _, _ := strings.Cut(lines.Text()[:at], "{")
		sums[name] += value
	}
	return sums
}

// openFiles tells what a process has open. One that has ended has nothing.
func openFiles(pid int) []string {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, _ := os.ReadDir(dir)
	var paths []string
	for _, entry := range entries {
		if path, err := os.Readlink(filepath.Join(dir, entry.Name())); err == nil {
			paths = append(paths, path)
		}
	}
	return paths
}

// mounts lists the mounts that this machine sees under a directory.
func mounts(t *testing.T, dir string) []string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], dir+"/") {
			found = append(found, fields[1])
		}
	}
	return found
}
