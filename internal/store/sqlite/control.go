package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"nimbus"
)

// control implements store.Control.
type control struct{ file *file }

// fold is how names are compared. They are ASCII; whatever else a query brings matches nothing.
func fold(name string) string { return strings.ToLower(name) }

// Namespace implements store.Namespaces.
func (c *control) Namespace(ctx context.Context, name string) (*nimbus.Namespace, error) {
	n := &nimbus.Namespace{Name: name}
	var created int64
	err := c.file.read(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, "SELECT tenant, created_at FROM namespaces WHERE name = ?", name).
			Scan(&n.Tenant, &created)
		if errors.Is(err, sql.ErrNoRows) {
			return nimbus.Errorf(nimbus.CodeNotFound, "namespace %q was not found", name)
		}
		if err != nil {
			return fmt.Errorf("read namespace: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	n.CreatedAt = fromMicros(created)
	return n, nil
}

// claimNamespace makes the namespace if it is new, and refuses one of another tenant.
func claimNamespace(ctx context.Context, tx *sql.Tx, n nimbus.Namespace) error {
	var tenant string
	err := tx.QueryRowContext(ctx, "SELECT tenant FROM namespaces WHERE name = ?", n.Name).Scan(&tenant)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		_, err := tx.ExecContext(ctx, "INSERT INTO namespaces (name, tenant, created_at) VALUES (?, ?, ?)",
			n.Name, n.Tenant, micros(n.CreatedAt))
		if err != nil {
			return fmt.Errorf("make namespace: %w", err)
		}
	case err != nil:
		return fmt.Errorf("read namespace: %w", err)
	case tenant != n.Tenant:
		return nimbus.Errorf(nimbus.CodeNotFound, "namespace %q was not found", n.Name)
	}
	return nil
}

// affected returns how many rows a statement changed.
func affected(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}
