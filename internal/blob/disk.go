package blob

import (
	"errors"
	"syscall"

	"nimbus"
)

// DiskError translates what the operating system said about a write: a full disk or quota becomes
// CodeInsufficientStorage, every other error (and nil) is returned as it is.
func DiskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return nimbus.WrapError(nimbus.CodeInsufficientStorage, err,
			"the disk that holds the data directory is full; writes succeed again once there is room")
	}
	return err
}
