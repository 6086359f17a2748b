//go:build linux && (amd64 || arm64)

package sandbox

import (
	"encoding/hex"
	"strings"

	"golang.org/x/sys/unix"

	"nimbus"
	"nimbus/internal/driver/sandbox/spawn"
)

const (
	sharedMemory = 64 * nimbus.MiB
	// oomScore has the kernel take instances before the server when memory is short.
	oomScore = 500
)

// masked lists what /proc may show to anyone and tells about the host.
const masked = "cmdline config.gz interrupts kallsyms kcore key-users keys kmsg latency_stats sched_debug " +
	"slabinfo sysrq-trigger timer_list vmallocinfo"

// newPolicy says what all instances on this machine are held to.
func newPolicy() (spawn.Policy, error) {
	program, err := filter()
	if err != nil {
		return spawn.Policy{}, err
	}
	return spawn.Policy{Filter: hex.EncodeToString(program), SHM: sharedMemory, OOMScore: oomScore,
		Masked: strings.Fields(masked), Landlock: landlockRules(landlockABI())}, nil
}

// landlockABI asks for the version of Landlock, landlock(7); 0 = the kernel has none.
func landlockABI() int {
	const versionFlag = 1
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, versionFlag)
	if errno != 0 {
		return 0
	}
	return int(abi)
}

// landlockRules returns the rights to files that a kernel can handle, and where instances have them.
func landlockRules(abi int) *spawn.Ruleset {
	if abi < 1 {
		return nil
	}
	const look = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	handled := uint64(unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1) // the first ABI's
	for _, later := range []struct {
		abi    int
		rights uint64
	}{{2, unix.LANDLOCK_ACCESS_FS_REFER}, {3, unix.LANDLOCK_ACCESS_FS_TRUNCATE}, {5, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV}} {
		if abi >= later.abi {
			handled |= later.rights
		}
	}
	tree := handled &^ (unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV)
	device := handled & (unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV)
	return &spawn.Ruleset{Handled: handled, Rules: []spawn.Rule{
		{Path: "/", Access: look},
		{Path: "/dev", Access: device}, // holds the devices we put there, on a read-only file system
		{Path: "/dev/shm", Access: tree},
		{Path: "/tmp", Access: tree},
	}}
}
