package api

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"nimbus"
	"nimbus/internal/blob"
)

// Uploads is the directory where the code in requests waits until it is stored: on a disk, not in memory. Its
// files have no names, so that nothing is left of them however the process ends.
type Uploads struct{ dir string }

// OpenUploads makes the directory, or empties it of what a process may have left that was killed between making
// a file and taking its name.
func OpenUploads(dir string) (*Uploads, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of uploads: %w", blob.DiskError(err))
	}
	left, err := os.ReadDir(dir)
	for _, old := range left {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, old.Name())))
	}
	if err != nil {
		return nil, fmt.Errorf("empty the directory of uploads: %w", err)
	}
	return &Uploads{dir}, nil
}

func (u *Uploads) create() (*upload, error) {
	file, err := os.CreateTemp(u.dir, "request-")
	if err != nil {
		return nil, keepError(err)
	}
	if err := os.Remove(file.Name()); err != nil {
		_ = file.Close() // nothing was written
		return nil, keepError(err)
	}
	return &upload{file: file}, nil
}

// upload is code that came with a request. nil is none.
type upload struct {
	file *os.File
	size int64
}

// Write implements io.Writer.
func (u *upload) Write(p []byte) (int, error) {
	n, err := u.file.Write(p)
	u.size += int64(n)
	return n, keepError(err)
}

// content reads what was written; until close.
func (u *upload) content() *io.SectionReader { return io.NewSectionReader(u.file, 0, u.size) }

func (u *upload) close() {
	if u != nil {
		_ = u.file.Close() // whoever read it has read it
	}
}

func keepError(err error) error {
	switch full := blob.DiskError(err); {
	case err == nil:
		return nil
	case nimbus.CodeOf(full) == nimbus.CodeInsufficientStorage:
		return full
	}
	return nimbus.WrapError(nimbus.CodeInternal, err, "the upload could not be kept")
}
