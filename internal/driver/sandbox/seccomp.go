//go:build linux && (amd64 || arm64)

package sandbox

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// What a filter answers, seccomp(2).
const (
	retAllow = 0x7fff0000
	retErrno = 0x00050000
	retKill  = 0x80000000 // the process

	refuse       = retErrno | uint32(unix.EPERM)
	unknown      = retErrno | uint32(unix.ENOSYS)
	noSuchFamily = retErrno | uint32(unix.EAFNOSUPPORT)
	nothingToDo  = retErrno // success, without doing anything
)

// Offsets in struct seccomp_data; arguments are read by their lower half on little-endian machines.
const (
	offNumber = 0
	offArch   = 4
	offArg0   = 16
	offArg1   = 24
	offArg2   = 32
)

// namespaceFlags are the CLONE_NEW* bits of clone(2).
const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWTIME

// lastKnown is the newest system call this list was made with. What comes later is answered ENOSYS, so that
// programs fall back as on an older kernel; what is known and not allowed is answered EPERM.
const lastKnown = unix.SYS_FILE_SETATTR

// filter assembles the instances' seccomp program in the kernel's byte order. Allowed calls are found by a
// binary search over ranges: a filter is run for every number when it is installed.
func filter() ([]byte, error) {
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1},
		bpf.RetConstant{Val: retKill},
		bpf.LoadAbsolute{Off: offNumber, Size: 4},
	}
	program = append(program, argumentRules()...)
	program = append(program, tree(decisions())...)
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil, fmt.Errorf("assemble the seccomp filter: %w", err)
	}
	var out bytes.Buffer
	for _, i := range raw {
		if err := binary.Write(&out, binary.NativeEndian, i); err != nil {
			return nil, fmt.Errorf("assemble the seccomp filter: %w", err)
		}
	}
	return out.Bytes(), nil
}

// argumentRules decide the calls whose arguments matter.
func argumentRules() []bpf.Instruction {
	rule := func(number uint32, body ...bpf.Instruction) []bpf.Instruction {
		return append([]bpf.Instruction{
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: number, SkipTrue: uint8(len(body))},
		}, body...)
	}
	return slices.Concat(
		// glibc falls back to clone, whose flags can be looked at.
		rule(unix.SYS_CLONE3, bpf.RetConstant{Val: unknown}),
		rule(unix.SYS_CLONE,
			bpf.LoadAbsolute{Off: offArg0, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: namespaceFlags, SkipFalse: 1},
			bpf.RetConstant{Val: refuse},
			bpf.RetConstant{Val: retAllow}),
		// AF_VSOCK knows no network namespaces, AF_ALG and others are attack surface. What netlink sockets are
		// sent is counted by no limit: unread, it took five gigabytes of the machine in fifteen seconds.
		rule(unix.SYS_SOCKET,
			bpf.LoadAbsolute{Off: offArg0, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_UNIX, SkipTrue: 3},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_INET, SkipTrue: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_INET6, SkipTrue: 1},
			bpf.RetConstant{Val: noSuchFamily},
			bpf.RetConstant{Val: retAllow}),
		// The kernel makes two sockets of any family before it finds that they can't be paired.
		rule(unix.SYS_SOCKETPAIR,
			bpf.LoadAbsolute{Off: offArg0, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_UNIX, SkipTrue: 1},
			bpf.RetConstant{Val: noSuchFamily},
			bpf.RetConstant{Val: retAllow}),
		// Cores are limited to 1 byte, which a program that they are piped to is not started for; for 0 it is, on
		// the host and as root.
		rule(unix.SYS_SETRLIMIT,
			bpf.LoadAbsolute{Off: offArg0, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.RLIMIT_CORE, SkipTrue: 1},
			bpf.RetConstant{Val: retAllow},
			bpf.RetConstant{Val: nothingToDo}),
		rule(unix.SYS_PRLIMIT64,
			bpf.LoadAbsolute{Off: offArg1, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.RLIMIT_CORE, SkipTrue: 5},
			bpf.LoadAbsolute{Off: offArg2, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 2},
			bpf.LoadAbsolute{Off: offArg2 + 4, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1}, // asks only
			bpf.RetConstant{Val: nothingToDo},
			bpf.RetConstant{Val: retAllow}),
		// Typing into a terminal from outside of it.
		rule(unix.SYS_IOCTL,
			bpf.LoadAbsolute{Off: offArg1, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.TIOCSTI, SkipTrue: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: tiocLinux, SkipTrue: 1},
			bpf.RetConstant{Val: retAllow},
			bpf.RetConstant{Val: refuse}),
	)
}

const tiocLinux = 0x541c

// span is a range of numbers, from first to the next span's, and its answer.
type span struct {
	first  uint32
	answer uint32
}

// decisions covers all numbers with spans, in order.
func decisions() []span {
	answers := make(map[uint32]uint32)
	for _, n := range slices.Concat(commonCalls(), archCalls()) {
		answers[n] = retAllow
	}
	for _, n := range flushCalls() {
		answers[n] = nothingToDo
	}
	for _, n := range scarceCalls() {
		answers[n] = unknown
	}
	spans := []span{{first: 0, answer: refuse}}
	add := func(first, answer uint32) {
		if last := &spans[len(spans)-1]; last.first == first {
			last.answer = answer
		} else if last.answer != answer {
			spans = append(spans, span{first, answer})
		}
	}
	for _, n := range slices.Sorted(maps.Keys(answers)) {
		add(n, answers[n])
		add(n+1, refuse)
	}
	// The x32 calls of amd64 begin at 1<<30, and belong here too.
	add(lastKnown+1, unknown)
	return spans
}

// tree lays spans out as a balanced binary search on the accumulator.
func tree(spans []span) []bpf.Instruction {
	if len(spans) == 1 {
		return []bpf.Instruction{bpf.RetConstant{Val: spans[0].answer}}
	}
	middle := len(spans) / 2
	low, high := tree(spans[:middle]), tree(spans[middle:])
	pivot := bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: spans[middle].first, SkipTrue: uint8(len(low))}
	if len(low) <= 255 {
		return slices.Concat([]bpf.Instruction{pivot}, low, high)
	}
	// A conditional jump reaches 255 instructions.
	pivot.SkipTrue, pivot.SkipFalse = 0, 1
	return slices.Concat([]bpf.Instruction{pivot, bpf.Jump{Skip: uint32(len(low))}}, low, high)
}
