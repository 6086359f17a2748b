//go:build linux

package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// await asks until done says yes, at growing intervals from 0.2 to 10 ms.
func await(ctx context.Context, done func() (bool, error)) error {
	pause := 200 * time.Microsecond
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause = min(pause*2, 10*time.Millisecond)
		}
	}
}

// rmdir removes a group. The kernel says EBUSY while the last of its processes are on their way out.
func rmdir(ctx context.Context, dir string) error {
	var last error
	err := await(ctx, func() (bool, error) {
		last = os.Remove(dir)
		switch {
		case last == nil || errors.Is(last, fs.ErrNotExist):
			return true, nil
		case errors.Is(last, unix.EBUSY):
			return false, nil
		}
		return false, last
	})
	if err != nil {
		return fmt.Errorf("remove cgroup: %w", errors.Join(err, last))
	}
	return nil
}

// killAll ends every process of the groups, the caller's excepted, and returns how many there were when none
// is left.
func killAll(ctx context.Context, groups []string) (int, error) {
	killed := make(map[int]bool)
	err := await(ctx, func() (bool, error) {
		left := 0
		for _, dir := range groups {
			pids, err := readPIDs(dir)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return false, err
			}
			for _, pid := range pids {
				if pid == os.Getpid() {
					continue
				}
				left++
				killed[pid] = true
				if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
					return false, err
				}
			}
		}
		if left == 0 {
			return true, nil
		}
		return false, thawAll(groups)
	})
	if err != nil {
		return len(killed), fmt.Errorf("end what is left in cgroups: %w", err)
	}
	return len(killed), nil
}

// thawAll lets the signals reach frozen processes: a v1 freezer holds even SIGKILL back. Only the groups of a
// freezer have the file.
func thawAll(groups []string) error {
	for _, dir := range groups {
		if _, err := os.Stat(filepath.Join(dir, "freezer.state")); err != nil {
			continue
		}
		if err := write("THAWED", dir, "freezer.state"); err != nil {
			return err
		}
	}
	return nil
}
