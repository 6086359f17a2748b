//go:build linux

package sandbox

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// archCalls lists the calls that arm64 has besides: none.
func archCalls() []uint32 { return nil }
