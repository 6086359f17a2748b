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
)

func limitMemoryV2(dir string, bytes int64) error {
	value := "max"
	if bytes > 0 {
		value = strconv.FormatInt(bytes, 10)
	}
	if err := write(value, dir, "memory.max"); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "memory.swap.max")); errors.Is(err, fs.ErrNotExist) {
		return nil // a kernel that doesn't account for swap
	}
	return write("0", dir, "memory.swap.max")
}

func limitCPUV2(dir string, milli int) error {
	quota, weight := "max", int64(100)
	if milli > 0 {
		quota = strconv.FormatInt(int64(milli)*cpuPeriod/1000, 10)
		weight = min(max(1, int64(milli)/10), 10_000)
	}
	if err := writeInt(weight, dir, "cpu.weight"); err != nil {
		return err
	}
	return write(quota+" "+strconv.Itoa(cpuPeriod), dir, "cpu.max")
}

func freezeV2(ctx context.Context, dir string) error {
	if err := write("1", dir, "cgroup.freeze"); err != nil {
		return fmt.Errorf("freeze: %w", err)
	}
	err := await(ctx, func() (bool, error) {
		frozen, err := readKey("frozen", dir, "cgroup.events")
		return frozen == 1, err
	})
	if err != nil {
		return fmt.Errorf("freeze: %w", err)
	}
	return nil
}
