package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"

	"nimbus"
)

//go:embed migrations
var migrations embed.FS

// schema is one kind of file: how it is recognised and laid out.
type schema struct {
	name          string // of the file, without .db; also its folder of migrations
	applicationID int64  // PRAGMA application_id: "Nmb" and a letter
	pageSize      int    // bytes, when the file is made
}

// schemas lists the files in the order in which they are opened.
func schemas() []schema {
	return []schema{
		{name: "control", applicationID: 0x4e6d6263, pageSize: 4096},
		{name: "records", applicationID: 0x4e6d6272, pageSize: 4096},
		// A row of a WITHOUT ROWID table leaves its page above a quarter of the page's size. An entry with
		// an event of 1 KB stays on a page of 16 KB, and accepting it costs a third of what it does on 4 KB.
		{name: "ledger", applicationID: 0x4e6d626c, pageSize: 16384},
	}
}

func (s schema) fileName() string { return s.name + ".db" }

// migrations returns the schema's folder.
func (s schema) migrations() (fs.FS, error) { return fs.Sub(migrations, "migrations/"+s.name) }

// latest returns the number of the newest migration this program knows.
func (s schema) latest() (int64, error) {
	entries, err := fs.ReadDir(migrations, "migrations/"+s.name)
	if err != nil {
		return 0, fmt.Errorf("read the migrations of %s: %w", s.name, err)
	}
	return goose.NumericComponent(entries[len(entries)-1].Name())
}

// header is what a file says about itself.
type header struct {
	applicationID int64
	version       int64 // the newest migration it has completed
}

func readHeader(ctx context.Context, db *sql.DB) (header, error) {
	var h header
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&h.applicationID); err != nil {
		return h, fmt.Errorf("read application_id: %w", err)
	}
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&h.version); err != nil {
		return h, fmt.Errorf("read user_version: %w", err)
	}
	return h, nil
}

// accepts returns an error unless a file of that header belongs to the schema and is none of the future.
func (s schema) accepts(h header) error {
	if h.applicationID != s.applicationID {
		return nimbus.Errorf(nimbus.CodeConflict, "%s is not a %s file of Nimbus", s.fileName(), s.name)
	}
	latest, err := s.latest()
	if err != nil {
		return err
	}
	if h.version > latest {
		return nimbus.Errorf(nimbus.CodeConflict,
			"%s was written by a newer Nimbus: its schema is %d, this program knows %d", s.fileName(), h.version, latest)
	}
	return nil
}

// migrate brings a file's schema up to date. The file's own version number is raised last, so a file whose
// number is the latest needs no look at goose's table.
func (s schema) migrate(ctx context.Context, db *sql.DB, logger *slog.Logger) error {
	h, err := readHeader(ctx, db)
	if err != nil {
		return err
	}
	if h == (header{}) {
		if err := s.claim(ctx, db); err != nil {
			return err
		}
		h.applicationID = s.applicationID
	}
	if err := s.accepts(h); err != nil {
		return err
	}
	latest, err := s.latest()
	if err != nil || h.version == latest {
		return err
	}
	folder, err := s.migrations()
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, folder, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read the migrations of %s: %w", s.name, err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate %s: %w", s.fileName(), err)
	}
	if _, err := db.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", latest)); err != nil {
		return fmt.Errorf("migrate %s: %w", s.fileName(), err)
	}
	logger.InfoContext(ctx, "store migrated", "file", s.fileName(), "from", h.version, "to", latest)
	return nil
}

// claim marks an empty file as one of the schema; a file of something else is left alone.
func (s schema) claim(ctx context.Context, db *sql.DB) error {
	var tables int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return fmt.Errorf("read the schema of %s: %w", s.fileName(), err)
	}
	if tables > 0 {
		return s.accepts(header{})
	}
	if _, err := db.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", s.applicationID)); err != nil {
		return fmt.Errorf("mark %s: %w", s.fileName(), err)
	}
	return nil
}
