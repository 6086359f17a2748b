//go:build linux

package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Limits bound a group; 0 = unbounded.
type Limits struct {
	Memory   int64 // bytes, and no swap
	CPUMilli int   // thousandths of a core
	PIDs     int   // processes and threads
}

// Usage is what a group uses.
type Usage struct {
	Memory     int64 // bytes now
	MemoryPeak int64 // bytes, since the last reset where the kernel can; 0 = unknown
	CPU        time.Duration
	PIDs       int
}

// Group is one instance's place in every hierarchy.
type Group struct {
	system *System
	dirs   map[hierarchy]string
}

// NewGroup makes a group under instances.
func (t *Tree) NewGroup() (*Group, error) {
	for {
		g, err := t.newGroup(strconv.FormatInt(t.next.Add(1), 10))
		if errors.Is(err, fs.ErrExist) {
			continue // left over by a removal that failed
		}
		return g, err
	}
}

func (t *Tree) newGroup(name string) (*Group, error) {
	g := &Group{system: t.system, dirs: make(map[hierarchy]string)}
	for _, h := range t.system.hierarchies() {
		dir := filepath.Join(h.dir, t.path, "instances", name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			for _, made := range g.dirs {
				_ = os.Remove(made)
			}
			return nil, fmt.Errorf("make cgroup: %w", err)
		}
		g.dirs[h] = dir
	}
	return g, g.prepare()
}

// prepare sets what holds for every instance whatever its limits.
func (g *Group) prepare() error {
	dir, v2, ok := g.dir(Memory)
	var err error
	switch {
	case !ok:
	case v2:
		// All of an instance ends when one of its processes meets the limit.
		err = write("1", dir, "memory.oom.group")
	default:
		err = limitSocketsV1(dir)
	}
	if err != nil {
		return fmt.Errorf("make cgroup: %w", err)
	}
	return nil
}

func (g *Group) dir(c Controller) (dir string, v2, ok bool) {
	h, ok := g.system.at[c]
	return g.dirs[h], h.v2, ok
}

// JoinFiles opens the files a process writes "0" to in order to enter the group. Entering by oneself
// spares the grace period that moving another process waits for (15 ms on v1).
func (g *Group) JoinFiles() ([]*os.File, error) {
	var files []*os.File
	for h, dir := range g.dirs {
		name := "cgroup.procs"
		if !h.v2 {
			name = "tasks"
		}
		f, err := open(unix.O_WRONLY, dir, name)
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			return nil, fmt.Errorf("open cgroup: %w", err)
		}
		files = append(files, f)
	}
	return files, nil
}

// SetLimits bounds the group. A limit whose controller is missing is skipped: the caller asks Has first.
func (g *Group) SetLimits(l Limits) error {
	if dir, v2, ok := g.dir(Memory); ok {
		set := limitMemoryV1
		if v2 {
			set = limitMemoryV2
		}
		if err := set(dir, l.Memory); err != nil {
			return fmt.Errorf("limit memory: %w", err)
		}
	}
	if dir, v2, ok := g.dir(CPU); ok {
		set := limitCPUV1
		if v2 {
			set = limitCPUV2
		}
		if err := set(dir, l.CPUMilli); err != nil {
			return fmt.Errorf("limit cpu: %w", err)
		}
	}
	if dir, _, ok := g.dir(PIDs); ok {
		value := "max"
		if l.PIDs > 0 {
			value = strconv.Itoa(l.PIDs)
		}
		if err := write(value, dir, "pids.max"); err != nil {
			return fmt.Errorf("limit processes: %w", err)
		}
	}
	return nil
}

// OOMKills counts the processes of the group that the kernel ended for its memory limit.
func (g *Group) OOMKills() (int64, error) {
	dir, v2, ok := g.dir(Memory)
	switch {
	case !ok:
		return 0, nil
	case v2:
		return readKey("oom_kill", dir, "memory.events")
	}
	return readKey("oom_kill", dir, "memory.oom_control")
}

// Usage reads what the group uses now.
func (g *Group) Usage() (Usage, error) {
	var u Usage
	var errs [3]error
	if dir, v2, ok := g.dir(Memory); ok {
		now, peak := "memory.usage_in_bytes", "memory.max_usage_in_bytes"
		if v2 {
			now, peak = "memory.current", "memory.peak"
		}
		u.Memory, errs[0] = readInt(dir, now)
		var err error
		if u.MemoryPeak, err = readInt(dir, peak); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs[0] = err // v2 before 5.19 has no peak
		}
	}
	if dir, v2, ok := g.dir(CPUAcct); ok {
		u.CPU, errs[1] = readCPU(dir, v2)
	}
	if dir, _, ok := g.dir(PIDs); ok {
		var n int64
		n, errs[2] = readInt(dir, "pids.current")
		u.PIDs = int(n)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return Usage{}, fmt.Errorf("read usage: %w", err)
	}
	return u, nil
}

func readCPU(dir string, v2 bool) (time.Duration, error) {
	if v2 {
		us, err := readKey("usage_usec", dir, "cpu.stat")
		return time.Duration(us) * time.Microsecond, err
	}
	ns, err := readInt(dir, "cpuacct.usage")
	return time.Duration(ns), err
}

// Freeze stops every process of the group and returns when they stand still.
func (g *Group) Freeze(ctx context.Context) error {
	dir, v2, ok := g.dir(Freezer)
	switch {
	case !ok:
		return errors.New("freeze: no freezer")
	case v2:
		return freezeV2(ctx, dir)
	}
	return freezeV1(ctx, dir)
}

// Thaw lets the processes of the group go on.
func (g *Group) Thaw() error {
	dir, v2, ok := g.dir(Freezer)
	var err error
	switch {
	case !ok:
		return errors.New("thaw: no freezer")
	case v2:
		err = write("0", dir, "cgroup.freeze")
	default:
		err = write("THAWED", dir, "freezer.state")
	}
	if err != nil {
		return fmt.Errorf("thaw: %w", err)
	}
	return nil
}

// Remove takes the group away; it waits, as long as ctx allows, for the kernel to let go of it.
func (g *Group) Remove(ctx context.Context) error {
	var errs []error
	for _, dir := range g.dirs {
		errs = append(errs, rmdir(ctx, dir))
	}
	return errors.Join(errs...)
}
