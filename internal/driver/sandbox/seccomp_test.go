//go:build linux && (amd64 || arm64)

package sandbox

import (
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// verdict runs the instances' filter on a call.
func verdict(t *testing.T, arch, number uint32, arguments ...uint64) uint32 {
	t.Helper()
	program, err := filter()
	if err != nil {
		t.Fatal(err)
	}
	var raw []bpf.RawInstruction
	for ; len(program) > 0; program = program[8:] {
		raw = append(raw, bpf.RawInstruction{
			Op: binary.NativeEndian.Uint16(program), Jt: program[2], Jf: program[3], K: binary.NativeEndian.Uint32(program[4:]),
		})
	}
	instructions, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the filter holds unknown instructions")
	}
	vm, err := bpf.NewVM(instructions)
	if err != nil {
		t.Fatal(err)
	}
	// struct seccomp_data; the machine loads network order, so each half of an argument is written so.
	data := binary.BigEndian.AppendUint32(nil, number)
	data = binary.BigEndian.AppendUint32(data, arch)
	data = binary.BigEndian.AppendUint64(data, 0)
	for n := range 6 {
		var a uint64
		if n < len(arguments) {
			a = arguments[n]
		}
		data = binary.BigEndian.AppendUint32(data, uint32(a))
		data = binary.BigEndian.AppendUint32(data, uint32(a>>32))
	}
	answer, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(answer)
}

