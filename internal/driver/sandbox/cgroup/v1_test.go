//go:build linux

package cgroup

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"nimbus/internal/testenv"
)

// owner is a label of this run's own.
func owner() string { return "cgroup-test-" + strconv.Itoa(os.Getpid()) }

// realTree sets up a tree in the hierarchies of this machine.
func realTree(t *testing.T) *Tree {
	t.Helper()
	testenv.RequireSandbox(t)
	s, err := Detect()
	if err != nil {
		t.Fatal(err)
	}
	tree := s.NewTree(owner())
	if err := tree.Setup(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tree.Teardown(t.Context()); err == nil {
			return
		}
		if _, err := tree.Sweep(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return tree
}

// sleeper is a process in the group.
func sleeper(t *testing.T, g *Group) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", "read go; exec sleep 1000")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for _, dir := range g.dirs {
		if err := write(strconv.Itoa(cmd.Process.Pid), dir, "cgroup.procs"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := fmt.Fprintln(stdin); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestRealGroup(t *testing.T) {
	tree := realTree(t)
	g, err := tree.NewGroup()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []Limits{{64 << 20, 500, 16}, {256 << 20, 2000, 64}, {32 << 20, 100, 8}, {}} {
		if err := g.SetLimits(l); err != nil {
			t.Errorf("%+v: %v", l, err)
		}
	}
	files, err := g.JoinFiles()
	if err != nil || len(files) != len(g.dirs) {
		t.Fatalf("%d join files of %d, %v", len(files), len(g.dirs), err)
	}
	for _, f := range files {
		f.Close()
	}
	meter, err := g.Meter()
	if err != nil {
		t.Fatal(err)
	}
	defer meter.Close()
	meter.Begin()
	cmd := sleeper(t, g)
	testenv.Eventually(t, time.Minute, func() bool { u, err := g.Usage(); return err == nil && u.PIDs == 1 && u.Memory > 0 })
	// The kernel accounts for processor time in ticks.
	testenv.Eventually(t, time.Minute, func() bool { r := meter.End(); return r.Peak > 0 && r.CPU > 0 })
	if n, err := g.OOMKills(); err != nil || n != 0 {
		t.Errorf("%d kills, %v", n, err)
	}
	for range 3 {
		if err := g.Freeze(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := g.Thaw(); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := g.Remove(t.Context()); err != nil {
		t.Error(err)
	}
	if err := g.Remove(t.Context()); err != nil {
		t.Errorf("a second Remove: %v", err)
	}
}

func TestSweepEndsFrozenProcesses(t *testing.T) {
	tree := realTree(t)
	g, err := tree.NewGroup()
	if err != nil {
		t.Fatal(err)
	}
	sleeper := sleeper(t, g)
	if err := g.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- sleeper.Wait() }()
	if err := tree.server.leave(); err != nil { // else its group is busy with ourselves
		t.Fatal(err)
	}
	swept, err := tree.Sweep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if swept.Processes != 1 || swept.Groups != 4 { // the tree, its server, instances, and the one
		t.Errorf("swept %+v", swept)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the process ended with %v", err)
	}
	for _, dir := range g.dirs {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is still there", dir)
		}
	}
}

func TestServerOutweighsInstances(t *testing.T) {
	tree := realTree(t)
	if tree.server == nil {
		t.Fatal("this machine has no cpu controller, which the sandbox can't do without")
	}
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), "/nimbus/"+owner()+"/server") {
		t.Errorf("not in the server's group:\n%s", b)
	}
	if err := tree.server.leave(); err != nil {
		t.Fatal(err)
	}
	if b, err = os.ReadFile("/proc/self/cgroup"); err != nil || strings.Contains(string(b), owner()) {
		t.Errorf("still in the server's group: %v\n%s", err, b)
	}
}

func BenchmarkMeter(b *testing.B) {
	testenv.RequireSandbox(b)
	s, err := Detect()
	if err != nil {
		b.Fatal(err)
	}
	tree := s.NewTree(owner())
	if err := tree.Setup(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := tree.Teardown(b.Context()); err != nil {
			b.Error(err)
		}
	}()
	g, err := tree.NewGroup()
	if err != nil {
		b.Fatal(err)
	}
	m, err := g.Meter()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		m.Begin()
		m.End()
	}
	m.Close()
	if err := g.Remove(b.Context()); err != nil {
		b.Error(err)
	}
}
