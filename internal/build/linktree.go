package build

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"nimbus/internal/blob"
)

// linkTree makes at to what is at from, its files linked rather than copied: they are never written, and to whom
// they are shown they are shown read-only.
func linkTree(from, to string) error {
	return filepath.WalkDir(from, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		place := filepath.Join(to, rel)
		switch {
		case e.IsDir():
			return blob.DiskError(os.MkdirAll(place, 0o755))
		case e.Type() == fs.ModeSymlink:
			target, err := os.Readlink(file)
			if err != nil {
				return err
			}
			return blob.DiskError(os.Symlink(target, place))
		}
		return linkFile(file, place)
	})
}

// mergeTree adds to the tree at to what it lacks of the one at from: files that are in both are the same.
func mergeTree(from, to string) error {
	return filepath.WalkDir(from, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		place := filepath.Join(to, rel)
		if e.IsDir() {
			return blob.DiskError(os.MkdirAll(place, 0o755))
		}
		if err := linkFile(file, place); !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	})
}

// linkFile links a file, or copies it where links can't be: to another disk, or when it has too many.
func linkFile(from, to string) error {
	err := os.Link(from, to)
	if err == nil || !errors.Is(err, syscall.EXDEV) && !errors.Is(err, syscall.EMLINK) && !errors.Is(err, syscall.EPERM) {
		return blob.DiskError(err)
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer discard(in)
	st, err := in.Stat()
	if err != nil {
		return err
	}
	return writeFile(to, in, st.Mode().Perm())
}

// writeFile makes a file of what r gives.
func writeFile(path string, r io.Reader, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return blob.DiskError(err)
	}
	_, err = io.Copy(f, r)
	return blob.DiskError(errors.Join(err, f.Chmod(mode), f.Close()))
}
