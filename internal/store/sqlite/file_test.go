package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"nimbus"
)

// TestCallerLeaves: whatever SQLite and database/sql say about a transaction that its caller has left, the
// error says that the caller has.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	f := open(t).control.file
	const forever = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
	for name, test := range map[string]struct {
		transact func(context.Context, func(*sql.Tx) error) error
		body     func(ctx context.Context, cancel func(), tx *sql.Tx) error
	}{
		"between statements": {f.write, func(_ context.Context, cancel func(), tx *sql.Tx) error {
			cancel()
			for {
				if _, err := tx.ExecContext(context.Background(), "DELETE FROM api_keys"); err != nil {
					return err
				}
			}
		}},
		"before the commit": {f.write, func(ctx context.Context, cancel func(), tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "DELETE FROM namespaces")
			cancel()
			return err
		}},
		"in a query": {f.read, func(ctx context.Context, cancel func(), tx *sql.Tx) error {
			defer time.AfterFunc(10*time.Millisecond, cancel).Stop()
			return tx.QueryRowContext(ctx, forever).Scan(new(int))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			err := test.transact(ctx, func(tx *sql.Tx) error { return test.body(ctx, cancel, tx) })
			wantCode(t, err, nimbus.CodeUnavailable)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error is %v, want it to wrap context.Canceled", err)
			}
			control := &control{file: f}
			if _, err := control.Namespace(t.Context(), nimbus.DefaultNamespace); err != nil {
				t.Errorf("what was left in the middle took effect: %v", err)
			}
		})
	}
}
