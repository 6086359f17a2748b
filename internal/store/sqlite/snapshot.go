package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
)

// Snapshot implements store.Snapshotter. Control data is copied last: whatever a record or an entry of the
// copy refers to was there by then.
func (s *Store) Snapshot(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return translate(dir, fmt.Errorf("find the snapshot's directory: %w", err))
	}
	for _, f := range slices.Backward(s.files) {
		if err := f.snapshot(ctx, filepath.Join(dir, f.schema.fileName())); err != nil {
			return err
		}
	}
	return translate(dir, syncDir(dir))
}

// snapshot copies the file on a connection of its own, so that it takes no reader's place.
func (f *file) snapshot(ctx context.Context, to string) error {
	if f.closed.Load() {
		return f.translate(errors.New("snapshot"))
	}
	if err := touch(to); err != nil { // SQLite fills an empty file
		return translate(filepath.Dir(to), err)
	}
	db, err := f.open(1, url.Values{"_busy_timeout": {"5000"}, "mode": {"rw"}})
	if err != nil {
		return f.translate(err)
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	if err == nil {
		err = syncFile(to)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		// What lacks room is the snapshot's disk.
		return translate(filepath.Dir(to), fmt.Errorf("snapshot %s: %w", f.schema.fileName(), err))
	}
	return nil
}

// openSnapshot opens a file nobody writes to, without making any beside it.
func openSnapshot(path string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", path, err)
	}
	db, err := sql.Open("sqlite", dsn(path, url.Values{"mode": {"ro"}, "immutable": {"1"}}))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return db, nil
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}
