package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"nimbus"
	"nimbus/internal/store"
)

// ledger implements store.Ledger.
type ledger struct {
	file   *file
	writer *ledgerWriter
}

const entryColumns = `id, kind, tenant, namespace, function_id, qualifier, parent_id, root_id, attempt, due_at,
	created_at, idempotency_key, digest, event_blob, event`

// Append implements store.Ledger.
func (l *ledger) Append(ctx context.Context, e *store.Entry) (store.Accepted, error) {
	return l.writer.append(ctx, e)
}

// Entry implements store.Ledger.
func (l *ledger) Entry(ctx context.Context, id nimbus.ID) (*store.Entry, error) {
	var e *store.Entry
	err := l.file.read(ctx, func(tx *sql.Tx) error {
		var err error
		e, err = scanEntry(tx.QueryRowContext(ctx, "SELECT "+entryColumns+" FROM entries WHERE id = ?", id[:]))
		if errors.Is(err, sql.ErrNoRows) {
			return nimbus.Errorf(nimbus.CodeNotFound, "entry %s was not found", id)
		}
		if err != nil {
			return fmt.Errorf("read entry: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Entries implements store.Ledger.
func (l *ledger) Entries(ctx context.Context, after nimbus.ID, limit int) ([]store.Entry, error) {
	var found []store.Entry
	err := l.file.read(ctx, func(tx *sql.Tx) error {
		return eachRow(ctx, tx, func(row scanner) error {
			e, err := scanEntry(row)
			if err == nil {
				found = append(found, *e)
			}
			return err
		}, "SELECT "+entryColumns+" FROM entries WHERE id > ? ORDER BY id LIMIT ?", after[:], max(limit, 0))
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

func scanEntry(row scanner) (*store.Entry, error) {
	var e store.Entry
	var due, created int64
	err := row.Scan(idColumn{&e.ID}, &e.Kind, &e.Tenant, &e.Namespace, idColumn{&e.FunctionID}, &e.Qualifier,
		idColumn{&e.ParentID}, idColumn{&e.RootID}, &e.Attempt, &due, &created, &e.IdempotencyKey,
		digestColumn{&e.Digest}, &e.EventBlob, &e.Event)
	if err != nil {
		return nil, err
	}
	e.DueAt, e.CreatedAt = fromMicros(due), fromMicros(created)
	return &e, nil
}
