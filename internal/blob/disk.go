package blob

import (
	"errors"
	"syscall"

	"nimbus"
)

// DiskError translates what the operating system said about a write: a full disk or quota becomes
// CodeInsufficientStorage, every other error (and nil, and what was translated already) is returned as it is.
func DiskError(err error) error {
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
	if full && nimbus.CodeOf(err) != nimbus.CodeInsufficientStorage {
		return nimbus.WrapError(nimbus.CodeInsufficientStorage, err,
			"the disk that holds the data directory is full; writes succeed again once there is room")
	}
	return err
}
