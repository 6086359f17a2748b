package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"modernc.org/sqlite"
)

// readers is how many connections read a file at once; more requests than that wait their turn.
const readers = 4

// file is one database: a connection that writes, a pool that reads.
type file struct {
	schema schema
	dir    string
	writer *sql.DB
	reader *sql.DB
	closed atomic.Bool
}

func openFile(ctx context.Context, dir string, sch schema, logger *slog.Logger) (*file, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, translate(dir, fmt.Errorf("find the store's directory: %w", err))
	}
	f := &file{schema: sch, dir: dir}
	if err := touch(f.path()); err != nil {
		return nil, f.translate(err)
	}
	if f.writer, err = f.open(1, f.writerParameters()); err != nil {
		return nil, f.translate(err)
	}
	if err := sch.migrate(ctx, f.writer, logger); err != nil {
		return nil, errors.Join(f.translate(err), f.writer.Close())
	}
	if f.reader, err = f.open(readers, f.readerParameters()); err != nil {
		return nil, errors.Join(f.translate(err), f.writer.Close())
	}
	return f, nil
}

// writerParameters sets what the writing connection runs with. The driver applies _pragma values before
// _journal_mode, as page_size has to be set before the log exists.
func (f *file) writerParameters() url.Values {
	return url.Values{
		"_txlock":       {"immediate"},
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"}, // an fsync for every commit; commits are batched where they are many
		"_foreign_keys": {"1"},
		"_busy_timeout": {"5000"},
		"_pragma": {
			fmt.Sprintf("page_size(%d)", f.schema.pageSize),
			"cache_size(-65536)", // KiB
			"mmap_size(268435456)",
			fmt.Sprintf("wal_autocheckpoint(%d)", 16<<20/f.schema.pageSize), // pages: every 16 MiB
			"journal_size_limit(67108864)",
		},
	}
}

// readerParameters gives readers a small cache: what they read is mapped.
func (f *file) readerParameters() url.Values {
	return url.Values{
		"_query_only":   {"1"},
		"_busy_timeout": {"5000"},
		"_pragma":       {"cache_size(-8192)", "mmap_size(268435456)"},
	}
}

func (f *file) path() string { return filepath.Join(f.dir, f.schema.fileName()) }

// touch makes the file if it is missing. What is in it is for the owner's eyes, and SQLite gives its log the
// same mode.
func touch(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	return nil
}

func (f *file) open(connections int, parameters url.Values) (*sql.DB, error) {
	connector, err := f.connector(parameters)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

func (f *file) connector(parameters url.Values) (driver.Connector, error) {
	c, err := sqlite.NewConnector(dsn(f.path(), parameters))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", f.schema.fileName(), err)
	}
	return c, nil
}

// dsn writes an absolute path as SQLite's URI, in which every character may stand.
func dsn(path string, parameters url.Values) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") { // C:/…
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: parameters.Encode()}).String()
}

// write runs fn in a transaction that holds the file's write lock from its start.
func (f *file) write(ctx context.Context, fn func(tx *sql.Tx) error) error {
	return f.transact(ctx, f.writer, nil, fn)
}

// read runs fn on one snapshot of the file.
func (f *file) read(ctx context.Context, fn func(tx *sql.Tx) error) error {
	return f.transact(ctx, f.reader, &sql.TxOptions{ReadOnly: true}, fn)
}

func (f *file) transact(ctx context.Context, db *sql.DB, opts *sql.TxOptions, fn func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, opts)
	if err != nil {
		return f.translate(interrupted(ctx, fmt.Errorf("begin on %s: %w", f.schema.name, err)))
	}
	if err := fn(tx); err != nil {
		_ = tx.Rollback() // fails only when SQLite has rolled back already
		return f.translate(interrupted(ctx, err))
	}
	if err := tx.Commit(); err != nil {
		return f.translate(interrupted(ctx, fmt.Errorf("commit on %s: %w", f.schema.name, err)))
	}
	return nil
}

func (f *file) ping(ctx context.Context) error {
	var tables int
	err := f.reader.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables)
	if err != nil {
		return f.translate(fmt.Errorf("ping %s: %w", f.schema.name, err))
	}
	return nil
}

func (f *file) close() error {
	if f.closed.Swap(true) {
		return nil
	}
	// The writer goes last: closing the last connection folds the log into the file.
	if err := errors.Join(f.reader.Close(), f.writer.Close()); err != nil {
		return fmt.Errorf("close %s: %w", f.schema.fileName(), err)
	}
	return nil
}
