//go:build linux

package cgroup

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"nimbus/internal/testenv"
)

// fakeV2 is a v2 hierarchy of plain files: what is written shows, what the kernel would write a test does.
func fakeV2(t *testing.T) (*Tree, string) {
	t.Helper()
	root := t.TempDir()
	h := hierarchy{dir: root, v2: true}
	s := &System{at: map[Controller]hierarchy{Memory: h, PIDs: h, CPUAcct: h, Freezer: h, CPU: h}}
	return s.NewTree("owner"), root
}

func TestV2PassesControllersOn(t *testing.T) {
	t.Parallel()
	tree, root := fakeV2(t)
	if err := tree.delegate(hierarchy{dir: root, v2: true}); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", "nimbus", "nimbus/owner", "nimbus/owner/instances"} {
		if got := mustRead(t, root, dir, "cgroup.subtree_control"); got != "+memory +cpu +pids" {
			t.Errorf("%q passes on %q", dir, got)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "nimbus/owner/instances/x")); err == nil {
		t.Error("a group too many")
	}
}

func TestV2Server(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := &server{hierarchy: hierarchy{dir: root, v2: true}, dir: filepath.Join(root, "server"), home: filepath.Join(root, "gone")}
	mustWrite(t, "", s.dir, "cpu.weight")
	if err := s.weigh(); err != nil || mustRead(t, s.dir, "cpu.weight") != "800" {
		t.Errorf("weight %s, %v", mustRead(t, s.dir, "cpu.weight"), err)
	}
	if err := s.leave(); err != nil || mustRead(t, root, "cgroup.procs") != "0" {
		t.Errorf("went to %s, %v", mustRead(t, root, "cgroup.procs"), err)
	}
	var none *server
	if err := errors.Join(none.weigh(), none.leave()); err != nil {
		t.Error(err)
	}
}

func TestV2Group(t *testing.T) {
	t.Parallel()
	tree, root := fakeV2(t)
	dir := filepath.Join(root, "nimbus/owner/instances/1")
	mustWrite(t, "", filepath.Dir(dir), "cgroup.procs")
	g, err := tree.NewGroup()
	if err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, dir, "memory.oom.group"); got != "1" {
		t.Errorf("memory.oom.group %s", got)
	}
	mustWrite(t, "max", dir, "memory.swap.max")
	for _, c := range []struct {
		limits Limits
		want   map[string]string
	}{
		{Limits{Memory: 128 << 20, CPUMilli: 500, PIDs: 64}, map[string]string{
			"memory.max": "134217728", "memory.swap.max": "0", "cpu.max": "50000 100000", "cpu.weight": "50", "pids.max": "64"}},
		{Limits{Memory: 1 << 30, CPUMilli: 2500, PIDs: 8}, map[string]string{
			"memory.max": "1073741824", "cpu.max": "250000 100000", "cpu.weight": "250", "pids.max": "8"}},
		{Limits{}, map[string]string{"memory.max": "max", "cpu.max": "max 100000", "cpu.weight": "100", "pids.max": "max"}},
	} {
		if err := g.SetLimits(c.limits); err != nil {
			t.Fatal(err)
		}
		for file, want := range c.want {
			if got := mustRead(t, dir, file); got != want {
				t.Errorf("%+v: %s is %q, want %q", c.limits, file, got, want)
			}
		}
	}

	mustWrite(t, "", dir, "cgroup.procs")
	files, err := g.JoinFiles()
	if err != nil || len(files) != 1 || filepath.Base(files[0].Name()) != "cgroup.procs" {
		t.Fatalf("join files %v, %v", files, err)
	}
	files[0].Close()

	mustWrite(t, "5000\n", dir, "memory.current")
	mustWrite(t, "9000\n", dir, "memory.peak")
	mustWrite(t, "usage_usec 1500\nuser_usec 1000\n", dir, "cpu.stat")
	mustWrite(t, "3\n", dir, "pids.current")
	mustWrite(t, "low 0\noom 2\noom_kill 1\n", dir, "memory.events")
	if u, err := g.Usage(); err != nil || u != (Usage{Memory: 5000, MemoryPeak: 9000, CPU: 1500 * time.Microsecond, PIDs: 3}) {
		t.Errorf("usage %+v, %v", u, err)
	}
	if n, err := g.OOMKills(); err != nil || n != 1 {
		t.Errorf("%d kills, %v", n, err)
	}
	if err := os.Remove(filepath.Join(dir, "memory.peak")); err != nil {
		t.Fatal(err)
	}
	if u, err := g.Usage(); err != nil || u.MemoryPeak != 0 {
		t.Errorf("usage of an older kernel %+v, %v", u, err)
	}
}

func TestV2Meter(t *testing.T) {
	t.Parallel()
	tree, root := fakeV2(t)
	dir := filepath.Join(root, "nimbus/owner/instances/1")
	mustWrite(t, "", filepath.Dir(dir), "cgroup.procs")
	g, err := tree.NewGroup()
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, "usage_usec 1000\n", dir, "cpu.stat")
	mustWrite(t, "7000\n", dir, "memory.peak")
	m, err := g.Meter()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	m.Begin()
	if got := mustRead(t, dir, "memory.peak"); got != "reset" {
		t.Errorf("memory.peak was written %q", got)
	}
	mustWrite(t, "8000\n", dir, "memory.peak")
	mustWrite(t, "usage_usec 1250\n", dir, "cpu.stat")
	if r := m.End(); r != (Reading{Peak: 8000, CPU: 250 * time.Microsecond}) {
		t.Errorf("reading %+v", r)
	}
}

func TestV2Freeze(t *testing.T) {
	t.Parallel()
	tree, root := fakeV2(t)
	dir := filepath.Join(root, "nimbus/owner/instances/1")
	mustWrite(t, "", filepath.Dir(dir), "cgroup.procs")
	g, err := tree.NewGroup()
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, "populated 1\nfrozen 0\n", dir, "cgroup.events")
	done := make(chan error, 1)
	go func() { done <- g.Freeze(t.Context()) }()
	testenv.Eventually(t, time.Minute, func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "cgroup.freeze"))
		return err == nil && string(b) == "1"
	})
	select {
	case err := <-done:
		t.Fatalf("Freeze returned before the kernel said so: %v", err)
	default:
	}
	// Renamed into place: a reader sees the one or the other.
	mustWrite(t, "populated 1\nfrozen 1\n", dir, "events.new")
	if err := os.Rename(filepath.Join(dir, "events.new"), filepath.Join(dir, "cgroup.events")); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := g.Thaw(); err != nil || mustRead(t, dir, "cgroup.freeze") != "0" {
		t.Errorf("thaw wrote %s, %v", mustRead(t, dir, "cgroup.freeze"), err)
	}
	mustWrite(t, "frozen 0\n", dir, "cgroup.events")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Freeze(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("freeze after its context: %v", err)
	}
}
