//go:build linux && (amd64 || arm64)

package spawn

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// filter decodes the seccomp program.
func (p *Policy) filter() ([]unix.SockFilter, error) {
	b, err := hex.DecodeString(p.Filter)
	if err != nil {
		return nil, err
	}
	const size = 8 // of struct sock_filter
	if len(b) == 0 || len(b)%size != 0 {
		return nil, errors.New("not a seccomp program")
	}
	program := make([]unix.SockFilter, 0, len(b)/size)
	for ; len(b) > 0; b = b[size:] {
		program = append(program, unix.SockFilter{
			Code: binary.NativeEndian.Uint16(b), Jt: b[2], Jf: b[3], K: binary.NativeEndian.Uint32(b[4:]),
		})
	}
	return program, nil
}

// restrictFiles applies the ruleset to this thread, landlock(7).
func (p *Policy) restrictFiles() error {
	if p.Landlock == nil {
		return nil
	}
	const size = 8 // of struct landlock_ruleset_attr, as far as ABI 1 knows it
	attr := unix.LandlockRulesetAttr{Handled_access_fs: p.Landlock.Handled}
	ruleset, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return errno
	}
	defer unix.Close(int(ruleset))
	for _, rule := range p.Landlock.Rules {
		if err := rule.add(ruleset); err != nil {
			return err
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

func (r Rule) add(ruleset uintptr) error {
	fd, err := unix.Open(r.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	attr := unix.LandlockPathBeneathAttr{Allowed_access: r.Access, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, ruleset, unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
