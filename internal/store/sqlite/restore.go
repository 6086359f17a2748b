package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"nimbus"
)

// Restore puts a snapshot's files into toDir, which is made if it is missing and must hold no store. All of
// them are checked first: a missing, damaged or foreign file, or one of a newer Nimbus, leaves toDir as it was.
func Restore(ctx context.Context, fromDir, toDir string) error {
	for _, sch := range schemas() {
		if err := sch.verify(ctx, filepath.Join(fromDir, sch.fileName())); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(toDir, 0o700); err != nil {
		return translate(toDir, fmt.Errorf("make the store's directory: %w", err))
	}
	if err := refuseStore(toDir); err != nil {
		return err
	}
	if err := copyStore(ctx, fromDir, toDir); err != nil {
		return translate(toDir, err)
	}
	return nil
}

// verify reads the whole file.
func (s schema) verify(ctx context.Context, path string) (err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nimbus.Errorf(nimbus.CodeNotFound, "the snapshot has no %s", s.fileName())
	}
	dir := filepath.Dir(path)
	db, err := openSnapshot(path)
	if err != nil {
		return translate(dir, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	h, err := readHeader(ctx, db)
	if err != nil {
		return translate(dir, err)
	}
	if err := s.accepts(h); err != nil {
		return translate(dir, err)
	}
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return translate(dir, fmt.Errorf("check %s: %w", s.fileName(), err))
	}
	if verdict != "ok" {
		return nimbus.WrapError(nimbus.CodeInternal, errors.New(verdict), "%s of the snapshot is damaged", s.fileName())
	}
	return nil
}

// refuseStore returns an error if the directory holds a store, or what one has left: a log that belongs to
// another file would be played into this one.
func refuseStore(dir string) error {
	for _, sch := range schemas() {
		for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
			name := sch.fileName() + suffix
			if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
				return nimbus.Errorf(nimbus.CodeConflict, "%s is there already; restore into a new directory", name)
			}
		}
	}
	return nil
}

// copyStore copies to names of their own first, so that no half-written file is ever taken for a store.
func copyStore(ctx context.Context, fromDir, toDir string) (err error) {
	var made []string
	defer func() {
		if err != nil {
			for _, path := range made {
				_ = os.Remove(path) // it may have been renamed, or never made
			}
		}
	}()
	for _, sch := range schemas() {
		staged := filepath.Join(toDir, sch.fileName()+".restoring")
		made = append(made, staged)
		if err := copyFile(ctx, filepath.Join(fromDir, sch.fileName()), staged); err != nil {
			return err
		}
	}
	for _, sch := range slices.Backward(schemas()) { // control data comes last: without it there is no store
		final := filepath.Join(toDir, sch.fileName())
		made = append(made, final)
		if err := os.Rename(final+".restoring", final); err != nil {
			return fmt.Errorf("restore %s: %w", sch.fileName(), err)
		}
	}
	return syncDir(toDir)
}

func copyFile(ctx context.Context, from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	_, err = io.Copy(dst, readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return src.Read(p)
	}))
	if err == nil {
		err = dst.Sync()
	}
	if err = errors.Join(err, dst.Close()); err != nil {
		return fmt.Errorf("copy %s: %w", filepath.Base(from), err)
	}
	return nil
}

type readerFunc func(p []byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
