package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"nimbus"
	"nimbus/internal/blob"
)

// spool copies an upload into a file that has no name any more, so that nothing is left of it however
// the process ends.
func (b *Builder) spool(ctx context.Context, r io.Reader) (_ *os.File, size int64, err error) {
	f, err := os.CreateTemp(b.cfg.TempDir, "upload-")
	if err != nil {
		return nil, 0, fmt.Errorf("keep upload: %w", blob.DiskError(err))
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	if err := os.Remove(f.Name()); err != nil {
		return nil, 0, fmt.Errorf("keep upload: %w", err)
	}
	max := b.cfg.Limits.Archive
	up := &upload{ctx: ctx, r: io.LimitReader(r, max+1)}
	size, err = io.Copy(f, up)
	switch {
	case up.err != nil:
		return nil, 0, uploadError(up.err)
	case err != nil:
		return nil, 0, fmt.Errorf("keep upload: %w", blob.DiskError(err))
	case size > max:
		return nil, 0, nimbus.Errorf(nimbus.CodeTooLarge, "code: the archive is over its bound of %d bytes", max)
	}
	return f, size, nil
}

// upload tells an error of the sender from one of the disk, and stops when ctx does.
type upload struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (u *upload) Read(p []byte) (int, error) {
	if u.err = u.ctx.Err(); u.err != nil {
		return 0, u.err
	}
	n, err := u.r.Read(p)
	if err != nil && err != io.EOF {
		u.err = err
	}
	return n, err
}

func uploadError(err error) error {
	var known *nimbus.Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nimbus.WrapError(nimbus.CodeBadRequest, err, "code: the upload ended before the archive did")
}
