package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"nimbus"
)

// functionColumns and functionTables read a function with the version that serves; scanFunction takes the
// columns up.
const (
	functionColumns = `f.id, f.tenant, f.namespace, f.name, f.status, f.status_message, f.created_at, f.updated_at, b.id, ` +
		versionColumns
	functionTables = `functions f JOIN versions v ON v.function_id = f.id AND v.number = f.version
		LEFT JOIN builds b ON b.function_id = f.id`
)

// CreateFunction implements store.Functions.
func (c *control) CreateFunction(ctx context.Context, f *nimbus.Function) error {
	if f.Version.Number != 1 {
		return nimbus.Errorf(nimbus.CodeInternal, "the first version of a function must be number 1, not %d", f.Version.Number)
	}
	return c.file.write(ctx, func(tx *sql.Tx) error {
		err := claimNamespace(ctx, tx, nimbus.Namespace{Name: f.Namespace, Tenant: f.Tenant, CreatedAt: f.CreatedAt})
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO functions
			(id, tenant, namespace, name, name_folded, status, status_message, version, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			f.ID[:], f.Tenant, f.Namespace, f.Name, fold(f.Name), f.Status, f.StatusMessage, f.Version.Number,
			micros(f.CreatedAt), micros(f.UpdatedAt))
		if taken(err) {
			return nimbus.Errorf(nimbus.CodeConflict, "function %q exists in namespace %q", f.Name, f.Namespace)
		}
		if err != nil {
			return fmt.Errorf("insert function: %w", err)
		}
		v := f.Version
		v.FunctionID = f.ID
		if f.Build.IsZero() {
			return insertVersion(ctx, tx, &v)
		}
		return insertBuild(ctx, tx, &nimbus.Build{ID: f.Build, Version: v})
	})
}

// SetStatus implements store.Functions.
func (c *control) SetStatus(ctx context.Context, id nimbus.ID, from, status nimbus.Status, at time.Time) error {
	return c.file.write(ctx, func(tx *sql.Tx) error {
		n, err := affected(tx.ExecContext(ctx,
			"UPDATE functions SET status = ?, updated_at = ? WHERE id = ? AND status = ?", status, micros(at), id[:], from))
		if err != nil {
			return fmt.Errorf("update status: %w", err)
		}
		if n > 0 {
			return nil
		}
		var now nimbus.Status
		err = tx.QueryRowContext(ctx, "SELECT status FROM functions WHERE id = ?", id[:]).Scan(&now)
		if errors.Is(err, sql.ErrNoRows) {
			return noFunction(id)
		}
		if err != nil {
			return fmt.Errorf("read status: %w", err)
		}
		return nimbus.Errorf(nimbus.CodeConflict, "the function is %s, no longer %s", now, from)
	})
}

// Function implements store.Functions.
func (c *control) Function(ctx context.Context, id nimbus.ID) (*nimbus.Function, error) {
	return c.oneFunction(ctx, noFunction(id), "f.id = ?", id[:])
}

// FunctionByName implements store.Functions.
func (c *control) FunctionByName(ctx context.Context, namespace, name string) (*nimbus.Function, error) {
	missing := nimbus.Errorf(nimbus.CodeNotFound, "function %q was not found in namespace %q", name, namespace)
	return c.oneFunction(ctx, missing, "f.namespace = ? AND f.name_folded = ?", namespace, fold(name))
}

// DeleteFunction implements store.Functions. The versions go with it by their foreign key.
func (c *control) DeleteFunction(ctx context.Context, id nimbus.ID) error {
	return c.file.write(ctx, func(tx *sql.Tx) error {
		n, err := affected(tx.ExecContext(ctx, "DELETE FROM functions WHERE id = ?", id[:]))
		if err != nil {
			return fmt.Errorf("delete function: %w", err)
		}
		if n == 0 {
			return noFunction(id)
		}
		return nil
	})
}

func (c *control) oneFunction(ctx context.Context, missing error, where string, args ...any) (*nimbus.Function, error) {
	var f *nimbus.Function
	err := c.file.read(ctx, func(tx *sql.Tx) error {
		row := tx.QueryRowContext(ctx, "SELECT "+functionColumns+" FROM "+functionTables+" WHERE "+where, args...)
		var err error
		f, err = scanFunction(row)
		if errors.Is(err, sql.ErrNoRows) {
			return missing
		}
		if err != nil {
			return fmt.Errorf("read function: %w", err)
		}
		return readTags(ctx, tx, &f.Version)
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// scanner is a row of one or of many.
type scanner interface{ Scan(dest ...any) error }

func scanFunction(row scanner) (*nimbus.Function, error) {
	var f nimbus.Function
	var created, updated int64
	v := versionRow{version: &f.Version}
	dest := []any{idColumn{&f.ID}, &f.Tenant, &f.Namespace, &f.Name, &f.Status, &f.StatusMessage, &created, &updated,
		idColumn{&f.Build}}
	if err := row.Scan(append(dest, v.dest()...)...); err != nil {
		return nil, err
	}
	v.finish()
	f.CreatedAt, f.UpdatedAt = fromMicros(created), fromMicros(updated)
	return &f, nil
}

func noFunction(id nimbus.ID) error {
	return nimbus.Errorf(nimbus.CodeNotFound, "function %s was not found", id)
}
