// Package sqlite keeps control data, records and the ledger in three SQLite files of one directory:
// control.db, records.db and ledger.db. Each has its own needs of durability and its own writer, so that
// recording what happened never delays accepting work, and neither delays a deployment.
//
// A file has one connection that writes (BEGIN IMMEDIATE) and a pool of them that read; the write-ahead
// log lets them go on beside each other. See https://www.sqlite.org/wal.html.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"nimbus/internal/store"
)

// Config says where the store lives.
type Config struct {
	Dir    string       // made if it is missing
	Logger *slog.Logger // nil = silent
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Store is the three contracts on one directory. It is safe for concurrent use; one process at a time may
// have it open.
type Store struct {
	files   []*file // in the order of schemas
	control *control
	records *records
	ledger  *ledger
}

// Open opens the files of cfg.Dir, makes those that are missing and brings their schemas up to date. A file
// written by a newer Nimbus is refused with CodeConflict. Close it when done.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, translate(cfg.Dir, fmt.Errorf("make the store's directory: %w", err))
	}
	s := &Store{}
	for _, sch := range schemas() {
		f, err := openFile(ctx, cfg.Dir, sch, cfg.Logger)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.files = append(s.files, f)
	}
	controlFile, recordsFile, ledgerFile := s.files[0], s.files[1], s.files[2]
	s.control = &control{file: controlFile}
	s.records = &records{file: recordsFile}
	writer, err := newLedgerWriter(ctx, ledgerFile)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.ledger = &ledger{file: ledgerFile, writer: writer}
	return s, nil
}

// Control returns the store of what users define.
func (s *Store) Control() store.Control { return s.control }

// Records returns the store of what came of invocations.
func (s *Store) Records() store.Records { return s.records }

// Ledger returns the store of accepted work.
func (s *Store) Ledger() store.Ledger { return s.ledger }

// Ping reads from every file and returns nil when each answers.
func (s *Store) Ping(ctx context.Context) error {
	for _, f := range s.files {
		if err := f.ping(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close finishes what was accepted and closes the files. What is asked of the store afterwards fails with
// CodeUnavailable. Closing twice is fine.
func (s *Store) Close() error {
	var errs []error
	if s.ledger != nil {
		errs = append(errs, s.ledger.writer.close())
	}
	for _, f := range s.files {
		errs = append(errs, f.close())
	}
	return errors.Join(errs...)
}
