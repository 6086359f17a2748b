package main

import (
	"syscall"
	"unsafe"
)

// inputSize returns how many bytes wait on stdin.
func inputSize() int {
	var n int32
	_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, 0, syscall.TIOCINQ, uintptr(unsafe.Pointer(&n)))
	return int(n)
}
