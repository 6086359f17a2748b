package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"syscall"

	"modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"nimbus"
)

// translate turns whatever went wrong on the file into a *nimbus.Error.
func (f *file) translate(err error) error {
	if err != nil && f.closed.Load() {
		return nimbus.WrapError(nimbus.CodeUnavailable, err, "the store is closed")
	}
	return translate(f.dir, err)
}

// translate does so for a file of the directory. An error that is a *nimbus.Error is returned as it is.
func translate(dir string, err error) error {
	var own *nimbus.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nimbus.WrapError(nimbus.CodeUnavailable, err, "the store was not asked to the end")
	case noRoom(err):
		return diskFull(err)
	case errors.As(err, new(*fs.PathError)):
		return nimbus.WrapError(nimbus.CodeUnavailable, err, "the store's files can't be opened")
	}
	switch resultCode(err) & 0xff {
	case codes.SQLITE_FULL:
		return diskFull(err)
	case codes.SQLITE_IOERR, codes.SQLITE_CANTOPEN:
		// SQLite keeps the system's reason to itself; trying the disk tells it.
		if noRoom(tryDisk(dir)) {
			return diskFull(err)
		}
		return nimbus.WrapError(nimbus.CodeUnavailable, err, "the store's disk does not answer")
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED:
		return nimbus.WrapError(nimbus.CodeUnavailable, err, "the store is in use by another process")
	case codes.SQLITE_READONLY, codes.SQLITE_PERM:
		return nimbus.WrapError(nimbus.CodeUnavailable, err, "the store's files may not be written")
	case codes.SQLITE_CORRUPT, codes.SQLITE_NOTADB:
		return nimbus.WrapError(nimbus.CodeInternal, err, "a file of the store is damaged; restore a backup")
	}
	return nimbus.WrapError(nimbus.CodeInternal, err, "the store failed")
}

// interrupted gives an error its reason when the caller has left: database/sql and SQLite say only that the
// transaction is over.
func interrupted(ctx context.Context, err error) error {
	over := errors.Is(err, sql.ErrTxDone) || resultCode(err)&0xff == codes.SQLITE_INTERRUPT
	if ctx.Err() != nil && over {
		return errors.Join(ctx.Err(), err)
	}
	return err
}

func diskFull(err error) error {
	return nimbus.WrapError(nimbus.CodeInsufficientStorage, err, "the disk is full; nothing was stored")
}

func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// tryDisk writes a page's worth into the directory and returns what the system says to it.
func tryDisk(dir string) error {
	probe, err := os.CreateTemp(dir, ".room-*")
	if err != nil {
		return err
	}
	_, err = probe.Write(make([]byte, 64<<10))
	if err == nil {
		err = probe.Sync()
	}
	return errors.Join(err, probe.Close(), os.Remove(probe.Name()))
}

// resultCode returns SQLite's extended result code, 0 if err is not SQLite's.
func resultCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// taken reports whether a statement would have made a key twice.
func taken(err error) bool {
	code := resultCode(err)
	return code == codes.SQLITE_CONSTRAINT_UNIQUE || code == codes.SQLITE_CONSTRAINT_PRIMARYKEY
}
