//go:build linux

package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"os"
)

const (
	cpuPeriod    = 100_000  // µs, the kernel's default
	socketMemory = 32 << 20 // bytes; the network of an instance is its loopback
)

// limitMemoryV1 bounds memory, and memory and swap together to the same. The second may never be less than
// the first, so their order depends on the direction.
func limitMemoryV1(dir string, bytes int64) error {
	if bytes == 0 {
		bytes = -1
	}
	const both = "memory.memsw.limit_in_bytes"
	old, err := readInt(dir, both)
	swap := !errors.Is(err, fs.ErrNotExist) // the kernel may account for no swap
	if swap && err != nil {
		return err
	}
	if swap && (bytes < 0 || bytes > old) {
		if err := writeInt(bytes, dir, both); err != nil {
			return err
		}
	}
	if err := writeInt(bytes, dir, "memory.limit_in_bytes"); err != nil {
		return err
	}
	if swap && bytes > 0 && bytes <= old {
		return writeInt(bytes, dir, both)
	}
	if !swap {
		return writeInt(0, dir, "memory.swappiness")
	}
	return nil
}

// limitSocketsV1 bounds what the buffers of internet sockets hold. v1 counts them, UDP's as well, apart from
// all other memory, and not at all before a limit is set.
func limitSocketsV1(dir string) error {
	err := writeInt(socketMemory, dir, "memory.kmem.tcp.limit_in_bytes")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) { // O_CREAT of a file the kernel has not
		return nil
	}
	return err
}

func limitCPUV1(dir string, milli int) error {
	quota := int64(-1)
	shares := int64(1024)
	if milli > 0 {
		quota = int64(milli) * cpuPeriod / 1000
		shares = max(2, int64(milli)*1024/1000)
	}
	if err := writeInt(shares, dir, "cpu.shares"); err != nil {
		return err
	}
	return writeInt(max(quota, -1), dir, "cpu.cfs_quota_us")
}

func freezeV1(ctx context.Context, dir string) error {
	if err := write("FROZEN", dir, "freezer.state"); err != nil {
		return fmt.Errorf("freeze: %w", err)
	}
	err := await(ctx, func() (bool, error) {
		// Reading is what makes a v1 freezer look whether all have stopped.
		b, err := os.ReadFile(filepath.Join(dir, "freezer.state"))
		return strings.TrimSpace(string(b)) == "FROZEN", err
	})
	if err != nil {
		return fmt.Errorf("freeze: %w", err)
	}
	return nil
}