func TestFilter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		number    uint32
		arguments []uint64
		want      uint32
	}{
		{"read", unix.SYS_READ, nil, retAllow},
		{"execve", unix.SYS_EXECVE, nil, retAllow},
		{"landlock_restrict_self", unix.SYS_LANDLOCK_RESTRICT_SELF, nil, retAllow},
		{"mount", unix.SYS_MOUNT, nil, refuse},
		{"move_mount", unix.SYS_MOVE_MOUNT, nil, refuse},
		{"open_tree", unix.SYS_OPEN_TREE, nil, refuse},
		{"fsopen", unix.SYS_FSOPEN, nil, refuse},
		{"mount_setattr", unix.SYS_MOUNT_SETATTR, nil, refuse},
		{"unshare", unix.SYS_UNSHARE, nil, refuse},
		{"setns", unix.SYS_SETNS, nil, refuse},
		{"ptrace", unix.SYS_PTRACE, nil, refuse},
		{"process_vm_readv", unix.SYS_PROCESS_VM_READV, nil, refuse},
		{"pidfd_getfd", unix.SYS_PIDFD_GETFD, nil, refuse},
		{"bpf", unix.SYS_BPF, nil, refuse},
		{"keyctl", unix.SYS_KEYCTL, nil, refuse},
		{"io_uring_setup", unix.SYS_IO_URING_SETUP, nil, refuse},
		{"userfaultfd", unix.SYS_USERFAULTFD, nil, refuse},
		{"open_by_handle_at", unix.SYS_OPEN_BY_HANDLE_AT, nil, refuse},
		{"perf_event_open", unix.SYS_PERF_EVENT_OPEN, nil, refuse},
		{"clone of a thread", unix.SYS_CLONE, []uint64{unix.CLONE_VM | unix.CLONE_THREAD | unix.CLONE_SIGHAND}, retAllow},
		{"clone of a process", unix.SYS_CLONE, []uint64{uint64(unix.SIGCHLD)}, retAllow},
		{"clone with a user namespace", unix.SYS_CLONE, []uint64{unix.CLONE_NEWUSER | uint64(unix.SIGCHLD)}, refuse},
		{"clone with a mount namespace", unix.SYS_CLONE, []uint64{unix.CLONE_NEWNS}, refuse},
		{"clone3", unix.SYS_CLONE3, nil, unknown},
		{"unix socket", unix.SYS_SOCKET, []uint64{unix.AF_UNIX}, retAllow},
		{"inet socket", unix.SYS_SOCKET, []uint64{unix.AF_INET}, retAllow},
		{"inet6 socket", unix.SYS_SOCKET, []uint64{unix.AF_INET6}, retAllow},
		{"netlink socket", unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE}, noSuchFamily},
		{"inet socket of any protocol", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, retAllow},
		{"unix socket pair", unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX}, retAllow},
		{"vsock pair", unix.SYS_SOCKETPAIR, []uint64{unix.AF_VSOCK}, noSuchFamily},
		{"TIPC socket pair", unix.SYS_SOCKETPAIR, []uint64{unix.AF_TIPC}, noSuchFamily},
		{"inotify_init1", unix.SYS_INOTIFY_INIT1, nil, unknown},
		{"io_setup", unix.SYS_IO_SETUP, nil, unknown},
		{"mq_open", unix.SYS_MQ_OPEN, nil, unknown},
		{"mq_unlink", unix.SYS_MQ_UNLINK, nil, refuse},
		{"sync", unix.SYS_SYNC, nil, nothingToDo},
		{"syncfs", unix.SYS_SYNCFS, nil, nothingToDo},
		{"fsync", unix.SYS_FSYNC, nil, retAllow},
		{"vsock", unix.SYS_SOCKET, []uint64{unix.AF_VSOCK}, noSuchFamily},
		{"packet socket", unix.SYS_SOCKET, []uint64{unix.AF_PACKET}, noSuchFamily},
		{"alg socket", unix.SYS_SOCKET, []uint64{unix.AF_ALG}, noSuchFamily},
		{"ioctl", unix.SYS_IOCTL, []uint64{1, unix.TCGETS}, retAllow},
		{"typing into a terminal", unix.SYS_IOCTL, []uint64{1, unix.TIOCSTI}, refuse},
		{"typing with upper bits set", unix.SYS_IOCTL, []uint64{1, unix.TIOCSTI | 1<<32}, refuse},
		{"setrlimit of files", unix.SYS_SETRLIMIT, []uint64{unix.RLIMIT_NOFILE, 1}, retAllow},
		{"setrlimit of cores", unix.SYS_SETRLIMIT, []uint64{unix.RLIMIT_CORE, 1}, nothingToDo},
		{"prlimit of files", unix.SYS_PRLIMIT64, []uint64{0, unix.RLIMIT_NOFILE, 1}, retAllow},
		{"prlimit of cores", unix.SYS_PRLIMIT64, []uint64{0, unix.RLIMIT_CORE, 1}, nothingToDo},
		{"prlimit of cores from a high address", unix.SYS_PRLIMIT64, []uint64{0, unix.RLIMIT_CORE, 1 << 32}, nothingToDo},
		{"prlimit that asks for cores", unix.SYS_PRLIMIT64, []uint64{0, unix.RLIMIT_CORE, 0, 1}, retAllow},
		{"of tomorrow", lastKnown + 1, nil, unknown},
		{"of x32", 1 << 30, nil, unknown},
		{"the largest number", ^uint32(0), nil, unknown},
	} {
		if got := verdict(t, auditArch, c.number, c.arguments...); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, got, c.want)
		}
	}
	if got := verdict(t, auditArch^1, unix.SYS_READ); got != retKill {
		t.Errorf("a call of another architecture: %#x", got)
	}
}

// The tree must decide each number as the list does.
func TestFilterDecidesEveryNumber(t *testing.T) {
	t.Parallel()
	byArgument := map[uint32]bool{unix.SYS_CLONE: true, unix.SYS_CLONE3: true, unix.SYS_SOCKET: true,
		unix.SYS_SOCKETPAIR: true, unix.SYS_IOCTL: true, unix.SYS_SETRLIMIT: true, unix.SYS_PRLIMIT64: true}
	allowed := make(map[uint32]bool)
	for _, n := range append(commonCalls(), archCalls()...) {
		if allowed[n] || byArgument[n] {
			t.Errorf("call %d is listed twice", n)
		}
		allowed[n] = true
	}
	for n := range uint32(lastKnown + 1) {
		if byArgument[n] {
			continue
		}
		want := refuse
		switch {
		case allowed[n]:
			want = retAllow
		case slices.Contains(flushCalls(), n):
			want = nothingToDo
		case slices.Contains(scarceCalls(), n):
			want = unknown
		}
		if got := verdict(t, auditArch, n); got != want {
			t.Errorf("call %d: %#x, want %#x", n, got, want)
		}
	}
}
