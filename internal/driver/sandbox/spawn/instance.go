//go:build linux && (amd64 || arm64)

package spawn

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The descriptors that an instance is started with.
const (
	slipFD   = 0 // the order; /dev/null once that is read
	socketFD = 3 // the agent protocol: all that goes on, with the streams
	firstFD  = 4 // of the files by which cgroups are entered
)

// order is what the zygote wants of an instance.
type order struct {
	Policy
	Argv   []string `json:"argv"`
	Env    []string `json:"env"`
	UID    uint32   `json:"uid"`
	Tmp    int64    `json:"tmp"`
	Inodes int64    `json:"inodes"`
	Groups int      `json:"groups"` // how many cgroup files there are
}

// file writes the order where an instance can read it.
func (o *order) file() (fd int, err error) {
	b, err := json.Marshal(o)
	if err != nil {
		return -1, err
	}
	fd, err = unix.MemfdCreate("order", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("write an order: %w", err)
	}
	for n := 0; n < len(b); {
		m, err := unix.Pwrite(fd, b[n:], int64(n))
		if err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("write an order: %w", err)
		}
		n += m
	}
	return fd, nil
}

// readOrder reads what file wrote. The descriptor is not wrapped: what collects a file would close its number.
func readOrder(fd int) (*order, error) {
	var info unix.Stat_t
	if err := unix.Fstat(fd, &info); err != nil {
		return nil, err
	}
	b := make([]byte, info.Size)
	n, err := unix.Pread(fd, b, 0)
	if err != nil {
		return nil, err
	}
	var o order
	return &o, json.Unmarshal(b[:n], &o)
}

// Instance isolates this process, PID 1 of its PID namespace, and executes the program it is to be. It never
// returns: what goes wrong is its last word on stderr.
func Instance() {
	runtime.LockOSThread() // what follows is this thread's, and the program's that it executes
	err := becomeInstance()
	fmt.Fprintln(os.Stderr, err)
	os.Exit(70)
}

// becomeInstance takes its steps in the order that the kernel demands: each needs a right that a later one
// gives up.
func becomeInstance() error {
	o, err := readOrder(slipFD)
	if err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"enter the cgroups", o.enterGroups},
		{"keep the descriptors", keepDescriptors},
		{"be taken before the server when memory is short", o.adjustOOM},
		{"make namespaces", unshare},
		{"mount", o.mount},
		{"bring up the loopback device", loopbackUp},
		{"give up all rights", o.dropRights},
		{"apply landlock", o.restrictFiles},
		{"install the seccomp filter", o.restrictCalls},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return fmt.Errorf("start %s: %w", o.Argv[0], unix.Exec(o.Argv[0], o.Argv, o.Env))
}

// enterGroups moves this thread, by itself, to where the program is to be. Version 1 takes a thread for itself
// and lets the program it executes inherit; version 2 takes the whole process.
func (o *order) enterGroups() error {
	for fd := firstFD; fd < firstFD+o.Groups; fd++ {
		if _, err := unix.Write(fd, []byte("0")); err != nil {
			return err
		}
	}
	return nil
}

// keepDescriptors lets the program have the streams and its socket, and nothing to read on stdin.
func keepDescriptors() error {
	if err := unix.CloseRange(firstFD, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return err
	}
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Dup3(null, slipFD, 0)
}

func (o *order) adjustOOM() error {
	return os.WriteFile("/proc/self/oom_score_adj", []byte(strconv.Itoa(o.OOMScore)), 0)
}

func unshare() error {
	return unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP)
}

func (o *order) mount() error {
	const plain = unix.MS_NOSUID | unix.MS_NODEV
	for _, m := range []struct {
		path, kind, options string
		flags               uintptr
	}{
		{"/tmp", "tmpfs", fmt.Sprintf("mode=1777,nr_inodes=%d,size=%d", o.Inodes, o.Tmp), plain},
		{"/dev/shm", "tmpfs", fmt.Sprintf("mode=1777,nr_inodes=1024,size=%d", o.SHM), plain | unix.MS_NOEXEC},
		{"/proc", "proc", "", plain | unix.MS_NOEXEC},
	} {
		if err := unix.Mount(m.kind, m.path, m.kind, m.flags, m.options); err != nil {
			return fmt.Errorf("%s: %w", m.path, err)
		}
	}
	for _, name := range o.Masked {
		if err := unix.Mount("/dev/null", "/proc/"+name, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("over /proc/%s: %w", name, err)
		}
	}
	return nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// dropRights makes this thread nobody, with no way back. The calls are raw: those of the library would change
// every thread, and the others are about to end.
func (o *order) dropRights() error {
	for capability := uintptr(0); ; capability++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err == unix.EINVAL && capability > 0 {
			break // past the kernel's last
		} else if err != nil {
			return err
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	id := uintptr(o.UID)
	for _, call := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} { // capabilities go with the user id
		if _, _, errno := unix.RawSyscall(call, id, id, id); errno != 0 {
			return errno
		}
	}
	return nil
}

// restrictCalls comes last: the filter would forbid the steps before it.
func (o *order) restrictCalls() error {
	program, err := o.filter()
	if err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
}
