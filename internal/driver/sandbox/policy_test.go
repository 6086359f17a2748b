//go:build linux && (amd64 || arm64)

package sandbox

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestLandlockAsksForWhatTheKernelKnows(t *testing.T) {
	t.Parallel()
	if landlockRules(0) != nil {
		t.Error("rules for a kernel without Landlock")
	}
	for abi, handled := range map[int]uint64{
		1: 1<<13 - 1, 2: 1<<14 - 1, 3: 1<<15 - 1, 4: 1<<15 - 1, 5: 1<<16 - 1, 9: 1<<16 - 1,
	} {
		r := landlockRules(abi)
		if r.Handled != handled {
			t.Errorf("ABI %d: handles %#x, want %#x", abi, r.Handled, handled)
		}
		for _, rule := range r.Rules {
			if rule.Access&^r.Handled != 0 {
				t.Errorf("ABI %d: %s gives %#x, which is not handled", abi, rule.Path, rule.Access&^r.Handled)
			}
			if rule.Access&(unix.LANDLOCK_ACCESS_FS_MAKE_CHAR|unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK) != 0 {
				t.Errorf("ABI %d: devices may be made in %s", abi, rule.Path)
			}
			writable := rule.Path == "/tmp" || rule.Path == "/dev/shm"
			if made := rule.Access&unix.LANDLOCK_ACCESS_FS_MAKE_REG != 0; made != writable {
				t.Errorf("ABI %d: files may be made in %s: %v", abi, rule.Path, made)
			}
		}
	}
}
